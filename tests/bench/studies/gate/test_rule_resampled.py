"""The gate's rate on a net's own references, held against gates drawn run by run and against the normal formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.studies.gate.rule import caught_drop, chance_to_fail, resample
from tests.bench.studies.gate.examples import LEFT_TAIL, NORMAL, deviation_of

COLLAPSED = (*(0.95 + 0.001 * step for step in range(27)), 0.1, 0.4, 0.7)


def drawn(accuracies: tuple[float, ...], shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Silverman and Young's shrunk smoothed bootstrap in accuracies, written from its formula."""
    values = np.array(accuracies)
    lower, upper = np.percentile(values, [25, 75])
    width = 0.9 * min(values.std(ddof=1), (upper - lower) / 1.34) / len(values) ** 0.2
    scale = values.std(ddof=1) / math.sqrt(values.var() + width**2)  # the variance that was recorded comes back
    moved = rng.choice(values, shape) - values.mean() + width * rng.standard_normal(shape)
    return values.mean() + scale * moved  # type: ignore[no-any-return]


@pytest.mark.parametrize("accuracies", [NORMAL, LEFT_TAIL, COLLAPSED], ids=["normal", "left tail", "collapses"])
@pytest.mark.parametrize(("allowed", "drop"), [(0.3, 0.0), (0.9, 0.0), (1.5, 1.5), (2.4, 2.0)])
def test_it_is_what_gates_drawn_run_by_run_give(accuracies: tuple[float, ...], allowed: float, drop: float) -> None:
    rng, times, deviation = np.random.default_rng(3), 200_000, deviation_of(accuracies)
    references = drawn(accuracies, (times, len(accuracies)), rng)
    limits = references.mean(axis=1) - allowed * references.std(axis=1, ddof=1)
    first, fresh = (drawn(accuracies, (times, runs), rng).mean(axis=1) - drop * deviation for runs in (3, 6))
    share = float(np.mean((first < limits) & (fresh < limits)))
    assert share > 1e-3, "rare enough events say nothing"
    noise = math.sqrt(share * (1 - share) / times)
    found = resample(accuracies, deviation).chance_to_fail(drop, allowed=allowed)
    assert found == pytest.approx(share, abs=4 * noise + 0.03 * share)


def test_resampled_references_have_the_mean_and_the_variance_of_the_recorded() -> None:
    gate = resample(LEFT_TAIL, deviation_of(LEFT_TAIL))
    assert gate.means.shape == gate.deviations.shape == (20_000,)
    assert float(gate.means.mean()) == pytest.approx(0.0, abs=4 / math.sqrt(30 * 20_000))
    assert float(gate.means.var()) == pytest.approx(1 / 30, rel=0.05)
    assert float(np.mean(gate.deviations**2)) == pytest.approx(1.0, rel=0.03)


def test_the_means_of_stages_have_the_moments_of_means() -> None:
    gate = resample(COLLAPSED, deviation_of(COLLAPSED))
    for runs, (values, below) in ((3, gate.first), (6, gate.fresh)):
        weights = np.diff(below, prepend=0.0)
        mean = float(np.sum(values * weights))
        assert (below[0], below[-1]) == (pytest.approx(0.0, abs=1e-9), pytest.approx(1.0, abs=1e-9))
        assert mean == pytest.approx(0.0, abs=0.005)
        assert float(np.sum((values - mean) ** 2 * weights)) == pytest.approx(1 / runs, rel=0.01)


def test_many_normal_references_give_the_normal_formula() -> None:
    values = tuple((0.98 + 0.001 * np.random.default_rng(4).standard_normal(4_000)).tolist())
    gate = resample(values, deviation_of(values))
    for drop, allowed in ((0.0, 0.5), (1.0, 1.5), (2.5, 1.5)):
        formula = chance_to_fail(drop, references=4_000, allowed=allowed)
        assert gate.chance_to_fail(drop, allowed=allowed) == pytest.approx(formula, rel=0.06)
    assert gate.caught_drop(1.5) == pytest.approx(caught_drop(4_000), abs=0.03)


def test_a_caught_drop_is_caught_in_98_of_100_cases() -> None:
    gate = resample(LEFT_TAIL, deviation_of(LEFT_TAIL))
    for allowed in (0.5, 1.5, 2.5):
        assert gate.chance_to_fail(gate.caught_drop(allowed), allowed=allowed) == pytest.approx(0.98, abs=1e-6)
    assert gate.caught_drop(2.5) > gate.caught_drop(1.5) + 0.9


def test_where_accuracies_lie_and_how_wide_changes_no_rate() -> None:
    moved = tuple(0.5 + 10 * (value - 0.9) for value in LEFT_TAIL)
    near, far = (resample(values, deviation_of(values)) for values in (LEFT_TAIL, moved))
    assert far.chance_to_fail(0.0, allowed=1.5) == pytest.approx(near.chance_to_fail(0.0, allowed=1.5), rel=1e-6)


def test_a_mirrored_tail_fails_far_less_often() -> None:
    mirrored = tuple(1.9 - value for value in LEFT_TAIL)
    left, right = (resample(of, deviation_of(of)).chance_to_fail(0.0, allowed=1.5) for of in (LEFT_TAIL, mirrored))
    assert left > 5e-4
    assert right < left / 50


def test_the_same_references_give_the_same_rate_every_time() -> None:
    first = resample(NORMAL, deviation_of(NORMAL)).chance_to_fail(0.0, allowed=1.5)
    resample.cache_clear()
    assert resample(NORMAL, deviation_of(NORMAL)).chance_to_fail(0.0, allowed=1.5) == first


@pytest.mark.parametrize("accuracies", [(0.98,) * 30, (*(0.98,) * 29, 0.9799)], ids=["all", "all but one"])
def test_equal_accuracies_are_no_division_by_zero(accuracies: tuple[float, ...]) -> None:
    gate = resample(accuracies, 1e-4)
    rates = [gate.chance_to_fail(0.0, allowed=allowed) for allowed in (0.0, 0.5, 1.5)]
    assert rates == sorted(rates, reverse=True)
    assert 0.1 < rates[0] < 0.35
    assert rates[2] < 0.01
