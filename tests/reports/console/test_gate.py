"""The gate on a terminal and in the log of GitHub Actions, --quiet included."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console

from bench.core.options import GateOptions
from reports.console.gate import show_outcome, show_promise, show_recorded
from reports.sections.gate import gate_summary
from reports.writers.gate import annotate
from reports.writers.terminal import show_summary
from tests.reports.gate_outcomes import EVIL, FELL, HOSTILE, OPEN, PASSED, SHOWN, UNKNOWN, make_outcome, make_reference

if TYPE_CHECKING:
    from bench.core.work.gate import Reference
    from bench.studies.gate.record import Recording

ALL = make_outcome(PASSED, FELL, OPEN, UNKNOWN)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def test_hostile_names_do_nothing_on_a_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, width=400, highlight=False, force_terminal=False)
    evil = make_outcome(dataclasses.replace(EVIL, reason="[red]x[/nothing]"))
    show_summary(gate_summary(evil, promised=True), console)
    show_promise([make_reference(f"[bold]{HOSTILE}")], 0.001, console=console)
    assert "\x1b" not in out.getvalue()
    assert "[red]x[/nothing]" in out.getvalue()
    assert f"[bold]{SHOWN}" in out.getvalue()


def test_what_stood_before_the_training_is_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    show_outcome(ALL, {}, promised=True)
    said = capsys.readouterr().out
    assert "The gate FAILED: 1 of 4 architectures passed." in said
    assert "What the gate can catch" not in said
    assert "Underpowered" not in said


def test_under_quiet_the_end_says_what_may_stay_unseen(capsys: pytest.CaptureFixture[str]) -> None:
    show_outcome(ALL, {}, promised=False)
    said = capsys.readouterr().out
    assert said.count("Underpowered: ") == 1
    assert "Underpowered: beta may drop by 0.2 pp unseen" in said


def test_github_obeys_nothing_in_the_summary_and_hears_the_annotations(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = make_outcome(FELL, EVIL)
    tokens = []
    for _ in range(2):
        show_outcome(outcome, {"GITHUB_ACTIONS": "true"}, promised=True)
        said = capsys.readouterr().out
        first, *lines = said.splitlines()
        found = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", first)
        assert found is not None
        tokens.append(found[1])
        assert lines.count(f"::{found[1]}::") == 1
        at = lines.index(f"::{found[1]}::")
        assert any("The gate FAILED: 0 of 2" in line for line in lines[:at])
        assert lines[at + 1 :] == annotate(outcome).splitlines()
        assert {line.partition(" ")[0] for line in lines[at + 1 :]} == {"::error", "::warning"}
    assert tokens[0] != tokens[1], "a token that can be guessed stops nothing"


@pytest.mark.parametrize("surroundings", [{}, {"GITHUB_ACTIONS": "false"}])
def test_elsewhere_nothing_is_a_command(surroundings: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    show_outcome(make_outcome(FELL), surroundings, promised=True)
    assert not [line for line in capsys.readouterr().out.splitlines() if line.startswith("::")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorded:
    """What the printing reads of a recording."""

    recorded: dict[str, Reference]
    faults: dict[str, str] = dataclasses.field(default_factory=dict)
    dropped: list[str] = dataclasses.field(default_factory=list)
    writable: bool = True


def shown(recording: Recorded, file: Path, capsys: pytest.CaptureFixture[str], *, quiet: bool = False) -> str:
    console = Console(highlight=False, quiet=quiet)
    show_recorded(cast("Recording", recording), GateOptions(file=file), console=console)
    return capsys.readouterr().out


def test_what_was_recorded_and_what_not(capsys: pytest.CaptureFixture[str]) -> None:
    long = Path("a folder/[deep]") / ("x" * 400) / "thresholds.toml"
    good = {"alpha": make_reference("alpha")}
    said = shown(Recorded(recorded=good, faults={"beta": "seed [1] failed"}, dropped=["[gone]", "x"]), long, capsys)
    lines = [line.rstrip() for line in said.splitlines()]
    assert lines[0] == "Not recorded: beta: seed [1] failed"
    assert lines[-2:] == ["No longer registered, and dropped: [gone], x.", f"Recorded: {long}; commit it."]
    assert "98.000" in said
    nothing = shown(Recorded(recorded={}, faults={"beta": "seed 1 failed"}, writable=False), long, capsys)
    assert nothing == f"Not recorded: beta: seed 1 failed\nNothing was written to {long}.\n"


def test_quiet_leaves_faults_and_what_may_stay_unseen(capsys: pytest.CaptureFixture[str]) -> None:
    good = {"alpha": make_reference("alpha"), "weak": make_reference("weak", deviation=0.002)}
    said = shown(Recorded(recorded=good, faults={"beta": "seed 1 failed"}), Path("t.toml"), capsys, quiet=True)
    first, second, last = said.splitlines()
    assert last == "Recorded: t.toml; commit it."
    assert first == "Not recorded: beta: seed 1 failed"
    assert second.startswith("Underpowered: weak may drop by 0.2 pp unseen")
    aloud = shown(Recorded(recorded=good), Path("t.toml"), capsys)
    assert aloud.count("Underpowered: weak") == 1
