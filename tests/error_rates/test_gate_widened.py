"""What a recording's own rate and limit are worth on known shapes: normal ones keep 1.5, a left tail errs far less."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import stats

from bench.core.work.gate import ALLOWED_DEVIATIONS
from bench.studies.gate.rule import PROMISED, chance_to_fail
from tests.error_rates.gate_widening import SHAPES, Recordings, read_skewed_pool, record

EXPONENTIAL, COLLAPSING = "exponential, skewness -2", "bnrelu, really trained"


@functools.cache
def recorded(shape: str) -> Recordings:
    return record(SHAPES[shape], recordings=70, seed=1)


def test_the_pool_is_that_of_a_net_that_collapses() -> None:
    values = read_skewed_pool("test_accuracy")
    assert len(values) == len(read_skewed_pool()) >= 300
    assert stats.skew(values) < -4
    assert float(np.median(values)) > 0.93 > float(values.mean())


@pytest.mark.parametrize(
    ("shape", "true_rate"),
    [
        ("normal", 5.4e-5),  # chance_to_fail(0, references=30)
        ("gamma, skewness -1", 4.2e-4),  # these two by 200,000 recordings, the stages by 4,000,000 draws
        (EXPONENTIAL, 1.5e-3),
    ],
)
def test_the_measured_rate_is_right_to_a_factor_of_about_five(shape: str, true_rate: float) -> None:
    found = recorded(shape)
    mean, error = found.rate(ALLOWED_DEVIATIONS)
    assert mean == pytest.approx(true_rate, abs=4 * error + 0.1 * true_rate)
    low, middle, high = (found.quantile(found.measured, share) for share in (0.1, 0.5, 0.9))
    assert true_rate / 8 < low < middle < high < 5 * true_rate
    assert true_rate / 3 < middle < 1.5 * true_rate


def test_the_true_rate_of_normal_accuracies_is_the_formulas() -> None:
    assert chance_to_fail(0.0, references=30) == pytest.approx(5.4e-5, rel=0.02)


def test_normal_recordings_keep_their_limit_and_the_promise() -> None:
    found = recorded("normal")
    assert found.kept() >= 0.85, "19 in 20 of more recordings (docs/error-rates.md)"
    assert found.rate(found.allowed)[0] <= 1e-4 < PROMISED


@pytest.mark.parametrize("shape", ["gamma, skewness -1", EXPONENTIAL])
def test_a_left_tail_keeps_the_promise_with_the_limit_that_it_asks_for(shape: str) -> None:
    found = recorded(shape)
    before, (after, error) = found.rate(ALLOWED_DEVIATIONS)[0], found.rate(found.allowed)
    assert after < before
    assert after <= PROMISED + 2 * error
    if shape == EXPONENTIAL:
        assert before > 2.5 * PROMISED
        assert after < before / 3


def test_a_net_that_collapses_errs_less_and_still_too_often() -> None:
    found = recorded(COLLAPSING)
    before, after = found.rate(ALLOWED_DEVIATIONS)[0], found.rate(found.allowed)[0]
    assert before > 3e-3
    assert after < 0.7 * before
    assert after > PROMISED, "30 references that show no collapse cannot tell of one"
