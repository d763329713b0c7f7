"""Verdicts over datasets beside scipy's tests and Demšar's tables."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from scipy.stats import rankdata, wilcoxon

from bench.analysis.stats.across import (
    critical_difference,
    fewest_datasets,
    judge_over_datasets,
    rank_over_datasets,
)


def means(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {f"set {number}": row for number, row in enumerate(rows)}


def test_ranks_by_hand() -> None:
    found = rank_over_datasets(means([{"a": 0.9, "b": 0.8, "c": 0.7}, {"a": 0.5, "b": 0.6, "c": 0.5}]))
    assert found["a"][:3] == (1.75, 1.0, 2.5)  # first, then second together with c
    assert found["b"][:3] == (1.5, 1.0, 2.0)
    assert found["c"][:3] == (2.75, 2.5, 3.0)
    assert found["b"].deviation == pytest.approx(math.sqrt(0.5))
    assert math.isnan(rank_over_datasets(means([{"a": 1.0, "b": 0.5}]))["a"].deviation)


@pytest.mark.parametrize("seed", range(5))
def test_p_is_that_of_wilcoxon(seed: int) -> None:
    generator = np.random.default_rng(seed)
    a, b = generator.normal(0.02, 0.05, 9), np.zeros(9)
    (pair,) = judge_over_datasets(means([{"a": x, "b": y} for x, y in zip(a.tolist(), b.tolist(), strict=True)]))
    assert pair.p_holm == pytest.approx(wilcoxon(a, method="exact").pvalue)
    assert pair.difference == pytest.approx(a.mean())
    assert (pair.wins, pair.losses) == (int((a > 0).sum()), int((a < 0).sum()))


def test_the_better_one_is_that_of_the_ranks_where_both_win_on_as_many_datasets() -> None:
    rows = [{"a": 0.5 + (0.1 + 0.001 * n), "b": 0.5} for n in range(11)] + [
        {"a": 0.5, "b": 0.5 + 0.001 * n} for n in range(1, 12)
    ]
    (pair,) = judge_over_datasets(means(rows))
    assert (pair.wins, pair.losses) == (11, 11)
    assert pair.rank_sum == sum(range(12, 23)) - sum(range(1, 12))
    assert pair.p_holm < 0.05
    assert pair.better == "a"


def test_the_better_one_is_named_from_six_datasets_of_two_nets_and_eight_of_four_on() -> None:
    assert [fewest_datasets(nets) for nets in (2, 3, 4)] == [6, 7, 8]
    for nets in (2, 3, 4):
        names = "abcd"[:nets]
        for count in (fewest_datasets(nets) - 1, fewest_datasets(nets)):
            rows = [{name: 0.9 - 0.1 * at - 0.001 * n for at, name in enumerate(names)} for n in range(count)]
            found = {pair.better for pair in judge_over_datasets(means(rows))}
            assert ("" in found) == (count < fewest_datasets(nets))
    six = [{"a": 0.5, "b": 0.4 + 0.01 * n} for n in range(6)]
    assert judge_over_datasets(means(six))[0].better == "a"
    assert judge_over_datasets(means([{"a": row["b"], "b": row["a"]} for row in six]))[0].better == "b"


def test_nets_that_do_the_same_are_not_told_apart() -> None:
    (pair,) = judge_over_datasets(means([{"a": 0.5, "b": 0.5}] * 10))
    assert (pair.p_holm, pair.better, pair.difference) == (1.0, "", 0.0)


@pytest.mark.parametrize(("nets", "quantile"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_has_the_quantiles_of_the_paper(nets: int, quantile: float) -> None:
    """Table 5 (a) of Demšar 2006."""
    wanted = quantile * math.sqrt(nets * (nets + 1) / (6 * 14))
    assert critical_difference(nets, 14) == pytest.approx(wanted, rel=5e-4)


def test_means_that_are_equal_but_for_their_last_bits_tie() -> None:
    a, b = (76, 63, 66, 62, 67, 68), (69, 65, 67, 63, 62, 76)  # 402 of 600 right, both
    same = [statistics.fmean(right / 100 for right in of) for of in (a, b)]
    assert same[0] != same[1], "which is why they are rounded"
    rows = [{"a": 0.5 + lead / 100, "b": 0.5} for lead in range(1, 6)] + [{"a": same[0], "b": same[1]}]
    (pair,) = judge_over_datasets(means(rows))
    assert (pair.wins, pair.losses, pair.p_holm, pair.better) == (5, 0, 2 / 2**5, "")
    assert rank_over_datasets(means(rows[-1:]))["a"].mean == 1.5


def test_differences_that_are_equal_but_for_their_last_bits_share_a_rank() -> None:
    hundredths = [(199, 185), (181, 203), (200, 198), (196, 194), (196, 194), (189, 193), (186, 188), (181, 197)]
    (pair,) = judge_over_datasets(means([{"a": a / 300, "b": b / 300} for a, b in hundredths]))
    ranks = rankdata([abs(a - b) for a, b in hundredths]) * [np.sign(a - b) for a, b in hundredths]
    sums = [abs(np.dot(ranks, signs)) for signs in itertools.product((-1, 1), repeat=8)]
    assert pair.p_holm == pytest.approx(np.mean([each >= abs(ranks.sum()) for each in sums])) == 0.59375
