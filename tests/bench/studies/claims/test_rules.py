"""Each rule of claims by examples worked out by hand, and by faults that are planted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.core.seeds import ALPHA, Look
from bench.core.work.claims.quantity import Printed, read_printed
from bench.studies.claims import rules

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Labels = NDArray[np.uint8]

SPREAD: Floats = np.arange(10, dtype=np.float64) - 4.5
"""Ten values with mean 0 and deviation √(82.5 / 9) = 3.027650."""
NEAR: Floats = np.asarray(0.99 + SPREAD * 1e-4, np.float64)
"""Deviation 0.0303 pp; t(9) 2.262157 · √1.1 makes the 95 % interval 0.0718 pp wide, 3.249836 the 99 % one 0.1032."""
LOOK = (Look(seeds=tuple(range(10)), level=ALPHA),)


def percent(*texts: str) -> list[Printed]:
    return [read_printed(text, "accuracy") for text in texts]


@pytest.mark.parametrize(
    ("claimed", "verdict", "side"),
    [
        ("99.05 %", "reproduced", 1),
        ("99.07 %", "reproduced", 1),  # 0.07 < 0.0718 + 0.005
        ("99.08 %", "undecided", 1),  # 0.08 > 0.0768, and < 0.1032 + 0.005
        ("99.10 %", "undecided", 1),
        ("99.11 %", "not reproduced", 1),  # 0.11 > 0.1082
        ("98.88 %", "not reproduced", -1),
        ("99.1 %", "reproduced", 1),  # half a digit is 0.05
        ("99 %", "consistent", 0),  # half a digit is 0.5 pp, more than the 0.3 that say something
        ("about 98 %", "consistent", 0),  # twice that: 1.0 + 0.0718
    ],
)
def test_a_number_of_one_run(claimed: str, verdict: str, side: int) -> None:
    ruling = rules.judge_series([NEAR], percent(claimed), "accuracy")
    assert (ruling.verdict, ruling.side) == (verdict, side)


def test_width_is_that_of_one_more_run_and_half_a_digit() -> None:
    ruling = rules.judge_series([NEAR], percent("99.00 %"), "accuracy")
    assert ruling.width == pytest.approx(2.262157 * 3.027650e-4 * math.sqrt(1.1) + 5e-5, rel=1e-6)
    wide = rules.judge_series([np.asarray(0.99 + SPREAD * 1e-3, np.float64)], percent("99.00 %"), "accuracy")
    assert wide.verdict == "consistent"
    assert wide.width == pytest.approx(0.00723, abs=1e-5)


def test_what_does_not_vary() -> None:
    same = np.full(10, 0.99)
    assert rules.judge_series([same], percent("99.00 %"), "accuracy").verdict == "reproduced"
    assert rules.judge_series([same], percent("99.01 %"), "accuracy").verdict == "not reproduced"


def test_a_series_is_judged_by_its_worst_member_with_holm() -> None:
    inside, far = percent("99.00 %", "99.00 %", "99.10 %"), percent("99.00 %", "99.00 %", "99.30 %")
    three = [NEAR, NEAR, NEAR]
    # By itself 99.10 lies outside 95 % (p about 0.014); of three, 0.042 after Holm: still outside, far from 0.01.
    assert rules.judge_series(three, inside, "accuracy").verdict == "undecided"
    assert rules.judge_series(three, percent("99.00 %", "99.00 %", "99.08 %"), "accuracy").verdict == "reproduced"
    assert rules.judge_series(three, far, "accuracy").verdict == "not reproduced"


def test_losses_are_judged_in_their_logarithms() -> None:
    sample: Floats = np.exp(math.log(0.1) + 0.02 * SPREAD)  # s = 0.0606 in logarithms, 95 % interval ± 0.1437
    reads = {text: [read_printed(text, "loss")] for text in ("0.1100", "0.1170", "0.0800")}
    assert rules.judge_series([sample], reads["0.1100"], "loss").verdict == "consistent"  # ln 1.1 = 0.0953; ± 15 %
    assert rules.judge_series([sample], reads["0.1170"], "loss").verdict == "undecided"  # 0.157 of 0.2064
    assert rules.judge_series([sample], reads["0.0800"], "loss").verdict == "not reproduced"  # 0.223


@pytest.mark.parametrize(
    ("low", "high", "verdict", "side"),
    [
        ("98 %", "99.5 %", "reproduced", 0),
        ("99 %", "99.5 %", "undecided", 0),  # the interval of the mean reaches 98.978
        ("95 %", "98 %", "not reproduced", -1),  # 98.969 > 98.5
        ("95 %", "98.5 %", "not reproduced", -1),
        ("95 %", "99 %", "undecided", 0),  # 98.97 < 99.5
        ("99.1 %", "99.5 %", "not reproduced", 1),  # 99.031 < 99.05
    ],
)
def test_a_range(low: str, high: str, verdict: str, side: int) -> None:
    ruling = rules.judge_range(NEAR, *percent(low, high))
    assert (ruling.verdict, ruling.side) == (verdict, side)


def test_at_least() -> None:
    # One-sided: 1.833113 · s / √10 = 0.01755 pp below, 2.821438 · s / √10 = 0.02701 pp above the mean.
    found = {text: rules.judge_at_least(NEAR, percent(text)[0]).verdict for text in ("98.98 %", "98.99 %", "99.1 %")}
    assert found == {"98.98 %": "reproduced", "98.99 %": "undecided", "99.1 %": "not reproduced"}


def test_usually_by_wilsons_interval() -> None:
    two = read_printed("2", "whole epochs")

    def of(reached: int) -> str:
        return rules.judge_usually(np.array([2.0] * reached + [3.0] * (10 - reached)), two).verdict

    # Wilson's ends (95 %): 9 of 10 0.596 to 0.982, 7 of 10 0.397 to 0.892, 1 of 10 0.018 to 0.404.
    assert [of(reached) for reached in (10, 9, 7, 2, 1)] == [
        "reproduced", "reproduced", "undecided", "undecided", "not reproduced",
    ]  # fmt: skip


def test_counts_are_equal_at_the_printed_precision() -> None:
    def of(measured: float, text: str) -> str:
        return rules.judge_count([measured], [read_printed(text, "count")]).verdict

    assert of(21_840, "21,840") == "reproduced"
    assert of(21_841, "21,840") == "not reproduced"
    assert of(31_206_400, "31.21 M") == "reproduced"
    assert of(31_199_999, "31.21 M") == "not reproduced"
    assert of(25_433, "about 25K") == "reproduced"
    assert of(105_962, "about 25K") == "not reproduced"
    parts = [read_printed(text, "count") for text in ("260", "510")]
    assert rules.judge_count([260], parts).verdict == "not reproduced", "a layer too few"


def pair(a: Floats, b: Floats, margin: float = 0.001) -> rules.Pair:
    return dict(enumerate(a.tolist())), dict(enumerate(b.tolist())), margin


NOISE = np.array([3, -2, 1, -4, 2, 0, -1, 4, -3, 0]) * 1e-4


def test_conditions_by_the_suites_own_rule() -> None:
    above, level, below = pair(NEAR + 0.004, NEAR + NOISE), pair(NEAR, NEAR + NOISE / 4), pair(NEAR, NEAR + 0.004)
    found = rules.judge_conditions([above, level, below], LOOK)
    assert [rules.rule_of_pair(each, "better") for each in found] == ["reproduced", "not reproduced", "not reproduced"]
    assert [rules.rule_of_pair(each, "no difference") for each in found] == [
        "not reproduced", "reproduced", "not reproduced",
    ]  # fmt: skip
    assert [rules.rule_of_pair(each, "no gain") for each in found] == ["not reproduced", "reproduced", "reproduced"]
    wide = rules.judge_conditions([pair(0.99 + SPREAD * 1e-2, 0.99 - SPREAD * 1e-2)], LOOK)
    assert rules.rule_of_pair(wide[0], "better") == "undecided"


def test_a_gain_that_is_too_small_to_matter_is_none() -> None:
    (small,) = rules.judge_conditions([pair(NEAR + 0.0006, NEAR + NOISE / 10)], LOOK)
    assert (small.verdict.value, small.matters) == ("a better", False)
    assert rules.rule_of_pair(small, "no gain") == "reproduced"
    assert rules.rule_of_pair(small, "better") == "reproduced"


@pytest.mark.parametrize(
    ("rule", "verdicts", "verdict"),
    [
        ("value", ["reproduced", "not reproduced"], "reproduced"),  # the primary completion decides
        ("value", ["consistent", "reproduced"], "consistent"),
        ("value", ["not reproduced", "reproduced"], "undecided"),
        ("value", ["not reproduced", "undecided"], "undecided"),
        ("value", ["not reproduced", "not reproduced"], "not reproduced"),
        ("count", ["not reproduced", "reproduced"], "depends"),
        ("better", ["reproduced", "reproduced"], "reproduced"),
        ("better", ["reproduced", "undecided"], "undecided"),
        ("better", ["reproduced", "not reproduced"], "depends"),
        ("better", ["reproduced", "not reproduced", "undecided"], "depends"),
        ("no gain", ["not reproduced", "not reproduced"], "not reproduced"),
    ],
)
def test_cases_make_one_verdict(rule: str, verdicts: list[str], verdict: str) -> None:
    assert rules.combine(verdicts, rule) == verdict


def answers(mistakes: dict[tuple[int, int], int], *, seeds: int = 10, shift: int = 0) -> tuple[Labels, Labels]:
    """Answers to 100 images of each of five classes: so many of a class are called another, the same by all seeds."""
    labels = np.repeat(np.arange(5, dtype=np.uint8), 100)
    said = np.tile(labels, (seeds, 1))
    for (true, other), count in mistakes.items():
        said[:, 100 * true + 10 * other + shift : 100 * true + 10 * other + shift + count] = other
    return said, labels


def test_a_pair_that_is_always_the_most_confused() -> None:
    said, labels = answers({(4, 3): 9, (1, 2): 2, (0, 1): 2})
    found = rules.judge_confusion(said, labels, (4, 3), classes=5, most=1)
    assert (found.verdict, found.top) == ("reproduced", ((4, 3),))
    assert found.of_means > 0.95
    never = rules.judge_confusion(said, labels, (2, 4), classes=5, most=1)
    assert (never.verdict, never.of_means, never.of_runs) == ("not reproduced", 0.0, 0.0)


def test_a_tie_is_undecided_and_images_are_shared_by_seeds() -> None:
    said, labels = answers({(4, 3): 4, (1, 2): 4})
    found = rules.judge_confusion(said, labels, (4, 3), classes=5, most=1)
    assert found.verdict == "undecided"
    assert found.of_means == pytest.approx(0.5, abs=0.04)
    # The same images wrong in all seeds: ten seeds say no more than one of these images.
    lead, _ = answers({(4, 3): 6, (1, 2): 4})
    share = rules.judge_confusion(lead, labels, (4, 3), classes=5, most=1).of_means
    # Of Poisson(6) against Poisson(4), ties by lot: 0.736.
    assert share == pytest.approx(0.736, abs=0.03)
