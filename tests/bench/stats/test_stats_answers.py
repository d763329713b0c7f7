"""Shares of seeds that are right, the hardest images and those that tell two nets apart, by hand."""

from __future__ import annotations

import numpy as np

from bench.stats.answers import Answers, hardest_images, pool_answers, told_apart

HAND_LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2], np.uint8)


def _answers(*rows: list[int]) -> Answers:
    return Answers(seeds=tuple(range(len(rows))), predicted=np.array(rows, np.uint8))


def test_shares_of_seeds_and_of_all_runs_by_hand() -> None:
    first, second = _answers([0, 1, 1, 0, 1, 1, 2, 0], [0, 1, 0, 2, 1, 0, 2, 2]), _answers([1, 1, 0, 0, 1, 1, 2, 2])
    assert first.right(HAND_LABELS).tolist() == [1, 0, 0.5, 0.5, 1, 0.5, 1, 0.5]
    pooled = pool_answers([first, second])
    assert (3 * (1 - pooled.right(HAND_LABELS))).round(9).tolist() == [1, 3, 1, 1, 0, 1, 0, 1]
    assert hardest_images(pooled, HAND_LABELS, most=3) == [1, 0, 2]
    assert hardest_images(pooled, HAND_LABELS, most=99) == [1, 0, 2, 3, 5, 7]


def test_of_equally_hard_images_the_surest_mistake_comes_first() -> None:
    predicted = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], np.uint8)
    sure = np.array([[0.5, 0.6, 0.5, 1], [0.5, 0.99, 0.7, 1]], np.float32)  # 0.99 was right, and says nothing
    answers = Answers(seeds=(0, 1), predicted=predicted, confidence=sure)
    assert hardest_images(answers, np.zeros(4, np.uint8), most=4) == [0, 2, 1]
    without = Answers(seeds=(2,), predicted=predicted[:1])
    assert pool_answers([answers, without]).confidence is None
    both = pool_answers([answers, answers])
    assert both.confidence is not None
    assert both.confidence.tolist() == [*sure.tolist(), *sure.tolist()]


def test_images_that_tell_two_nets_apart() -> None:
    labels = np.zeros(5, np.uint8)
    a = _answers([0, 0, 0, 1, 0], [0, 0, 1, 1, 0])  # right: 1, 1, 0.5, 0, 1
    b = _answers([0, 1, 1, 0, 1], [1, 1, 1, 0, 0])  # right: 0.5, 0, 0, 1, 0.5
    assert told_apart(a, b, labels, most=9) == [1, 0, 2, 4]
    assert told_apart(a, b, labels, most=9, least=0.6) == [1]
    assert told_apart(a, b, labels, most=2) == [1, 0]
    assert told_apart(b, a, labels, most=9) == [3]
