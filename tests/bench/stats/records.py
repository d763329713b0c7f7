"""Runs and values by seed, made up, so that a test says only what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.core.records import RunRecord, TimeToTarget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def make_record(
    *,
    seed: int = 0,
    status: str = "ok",
    test_accuracy: float | None = None,
    time: TimeToTarget | None = None,
    budget_epochs: int | None = 3,
) -> RunRecord:
    """A run of the net "bn25k" that ended so."""
    return RunRecord(
        run_id=f"bn25k-{seed}",
        request_id=f"bn25k-{seed}",
        cohort="bn25k",
        attempt=1,
        architecture="bn25k",
        architecture_hash="hash-of-bn25k",
        recipe_name="shared",
        recipe={},
        budget={"epochs": budget_epochs, "seconds": None if budget_epochs else 60.0},
        dataset="mnist",
        data_hash="da7a",
        protocol="select",
        seed=seed,
        split_seed=seed,
        device="cpu",
        torch_version="2.13.0+cpu",
        engine_version=1,
        status=status,
        test_accuracy=test_accuracy,
        time_to_targets=() if time is None else (time,),
    )


def by_seed(values: Mapping[str, Sequence[float]]) -> dict[str, dict[int, float]]:
    """The values of each architecture as those of the seeds from 0 on."""
    return {name: dict(enumerate(of)) for name, of in values.items()}
