"""The engine as a user chooses it, from the command line to the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.studies import machine
from tests.front_door import SHORT, rows, run, write_tiny

if TYPE_CHECKING:
    from pathlib import Path

WHY = "no C++ compiler was found"


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """A command, on a machine without kernels."""
    monkeypatch.setattr(machine, "why_no_kernels", lambda: WHY)
    return ("--arch", write_tiny(tmp_path), "--results", tmp_path / "r", *SHORT[:-1], "--seeds", 1)


def test_without_kernels_the_first_line_says_so_and_torch_trains(
    words: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Study: main"))
    assert line.endswith(f"; engine torch ({WHY}).")
    assert [row["engine"] for row in rows(tmp_path / "r")] == ["torch"]
    report = (tmp_path / "r" / "report.md").read_text(encoding="utf-8")
    assert "| engine | torch |" in report
    assert run(*words, "--engine", "torch", "--plan") == 0
    said = capsys.readouterr().out
    assert "engine" not in said, "what was asked for is not news"
    assert "1 run stored, to be reused." in said


def test_kernels_that_are_not_there_are_refused_in_one_line_before_anything_is_made(
    words: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, "--engine", "lanes") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"runner.py: --engine lanes: {WHY}; ")
    assert said.count("\n") == 1
    assert not (tmp_path / "r").exists()


def test_what_one_engine_trained_is_not_taken_for_the_other(
    words: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words, "--engine", "torch") == 0
    monkeypatch.setattr(machine, "why_no_kernels", lambda: "")
    capsys.readouterr()
    assert run(*words, "--plan") == 0
    said = capsys.readouterr().out
    assert "; engine lanes." in said
    assert "0 runs stored, to be reused." in said
    assert "1 run to train" in said
