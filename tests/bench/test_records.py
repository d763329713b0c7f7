"""Time to a target, worked by hand."""

from __future__ import annotations

import math

from bench.records import CurvePoint, time_to_target


def _curve(*accuracies: float) -> list[CurvePoint]:
    return [
        CurvePoint(
            step=20 * number,
            images=2_560 * number,
            epoch=number / 20,
            train_seconds=0.5 * number,
            evaluation_seconds=0.1 * number,
            probe=True,
            val_loss=1.0,
            val_accuracy=accuracy,
        )
        for number, accuracy in enumerate(accuracies, start=1)
    ]


def test_the_first_of_two_passes_in_a_row() -> None:
    found = time_to_target(_curve(0.80, 0.96, 0.94, 0.95, 0.96, 0.97), 0.95)
    assert (found.epochs, found.images, found.seconds) == (4 / 20, 4 * 2_560, 2.0)


def test_never_reached() -> None:
    for curve in (_curve(), _curve(0.99), _curve(0.90, 0.96), _curve(0.96, 0.94, 0.96)):
        found = time_to_target(curve, 0.95)
        assert found.epochs == found.images == found.seconds == math.inf


def test_a_diverged_accuracy_is_no_pass() -> None:
    assert time_to_target(_curve(0.96, math.nan, 0.96), 0.95).epochs == math.inf
