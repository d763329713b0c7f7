"""On what runs trained: times, and what seconds of training reach, are compared only where all of it agrees."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, TypeAlias

from bench.text import one_line
from reports.wording import plural

if TYPE_CHECKING:
    from bench.records import RunRecord

Setting: TypeAlias = tuple[str, str, int, int]
"""Machine, device, threads of a run, runs at a time."""

_COMMIT_KEYS = ("commit", "dirty")
"""Keys of a run's environment that say which code ran, not on what."""


def setting_of(record: RunRecord) -> Setting:
    """What training times depend on beside the net: only those that share all of it stand in one table."""
    hardware = {key: value for key, value in record.environment.items() if key not in _COMMIT_KEYS}
    told = json.dumps(hardware, sort_keys=True, default=str).encode()
    machine = str(record.environment.get("machine") or hashlib.sha256(told).hexdigest()[:12])
    return machine, record.device, record.threads, record.jobs


def describe_setting(setting: Setting, *, with_machine: bool = False) -> str:
    """In words: cpu, 1 thread a run, 2 runs at a time.

    Args:
        setting: As `setting_of` gives it.
        with_machine: Whether the machine stands in front, by its code.
    """
    machine, device, threads, jobs = setting
    where = f"machine {one_line(machine)}, " if with_machine else ""
    return f"{where}{device}, {plural(threads, 'thread')} a run, {plural(jobs, 'run')} at a time"
