"""The command line's flags of the gate, read into its options. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import UsageError
from bench.core.options import DEFAULT_DROP, REFERENCE_RUNS, GateOptions
from bench.core.seeds import MOST_REFERENCE_SEEDS

if TYPE_CHECKING:
    import argparse

    from bench.core.options import StudyOptions

FEWEST_REFERENCE_RUNS = 6


def read_gate(given: argparse.Namespace, action: str) -> GateOptions | None:
    """How to check or record; None when that is not the action.

    Raises:
        UsageError: A value cannot be used, or does nothing.
    """
    if given.force and action != "write-thresholds":
        raise UsageError("--force goes with --write-thresholds; leave it out here.")
    if given.drop is not None and action != "check":
        raise UsageError("--drop goes with --check; leave it out here.")
    if action not in ("check", "write-thresholds"):
        return None
    file = given.check if action == "check" else given.write_thresholds
    drop = DEFAULT_DROP if given.drop is None else given.drop
    if not 0.001 <= drop <= 50:
        raise UsageError(f"--drop {drop:g}: from 0.001 to 50 percentage points are needed.")
    runs = _read_runs(given.seeds, action)
    return GateOptions(file=Path(file), drop=drop / 100, runs=runs, force=given.force, every=given.all)


def _read_runs(seeds: str | None, action: str) -> int:
    if seeds is None:
        return REFERENCE_RUNS
    if action == "check":
        raise UsageError(f"--seeds {seeds} beside --check: the rule has its own seeds; leave it out.")
    digits = seeds.isascii() and seeds.isdigit() and len(seeds) < 10
    if not digits or not FEWEST_REFERENCE_RUNS <= int(seeds) <= MOST_REFERENCE_SEEDS:
        raise UsageError(
            f"--seeds {seeds} beside --write-thresholds: a number of reference runs from {FEWEST_REFERENCE_RUNS} to "
            f"{MOST_REFERENCE_SEEDS:,} is needed."
        )
    return int(seeds)


def check_gate(given: argparse.Namespace, action: str, options: StudyOptions) -> None:
    """Refuse what a gate cannot do beside the rest of the command line.

    Raises:
        UsageError: Something contradicts it.
    """
    action = f"--{action}"
    if given.tune:
        raise UsageError(f"--tune beside {action}: give one of them.")
    if options.published:
        raise UsageError(f"--recipe published beside {action}: a gate has one recipe for all; leave it out.")
    if given.train_seconds is not None:
        raise UsageError(f"--train-seconds beside {action}: seconds never gate; leave it out.")
    if len(options.budgets) > 1:
        raise UsageError(f"--epochs {given.epochs} beside {action}: a gate has one budget.")
    if given.variants and not given.all:
        raise UsageError(f"--variants beside {action} goes with --all; name variants by --arch.")
    idle = (
        ("margin", given.margin),
        ("margin-epochs", given.margin_epochs),
        ("no-timing", None if given.timing else 1),
    )
    for flag, value in idle:
        if value is not None:
            raise UsageError(f"--{flag} does nothing beside {action}; leave it out.")
