"""What must hold of verdicts whatever the values; these are multiples of 1/1,024, so that sums are exact."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.metrics import Metric, accuracy_metric, epochs_metric
from bench.analysis.verdicts import BETTER, PairVerdict, Verdict, judge_pairs
from tests.factories import by_seed

if TYPE_CHECKING:
    from collections.abc import Mapping

    Values = dict[str, dict[int, float]]

REPEATABLE = settings(deadline=None, max_examples=40, derandomize=True)
FRACTIONS = st.integers(0, 1_024).map(lambda count: count / 1_024)
METRICS = st.sampled_from([accuracy_metric(0.1), accuracy_metric(0.002), epochs_metric(0.05)])
OTHER = {Verdict.A_BETTER: Verdict.B_BETTER, Verdict.B_BETTER: Verdict.A_BETTER}


@st.composite
def tables(draw: st.DrawFn, *, nets: int = 3, fewest: int = 6, most: int = 9) -> Values:
    """Nets on the same seeds; some lie apart, so that every verdict comes up."""
    seeds = draw(st.integers(fewest, most))
    rows = {}
    for name in "abc"[:nets]:
        shift, spread = draw(st.sampled_from([0.0, 0.25, 4.0])), draw(st.sampled_from([1 / 1_024, 1 / 16, 1.0]))
        counts = draw(st.lists(st.integers(0, 1_024), min_size=seeds, max_size=seeds))
        rows[name] = [shift + math.floor(count * spread) / 1_024 for count in counts]
    return by_seed(rows)


def _judge(values: Mapping[str, Mapping[int, float]], metric: Metric) -> dict[tuple[str, str], PairVerdict]:
    return {(pair.a, pair.b): pair for pair in judge_pairs(values, metric)}


def _same_but_mirrored(one: PairVerdict, other: PairVerdict) -> None:
    assert one.differences is not None
    assert other.differences is not None
    assert other.differences.values == tuple(-value for value in one.differences.values)
    assert one.low is not None
    assert one.high is not None
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-12)
    assert other.verdict == OTHER.get(one.verdict, one.verdict)
    assert (other.p, other.p_holm, other.p_equivalent) == pytest.approx((one.p, one.p_holm, one.p_equivalent))
    assert (other.matters, other.more_seeds, other.typical_only) == (one.matters, one.more_seeds, one.typical_only)
    assert one.differences.superiority[0] + other.differences.superiority[0] == pytest.approx(1)


@REPEATABLE
@given(tables(), METRICS, st.permutations("abc"))
def test_renaming_mirrors_what_is_said(values: Values, metric: Metric, names: list[str]) -> None:
    renamed = dict(zip("abc", names, strict=True))
    before, after = _judge(values, metric), _judge({renamed[name]: of for name, of in values.items()}, metric)
    for (a, b), pair in before.items():
        if renamed[a] < renamed[b]:
            other = after[renamed[a], renamed[b]]
            assert dataclasses.replace(other, a=a, b=b, p_holm=None, p_equivalent=None) == dataclasses.replace(
                pair, p_holm=None, p_equivalent=None
            )
            assert (other.p_holm, other.p_equivalent) == pytest.approx((pair.p_holm, pair.p_equivalent))
        else:
            _same_but_mirrored(pair, after[renamed[b], renamed[a]])


@REPEATABLE
@given(tables(), METRICS, st.integers(-2_048, 2_048))
def test_a_constant_added_to_all_changes_nothing(values: Values, metric: Metric, steps: int) -> None:
    moved = {name: {seed: value + steps / 1_024 for seed, value in of.items()} for name, of in values.items()}
    before, after = _judge(values, metric), _judge(moved, metric)
    for names, pair in before.items():
        assert pair.differences is not None
        found = after[names].differences
        assert found is not None
        assert found.values == pair.differences.values
        assert dataclasses.replace(after[names], differences=None) == dataclasses.replace(pair, differences=None)


@REPEATABLE
@given(tables(), METRICS, st.randoms(use_true_random=False))
def test_the_order_of_seeds_and_names_changes_nothing(values: Values, metric: Metric, random: object) -> None:
    def shuffled(of: Mapping[str, object] | Mapping[int, object]) -> dict[object, object]:
        items = list(of.items())
        random.shuffle(items)  # type: ignore[attr-defined]
        return dict(items)

    mixed = shuffled({name: shuffled(by) for name, by in values.items()})
    assert judge_pairs(mixed, metric) == judge_pairs(values, metric)  # type: ignore[arg-type]


@REPEATABLE
@given(
    tables(nets=2, most=12),
    METRICS,
    st.dictionaries(st.tuples(st.sampled_from("ab"), st.integers(0, 11)), st.sampled_from([math.nan, None])),
)
def test_what_is_not_there_is_never_a_number_nor_a_pair(
    values: Values, metric: Metric, gaps: dict[tuple[str, int], float | None]
) -> None:
    holed = {name: dict(of) for name, of in values.items()}
    for (name, seed), gap in gaps.items():
        if seed in holed[name]:
            holed[name] |= {seed: math.nan}
            if gap is None:
                del holed[name][seed]
    whole = sorted(seed for seed in values["a"] if not {("a", seed), ("b", seed)} & gaps.keys())
    ended = sorted(holed["a"].keys() & holed["b"].keys() - set(whole))
    (pair,) = judge_pairs(holed, metric)
    (expected,) = judge_pairs({name: {seed: of[seed] for seed in whole} for name, of in values.items()}, metric)
    assert pair == dataclasses.replace(expected, left_out=tuple(ended))
    numbers = (pair.low, pair.high, pair.p, pair.p_holm, pair.p_equivalent)
    assert not any(number is not None and math.isnan(number) for number in numbers)
    assert (pair.n, pair.seeds) == (len(whole), tuple(whole))


@REPEATABLE
@given(tables(fewest=1, most=5), METRICS)
def test_below_six_seeds_there_is_never_a_verdict(values: Values, metric: Metric) -> None:
    for pair in judge_pairs(values, metric):
        assert (pair.verdict, pair.p, pair.matters) == (Verdict.TOO_FEW_SEEDS, None, None)
        assert pair.n < 6 <= pair.n + (pair.more_seeds or 0)
        assert (pair.low is None) == (pair.n < 3)


@REPEATABLE
@given(st.lists(FRACTIONS, min_size=3, max_size=3), st.lists(FRACTIONS, min_size=3, max_size=3), METRICS)
def test_three_seeds_never_give_a_verdict(a: list[float], b: list[float], metric: Metric) -> None:
    (pair,) = judge_pairs(by_seed({"a": a, "b": b}), metric)
    assert (pair.verdict, pair.n) == (Verdict.TOO_FEW_SEEDS, 3)


@REPEATABLE
@given(tables(), METRICS)
def test_a_better_one_has_every_test_on_its_side(values: Values, metric: Metric) -> None:
    for pair in judge_pairs(values, metric):
        if pair.verdict in BETTER:
            assert pair.differences is not None
            assert pair.p_holm is not None
            assert max(pair.p_holm, pair.differences.p_flips) < 0.05
            a_leads = (pair.verdict == Verdict.A_BETTER) == metric.higher_is_better
            assert (pair.differences.mean > 0) == (pair.differences.rank_lead > 0) == a_leads
            assert pair.low is not None
            assert pair.high is not None
            assert pair.typical_only == (pair.low <= 0 <= pair.high)
        assert (pair.more_seeds is None) or pair.more_seeds >= 1
        assert pair.p is None or (pair.p_holm is not None and pair.p <= pair.p_holm <= 1)
