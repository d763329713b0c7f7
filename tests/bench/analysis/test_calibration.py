"""Calibration bin by bin, and means over seeds with their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.stats.calibration import estimate_mean, find_reliability
from bench.core.records import Predictions
from bench.store.codec import pack_predictions, unpack_ordered


def test_confidences_on_the_edges_of_bins() -> None:
    confidence = np.array([[0.0, 0.5, 1.0, 1.0]], np.float32)
    found = find_reliability(confidence, np.array([[False, True, True, False]]))
    # 0.5 * 15 = 7.5 lies in bin 7; both ones in the last of fifteen, with nothing behind it
    assert found.images.tolist() == [[1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2]]
    assert found.confidence[0, [0, 7, 14]].tolist() == [0, 0.5, 2]
    assert found.right[0, [0, 7, 14]].tolist() == [0, 1, 1]
    # |0 − 0| + |1 − 0.5| + |1 − 2| over four images
    assert found.errors == (0.375,)


def test_calibration_error_of_nets_worked_out_by_hand() -> None:
    # 0.75 said of four images, three right: no error; 0.75 of four, one right: 0.5; gaps in one bin cancel
    confidence = np.full((3, 4), 0.75, np.float32)
    confidence[2] = [0.75, 0.75, 0.25, 0.25]
    right = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]], bool)
    assert find_reliability(confidence, right).errors == (0.0, 0.5, 0.25)


def test_calibration_error_agrees_with_a_plain_loop() -> None:
    random = np.random.default_rng(2)
    confidence = random.random((2, 500)).astype(np.float32)
    right = random.random((2, 500)) < confidence
    for run, error in enumerate(find_reliability(confidence, right).errors):
        total = 0.0
        for k in range(15):
            inside = [i for i in range(500) if k / 15 <= confidence[run, i] and (confidence[run, i] < (k + 1) / 15)]
            inside += [i for i in range(500) if k == 14 and confidence[run, i] == 1]
            total += abs(sum(float(right[run, i]) - float(confidence[run, i]) for i in inside))
        assert error == pytest.approx(total / 500)


@pytest.mark.parametrize(
    ("values", "mean", "low", "high"),
    [
        ([], None, None, None),
        ([float("nan")], None, None, None),
        ([0.2, 0.4], 0.3, None, None),
        ([0.5, 0.5, 0.5, float("inf")], 0.5, 0.5, 0.5),
        # t(0.975, 2) = 4.302653, s = 0.1, so ± 0.248414; and cut at zero
        ([0.4, 0.5, 0.6], 0.5, 0.251586, 0.748414),
        ([0.0, 0.1, 0.2], 0.1, 0.0, 0.348414),
    ],
)
def test_means_with_students_interval(
    values: list[float], mean: float | None, low: float | None, high: float | None
) -> None:
    found = estimate_mean(values)
    assert [found.mean, found.low, found.high] == [
        None if value is None else pytest.approx(value, abs=1e-6) for value in (mean, low, high)
    ]


def test_stored_confidences_are_not_rounded_before_their_error_is_taken() -> None:
    images = np.arange(2, dtype=np.int32)
    sevens, sure = np.full(2, 7, dtype=np.uint8), np.full(2, 0.9998, dtype=np.float32)  # the float16 next to it is 1
    stored = pack_predictions(
        Predictions(
            split="test", images=images, labels=sevens, predicted=sevens, confidence=sure, true_probability=sure
        )
    )
    kept = unpack_ordered(stored)
    found = find_reliability(kept.confidence[None], (kept.predicted == kept.labels)[None])
    assert found.errors == pytest.approx((2e-4,), abs=1e-7)
