"""A check on an experiment that is made up: what is trained of it, which attempt counts, and what is said beside."""

from __future__ import annotations

import shlex
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch

from bench.cli.arguments import parse_arguments
from bench.core.errors import DataError
from bench.core.events import Note
from bench.core.work.gate import Judgement
from bench.execution import scheduler
from bench.spec import Architecture
from bench.studies.gate.check import GateWork, check_data, spell_recording
from bench.studies.gate.runs import train
from tests.bench.studies.gate.examples import FIRST, FRESH, GREY, gate_run, make_reference, make_thresholds

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from bench.core.events import Event
    from bench.core.records import RunRecord
    from bench.studies.experiment import Experiment


class Store:
    """Runs by their id; remembers which study was planned."""

    def __init__(self, *records: RunRecord) -> None:
        self._records = {record.run_id: record for record in records}
        self.runs = self
        self.planned: list[tuple[str, str, int]] = []

    def find(self, run_id: str) -> RunRecord | None:
        """A run, however it ended."""
        return self._records.get(run_id)

    def counted(self, request_ids: Iterable[str]) -> dict[str, RunRecord]:
        """First attempts, whose ids are those of their requests."""
        return {request_id: self._records[request_id] for request_id in request_ids}


def request(seed: int) -> Any:
    return types.SimpleNamespace(id=f"run-{seed}", recipe=types.SimpleNamespace(spelt="shared"))


def made_up(store: Store, *, reused: Sequence[RunRecord], tasks: Mapping[str, Any]) -> Any:
    """An experiment whose plan is given: what it reuses, and the requests of the tasks by the ids of their runs."""
    trained = [types.SimpleNamespace(run_id=run_id, request=of) for run_id, of in tasks.items()]
    plan = types.SimpleNamespace(reused=reused, tasks=trained)

    def begin(requests: Sequence[object], *, role: str, names: object) -> Any:
        assert names is not None
        store.planned.append(("gate", role, len(requests)))
        return plan

    return types.SimpleNamespace(name="gate", store=store, workplace=None, begin=begin)


def finish(
    events: Generator[Event, None, dict[str, list[RunRecord]]],
) -> tuple[list[Event], dict[str, list[RunRecord]]]:
    heard = []
    while True:
        try:
            heard.append(next(events))
        except StopIteration as end:
            return heard, end.value


def test_the_attempt_just_made_counts_though_an_older_one_ended_well(monkeypatch: pytest.MonkeyPatch) -> None:
    old, kept = gate_run(FIRST[0], 0.99), gate_run(FIRST[1], 0.98)
    failed = gate_run(FIRST[0], None, run_id="run-20000-2", attempt=2, status="failed", error="mine")
    store = Store(old, kept, failed)
    experiment = made_up(store, reused=[kept], tasks={"run-20000-2": request(FIRST[0])})
    said = Note(text="trained")
    monkeypatch.setattr(scheduler, "run", lambda plan, workplace: iter([said]))  # noqa: ARG005 - the names are the suite's
    asked = {"bn25k": [request(FIRST[0]), request(FIRST[1])], "empty": []}
    heard, found = finish(train(cast("Experiment", experiment), asked, role="gate"))
    assert heard == [said]
    assert found == {"bn25k": [failed, kept], "empty": []}
    assert store.planned == [("gate", "gate", 2)]


def test_runs_come_back_in_the_order_of_their_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "run", lambda *_: iter(()))
    records = [gate_run(seed) for seed in FRESH]
    experiment = made_up(Store(*records), reused=records[::-2], tasks={f"run-{s}": request(s) for s in FRESH[::2]})
    _, found = finish(train(experiment, {"bn25k": [request(seed) for seed in FRESH]}, role="gate"))
    assert found == {"bn25k": records}


def work(*torch_versions: str, engine: str = "torch", recorded_by: str = "torch") -> GateWork:
    references = [
        make_reference(f"net{k}", torch=version, engine=recorded_by) for k, version in enumerate(torch_versions)
    ]
    nets = [types.SimpleNamespace(name=reference.architecture) for reference in references]
    experiment = types.SimpleNamespace(architectures=nets, engine=engine)
    return GateWork(
        experiment=cast("Experiment", experiment),
        thresholds=make_thresholds(*references),
        judged={},
        source="c0ffee",
        recordings={},
    )


@pytest.mark.parametrize(
    ("net", "thresholds", "command"),
    [
        ("folder/lenet.py", "thresholds.toml", "python runner.py --arch alpha --write-thresholds"),
        ("my nets/x.py", "t.toml", "python runner.py --arch 'my nets/x.py:alpha' --write-thresholds t.toml"),
    ],
)
def test_the_command_that_records_a_net_anew_can_be_pasted(net: str, thresholds: str, command: str) -> None:
    architecture = Architecture(name="alpha", build=torch.nn.Identity, file=Path(net))
    assert spell_recording(architecture, Path(thresholds), folder=Path("folder")) == command
    given = parse_arguments(shlex.split(command)[2:])
    assert given.gate is not None
    assert str(given.gate.file) == thresholds


def test_references_of_another_torch_are_said_beside_the_verdict() -> None:
    outcome = work("1.2.3", torch.__version__, "1.2.3", "0.4.1").outcome(file="t.toml", drop=0.002)
    assert outcome.notes == (f"References were recorded with torch 0.4.1, 1.2.3; this is {torch.__version__}.",)
    for silent in (work(torch.__version__, ""), work()):
        assert silent.outcome(file="t.toml", drop=0.002).notes == ()
    assert outcome.trained == "mnist5k, 3 epochs, shared, cpu"


@pytest.mark.parametrize(("engine", "other"), [("torch", "lanes"), ("lanes", "torch")])
def test_references_of_the_other_engine_are_said_beside_the_verdict_and_decide_nothing(engine: str, other: str) -> None:
    made = work(torch.__version__, engine=engine, recorded_by=other)
    made.judged["net0"] = Judgement(architecture="net0", passed=True, reason="It passed.")
    outcome = made.outcome(file="t.toml", drop=0.002)
    assert outcome.notes == (f"References were recorded with the {other} engine; this is the {engine} engine.",)
    assert outcome.passed
    same = work(torch.__version__, engine=engine, recorded_by=engine)
    assert same.outcome(file="t.toml", drop=0.002).notes == ()


def test_other_images_are_refused_in_one_line() -> None:
    check_data(make_thresholds(make_reference()), GREY)
    with pytest.raises(DataError) as caught:
        check_data(make_thresholds(make_reference(), data_hash="0123456789abcdef"), GREY)
    assert str(caught.value) == (
        "'mnist5k' holds other images (da7a) than the references saw (0123456789ab); fix --data-dir, or record them "
        "anew with --write-thresholds."
    )
