"""Whole commands with the doctor: alone, before a training, in the gate, and what they leave on disk."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

import runner
from tests import ROOT
from tests.front_door import SHORT, rows, run, write_faulty, write_tiny

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("blank_figures")
FIELD = ROOT / "tests" / "field"
LEAK = "images = images - images.mean(0)"
MNIST5K = ("--dataset", "mnist5k")


def write_leak(folder: Path, name: str = "leaks") -> Path:
    """The tiny net, whose images lose the mean of their batch."""
    return write_faulty(folder, name, fault=LEAK)


def findings(results: Path) -> list[dict[str, str]]:
    with (results / "doctor.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_alone_it_names_layer_line_and_fix_and_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nets = ("--arch", FIELD / "shapes_wrong.py", "--arch", write_tiny(tmp_path))
    assert run("--doctor", *nets, *MNIST5K, "--results", tmp_path / "r") == 1
    said = capsys.readouterr().out
    assert "flatten-bug: 1 error, 0 pieces of advice (" in said
    assert "  error   shapes: this view turns 64 images into 256 rows: 64×14×14 = 12,544 features arrive" in said
    assert "  error   shapes: fc1 expects 320 features, 512 arrive (32×4×4 = 512)" in said
    assert "(shapes_wrong.py:" in said
    assert f" nets have errors. Findings: {tmp_path / 'r' / 'doctor.csv'}" in said.splitlines()[-1]
    assert {(row["architecture"], row["level"], row["check"], row["layer"]) for row in findings(tmp_path / "r")} >= {
        ("flatten-bug", "error", "shapes", ""),
        ("linear-320", "error", "shapes", "fc1"),
    }
    assert not (tmp_path / "r" / "bench.db").exists()
    assert not (tmp_path / "r" / "runs.csv").exists()


def test_advice_changes_no_exit_code_and_nothing_to_say_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--doctor", "--arch", "lenet21k", "--arch", "bn25k", *MNIST5K, "--results", tmp_path / "r")
    assert run(*words) == 0
    said = capsys.readouterr().out.splitlines()
    (line,) = [line for line in said if line.startswith("lenet21k")]
    assert line.startswith("lenet21k: nothing to say (")
    assert {row["level"] for row in findings(tmp_path / "r")} == {"advice"}
    assert {row["architecture"] for row in findings(tmp_path / "r")} == {"bn25k"}


def test_all_takes_files_that_cannot_be_loaded_and_names_that_nobody_has_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nets = tmp_path / "nets"
    nets.mkdir()
    write_tiny(nets)
    (nets / "broken.py").write_text("raise ValueError('no')")
    monkeypatch.setattr(runner, "ARCHITECTURES", nets)
    assert run("--doctor", *MNIST5K, "--results", tmp_path / "r") == 1
    found = {row["architecture"]: row for row in findings(tmp_path / "r") if row["level"] == "error"}
    assert found.keys() == {"broken.py"}
    assert found["broken.py"]["check"] == "loads"
    assert "importing it raised ValueError: no" in found["broken.py"]["message"]
    assert run("--doctor", "--arch", FIELD / "default_double.py", *MNIST5K, "--results", tmp_path / "s") == 1
    assert "sets torch's default type to torch.float64" in findings(tmp_path / "s")[0]["message"]
    capsys.readouterr()
    assert run("--doctor", "--arch", "nobody", *MNIST5K) == 2
    assert run("--doctor", "--arch", tmp_path / "none.py", *MNIST5K) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_before_a_training_a_net_with_an_error_is_left_out_and_the_others_train(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "r"
    words = ("--arch", write_leak(tmp_path), "--arch", write_tiny(tmp_path), "--seeds", 1, "--jobs", 1)
    assert run(*words, "--results", results, *SHORT[:-1]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "Not trained: leaks: in eval mode the logits of an image change by" in said
    assert [(row["architecture"], row["status"]) for row in rows(results)] == [("tiny", "ok")]
    errors = [row for row in findings(results) if row["level"] == "error"]
    assert [(row["architecture"], row["check"], row["dataset"]) for row in errors] == [("leaks", "leak", "mnist5k")]
    report = (results / "report.md").read_text()
    assert "leaks was not trained, for the doctor found an error: in eval mode the logits" in report
    assert "What the doctor found" in report
    # What is stored writes the same again.
    before = (results / "doctor.csv").read_bytes()
    (results / "doctor.csv").unlink()
    assert run("--report", "--results", results) == 0
    assert (results / "doctor.csv").read_bytes() == before
    # Mended, it is trained, and the error is forgotten.
    (tmp_path / "leaks.py").write_text((tmp_path / "leaks.py").read_text().replace(LEAK, "pass"))
    assert run(*words, "--results", results, *SHORT) == 0
    assert {row["architecture"] for row in rows(results)} == {"leaks", "tiny"}
    assert not (results / "doctor.csv").exists() or not [row for row in findings(results) if row["level"] == "error"]


def test_where_none_is_left_the_report_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--arch", write_leak(tmp_path), "--seeds", 1, "--results", tmp_path / "r", *SHORT)
    assert run(*words) == 1
    assert "leaks was not trained" in (tmp_path / "r" / "report.md").read_text()
    assert rows(tmp_path / "r") == []
    assert "Not trained: leaks" in capsys.readouterr().out, "also under --quiet"
    assert run(*words, "--plan") == 1


def test_a_net_that_was_not_trained_can_be_forgotten(tmp_path: Path) -> None:
    nets = ("--arch", write_leak(tmp_path), "--arch", write_tiny(tmp_path))
    assert run(*nets, "--seeds", 1, "--jobs", 1, "--results", tmp_path / "r", *SHORT) == 1
    assert run("--forget", "leaks", "--results", tmp_path / "r", "--quiet") == 0
    assert "was not trained" not in (tmp_path / "r" / "report.md").read_text()
    assert not (tmp_path / "r" / "doctor.csv").exists()


def test_nets_of_one_name_are_both_examined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    write_tiny(tmp_path / "a")
    other = write_leak(tmp_path / "b", "tiny").rename(tmp_path / "b" / "other.py")
    nets = ("--arch", tmp_path / "a" / "tiny.py", "--arch", other)
    assert run("--doctor", *nets, *MNIST5K, "--results", tmp_path / "r") == 1
    said = capsys.readouterr().out
    assert "tiny (tiny.py): nothing to say" in said
    assert "tiny (other.py): 1 error" in said


def test_no_doctor_trains_it_all_the_same(tmp_path: Path) -> None:
    words = ("--arch", write_leak(tmp_path), "--seeds", 1, "--jobs", 1, "--results", tmp_path / "r", *SHORT)
    assert run(*words, "--no-doctor") == 0
    assert [(row["architecture"], row["status"]) for row in rows(tmp_path / "r")] == [("leaks", "ok")]
    assert not (tmp_path / "r" / "doctor.csv").exists()


def test_what_cannot_be_run_at_all_is_still_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--arch", FIELD / "shapes_wrong.py", "--results", tmp_path / "r", *SHORT) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "flatten-bug" in line
    assert "this view turns 64 images into 256 rows" in line


def test_auxiliary_heads_are_trained_on_the_first_and_noted(tmp_path: Path) -> None:
    words = ("--arch", FIELD / "tuple_of_logits.py", "--seeds", 1, "--jobs", 1, "--results", tmp_path / "r", *SHORT)
    assert run(*words) == 0
    assert [(row["architecture"], row["status"]) for row in rows(tmp_path / "r")] == [("auxiliary", "ok")]
    (noted,) = [row for row in findings(tmp_path / "r") if row["check"] == "auxiliary-heads"]
    assert noted["level"] == "advice"
    assert "170 parameters of the others are not" in noted["message"]  # 16·10 + 10


def test_the_gate_fails_a_net_with_an_error(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.program.gate_nets import NET

    leaking = NET.replace("return self.stages(images)", "return self.stages(images - images.mean(0))")
    (place / "net.py").write_text(leaking)
    words = ("--arch", place / "net.py", "--check", place / "t.toml", "--results", place / "r", "--quiet", "--jobs", 1)
    assert run(*words) == 1
    assert "The doctor found an error (leak)" in " ".join(capsys.readouterr().out.split())
