"""The report while runs finish: never at the cost of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.core.errors import StoreError
from reports.console import follow

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
