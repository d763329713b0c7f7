"""Intervals and medians against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from bench.analysis.stats.estimates import estimate_accuracy, estimate_time_to_target, median_of, student_interval
from bench.core.records import RunRecord, TimeToTarget
from tests.factories import make_record


def test_three_seeds_have_students_interval() -> None:
    # mean 0.91, s 0.01, t(2, 97.5 %) = 4.302653 from the table: half width 4.302653 × 0.01 / √3 = 0.0248414
    estimate = estimate_accuracy([0.90, 0.91, 0.92], images=10_000)
    assert estimate.basis == "seeds"
    assert estimate.mean == pytest.approx(0.91)
    assert estimate.low == pytest.approx(0.8851586, abs=1e-6)
    assert estimate.high == pytest.approx(0.9348414, abs=1e-6)
    assert estimate.deviation == pytest.approx(0.01)


def test_students_interval_is_cut_nowhere_and_a_point_where_all_are_equal() -> None:
    # mean 0.1, s 0.1, half width 4.302653 × 0.1 / √3 = 0.2484138
    assert student_interval([0.0, 0.1, 0.2]) == pytest.approx((-0.1484138, 0.3484138), abs=1e-6)
    assert student_interval([7.5, 7.5]) == (7.5, 7.5)


def test_interval_ends_at_one() -> None:
    assert estimate_accuracy([0.97, 0.99, 1.0], images=10).high == 1.0


def test_equal_seeds_have_a_point() -> None:
    estimate = estimate_accuracy([0.99, 0.99, 0.99], images=10_000)
    assert estimate.low == estimate.high == pytest.approx(0.99)


def test_one_seed_has_wilsons_interval_over_images() -> None:
    # 9,890 of 10,000; centre (p + z²/2n) / (1 + z²/n), half width z·√(p(1−p)/n + z²/4n²) / (1 + z²/n)
    z, n, p = 1.959963985, 10_000, 0.989
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    estimate = estimate_accuracy([0.989], images=10_000)
    assert estimate.basis == "images"
    assert estimate.low == pytest.approx(centre - half, abs=1e-9)
    assert estimate.high == pytest.approx(centre + half, abs=1e-9)
    assert estimate.deviation is None


def test_two_seeds_none_and_unknown_images_have_no_interval() -> None:
    for values, images in (((0.98, 0.99), 10_000), ((), 10_000), ((0.98,), None)):
        estimate = estimate_accuracy(values, images=images)
        assert (estimate.low, estimate.high, estimate.basis) == (None, None, "none")
    assert estimate_accuracy((), images=1).mean is None


def test_a_run_without_an_accuracy_is_no_seed_of_the_interval() -> None:
    assert estimate_accuracy([0.90, math.nan, 0.91, 0.92], images=10) == estimate_accuracy(
        [0.90, 0.91, 0.92], images=10
    )
    assert estimate_accuracy([0.98, 0.99, math.nan], images=10).basis == "none", "two seeds, not three"
    assert estimate_accuracy([math.nan], images=10).mean is None


def _reaching(epochs: float, *, seed: int, status: str = "ok") -> RunRecord:
    time = TimeToTarget(target=0.95, epochs=epochs, images=50_000 * epochs, seconds=10 * epochs)
    return make_record(seed=seed, status=status, time_to_targets=(time,))


@pytest.mark.parametrize(
    ("epochs", "median", "reached"),
    [
        ([0.2, 0.4, 0.9], 0.4, 3),
        ([0.2, 0.4, math.inf], 0.4, 2),
        ([0.2, math.inf, math.inf], math.inf, 1),
        ([0.2, 0.4, math.inf, math.inf], math.inf, 2),
        ([0.2, 0.4, 0.6, math.inf], 0.5, 3),
    ],
)
def test_never_counts_as_infinite(epochs: list[float], median: float, reached: int) -> None:
    runs = [_reaching(value, seed=seed) for seed, value in enumerate(epochs)]
    estimate = estimate_time_to_target(runs, 0.95)
    assert estimate.epochs == pytest.approx(median)
    assert estimate.images == pytest.approx(50_000 * median)
    assert estimate.seconds == pytest.approx(10 * median)
    assert (estimate.reached, estimate.runs) == (reached, len(epochs))


def test_a_diverged_run_never_got_there_whatever_it_passed() -> None:
    runs = [_reaching(0.2, seed=0), _reaching(0.1, seed=1, status="diverged"), _reaching(0.3, seed=2)]
    estimate = estimate_time_to_target(runs, 0.95)
    assert (estimate.reached, estimate.runs, estimate.epochs) == (2, 3, 0.3)


def test_runs_that_failed_or_were_interrupted_say_nothing_of_a_target() -> None:
    runs = [
        _reaching(0.2, seed=0),
        _reaching(0.1, seed=1, status="failed"),
        _reaching(0.1, seed=2, status="interrupted"),
    ]
    estimate = estimate_time_to_target(runs, 0.95)
    assert (estimate.reached, estimate.runs, estimate.epochs) == (1, 1, 0.2)


def test_without_runs_there_is_no_median() -> None:
    assert estimate_time_to_target([], 0.95).epochs is None
    assert median_of([None, None]) is None
    assert median_of([None, 3.0, 1.0]) == 2.0
