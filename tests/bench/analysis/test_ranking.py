"""Letters, rank intervals and the front, worked out by hand and by brute force."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, rankdata

from bench.analysis.metrics import accuracy_metric, epochs_metric
from bench.analysis.ranking import (
    better_pairs,
    find_front,
    find_groups,
    find_unbeaten,
    order_by_group,
    rank_intervals,
)
from bench.analysis.verdicts import PairVerdict, Verdict
from tests.factories import by_seed

if TYPE_CHECKING:
    from numpy.typing import NDArray

ACCURACY, EPOCHS = accuracy_metric(), epochs_metric()
MEANS = {"A": 0.99, "B": 0.98, "C": 0.97, "D": 0.96}


def _verdicts(better: set[str], names: str = "ABCD") -> list[PairVerdict]:
    """All pairs; "BA" in `better` says that B is better than A, the others are undecided."""
    verdicts = []
    for a, b in itertools.combinations(names, 2):
        verdict = Verdict.A_BETTER if a + b in better else Verdict.B_BETTER if b + a in better else Verdict.UNDECIDED
        verdicts.append(PairVerdict(a=a, b=b, verdict=verdict))
    return verdicts


def test_better_pairs_name_the_better_first() -> None:
    verdicts = [*_verdicts({"AB", "CA"}, "ABC"), PairVerdict(a="A", b="X", verdict=Verdict.EQUIVALENT)]
    assert better_pairs(verdicts) == {("A", "B"), ("C", "A")}


@pytest.mark.parametrize(
    ("better", "letters"),
    [
        (set(), "a a a a"),
        ({"AC", "AD", "BD"}, "a ab bc c"),
        ({"AB", "AC", "AD"}, "a b b b"),
        ({"AD"}, "a ab ab b"),
        ({"AB", "AC", "AD", "BC", "BD", "CD"}, "a b c d"),
        ({"AC", "AD", "BC", "BD"}, "a a b b"),
        ({"BC"}, "ab a b ab"),
        ({"CA"}, "a ab b ab"),
    ],
)
def test_letters_of_four(better: set[str], letters: str) -> None:
    assert find_groups(MEANS, _verdicts(better), ACCURACY) == dict(zip("ABCD", letters.split(), strict=True))


@pytest.mark.parametrize(
    ("better", "unbeaten"),
    [(set(), "ABCD"), ({"AB", "AC", "AD"}, "A"), ({"BC", "CD"}, "AB"), ({"DA", "AB"}, "CD")],
)
def test_unbeaten_is_who_no_other_is_better_than(better: set[str], unbeaten: str) -> None:
    assert find_unbeaten("ABCD", _verdicts(better)) == tuple(unbeaten)


@pytest.mark.parametrize(
    ("letters", "blocks"),
    [
        ("a a a a", ["ABCD"]),
        ("a b c d", ["A", "B", "C", "D"]),
        ("a ab bc c", ["ABCD"]),  # each shares one with the next
        ("b bc a c", ["C", "ABD"]),
        ("c a b a", ["BD", "C", "A"]),
        ("(27) z (28) a", ["D", "B", "A", "C"]),
    ],
)
def test_blocks_share_no_letter(letters: str, blocks: list[str]) -> None:
    groups = dict(zip("ABCD", letters.split(), strict=True))
    assert order_by_group(groups, MEANS, ACCURACY) == [list(block) for block in blocks]


def test_the_fastest_is_called_a() -> None:
    times = {"A": 1.5, "B": 0.5}
    assert find_groups(times, _verdicts({"BA"}, "AB"), EPOCHS) == {"B": "a", "A": "b"}
    assert find_groups({"A": 1.5}, [], EPOCHS) == {"A": "a"}


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.sets(st.sampled_from([a + b for a, b in itertools.combinations("ABCDE", 2)])))
def test_letters_are_the_largest_sets_that_hold_no_better_pair(better: set[str]) -> None:
    free = [
        set(group)
        for size in range(1, 6)
        for group in itertools.combinations("ABCDE", size)
        if not any(a + b in better for a, b in itertools.combinations(group, 2))
    ]
    largest = [group for group in free if not any(group < other for other in free)]
    letters = find_groups({**MEANS, "E": 0.95}, _verdicts(better, "ABCDE"), ACCURACY)
    used = sorted(set("".join(letters.values())))
    assert used == list("abcdefgh"[: len(largest)])
    found = [{name for name in "ABCDE" if letter in letters[name]} for letter in used]
    assert sorted(map(sorted, found)) == sorted(map(sorted, largest))
    assert found[0] >= {"A"}, "the best net's first group is called a"


def test_separated_nets_have_one_rank_each() -> None:
    values = by_seed({"top": [0.991, 0.990, 0.992], "mid": [0.981, 0.980, 0.982], "low": [0.971, 0.970, 0.972]})
    assert rank_intervals(values, ACCURACY) == {"top": (1, 1), "mid": (2, 2), "low": (3, 3)}
    assert rank_intervals(values, EPOCHS) == {"top": (3, 3), "mid": (2, 2), "low": (1, 1)}


def test_equal_nets_share_the_better_rank() -> None:
    values = by_seed({"a": [0.9, 0.8, 0.7], "b": [0.9, 0.8, 0.7], "c": [0.1, 0.2, 0.1]})
    assert rank_intervals(values, ACCURACY) == {"a": (1, 1), "b": (1, 1), "c": (3, 3)}


def test_rank_intervals_are_those_of_scipys_bootstrap() -> None:
    random = np.random.default_rng(5)
    table = random.normal(size=(5, 8)) + np.linspace(0, 1, 5)[:, None]

    def ranks(*drawn: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        means = np.stack([np.mean(one, axis=axis) for one in drawn])
        return np.asarray(rankdata(-means, method="min", axis=0), dtype=np.float64)

    found: Any = bootstrap(
        list(table), ranks, paired=True, method="percentile", n_resamples=9_999, vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    expected = {name: (int(found.low[at]), int(np.ceil(found.high[at]))) for at, name in enumerate("abcde")}
    assert (
        rank_intervals(by_seed({name: list(row) for name, row in zip("abcde", table, strict=True)}), ACCURACY)
        == expected
    )


def test_rank_intervals_hold_the_ranks_that_redrawn_seeds_give() -> None:
    # one seed of three against: drawn twice or thrice in 7 of 27 draws, 26 % > 2.5 %
    assert rank_intervals(by_seed({"a": [1.0, 1.0, -1.0], "b": [0.0] * 3}), ACCURACY) == {"a": (1, 2), "b": (1, 2)}
    # one seed of six against: 3 (6 − k) < k takes k ≥ 5 of six draws, 31 of 46,656, 0.07 % < 2.5 %
    six = by_seed({"a": [3.0, 3.0, 3.0, 3.0, 3.0, -1.0], "b": [0.0] * 6})
    assert rank_intervals(six, ACCURACY) == {"a": (1, 1), "b": (2, 2)}


def test_ranks_need_three_shared_seeds_and_two_nets() -> None:
    gap = {"a": {0: 1.0, 1: 1.0, 2: 1.0, 3: float("nan")}, "b": {1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0}}
    assert rank_intervals(gap, ACCURACY) == {}
    gap["b"][0] = 0.0
    assert rank_intervals(gap, ACCURACY) == {"a": (1, 1), "b": (2, 2)}
    assert rank_intervals({"a": {0: 1.0, 1: 1.0, 2: 1.0}}, ACCURACY) == {}
    assert rank_intervals({}, ACCURACY) == {}


ON_FRONT: tuple[str, ...] = ()


def test_a_better_one_at_no_higher_cost_dominates() -> None:
    costs = {
        "A": {"params": 10.0, "macs": 10.0},
        "B": {"params": 5.0, "macs": 20.0},
        "C": {"params": 20.0, "macs": 20.0},
        "D": {"params": 10.0, "macs": 10.0},
    }
    dominated_by = find_front(costs, _verdicts({"AB", "AC", "BC", "AD"}), noise={})
    # A takes more parameters than B; C is above both in everything; D costs exactly what A does
    assert dominated_by == {"A": ON_FRONT, "B": ON_FRONT, "C": ("A", "B"), "D": ("A",)}
    assert set(find_front(costs, _verdicts(set()), noise={}).values()) == {ON_FRONT}, "cheaper alone is not enough"


def test_costs_within_the_noise_are_not_told_apart() -> None:
    costs = {"A": {"macs": 10.0, "latency": 1.04}, "B": {"macs": 10.0, "latency": 1.0}}
    better = _verdicts({"AB"}, "AB")
    assert find_front(costs, better, noise={})["B"] == ON_FRONT
    assert find_front(costs, better, noise={"latency": 1.05})["B"] == ("A",)
    assert find_front(costs, better, noise={"latency": 1.03, "macs": 1.5})["B"] == ON_FRONT


def test_who_lacks_a_cost_does_not_dominate_by_it() -> None:
    better = _verdicts({"AB"}, "AB")
    assert find_front({"A": {"macs": 1.0}, "B": {"macs": 2.0, "latency": 9.0}}, better, noise={})["B"] == ON_FRONT
    more = {"A": {"macs": 1.0, "latency": 9.0}, "B": {"macs": 2.0}}
    assert find_front(more, better, noise={})["B"] == ("A",)
