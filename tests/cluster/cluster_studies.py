"""A study on a cluster as a process of its own, so that things can happen to it, and the same study here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from tests.front_door import RUNNER, rows, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

STUDY = ("--arch", "bn25k", "--seeds", "6", "--dataset", "mnist5k", "--epochs", "4", "--no-timing")
"""Six runs of some seconds each."""
RUNS = 6
_ENDS_WITHIN_SECONDS = 240.0


class ClusterStudy:
    """`runner.py … --cluster` under way.

    Attributes:
        results: Its results directory.
    """

    def __init__(self, results: Path, *words: object, environment: Mapping[str, str] | None = None) -> None:
        self.results, self._words = results, [str(word) for word in words]
        self._log = results.parent / f"{results.name}.log"
        self._environment = {**os.environ, **(environment or {})}

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(RUNNER), *self._words, "--results", str(self.results)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self._environment,
            )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def said(self) -> str:
        """Output so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, words: str) -> None:
        """Wait until it says something.

        Args:
            words: A regular expression.
        """
        deadline = time.monotonic() + _ENDS_WITHIN_SECONDS
        while not re.search(words, self.said()):
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def end(self) -> int:
        """Wait for its end; its exit code."""
        return self._process.wait(timeout=_ENDS_WITHIN_SECONDS)


def numbers(results: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """What a study found, by architecture and seed: all of it but clocks."""
    found = ("weights_hash", "test_accuracy", "val_accuracy", "epochs_to_95", "status")
    return {(row["architecture"], row["seed"]): tuple(row[name] for name in found) for row in rows(results)}


def train_here(results: Path) -> Path:
    """The study on this machine, without a cluster."""
    assert run(*STUDY, "--results", results, "--quiet") == 0
    return results
