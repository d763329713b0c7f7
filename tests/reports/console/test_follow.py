"""The report while runs finish: never at the cost of the training."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from bench.core.errors import StoreError
from bench.system.interrupts import stoppable
from reports.console import follow
from reports.console.live import Waiting

if TYPE_CHECKING:
    from pathlib import Path


def test_a_report_that_cannot_be_written_says_so_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, written = [100.0], list[float]()

    def write(_study: object, _results: Path) -> None:
        written.append(clock[0])
        clock[0] += 3.0  # a report costs three seconds
        if len(written) == 2:
            raise StoreError("The report cannot be written: the disk is full.")

    monkeypatch.setattr(follow, "write_report", write)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    kept = follow.ReportKeeper(lambda: None, tmp_path)  # type: ignore[arg-type,return-value]
    assert kept.refresh() == ""
    clock[0] = 202.0  # 99 s later: three seconds would be more than 3 % of that
    assert kept.refresh() == ""
    clock[0] = 204.0
    assert kept.refresh() == "The report cannot be written: the disk is full."
    clock[0] += 101.0
    assert kept.refresh() == ""
    assert written == [100.0, 204.0, 308.0]
    written[:] = [0.0]  # the next one is the second again
    with pytest.raises(StoreError, match="disk is full"):
        kept.write()


def test_the_last_report_is_waited_for_as_long_as_the_one_before_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, said = [0.0], list[tuple[str, float | None]]()

    def hear(_line: Waiting, text: str, *, seconds: float | None = None) -> None:
        said.append((text, seconds))

    def write(_study: object, _results: Path) -> None:
        clock[0] += 8.0

    monkeypatch.setattr(follow, "write_report", write)
    monkeypatch.setattr(Waiting, "say", hear)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    kept = follow.ReportKeeper(lambda: None, tmp_path)  # type: ignore[arg-type,return-value]
    for _ in range(2):
        kept.finish(Console(file=io.StringIO()))
    assert said == [("Writing the report", None), ("Writing the report", 8.0)]


def test_an_interrupt_while_the_last_report_is_written_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(_study: object, _results: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "write_report", write)
    kept = follow.ReportKeeper(lambda: None, tmp_path)  # type: ignore[arg-type,return-value]
    with stoppable() as stop:
        with pytest.raises(KeyboardInterrupt):
            kept.finish(Console(quiet=True))
        assert stop.told, "the front door says nothing more"
    assert capsys.readouterr().out == (
        "Interrupted while the report was written; every run is stored, and --report writes it.\n"
    )
