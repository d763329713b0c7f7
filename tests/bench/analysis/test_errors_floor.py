"""Errors of three made-up nets on eight images, counted by hand, and McNemar's test from textbooks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from bench.analysis.errors import Disagreement, ImageErrors, exact_mcnemar, find_error_floor

LABELS = np.array([0, 1, 2, 3, 4, 5, 6, 7], np.uint8)


def _answers(wrong: dict[int, int]) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """The truth but for these images, with the class that is given to each."""
    answers = LABELS.copy()
    for image, given in wrong.items():
        answers[image] = given
    return answers


ANSWERS = {
    "a": {0: _answers({0: 9, 1: 9}), 1: _answers({0: 9, 2: 9, 3: 9})},
    "b": {1: _answers({0: 9, 3: 8, 4: 9, 5: 9}), 0: _answers({0: 8})},
    "c": {1: _answers({0: 9}), 2: _answers({0: 9, 7: 9, 6: 9})},
}


def test_errors_of_each_net() -> None:
    floor = find_error_floor(ANSWERS, LABELS)
    assert floor.images == 8
    assert floor.architectures == {
        "a": ImageErrors(mean=2.5, ever=4, always=1),
        "b": ImageErrors(mean=2.5, ever=4, always=1),
        "c": ImageErrors(mean=2.0, ever=3, always=1),
    }
    assert floor.everyone == (0,)


def test_disagreements_over_the_seeds_that_both_have() -> None:
    floor = find_error_floor(ANSWERS, LABELS)
    ab, ac, bc = floor.pairs
    # seed 0: they differ on images 0 (9, 8) and 1; b alone is right on 1; both wrong on 0. McNemar of 0 and 1: 1
    # seed 1: they differ on 2, 3 (9, 8), 4, 5; a alone is right on 4, 5, b on 2; both wrong on 0, 3. 2 and 1: 1
    assert ab == Disagreement(
        a="a", b="b", seeds=(0, 1), differ=3.0, only_a=1.0, only_b=1.0, both_wrong=1.5, p_mcnemar=(1.0, 1.0)
    )
    assert ac == Disagreement(
        a="a", b="c", seeds=(1,), differ=2.0, only_a=0.0, only_b=2.0, both_wrong=1.0, p_mcnemar=(0.5,)
    )
    assert bc == Disagreement(
        a="b", b="c", seeds=(1,), differ=3.0, only_a=0.0, only_b=3.0, both_wrong=1.0, p_mcnemar=(0.25,)
    )


def test_nets_without_a_shared_seed_and_no_nets() -> None:
    assert find_error_floor({"a": {0: LABELS}, "b": {1: LABELS}}, LABELS).pairs == ()
    nothing = find_error_floor({}, LABELS)
    assert (nothing.everyone, nothing.pairs, nothing.architectures) == ((), (), {})


def test_mcnemar_of_a_textbook() -> None:
    # Fagerland, Lydersen and Laake 2013 (BMC Med. Res. Methodol. 13, 91), airway responsiveness of Bentur et al.:
    # 1 and 7 discordant pairs, exact conditional p = 0.0703 = 2 (1 + 8) / 2^8
    p_values = exact_mcnemar(np.array([1, 7]), np.array([7, 1]))
    assert p_values == pytest.approx([18 / 256, 0.0703125])


@pytest.mark.parametrize(("only_a", "only_b"), [(1, 0), (0, 0), (3, 3), (5, 6), (2, 12), (40, 71), (0, 20)])
def test_mcnemar_is_that_of_statsmodels(only_a: int, only_b: int) -> None:
    (p_value,) = exact_mcnemar(np.array([only_a]), np.array([only_b]))
    assert p_value == pytest.approx(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue)
    if only_a + only_b:
        assert p_value == pytest.approx(binomtest(only_a, only_a + only_b, 0.5).pvalue)


def test_nets_that_never_differ_have_p_one() -> None:
    assert exact_mcnemar(np.array([0]), np.array([0])).tolist() == [1.0]
