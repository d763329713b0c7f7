"""Tunings made up by hand: few trials, round numbers, and retrained runs with accuracies that a test gives."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from bench.core.recipe import Recipe
from bench.core.work.tuning import Trial, Tuning
from reports.build import build_document
from tests.factories import make_run, study_of
from tests.reports.document_reading import rows_of, section_of, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.records import CurvePoint, RunRecord, Study

DEFAULT = [0.9890, 0.9894, 0.9885, 0.9897, 0.9891, 0.9888]
"""Test accuracies of six seeds with the default recipe."""
GAINS = [0.0012, 0.0008, 0.0011, 0.0010, 0.0013, 0.0012]
"""What tuning adds to each of them: 0.11 pp on average."""
TUNED = [round(value + gain, 4) for value, gain in zip(DEFAULT, GAINS, strict=True)]
NO_GAIN = [0.9889, 0.9894, 0.9886, 0.9897, 0.9890, 0.9889]
"""The default's accuracies, but for one image of 10,000 up or down."""
LR = 0.012345678901234567


def make_trial(number: int, *values: float, state: str = "complete", net: str = "bn25k", **changes: Any) -> Trial:
    """A trial of the shared recipe with these changes, which are what was searched."""
    return Trial(
        number=number,
        state=state,
        values=values,
        hyperparameters={"lr": Recipe().lr, **changes},
        recipe=Recipe(**{name: value for name, value in changes.items() if name != "hidden"}).to_json(),
        architecture=net,
        epochs=1.0 if state == "pruned" else 0.0 if state == "failed" else 3.0,
        images={"complete": 300_000, "pruned": 100_000, "failed": 0}[state],
        reason={"complete": "", "pruned": "below the median", "failed": "the loss became NaN"}[state],
    )


TRIALS = (
    make_trial(0, 0.9850),
    make_trial(1, 0.9750, state="pruned", lr=0.1),
    make_trial(2, state="failed", lr=1.0),
    make_trial(3, 0.9900, lr=LR, weight_decay=1e-05),
    make_trial(4, 0.9875, lr=0.003),
)
"""The default, a pruned one, a failed one, the winner, and one more."""


def make_tuning(net: str = "bn25k", trials: Sequence[Trial] = TRIALS, **changes: Any) -> Tuning:
    """The tuning of one net: two seeds, three epochs of 50,000 images, and as many trials as were asked for."""
    fields: dict[str, Any] = {
        "name": f"nightly {net} mnist",
        "architecture": net,
        "architecture_hash": f"hash-of-{net}",
        "dataset": "mnist",
        "data_hash": "da7a",
        "epochs": 3,
        "epoch_images": 50_000,
        "wanted": len(trials),
        "counted": len(trials),
        "seeds": (10_000, 10_001),
        "objectives": ("accuracy",),
        "space": {"lr": "0.0001 to 0.1, logarithmic"},
        "sampler": "TPE, Optuna 5.0.0",
        "pruner": "median, Optuna 5.0.0",
        "independent": False,
        "default": Recipe().to_json(),
        "starts_with_default": True,
        "trials": tuple(
            dataclasses.replace(trial, architecture=trial.architecture.replace("bn25k", net)) for trial in trials
        ),
    }
    return Tuning(**fields | changes)


def default_won(net: str) -> Tuning:
    """A tuning in which nothing beat the default recipe."""
    return make_tuning(net, [make_trial(0, 0.9900), make_trial(1, 0.9800, lr=0.1)])


Run = tuple["RunRecord", tuple["CurvePoint", ...]]


def retrained(net: str, accuracies: Sequence[float], *, tuning: Tuning | None = None) -> list[Run]:
    """Runs to compare with these test accuracies, from seed 0 on: of the winner of a tuning, or of the default."""
    runs = []
    for seed, accuracy in enumerate(accuracies):
        record, curve = make_run(net, seed=seed)
        record = dataclasses.replace(record, test_accuracy=accuracy)
        if tuning is not None:
            recipe, name = tuning.winners[0].recipe, tuning.winners[0].architecture
            record = dataclasses.replace(
                record, run_id=f"{net}-tuned-{seed}", recipe=recipe, recipe_name="tuned", architecture=name,
                architecture_hash=f"hash-of-{name}",
            )  # fmt: skip
        runs.append((record, curve))
    return runs


def tuned_study(*tunings: Tuning, runs: Sequence[Run] = ()) -> Study:
    """A study with these tunings; without runs, each net has default ones and, unless that won, tuned ones."""
    made = list(runs)
    for tuning in () if runs else tunings:
        made += retrained(tuning.architecture, DEFAULT)
        if tuning.winners[0].recipe != tuning.default:
            made += retrained(tuning.architecture, TUNED, tuning=tuning)
    return dataclasses.replace(study_of(*made), tunings=tunings)


def three_tuned() -> Study:
    """One net that gains, one that does not, one whose default won."""
    bn25k, fc3136, conv16k = make_tuning("bn25k"), make_tuning("fc3136"), default_won("conv16k")
    runs = [run for net in ("bn25k", "fc3136", "conv16k") for run in retrained(net, DEFAULT)]
    runs += [*retrained("bn25k", TUNED, tuning=bn25k), *retrained("fc3136", NO_GAIN, tuning=fc3136)]
    return tuned_study(bn25k, fc3136, conv16k, runs=runs)


def gains_of(study: Study) -> dict[str, dict[str, str]]:
    """The rows of the table of gains, by architecture."""
    table = table_of(section_of(build_document(study), "tuning"), "Tuned against default")
    return {row["Architecture"]: row for row in rows_of(table)}
