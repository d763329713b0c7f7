"""The command line's flags of a tuning, read into its options. Needs neither torch nor Optuna."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import UsageError
from bench.core.options import TuneOptions

if TYPE_CHECKING:
    import argparse

    from bench.core.options import StudyOptions

_FLAGS = ("trials", "tune_seeds", "tune_for", "tune_seconds", "tune_architecture", "sampler", "pruner", "space")


def read_tuning(given: argparse.Namespace) -> TuneOptions | None:
    """How to tune, what the user left out being the default; None without `--tune`.

    Raises:
        UsageError: A value cannot be used, or does nothing.
    """
    values = {name: value for name in _FLAGS if (value := getattr(given, name)) is not None}
    if not given.tune:
        if values:
            raise UsageError(f"--{next(iter(values)).replace('_', '-')} does nothing without --tune; add it.")
        return None
    renamed = {"tune_seeds": "seeds", "tune_for": "objectives", "tune_seconds": "seconds"}
    fields = {renamed.get(name, name.removeprefix("tune_")): value for name, value in values.items()}
    if "objectives" in fields:
        fields["objectives"] = tuple(filter(None, fields["objectives"].split(","))) or ("",)
    if given.pruner not in (None, "none") and len(fields.get("objectives", ())) > 1:
        raise UsageError(
            f"--pruner {given.pruner} beside --tune-for {given.tune_for}: with two objectives none can prune."
        )
    if "space" in fields:
        fields["space"] = Path(fields["space"])
    return TuneOptions(**fields)


def check_tuning(given: argparse.Namespace, options: StudyOptions) -> None:
    """Refuse what a tuning cannot do beside the rest of the command line.

    Raises:
        UsageError: Something contradicts it.
    """
    if options.published:
        raise UsageError("--recipe published beside --tune: tuning starts from the shared recipe; leave it out.")
    if len(options.seed_plan.looks) > 1:
        raise UsageError(f"--seeds {given.seeds} beside --tune: give a fixed number of seeds, as --seeds 10.")
    if given.train_seconds is not None:
        raise UsageError("--train-seconds beside --tune: trials get equal numbers of images; give --epochs.")
    if len(options.budgets) > 1:
        raise UsageError(f"--epochs {given.epochs} beside --tune: tune under one budget at a time.")
    for flag in ("patience", "stop_at_accuracy"):
        if getattr(given, flag) is not None:
            raise UsageError(
                f"--{flag.replace('_', '-')} beside --tune: trials get equal numbers of images; leave it out."
            )
    if given.fresh:
        raise UsageError("--fresh beside --tune: trials are not made twice; name another --study to tune anew.")
