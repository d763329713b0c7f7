"""Exported nets: the input, the metadata, parity on the whole test set, and nets that cannot be exported."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bench
from bench.core.errors import ArchitectureError, UsageError
from bench.core.options import UseOptions
from bench.data.datasets import load_dataset
from bench.deploy.chosen import choose_runs
from bench.deploy.export import ExportedNet, export_nets
from bench.store.store import open_store
from bench.system import program
from bench.system.environment import PROJECT
from tests.bench.deploy.stored import make_results, options_for

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_package_is_said_in_a_line(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "find_missing", lambda *packages: list(packages)[1:])
    with pytest.raises(UsageError, match=r"--export onnx needs the package 'onnxscript'.*\[onnx\]"):
        list(export_nets(options_for(known), UseOptions()))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A results directory whose nets were exported, and what that said."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    results = make_results(tmp_path_factory.mktemp("exported"))
    return results, list(export_nets(options_for(results), UseOptions()))


def test_what_is_written_answers_as_torch_does(exported: tuple[Path, list[Any]]) -> None:
    import onnxruntime

    results, found = exported
    contrary, means = found
    assert isinstance(means, ExportedNet)
    assert (means.parity.images, means.parity.other_labels) == (1_000, 0)
    assert means.parity.probabilities < 1e-5
    test = load_dataset("mnist5k", results)
    session = onnxruntime.InferenceSession(means.path)
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape[1:]) == ("images", "tensor(uint8)", [1, 28, 28])
    assert isinstance(given.shape[0], str), "the batch is free"
    model = bench.load_model(results, "means")
    for count in (1, 2, 257):
        (logits,) = session.run(None, {"images": test.test_images[:count]})
        np.testing.assert_allclose(logits, model(test.test_images[:count]).numpy(), atol=1e-4)
    assert means.parity.accuracy == pytest.approx(model.record.test_accuracy)
    assert contrary.path.read_bytes() != means.path.read_bytes()


def test_the_file_says_what_it_is_and_nothing_of_this_machine(exported: tuple[Path, list[Any]]) -> None:
    import onnxruntime

    results, (_, means) = exported
    said = onnxruntime.InferenceSession(means.path).get_modelmeta().custom_metadata_map
    run = bench.load_model(results, "means").record
    assert json.loads(said["classes"]) == list("0123456789")
    assert float(said["test_accuracy_low"]) < float(said["test_accuracy"]) < float(said["test_accuracy_high"])
    assert (said["data_hash"], said["seed"], said["run_id"]) == (run.data_hash, "3", run.run_id)
    assert said["chosen"] == "best-validated of 3 runs"
    for content in (means.path.read_bytes(), means.path.with_suffix(".layers").read_bytes()):
        assert str(PROJECT).encode() not in content
        assert b"known_nets" not in content
        assert b"site-packages" not in content


def test_the_table_for_programs(exported: tuple[Path, list[Any]]) -> None:
    with (exported[0] / "onnx" / "export.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["architecture"], row["file"], row["seed"]) for row in rows] == [
        ("contrary", "contrary.onnx", "3"), ("means", "means.onnx", "3"),
    ]  # fmt: skip
    assert all(int(row["file_bytes"]) > 10_000 for row in rows)


def test_exported_nets_are_asked_without_torch(exported: tuple[Path, list[Any]]) -> None:
    results, _ = exported
    told = f"""
import sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("no torch here")
sys.meta_path.insert(0, Refusing())
from pathlib import Path
from bench.core.options import StudyOptions, UseOptions
from bench.deploy.serving.limits import Limits
from bench.deploy.serving.playground import Playground
results = Path({str(results)!r})
options = StudyOptions(results=results, store_url=f"sqlite:///{{results}}/bench.db", data_dir=results)
loaded = Playground(options, UseOptions(), Limits()).current()
layers = loaded.nets[1].runner.look(loaded.examples[7][1])
prepared = loaded.preparer.prepare_array(loaded.examples[7][1])
print([net.runtime for net in loaded.nets], [each.path for each in layers])
print(loaded.nets[1].predict(prepared.pixels[None]).argmax(), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", told], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['onnxruntime', 'onnxruntime'] ['sight', 'relu', 'head']", "7 False"]


def test_a_file_of_another_run_is_not_taken_for_it(exported: tuple[Path, list[Any]]) -> None:
    from bench.deploy.nets import open_nets

    results, _ = exported
    options = options_for(results)
    for seed, runtime in ((3, "onnxruntime"), (0, "torch")):
        with open_store(options.store_url) as store:
            chosen = choose_runs(store, options, UseOptions(seed=seed))
        nets, faults = open_nets(chosen.runs, results, chosen.net_files)
        assert ([net.runtime for net in nets], faults) == ([runtime] * 2, [])


def test_a_net_that_answers_otherwise_as_onnx_is_not_exported_and_the_others_are(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    results = make_results(tmp_path)
    options = options_for(results)
    from bench.deploy import export

    with pytest.MonkeyPatch.context() as patch:
        real = export.measure_parity
        patch.setattr(
            export, "measure_parity",
            lambda model, session, test: real(model, session, test) if model.architecture.name == "means"
            else export.Parity(images=1_000, logits=9.0, probabilities=float("nan"), other_labels=4, accuracy=0.1),
        )  # fmt: skip
        fault, means = list(export.export_nets(options, UseOptions()))
    assert isinstance(fault, ArchitectureError)
    assert "contrary was not exported: as ONNX it answers differently" in str(fault)
    assert isinstance(means, ExportedNet)
    assert sorted(path.name for path in (results / "onnx").iterdir()) == ["export.csv", "means.layers", "means.onnx"]
