"""What fails a gate at once, what is the machine's fault, and what is bad input, from the command line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

import runner
from tests.front_door import run
from tests.program.gate_nets import CRASHES, DIVERGES, FILES, NET, NO_MEMORY, TORCH_MEMORY, WIDER, check, one_line

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("net", "code", "reason"),
    [
        (WIDER, 1, "parameters 55,050 → "),
        (DIVERGES, 1, "watched: Seed 20000 diverged: The loss"),
        (CRASHES, 1, "watched: Seed 20000 failed: AssertionError"),
        (NO_MEMORY, 2, "the machine is at fault: seed 20000 failed: Out of memory"),
        (TORCH_MEMORY, 2, "the machine is at fault: seed 20000 failed: Out of memory (RuntimeError: [enforce fail at"),
    ],
    ids=["other counts", "nan", "crash", "no memory", "no memory in torch's words"],
)
def test_what_fails_at_once_says_why(
    place: Path, net: str, code: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "net.py").write_text(net)
    assert check(place) == code
    assert reason in one_line(capsys.readouterr().out)
    assert not json.loads((place / "r" / "gate.json").read_text())["passed"]


def test_a_net_that_cannot_be_loaded_fails_where_a_reference_has_its_name(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "architectures"
    folder.mkdir()
    (folder / "watched.py").write_text("import nothing_of_that_name")
    monkeypatch.setattr(runner, "ARCHITECTURES", folder)
    assert run("--all", "--check", place / "t.toml", "--results", place / "r", "--quiet") == 1
    said = one_line(capsys.readouterr().out)
    assert "watched: Cannot be loaded: " in said
    assert "No module named 'nothing_of_that_name'" in said
    assert len(json.loads((place / "r" / "gate.json").read_text())["architectures"]) == 1


def test_an_architecture_that_is_gone_fails(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "net.py").unlink()
    assert run("--check", place / "t.toml", "--results", place / "r", "--quiet") == 1
    assert "watched: It has a reference, and no net of that name is registered." in one_line(capsys.readouterr().out)


def test_an_architecture_without_a_reference_fails(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "net.py").write_text(NET.replace('"watched"', '"newcomer"'))
    assert check(place) == 1
    assert "newcomer: It has no reference." in one_line(capsys.readouterr().out)


def test_a_corrupt_file_of_thresholds_is_bad_input(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (place / "t.toml").read_text()
    (place / "t.toml").write_text(text.replace("mean = 0.", "mean = 10."))
    assert check(place) == 2
    line = next(n for n, words in enumerate(text.splitlines(), 1) if words.startswith("mean ="))
    said = f"t.toml, line {line}, architectures.watched.mean: 10."
    assert said in capsys.readouterr().err
    (place / "t.toml").write_text(text[:400])
    assert check(place) == 2


def test_other_images_than_the_references_saw_are_bad_input(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (place / "t.toml").read_text()
    (place / "t.toml").write_text(re.sub('data_hash = "..', 'data_hash = "00', text))
    assert check(place) == 2
    assert "holds other images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words", "reason"),
    [
        (WIDER, "--arch {place}/net.py", "watched: It is another net than the recorded one: parameters 55,050 → "),
        (None, "", "watched: It has a reference, and no net of that name is registered."),
        (NET.replace('"watched"', '"newcomer"'), "--arch {place}/net.py", "newcomer: It has no reference."),
        ("import nothing_of_that_name", "--arch {place}/net.py", "net.py: Cannot be loaded: "),
        (
            NET.replace("64, 10", "64, 11"),
            "--arch {place}/net.py",
            "watched: watched (net.py): logits have shape (2, 11)",
        ),
    ],
    ids=["other counts", "gone", "no reference", "broken file", "wrong logits"],
)
def test_where_nothing_was_ever_trained_the_same_is_said_and_written(
    place: Path,
    text: str | None,
    words: str,
    reason: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # no line breaks inside a path
    (place / "net.py").write_text(text or "")
    results = place / "new"
    chosen = words.format(place=place).split()
    assert run(*chosen, "--check", place / "t.toml", "--results", results, "--jobs", 1) == 1
    said = capsys.readouterr()
    assert reason in one_line(said.out)
    assert "Traceback" not in said.out + said.err
    assert {file.name for file in results.glob("gate.*")} == set(FILES)
    assert not json.loads((results / "gate.json").read_text())["passed"]
    suites = ET.fromstring((results / "gate.junit.xml").read_bytes())  # noqa: S314 - our own file
    assert (suites.get("tests"), suites.get("failures")) == ("1", "1")
    assert "The gate FAILED: 0 of 1 architecture passed." in (results / "report.md").read_text()


def test_memory_that_ends_while_the_net_is_counted_is_no_verdict(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "net.py").write_text(NET.replace("super().__init__()", "raise MemoryError"))
    assert check(place, results=place / "new") == 2
    said = capsys.readouterr()
    assert said.err == "runner.py: watched cannot be counted on this machine: MemoryError.\n"
    assert "FAILED" not in said.out
    assert not (place / "new" / "gate.json").exists()


def test_a_file_that_watches_nothing_is_bad_input(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (place / "t.toml").read_text().partition("\n[architectures")[0]
    (place / "t.toml").write_text(f"{text}\n[architectures]\n")
    assert run("--check", place / "t.toml", "--results", place / "new") == 2
    assert re.search(r"t\.toml, line \d+, architectures: .* should be non-empty", capsys.readouterr().err)


def test_thresholds_that_have_no_place_are_said_before_anything_is_trained(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place / "no folder" / "t.toml"
    words = ("--write-thresholds", file, "--seeds", 6, "--force", "--dataset", "mnist5k")
    assert run("--arch", place / "net.py", *words, "--results", place / "new") == 2
    assert capsys.readouterr().err == f"runner.py: '{file}' cannot be written; name a file in a folder that can.\n"
    assert not (place / "new").exists()
