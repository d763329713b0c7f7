"""What `bench` exports for scripts and notebooks: every example runs, and says what the command line says."""

from __future__ import annotations

import csv
import doctest
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bench
from bench.analysis.conditions import find_conditions
from bench.cli.arguments import parse_arguments
from bench.core.errors import ArchitectureError, BenchError, DataError, StoreError, UnknownNameError, UsageError
from bench.core.events import RunFinished
from bench.data.datasets import load_dataset
from bench.spec import Budget
from bench.store.store import open_store
from bench.studies.load import load_study
from bench.system.environment import PROJECT
from reports.exports import verdicts_csv

if TYPE_CHECKING:
    from pathlib import Path

EXPORTED = {
    "check_architecture", "compare", "list_architectures", "load_architecture", "load_model", "load_runs",
    "load_verdicts", "run_study", "study_events",
}  # fmt: skip
IN_ORDER = (
    "list_architectures", "load_architecture", "study_events", "run_study", "load_runs", "load_verdicts", "compare",
    "load_model", "check_architecture",
)  # fmt: skip
"""Names as their examples build on each other."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every example was run; `results` in it holds a study."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("BENCH_DATA_DIR", str(folder))
        words: dict[str, Any] = {}
        for name in IN_ORDER:
            for example in doctest.DocTestFinder(recurse=False).find(getattr(bench, name), name, globs=words):
                example.globs = words
                failed, tried = doctest.DocTestRunner(verbose=False).run(example, clear_globs=False)
                assert (failed, tried > 0) == (0, True), name
        page = doctest.testfile(str(PROJECT / "docs" / "api.md"), module_relative=False)
        assert page.failed == 0
        assert page.attempted > 15
    return folder / "results"


def test_the_names_are_these() -> None:
    assert set(bench.__all__) == EXPORTED == set(IN_ORDER)
    assert all(f"\n    {name} " in (bench.__doc__ or "") for name in EXPORTED)
    with pytest.raises(AttributeError, match="no attribute 'run_everything'"):
        _ = bench.run_everything


def test_what_a_net_file_imports_does_not_pay_for_it() -> None:
    told = "import sys, bench, bench.spec; print([m for m in ('torch', 'pandas', 'sqlalchemy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_verdicts_are_those_of_the_report(trained: Path) -> None:
    table = bench.load_verdicts(trained)
    rows = list(
        csv.DictReader(
            verdicts_csv(
                find_conditions(load_study(parse_arguments(["--report", "--results", str(trained)]).options))
            ).splitlines()
        )
    )
    assert list(table.columns) == list(rows[0])
    assert [row["verdict"] for row in rows] == table.verdict.tolist()
    assert [float(row["difference"]) for row in rows] == table.difference.tolist()


def test_a_loaded_model_says_what_its_run_said_of_the_test_set(trained: Path) -> None:
    run_id = bench.load_runs(trained).run_id[3]
    model = bench.load_model(trained, run_id=run_id)
    test = load_dataset("mnist5k", trained)
    with open_store(f"sqlite:///{trained / 'bench.db'}") as store:
        said = store.runs.predictions(run_id, "test")
    probabilities = model.predict(test.test_images)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), said.predicted)
    np.testing.assert_allclose(probabilities.max(axis=1), said.confidence, atol=1e-5)
    assert model.record.run_id == run_id


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((2, 3, 28, 28), dtype=np.uint8), r"\(2, 3, 28, 28\)"),
        (np.zeros((28, 27), dtype=np.uint8), r"\(28, 27\)"),
        (np.full((2, 28, 28), 1.5), "Floats from 1.5 to 1.5"),
        (np.full((2, 28, 28), 256), "Whole numbers from 256 to 256"),
    ],
)
def test_images_that_are_none_are_refused(trained: Path, images: np.ndarray[Any, Any], said: str) -> None:
    model = bench.load_model(trained, run_id=bench.load_runs(trained).run_id[0])
    with pytest.raises(DataError, match=said):
        model.preprocess(images)


def test_what_is_not_there_is_said_in_a_line(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no run 'abc'"):
        bench.load_model(trained, run_id="abc")
    with pytest.raises(UnknownNameError, match="study 'other'"):
        bench.load_runs(trained, "other")
    with pytest.raises(UnknownNameError, match="bn25"):
        bench.load_architecture("bn25")
    with pytest.raises(UsageError, match="means"):
        bench.load_architecture("*")
    with pytest.raises(UsageError, match="No architecture was named"):
        bench.run_study([], results=tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"seed": 6}, "No argument of a study 'seed'. Did you mean 'seeds'"),
        ({"jobs": 0}, "jobs 0: from 1"),
        ({"margin": 5.0}, "margin 5: a share"),
        ({"recipe": {"learning_rate": 1}}, "No field of a recipe 'learning_rate'"),
        ({"device": "gpu"}, "No device 'gpu'"),
        ({"seeds": "six"}, "--seeds 'six'"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_made(
    words: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(BenchError, match=re.escape(said)):
        bench.run_study(["bn25k"], results=tmp_path / "r", **words)
    assert list(tmp_path.iterdir()) == []


def test_a_net_that_was_edited_since_is_not_loaded(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    text = (
        "from torch import nn\nfrom bench.spec import Architecture\n"
        "def build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n"
        "ARCHITECTURES = [Architecture(name='flat', build=build)]\n"
    )
    file.write_text(text)
    bench.run_study([file], dataset="mnist5k", seeds=1, budgets=[Budget(epochs=1)], results=tmp_path / "r")
    model = bench.load_model(tmp_path / "r", file=file)
    assert model.predict(np.zeros((1, 28, 28), dtype=np.uint8)).sum() == pytest.approx(1)
    file.write_text(text.replace("784, 10)", "784, 10, bias=False)"))
    with pytest.raises(ArchitectureError, match="edited since"):
        bench.load_model(tmp_path / "r", file=file)


def test_a_plain_class_is_trained_and_its_weights_are_loaded(tmp_path: Path) -> None:
    file = tmp_path / "plain.py"
    file.write_text(
        "from torch import nn\nclass Flat(nn.Sequential):\n"
        "    def __init__(self, num_classes):\n        super().__init__(nn.Flatten(), nn.Linear(784, num_classes))\n"
    )
    words: dict[str, Any] = {"dataset": "mnist5k", "seeds": 1, "results": tmp_path / "r"}
    runs = bench.run_study([f"{file}:Flat"], budgets=[Budget(epochs=1)], **words)
    assert runs[["architecture", "params", "status"]].values.tolist() == [["Flat", 7_850, "ok"]]
    model = bench.load_model(tmp_path / "r", file=file)
    assert model.predict(np.zeros((1, 28, 28), dtype=np.uint8)).shape == (1, 10)
    assert bench.load_architecture("Flat", file).takes == ("num_classes",)


def test_who_stops_listening_loses_nothing(tmp_path: Path) -> None:
    words: dict[str, Any] = {"dataset": "mnist5k", "budgets": [Budget(epochs=1)], "results": tmp_path, "jobs": 1}
    events = bench.study_events(["bn25k"], seeds=3, **words)
    first = next(event.record for event in events if isinstance(event, RunFinished))
    events.close()
    runs = bench.run_study(["bn25k"], seeds=3, **words)
    assert runs.seed.tolist() == [0, 1, 2]
    assert runs.set_index("seed").run_id[first.seed] == first.run_id
    assert runs.set_index("seed").weights_hash[first.seed] == first.weights_hash
