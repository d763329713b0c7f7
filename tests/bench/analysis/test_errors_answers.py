"""Shares of seeds that are right, the hardest images and those that tell two nets apart, by hand."""

from __future__ import annotations

import dataclasses

import numpy as np

from bench.analysis.errors import Answers, hardest_images, pool_answers, told_apart

HAND_LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2], np.uint8)


def _answers(*rows: list[int]) -> Answers:
    return Answers(seeds=tuple(range(len(rows))), predicted=np.array(rows, np.uint8))


def test_shares_of_seeds_and_of_all_runs_by_hand() -> None:
    first, second = _answers([0, 1, 1, 0, 1, 1, 2, 0], [0, 1, 0, 2, 1, 0, 2, 2]), _answers([1, 1, 0, 0, 1, 1, 2, 2])
    assert first.right(HAND_LABELS).tolist() == [1, 0, 0.5, 0.5, 1, 0.5, 1, 0.5]
    pooled = pool_answers([first, second])
    assert (3 * (1 - pooled.right(HAND_LABELS))).round(9).tolist() == [1, 3, 1, 1, 0, 1, 0, 1]
    assert hardest_images(pooled, HAND_LABELS) == [1, 0, 2, 3, 5, 7]


def test_of_equally_hard_images_the_surest_mistake_comes_first() -> None:
    predicted = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], np.uint8)
    sure = np.array([[0.5, 0.6, 0.5, 1], [0.5, 0.99, 0.7, 1]], np.float32)  # 0.99 was right, and says nothing
    answers = Answers(seeds=(0, 1), predicted=predicted, confidence=sure)
    assert hardest_images(answers, np.zeros(4, np.uint8)) == [0, 2, 1]
    of_wrong = answers.wrong_confidence(np.zeros(4, np.uint8))
    assert of_wrong is not None
    assert of_wrong.round(6).tolist() == [0.5, 0.6, 0.7, 0]
    without = Answers(seeds=(2,), predicted=predicted[:1])
    assert without.wrong_confidence(np.zeros(4, np.uint8)) is None
    assert pool_answers([answers, without]).confidence is None
    both = pool_answers([answers, answers])
    assert both.confidence is not None
    assert both.confidence.tolist() == [*sure.tolist(), *sure.tolist()]


def test_images_that_tell_two_nets_apart() -> None:
    labels = np.zeros(5, np.uint8)
    a = _answers([0, 0, 0, 1, 0], [0, 0, 1, 1, 0])  # right: 1, 1, 0.5, 0, 1
    b = _answers([0, 1, 1, 0, 1], [1, 1, 1, 0, 0])  # right: 0.5, 0, 0, 1, 0.5
    assert told_apart(a, b, labels) == [1, 0, 2, 4]
    assert told_apart(a, b, labels, least=0.6) == [1]
    assert told_apart(b, a, labels) == [3]


def test_a_difference_of_exactly_a_half_counts_whatever_binary_fractions_make_of_it() -> None:
    a = _answers(*[[0]] * 6, [1])  # right with 6 of 7
    b = _answers(*[[0]] * 5, *[[1]] * 9)  # right with 5 of 14
    assert 6 / 7 - 5 / 14 < 0.5
    assert told_apart(a, b, np.zeros(1, np.uint8)) == [0]


def test_the_commonest_wrong_class_and_of_equally_common_ones_the_surest_first() -> None:
    predicted = np.array([[3], [8], [8], [3], [0], [5]], np.uint8)
    sure = np.array([[0.4], [0.9], [0.3], [0.5], [1.0], [1.0]], np.float32)
    answers = Answers(seeds=tuple(range(6)), predicted=predicted, confidence=sure)
    assert answers.commonest_mistakes(0, 0) == (2, [8, 3])  # 0.6 against 0.45
    assert dataclasses.replace(answers, confidence=None).commonest_mistakes(0, 0) == (2, [3, 8])
    assert answers.commonest_mistakes(0, 8) == (2, [3])
