"""Keeps the report up to date while runs finish, without taking the machine from them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.errors import StoreError
from reports.write import write_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.records import Study
    from reports.write import WrittenReport

_SHARE = 0.03
"""Share of the time since the last report that the next may cost."""


class ReportKeeper:
    """Writes a study's report now and then."""

    def __init__(self, load: Callable[[], Study], results: Path) -> None:
        """Begin without a report.

        Args:
            load: Reads the study as it stands.
            results: The results directory.
        """
        self._load, self._results = load, results
        self._cost_seconds, self._written = 0.0, float("-inf")

    def refresh(self) -> str:
        """Write the report if the last one is old enough for its cost; the first time always.

        Returns:
            Why it could not be written, else nothing: the training goes on, and the last report of all must succeed.
        """
        if (time.monotonic() - self._written) * _SHARE < self._cost_seconds:
            return ""
        try:
            self.write()
        except StoreError as fault:
            self._written = time.monotonic()
            return str(fault)
        return ""

    def write(self) -> WrittenReport:
        """Write the report as the study stands now."""
        started = time.monotonic()
        report = write_report(self._load(), self._results)
        self._written = time.monotonic()
        self._cost_seconds = self._written - started
        return report
