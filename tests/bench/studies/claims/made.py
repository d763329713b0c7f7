"""Studies of claims whose runs are made up: a value a seed, and curves with one value an epoch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from bench.core.recipe import Recipe
from bench.core.records import CurvePoint, Study
from bench.core.work.claims.claim import AS_CLAIMED, Arm, AskedClaim, Case, Claim
from tests.factories import MNIST, make_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.core.records import RunRecord

BEST = Recipe(optimizer="adam", lr=1e-3, batch_size=64, schedule="constant", keep="best")
NET = Arm(net="fc3136", recipe=BEST, epochs=3)
OTHER = Arm(net="bn25k", recipe=BEST, epochs=3)


def make_claim(**fields: Any) -> Claim:
    known: dict[str, Any] = {
        "id": "X1", "source": "a paper", "text": "99.00 %", "rule": "value", "claimed": ("99.00 %",),
        "cases": (Case(label="as it is", arm=NET),), "protocol": AS_CLAIMED,
    }  # fmt: skip
    return Claim(**known | fields)


def make_asked(claim: Claim, **fields: Any) -> AskedClaim:
    """A claim as a study on these images asked for it."""
    return AskedClaim(claim=claim, dataset="mnist", data_hash="da7a", **fields)


def make_runs(
    arm: Arm, tests: Sequence[Sequence[float]], *, first: int = 0, **fields: Any
) -> list[tuple[RunRecord, tuple[CurvePoint, ...]]]:
    """Runs of an arm: of each seed the test accuracies after its epochs, the best of which is kept."""
    found = []
    for seed, accuracies in enumerate(tests, first):
        curve = tuple(
            CurvePoint(
                step=epoch, images=epoch, epoch=float(epoch), train_seconds=1.0, evaluation_seconds=0.1, probe=False,
                val_loss=0.1, val_accuracy=accuracy, train_loss=0.2 / epoch, train_accuracy=accuracy - 0.01,
                batch_losses=(2.3, 0.5) if epoch == 1 else (0.1,),
            )
            for epoch, accuracy in enumerate(accuracies, 1)
        )  # fmt: skip
        probe = dataclasses.replace(curve[0], epoch=0.5, probe=True, val_accuracy=0.2, batch_losses=None)
        known: dict[str, Any] = {
            "run_id": f"{arm.net}-{arm.epochs}-{arm.recipe.batch_size}-{seed}",
            "recipe": arm.recipe.to_json(),
            "protocol": AS_CLAIMED,
            "test_accuracy": max(accuracies),
            "train_accuracy": accuracies[-1] - 0.01,
            "epochs": float(len(accuracies)),
            "train_seconds": 7.0,
        }
        record = make_record(arm.net, seed=seed, budget_epochs=arm.epochs, **known | fields)
        found.append((record, (probe, *curve)))
    return found


def make_study(
    *claims: Claim, runs: Sequence[tuple[RunRecord, tuple[CurvePoint, ...]]], seed_plan: str = "10", **fields: Any
) -> Study:
    """A study of these claims and runs."""
    return Study(
        name="claims",
        command="python runner.py --claims",
        records=tuple(record for record, _ in runs),
        roles={record.run_id: "claim" for record, _ in runs},
        curves={record.run_id: curve for record, curve in runs},
        architectures={},
        datasets={"da7a": MNIST},
        timings=(),
        claims=tuple(make_asked(claim, seed_plan=seed_plan) for claim in claims),
        **fields,
    )


def by_epoch(values: Sequence[float], *, lower: float = 0.01, after: float = 0.0005) -> list[list[float]]:
    """Three epochs of each seed: the second is the best, the value; the last a little less."""
    return [[value - lower, value, value - after] for value in values]


def answered(study: Study, labels: Any, predicted: Mapping[str, Any]) -> Study:
    """The study with answers to test images."""
    return dataclasses.replace(study, labels={"da7a": labels}, predicted=predicted)
