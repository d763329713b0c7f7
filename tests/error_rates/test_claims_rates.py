"""How often a true claim is called "not reproduced", and how often a wrong one is: simulated, thousands at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from architectures.claims import batchnorm, fc3136, four_conv
from bench.analysis.stats.prediction import holm_least, mean_interval, p_of_one_more
from bench.core.seeds import SeedPlan
from bench.core.work.claims.claim import PAIRED, TRENDS, UNTRAINED
from bench.studies.claims.rules import INSIDE, OUTSIDE, judge_conditions, rule_of_pair
from reports.sections.claims.section import FALSE_RATES, PAIRED_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]

SETS = 40_000
LOOKS = SeedPlan.until_decided(10, 20).two_looks


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    return generator.normal(size=shape)


def skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A long tail to the left, skewness −2: as accuracies of nets that are near their ceiling."""
    return -generator.exponential(size=shape)


def collapsing(generator: np.random.Generator, shape: tuple[int, ...], *, share: float) -> NDArray[np.float64]:
    """A share of the seeds ends twenty deviations below the others."""
    return generator.normal(size=shape) - 20.0 * (generator.random(shape) < share)


WORLDS: dict[str, Draw] = {
    "normal": normal,
    "skewed": skewed,
    "one in twenty collapses": partial(collapsing, share=0.05),
    "one in ten collapses": partial(collapsing, share=0.1),
}


def not_reproduced(draw: Draw, *, members: int = 1, off: float = 0.0, sets: int = SETS) -> float:
    """How often numbers of one more run, moved by `off` deviations, are refused, at ten seeds or, if open, at twenty.

    The members of a series share what the run is, tail and all, and vary by half a deviation about it, as its epochs.
    """
    generator = np.random.default_rng(members)

    def sample(seeds: int) -> NDArray[np.float64]:
        common = draw(generator, (sets, 1, seeds))
        return common if members == 1 else common + 0.5 * generator.normal(size=(sets, members, seeds))

    runs, claimed = sample(20), sample(1)[..., 0] + off

    def refused(seeds: int) -> NDArray[np.bool_]:
        values = runs[..., :seeds]
        return np.asarray(holm_least(p_of_one_more(values, claimed, claimed, by_side=True)) < OUTSIDE)

    outside = holm_least(p_of_one_more(runs[..., :10], claimed, claimed)) < INSIDE
    return float((refused(10) | (outside & ~refused(10) & refused(20))).mean())


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("members", [1, 5])
def test_a_true_number_of_one_run_is_seldom_refused(world: str, members: int) -> None:
    rate = not_reproduced(WORLDS[world], members=members)
    assert rate <= 0.05
    if world == "normal":
        assert rate <= FALSE_RATES["value"], "as the report says"


def test_the_power_against_a_number_that_is_three_deviations_off() -> None:
    # 0.41 by the interval alone, at ten seeds (noncentral t); the side's spread takes a little, twenty seeds add more.
    assert not_reproduced(normal, off=3.0) == pytest.approx(0.54, abs=0.02)
    values = normal(np.random.default_rng(1), (SETS, 10))
    alone = float((p_of_one_more(values, 3.0, 3.0, by_side=True) < OUTSIDE).mean())
    assert alone == pytest.approx(0.33, abs=0.06), "that the true mean stands three deviations away"
    assert not_reproduced(normal, off=6.0) > 0.95


@pytest.mark.parametrize("world", ["normal", "skewed"])
def test_a_true_range_and_a_true_lower_bound_are_seldom_refused(world: str) -> None:
    values = WORLDS[world](np.random.default_rng(3), (SETS, 10))
    truth = 0.0 if world == "normal" else -1.0
    low, high = mean_interval(values, 1 - OUTSIDE)
    assert float(((low > truth) | (high < truth)).mean()) <= 0.05, "the mean stands just at an end of the range"
    if world == "normal":
        assert float(((low > truth) | (high < truth)).mean()) == pytest.approx(0.01, abs=0.002)


def directions(draw: Draw, *, lead: float, sets: int, conditions: int = 1) -> list[str]:
    """Verdicts on a true lead, in deviations of one net, in so many conditions, at ten seeds."""
    generator = np.random.default_rng(7)
    found = []
    for _ in range(sets):
        pairs = []
        for _ in range(conditions):
            a, b = draw(generator, (10,)) + lead, draw(generator, (10,))
            pairs.append((dict(enumerate(a.tolist())), dict(enumerate(b.tolist())), 1.0))
        verdicts = {rule_of_pair(pair, "better") for pair in judge_conditions(pairs, LOOKS[:1])}
        found.append(verdicts.pop() if len(verdicts) == 1 else "open")
    return found


@pytest.mark.parametrize("world", ["normal", "skewed"])
def test_a_true_direction_of_the_margins_size_is_seldom_refused(world: str) -> None:
    found = directions(WORLDS[world], lead=1.0, sets=400)  # the margin is one deviation here
    assert stats.binomtest(found.count("not reproduced"), 400, PAIRED_RATE, alternative="greater").pvalue > 0.01


def expected_false(world: str) -> float:
    """False "not reproduced" in the table of the five sources, were every claim true: rates by rule, added up."""
    every = [claim for module in (fc3136, four_conv, batchnorm) for claim in module.CLAIMS]
    claims = [claim for claim in every if claim.rule not in UNTRAINED]
    sizes = {len(claim.at) for claim in claims if claim.rule == "series"} | {1}
    rates = {size: not_reproduced(WORLDS[world], members=size, sets=10_000) for size in sizes}
    expected = 0.0
    for claim in claims:
        if claim.rule in ("value", "series"):  # every completion must refuse it: this is the rate of one
            expected += rates[len(claim.at) or 1]
        elif claim.rule in (*PAIRED, *TRENDS):  # of all conditions together: at most that of one
            expected += PAIRED_RATE
        else:
            expected += FALSE_RATES[claim.rule]
    return expected


@pytest.mark.parametrize("world", WORLDS)
def test_the_whole_table_has_at_most_one_expected_false_verdict(world: str) -> None:
    expected = expected_false(world)
    assert expected <= (1.0 if world in ("normal", "skewed") else 1.2)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_directions_at_length(world: str) -> None:
    found = directions(WORLDS[world], lead=1.0, sets=5_000)
    assert found.count("not reproduced") / 5_000 <= PAIRED_RATE
    two = directions(WORLDS[world], lead=1.0, sets=2_000, conditions=2)
    assert two.count("not reproduced") / 2_000 <= PAIRED_RATE
