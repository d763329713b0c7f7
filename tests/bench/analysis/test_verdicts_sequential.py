"""Verdicts of a study that is judged look by look."""

from __future__ import annotations

import math

import pytest

from bench.analysis.metrics import accuracy_metric, epochs_metric
from bench.analysis.verdicts import PairVerdict, Verdict, judge_pairs
from bench.core.seeds import SeedPlan
from tests.factories import by_seed

LOOKS = SeedPlan.until_decided(6, 30).looks  # after 6, 10, 14, … seeds
METRIC = accuracy_metric(0.01)
UNSURE = [1.0, -1.0, 2.0, -2.0, 3.0, -2.5]


def _judge(values: dict[str, list[float]]) -> dict[str, PairVerdict]:
    return {pair.a + pair.b: pair for pair in judge_pairs(by_seed(values), METRIC, looks=LOOKS)}


def test_what_a_look_decided_stands_though_later_seeds_say_otherwise() -> None:
    values = {"a": [10.0, 11.0] * 3 + [-10.0, -11.0] * 12, "b": [0.0] * 30}
    found = _judge(values)["ab"]
    assert (found.verdict, found.seeds) == (Verdict.A_BETTER, (0, 1, 2, 3, 4, 5))
    assert found.confidence == pytest.approx(1 - 0.0147697, abs=1e-7)
    (at_once,) = judge_pairs(by_seed(values), METRIC)
    assert (at_once.verdict, at_once.n) == (Verdict.B_BETTER, 30)


def test_a_look_judges_at_its_own_level() -> None:
    # ahead on every seed and in 32 of 36 pairs of runs (0.15 is above two of b's): p = 0.022, below 0.05, above 0.0148
    close = {"a": [0.15, 1.05, 3.0, 4.0, 5.0, 6.0], "b": [-2.0, 1.0, 0.2, 0.1, 0.3, 0.6]}
    (at_once,) = judge_pairs(by_seed(close), METRIC)
    assert at_once.p == pytest.approx(0.0217, abs=0.002)
    assert at_once.verdict == Verdict.A_BETTER
    assert _judge(close)["ab"].verdict == Verdict.UNDECIDED
    assert _judge({"a": [1.0, 2, 3, 4, 5, 6], "b": [0.0] * 6})["ab"].verdict == Verdict.A_BETTER, "p = 0.0059"


def test_an_incomplete_look_is_not_taken() -> None:
    six = {"a": UNSURE, "b": [0.0] * 6}
    nine = {"a": [*UNSURE, 90.0, 90.0, 90.0], "b": [0.0] * 9}
    assert _judge(nine) == _judge(six)
    assert _judge({"a": [*nine["a"], 90.0], "b": [0.0] * 10})["ab"].n == 10
    assert _judge({"a": [*nine["a"], 90.0], "b": [0.0] * 9})["ab"].n == 6, "one of the two has not finished"
    five = _judge({"a": [10.0] * 5, "b": [0.0] * 5})["ab"]
    assert (five.verdict, five.n, five.more_seeds, five.p) == (Verdict.TOO_FEW_SEEDS, 5, 1, None)


def test_a_run_that_ended_without_a_value_completes_its_look() -> None:
    found = _judge({"a": [*UNSURE, 1.0, 1.0, 1.0, math.nan], "b": [0.0] * 10})["ab"]
    assert (found.n, found.left_out) == (9, (9,))


def test_too_few_values_at_one_look_are_enough_at_the_next() -> None:
    values = {"a": [math.nan, 10.0, 11, 10, 11, 10, 11, 10, 11, 10], "b": [0.0] * 10}
    assert _judge({name: of[:6] for name, of in values.items()})["ab"].verdict == Verdict.TOO_FEW_SEEDS
    found = _judge(values)["ab"]
    assert (found.verdict, found.n) == (Verdict.A_BETTER, 9)


def test_pairs_that_are_better_keep_their_place_in_holm() -> None:
    low = [*UNSURE, 0.5, -0.5, 1.5, 2.0]
    values = {"low": low, "nil": [0.0] * 10, "top": [100.0, 101.0] * 3}  # top stopped at the first look
    found = _judge(values)
    assert [found[pair].verdict for pair in ("lowtop", "niltop")] == [Verdict.B_BETTER] * 2
    last = found["lownil"]
    # Two hypotheses of three are rejected for good, so the last one stands alone: Holm's factor is 1.
    assert (last.n, last.p_holm) == (10, last.p)
    assert last.confidence == pytest.approx(1 - LOOKS[1].level / 3)
    assert last.p_equivalent == 1


def test_pairs_that_are_equivalent_keep_their_place_in_holm() -> None:
    values = {"one": [0.0] * 10, "same": [0.0] * 10, "wide": [*UNSURE, 4.0, 5.0, 6.0, 7.0]}
    found = _judge(values)
    assert (found["onesame"].verdict, found["onesame"].n) == (Verdict.EQUIVALENT, 6)
    wide = found["onewide"]
    assert wide.p is not None
    assert wide.n == 10
    assert wide.p_holm == pytest.approx(3 * wide.p), "as if the equivalent pair had p = 1"
    assert wide.p_holm == found["samewide"].p_holm


def test_a_pair_that_waits_keeps_its_place_in_holm() -> None:
    values = {"a": [*UNSURE, 4.0, 5.0, 6.0, 7.0], "b": [0.0] * 10, "late": [1.0, 3, -2, -4, 2, 1]}
    found = _judge(values)
    assert {name: pair.n for name, pair in found.items()} == {"ab": 10, "alate": 6, "blate": 6}
    pair = found["ab"]
    assert pair.p is not None
    assert pair.p_holm == pytest.approx(3 * pair.p)
    assert pair.confidence == pytest.approx(1 - LOOKS[1].level / 3)


def test_many_pairs_wait_for_the_look_that_has_enough_seeds() -> None:
    # 45 pairs: 45 × 2 / 924 = 0.097 > 0.0148 at six seeds; 45 × 2 / C(20, 10) = 0.0005 < 0.0079 at ten
    values = {f"net {at}": [10.0 * at + seed / 10 for seed in range(10)] for at in range(10)}
    first = {name: of[:6] for name, of in values.items()}
    early = judge_pairs(by_seed(first), epochs_metric(0.05), looks=LOOKS)
    assert {(pair.verdict, pair.more_seeds) for pair in early} == {(Verdict.TOO_FEW_SEEDS, 2)}
    later = judge_pairs(by_seed(values), epochs_metric(0.05), looks=LOOKS)
    assert {(pair.verdict, pair.n) for pair in later} == {(Verdict.A_BETTER, 10)}
