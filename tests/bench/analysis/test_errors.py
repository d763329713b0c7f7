"""Confusions counted by hand and by scikit-learn, and a planted net that says 9 for every 4."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import confusion_matrix

from bench.analysis.errors import Answers, ConfusedPair, confusion_rates, most_confused

if TYPE_CHECKING:
    from numpy.typing import NDArray

HAND_LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2], np.uint8)


def _answers(*rows: list[int]) -> Answers:
    return Answers(seeds=tuple(range(len(rows))), predicted=np.array(rows, np.uint8))


def _noisy(seeds: int, *, images: int = 2_000, wrong: float = 0.02) -> tuple[Answers, NDArray[np.uint8]]:
    """Nets that give a random class to a share of the images."""
    random = np.random.default_rng(5)
    labels = random.integers(0, 10, images).astype(np.uint8)
    lost = random.random((seeds, images)) < wrong
    predicted = np.where(lost, random.integers(0, 10, (seeds, images)), labels).astype(np.uint8)
    return Answers(seeds=tuple(range(seeds)), predicted=predicted), labels


def test_rates_counted_by_hand() -> None:
    answers = _answers([0, 1, 1, 0, 1, 1, 2, 0], [0, 1, 0, 2, 1, 0, 2, 2])
    # Of eight answers to zeros: five 0, two 1 by the first and one by the second, one 2 ...
    expected = [[4 / 8, 3 / 8, 1 / 8], [1 / 4, 3 / 4, 0], [1 / 4, 0, 3 / 4]]
    assert confusion_rates(answers, HAND_LABELS, classes=3).tolist() == expected


def test_rates_are_the_mean_of_scikit_learns_matrices() -> None:
    answers, labels = _noisy(4, wrong=0.3)
    every = [confusion_matrix(labels, row, labels=range(10), normalize="true") for row in answers.predicted]
    np.testing.assert_allclose(confusion_rates(answers, labels, classes=10), np.mean(every, axis=0), rtol=1e-12)


def test_a_class_without_an_image_has_no_rates() -> None:
    rates = confusion_rates(_answers([0, 0]), np.array([0, 2], np.uint8), classes=3)
    np.testing.assert_array_equal(rates, [[1, 0, 0], [np.nan] * 3, [1, 0, 0]])
    pairs = most_confused(_answers([0, 0]), np.array([0, 2], np.uint8), classes=3, most=5)
    assert pairs == (ConfusedPair(true=2, said=0, rate=1.0, low=1.0, high=1.0),)


def test_a_net_that_says_9_for_every_4_is_found_and_has_no_spread() -> None:
    answers, labels = _noisy(6)
    planted = Answers(seeds=answers.seeds, predicted=np.where(labels == 4, 9, answers.predicted).astype(np.uint8))
    first, second, *_ = most_confused(planted, labels, classes=10, most=5)
    assert first == ConfusedPair(true=4, said=9, rate=1.0, low=1.0, high=1.0)
    assert second.rate < 0.02


def test_pairs_stand_by_rate_and_those_that_never_happen_are_left_out() -> None:
    answers = _answers([0, 1, 1, 0, 1, 1, 2, 0], [0, 1, 0, 2, 1, 0, 2, 2])
    pairs = most_confused(answers, HAND_LABELS, classes=3, most=9)
    assert [(p.true, p.said, p.rate) for p in pairs] == [(0, 1, 3 / 8), (1, 0, 1 / 4), (2, 0, 1 / 4), (0, 2, 1 / 8)]
    assert len(most_confused(answers, HAND_LABELS, classes=3, most=2)) == 2
    assert most_confused(_answers(HAND_LABELS.tolist()), HAND_LABELS, classes=3, most=9) == ()


def test_pairs_that_tie_with_the_last_are_kept_up_to_so_many() -> None:
    answers = _answers([0, 1, 1, 0, 1, 1, 2, 0], [0, 1, 0, 2, 1, 0, 2, 2])  # 3/8, 1/4, 1/4, 1/8
    counts = [
        len(most_confused(answers, HAND_LABELS, classes=3, most=most, tied=tied))
        for most, tied in ((2, 0), (2, 1), (2, 9), (1, 9), (3, 9), (4, 9))
    ]
    assert counts == [2, 3, 3, 1, 3, 4]


def test_one_seed_gives_scipys_interval_over_images() -> None:
    labels = np.zeros(400, np.uint8)
    wrong = (np.arange(400) < 40).astype(np.uint8)
    (pair,) = most_confused(_answers(wrong.tolist()), labels, classes=2, most=1)
    drawn = bootstrap((wrong,), np.mean, n_resamples=9_999, method="percentile", rng=np.random.default_rng(1))
    assert pair.rate == 0.1
    assert pair.low == pytest.approx(drawn.confidence_interval.low, abs=0.0026)
    assert pair.high == pytest.approx(drawn.confidence_interval.high, abs=0.0026)


def test_seeds_that_disagree_widen_the_interval() -> None:
    labels = np.zeros(1_000, np.uint8)
    alike, apart = np.zeros((6, 1_000), np.uint8), np.zeros((6, 1_000), np.uint8)
    alike[:, :100] = 1  # every seed takes the same 100 images for a 1: the seeds add nothing
    apart[:3, :200] = 1  # three seeds take 200, three none: the same rate
    (same,), (other,) = (
        most_confused(Answers(seeds=tuple(range(6)), predicted=p), labels, classes=2, most=1) for p in (alike, apart)
    )
    assert (same.rate, other.rate) == (0.1, 0.1)
    # sqrt(0.1 * 0.9 / 1000) = 0.0095 a side of about two; over seeds alone sqrt(0.1^2 / 6) = 0.041
    assert same.high - same.low == pytest.approx(4 * 0.0095, rel=0.15)
    assert other.high - other.low == pytest.approx(4 * 0.041, rel=0.2)


def test_images_that_only_late_seeds_get_wrong_are_drawn_as_such() -> None:
    predicted = np.zeros((16, 1_000), np.uint8)
    predicted[8:, :100] = 1
    (pair,) = most_confused(
        Answers(seeds=tuple(range(16)), predicted=predicted), np.zeros(1_000, np.uint8), classes=2, most=1
    )
    assert pair.rate == 0.05
    # half of the seeds at 0.1: sqrt(0.05^2 / 16) = 0.0125, and over images about 0.005
    assert pair.low == pytest.approx(0.05 - 1.96 * 0.0135, abs=0.006)
    assert pair.high == pytest.approx(0.05 + 1.96 * 0.0135, abs=0.006)


def test_the_same_draws_every_time_and_others_with_another_seed() -> None:
    answers, labels = _noisy(6)
    first, again, other = (most_confused(answers, labels, classes=10, most=3, seed=s) for s in (0, 0, 1))
    assert first == again
    assert [p.rate for p in first] == [p.rate for p in other]
    assert [p.low for p in first] != [p.low for p in other]


def test_six_seeds_give_an_end_that_other_draws_do_not_move_by_a_printed_decimal() -> None:
    answers, labels = _noisy(6, images=10_000, wrong=0.3)
    ends = [most_confused(answers, labels, classes=10, most=1, seed=seed)[0].low for seed in range(12)]
    assert max(ends) - min(ends) < 0.0004  # with 1,000 draws 0.0006


def test_a_thousand_runs_take_seconds() -> None:
    answers, labels = _noisy(250, images=10_000, wrong=0.03)
    start = time.process_time()
    for _ in range(4):
        confusion_rates(answers, labels, classes=10)
        most_confused(answers, labels, classes=10, most=5)
    assert time.process_time() - start < 20  # measured: about three seconds on one core
