"""All of a report's words: `report.md` of a small store of fixed values, line by line as golden.md has it.

Lines that were meant to change: `python -m pytest tests/reports/test_golden.py --renew-golden`, then review the diff.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bench.store.store import open_store
from reports.write import write_report
from tests.factories import MNIST, NETS, make_metadata, make_point, make_request, make_run, make_timing

GOLDEN = Path(__file__).with_name("golden.md")
ACCURACIES = {
    "bn25k": (0.9892, 0.9895, 0.9889, 0.9901, 0.9893, 0.9897, 0.9891, 0.9896),
    "conv16k": (0.9870, 0.9874, 0.9861, 0.9880, 0.9869, 0.9872, 0.9866, 0.9873),
    "fc3136": (0.9911, 0.9915, 0.9908, 0.9920, 0.9912, 0.9916, 0.9909, 0.9917),
    "lenet21k": (0.9893, 0.9894, 0.9890, 0.9899, 0.9895, 0.9896, 0.9892, 0.9894),
}
"""Of the validation images after three epochs, by seed."""
BELOW = {0.25: 0.30, 0.5: 0.08, 0.75: 0.05, 1.0: 0.03, 2.0: 0.01, 3.0: 0.0}
"""How much less it was, by epoch."""
BAD = {
    ("conv16k", 7): ("diverged", "the training loss became NaN in epoch 2"),
    ("fc3136", 6): ("failed", "KeyError: 'images'"),
}


def fill(url: str) -> None:
    """Store four nets × eight seeds, one run of them failed and one diverged."""
    requests = []
    with open_store(url) as store:
        store.artifacts.add_dataset(MNIST)
        for net, accuracies in ACCURACIES.items():
            store.artifacts.add_architecture(make_metadata(net))
            store.artifacts.add_timing(make_timing(net, slower=10_000 / NETS[net][-1]))
            for seed, accuracy in enumerate(accuracies):
                request = make_request(
                    seed, name=net, architecture_hash=f"hash-of-{net}", dataset="mnist", data_hash=MNIST.data_hash
                )
                requests.append(request)
                status, error = BAD.get((net, seed), ("ok", ""))
                curve = tuple(
                    make_point(epoch, accuracy=accuracy - below, probe=epoch < 1, speed=NETS[net][-1])
                    for epoch, below in BELOW.items()
                )
                record, curve = make_run(net, seed=seed, status=status, curve=curve)
                record = dataclasses.replace(record, run_id=request.id, request_id=request.id, cohort=request.cohort)
                store.runs.add(dataclasses.replace(record, error=error), curve)
        store.studies.plan("golden", command="python runner.py --all --seeds 8", requests=requests, role="compare")


@pytest.mark.usefixtures("blank_figures")
def test_the_report_of_a_fixed_store_is_the_golden_one(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    url = f"sqlite:///{tmp_path}/bench.db"
    fill(url)
    with open_store(url) as store:
        found = write_report(store.studies.load("golden"), tmp_path).markdown.read_text(encoding="utf-8")
    if pytestconfig.getoption("--renew-golden"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()
