"""What a user says of the gate on the command line. Needs no torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import UsageError
from bench.core.recipe import spell
from bench.core.seeds import MOST_REFERENCE_SEEDS

if TYPE_CHECKING:
    import argparse

    from bench.cli.arguments import Arguments
    from bench.core.gate import Thresholds

DEFAULT_FILE = "thresholds.toml"
DEFAULT_DROP = 0.2
"""Percentage points: what a user usually wants caught."""
FEWEST_REFERENCE_RUNS = 6
REFERENCE_RUNS = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateSettings:
    """How to check, or what to record.

    Attributes:
        file: The thresholds file.
        drop: The drop of validation accuracy that the user wants caught, a fraction.
        runs: Reference runs of each architecture to record.
        force: Record although tracked files differ from the commit.
    """

    file: Path
    drop: float = DEFAULT_DROP / 100
    runs: int = REFERENCE_RUNS
    force: bool = False


def read_gate(given: argparse.Namespace, action: str) -> GateSettings | None:
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
    return GateSettings(file=Path(file), drop=drop / 100, runs=_read_runs(given.seeds, action), force=given.force)


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


def check_gate(given: argparse.Namespace, arguments: Arguments) -> None:
    """Refuse what a gate cannot do beside the rest of the command line.

    Raises:
        UsageError: Something contradicts it.
    """
    action = f"--{arguments.action}"
    if arguments.tune is not None:
        raise UsageError(f"--tune beside {action}: give one of them.")
    if arguments.published:
        raise UsageError(f"--recipe published beside {action}: a gate has one recipe for all; leave it out.")
    if given.train_seconds is not None:
        raise UsageError(f"--train-seconds beside {action}: seconds never gate; leave it out.")
    if len(arguments.budgets) > 1:
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


def refuse_contradiction(arguments: Arguments, thresholds: Thresholds) -> None:
    """Refuse flags that say other than the thresholds file does: its references would mean nothing.

    Raises:
        UsageError: A flag contradicts the file.
    """
    said: list[tuple[str, object, object]] = [
        (f"--{name.replace('_', '-')}", value, getattr(thresholds.recipe, name))
        for name, value in arguments.recipe_changes.items()
    ]
    said += [("--epochs", budget.epochs, thresholds.epochs) for budget in arguments.budgets]
    if arguments.dataset != "auto":
        said.append(("--dataset", arguments.dataset, thresholds.dataset))
    if arguments.device != "auto":
        said.append(("--device", arguments.device, thresholds.device))
    for flag, given, recorded in said:
        if given != recorded:
            there = "none" if recorded is None else spell(recorded)
            raise UsageError(
                f"{flag} {spell(given)} contradicts the thresholds file, which says {there}; leave it out, "
                "or record other references with --write-thresholds."
            )
