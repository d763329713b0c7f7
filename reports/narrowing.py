"""A report of some architectures: verdicts are those of the whole study; fronts, ranks and timings of those shown."""

from __future__ import annotations

import dataclasses
import fnmatch
from typing import TYPE_CHECKING

from bench.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.records import Study


def find_names(study: Study, patterns: Sequence[str]) -> frozenset[str]:
    """Architectures of a study by name or glob.

    Raises:
        UnknownNameError: A pattern matches none.
    """
    names = sorted({record.architecture for record in study.records})
    found: set[str] = set()
    for pattern in patterns:
        matches = [name for name in names if name == pattern] or fnmatch.filter(names, pattern)
        if not matches:
            raise UnknownNameError("architecture of this study", pattern, names)
        found.update(matches)
    return frozenset(found)


def narrow(study: Study, names: frozenset[str]) -> Study:
    """The study with the runs of some architectures, and their tunings."""
    return dataclasses.replace(
        study,
        records=tuple(record for record in study.records if record.architecture in names),
        tunings=tuple(tuning for tuning in study.tunings if tuning.architecture in names),
        portraits=tuple(p for p in study.portraits if _architecture(study, p.run_id) in names),
    )


def _architecture(study: Study, run_id: str) -> str:
    return next((record.architecture for record in study.records if record.run_id == run_id), "")
