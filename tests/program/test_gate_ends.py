"""How a check ends when the one before left a verdict, when it is cut short, and when its files cannot be written."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from bench.core.errors import StoreError
from bench.execution import scheduler
from bench.store.store import open_store
from reports.writers import gate as writers_gate
from tests.program.gate_nets import FILES, WIDER, check, judgement, one_line

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from bench.core.events import Event
    from bench.core.work.gate import GateOutcome


def stored(results: Path) -> GateOutcome | None:
    with open_store(f"sqlite:///{results}/bench.db", create=False) as store:
        return store.studies.load("gate").gate


def left(results: Path) -> set[str]:
    return {file.name for file in results.glob("gate.*")}


def test_with_fresh_the_try_that_just_failed_is_judged(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(place) == 0
    (place / "broken").touch()
    assert check(place) == 0, "what is stored is not trained again"
    capsys.readouterr()
    assert check(place, "--fresh") == 1
    assert "watched: Seed 20000 failed: AssertionError" in one_line(capsys.readouterr().out)
    assert not judgement(place / "r")["passed"]


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt(), 130), (StoreError("Disk full; make room."), 2)])
def test_a_check_that_ends_early_leaves_no_verdict_of_the_one_before(
    place: Path, raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(place) == 0
    before = stored(place / "r")
    assert before is not None
    assert (before.passed, left(place / "r")) == (True, set(FILES))

    def end(*_: object) -> Generator[Event, None, None]:
        yield from ()
        raise raised

    monkeypatch.setattr(scheduler, "run", end)
    assert check(place) == code
    assert (stored(place / "r"), left(place / "r")) == (None, set())


def test_a_summary_that_cannot_be_written_changes_no_verdict(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place))
    assert check(place) == 2, "it passed, and CI must hear that its file is missing"
    assert "The gate passed: 1 of 1" in capsys.readouterr().out
    (place / "net.py").write_text(WIDER)
    assert check(place) == 1
    said = capsys.readouterr()
    assert "The gate FAILED: 0 of 1" in said.out
    assert said.err == (
        f"runner.py: '{place}' of GITHUB_STEP_SUMMARY cannot be written (Is a directory); unset it, or name a file "
        "there.\n"
    )


def test_a_full_disk_swallows_no_verdict(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(path: Path, _: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(writers_gate, "write_atomically", fill)
    (place / "net.py").write_text(WIDER)
    assert check(place) == 1
    said = capsys.readouterr()
    assert "The gate FAILED: 0 of 1" in said.out
    assert "gate.md' cannot be written (No space left on device); choose another --results." in said.err
    found = stored(place / "r")
    assert found is not None
    assert found.regressed
