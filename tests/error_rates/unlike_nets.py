"""How often verdicts err between nets of unlike spread and shape, and what they find between alike ones.

In the worlds of `worlds` neither net is better: a run of the one beats a run of the other half of the time, though one
has five times the other's spread, a tail, or collapses on some seeds. Rules of verdicts are judged on thousands of
tables at once; a test holds that `rule 2`, judged so, is what `bench.analysis.verdicts.judge` says of every table.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import warnings
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import stats

from bench.analysis.stats.flips import flip_signs
from bench.analysis.stats.paired import ROUNDING, UNLIKE
from bench.analysis.stats.ranks import p_of_statistic, rank_statistic
from bench.core.seeds import ALPHA, Look, SeedPlan
from tests.error_rates.gate_widening import read_skewed_pool
from tests.error_rates.measure import rate_of, read_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Rule: TypeAlias = Callable[["Tested", float], NDArray[np.bool_]]

Floats: TypeAlias = "NDArray[np.float64]"
Draw: TypeAlias = "Callable[[np.random.Generator, tuple[int, int]], Floats]"
Pair: TypeAlias = "tuple[Draw, Draw]"

_MANY = 400_000
CROWDS = ((2, 1), (4, 1), (4, 3))
"""How many nets a table has, and how many of them are odd."""


def worlds() -> dict[str, Pair]:
    """For each world a steady and an odd net; a run of the one beats a run of the other half of the time."""
    even = {name: (steady, _moved(odd, steady, np.median)) for name, (steady, odd) in _shapes().items()}
    return even | {"epochs: always 0.60, 0.30 or never (1/2)": (_always, _or_never(1 / 2))}


def equal_means() -> dict[str, Pair]:
    """The worlds with equal means: there one of the two is better on most seeds."""
    equal = {name: (steady, _moved(odd, steady, np.mean)) for name, (steady, odd) in _shapes().items()}
    return equal | {"epochs: always 0.60, 0.30 or never (1/9)": (_always, _or_never(1 / 9))}


def _shapes() -> dict[str, Pair]:
    tail = math.sqrt((math.e - 1) * math.e)  # deviation of exp(normal)
    return {
        "normal, normal": (_normal, _normal),
        "normal, normal of 5 times the spread": (_normal, lambda rng, shape: 5 * rng.normal(size=shape)),
        "normal, normal of 20 times the spread": (_normal, lambda rng, shape: 20 * rng.normal(size=shape)),
        "normal, exponential 1:5": (_normal, lambda rng, shape: -5 * rng.exponential(size=shape)),
        "normal, lognormal 1:5": (_normal, lambda rng, shape: -5 * rng.lognormal(size=shape) / tail),
        "mnist5k: lenet21k, bnrelu": _trained(),
    }


def _always(_: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return np.full(shape, 0.6)


def _or_never(share: float) -> Draw:
    """Epochs of a net that gets there in 0.30 epochs, or never within three."""
    return lambda rng, shape: np.where(rng.random(shape) < share, 3.0, 0.3)


def _normal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.normal(size=shape)


def _trained() -> Pair:
    """Really trained runs, drawn with replacement: the pool of `read_pool` and a net that collapses on some seeds."""
    steady, odd = read_pool()["twin-a"], read_skewed_pool("test_accuracy")
    return (lambda rng, shape: rng.choice(steady, shape)), (lambda rng, shape: rng.choice(odd, shape))


def _moved(odd: Draw, steady: Draw, middle: Callable[[Floats], np.floating]) -> Draw:
    """The odd net moved so that the middle of its differences from the steady one is zero."""
    rng = np.random.default_rng(99)
    shift = float(middle(odd(rng, (1, _MANY))[0] - steady(rng, (1, _MANY))[0]))
    return lambda rng, shape: odd(rng, shape) - shift


class Tested:
    """What tests say of every pair of many tables, (tables, pairs)."""

    def __init__(self, tables: Sequence[Floats], decided: NDArray[np.bool_]) -> None:
        """Test every pair.

        Args:
            tables: For each net its values, (tables, seeds).
            decided: Pairs that an earlier look decided, which keep their place in Holm.
        """
        pairs = list(itertools.combinations(tables, 2))
        self._differences = np.stack([a - b for a, b in pairs], axis=1)  # (tables, pairs, seeds)
        self._decided = decided
        self.lead = np.stack([rank_statistic(a, b) for a, b in pairs], axis=1)
        self.p_ranks = p_of_statistic(self.lead, self._differences.shape[2])
        spreads = np.stack([np.std([a, b], axis=2) for a, b in pairs], axis=2)  # (two, tables, pairs)
        self.unlike = (spreads.max(axis=0) <= ROUNDING) | (spreads.max(axis=0) >= UNLIKE * spreads.min(axis=0))

    @functools.cached_property
    def p_t(self) -> Floats:
        """Of paired t; 1 where differences do not vary."""
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of the world in which one net never varies
            p = stats.ttest_1samp(self._differences, 0, axis=2).pvalue
        return np.where(np.ptp(self._differences, axis=2) <= ROUNDING, 1.0, p)

    def holm(self, p: Floats) -> Floats:
        """Corrected over the pairs of each table."""
        p = np.where(self._decided, 0.0, p)
        order = np.argsort(p, axis=1, kind="stable")
        sorted_p = np.take_along_axis(p, order, axis=1) * np.arange(p.shape[1], 0, -1)
        corrected = np.empty_like(p)
        np.put_along_axis(corrected, order, np.minimum(1, np.maximum.accumulate(sorted_p, axis=1)), axis=1)
        return corrected

    def flips_agree(self, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Where sign flips are below 5 %, looked at only among those that it matters for."""
        agree = np.zeros_like(among)
        for table, pair in np.argwhere(among):
            agree[table, pair] = flip_signs(self._differences[table, pair]) < ALPHA
        return agree

    @functools.cached_property
    def p_signs(self) -> Floats:
        """Of the sign test."""
        ahead, behind = (self._differences > 0).sum(axis=2), (self._differences < 0).sum(axis=2)
        p = 2 * stats.binom.sf(np.maximum(ahead, behind) - 1, ahead + behind, 0.5)
        return np.asarray(np.minimum(p, 1.0))

    @property
    def p_flips(self) -> Floats:
        """Of sign flips."""
        return np.asarray(np.apply_along_axis(flip_signs, 2, self._differences), np.float64)

    @property
    def same_side(self) -> NDArray[np.bool_]:
        """Where mean and ranks lean to the same side."""
        return np.asarray((self._differences.mean(axis=2) > 0) == (self.lead > 0))


def rule_1(tested: Tested, level: float) -> NDArray[np.bool_]:
    """Paired t (Holm), its Bonferroni interval without zero, and sign flips; its pretest of skewness is left out."""
    pairs = tested.p_t.shape[1]
    by_t = (tested.holm(tested.p_t) < level) & (tested.p_t < level / pairs)
    return np.asarray(by_t & tested.flips_agree(by_t))


def rule_2(tested: Tested, level: float) -> NDArray[np.bool_]:
    """What `bench.analysis.verdicts` does: ranks, borne out by signs or t where spreads are unlike (Holm); flips."""
    borne_out = np.maximum(tested.p_ranks, np.minimum(tested.p_signs, tested.p_t))
    p = np.where(tested.unlike, borne_out, tested.p_ranks)
    by_ranks = (tested.holm(p) < level) & tested.same_side
    return np.asarray(by_ranks & tested.flips_agree(by_ranks))


def ranks_and_flips(tested: Tested, level: float) -> NDArray[np.bool_]:
    """Tried and dropped: with several nets far less steady than another, six seeds err in up to a tenth of tables."""
    by_ranks = (tested.holm(tested.p_ranks) < level) & tested.same_side
    return np.asarray(by_ranks & tested.flips_agree(by_ranks))


def flips_alone(tested: Tested, level: float) -> NDArray[np.bool_]:
    """Rule 1 on times to a target."""
    return np.asarray(tested.holm(tested.p_flips) < level)


def ranks_alone(tested: Tested, level: float) -> NDArray[np.bool_]:
    """Tried and dropped: too often wrong where one net hardly varies."""
    return tested.holm(tested.p_ranks) < level


def t_and_ranks(tested: Tested, level: float) -> NDArray[np.bool_]:
    """Tried and dropped: one collapse of the worse net hides that it is worse on every seed."""
    return (tested.holm(tested.p_t) < level) & (tested.holm(tested.p_ranks) < level)


def t_and_signs(tested: Tested, level: float) -> NDArray[np.bool_]:
    """Tried and dropped: the sign test costs a third of the power."""
    by_t = tested.holm(tested.p_t) < level
    return np.asarray(by_t & tested.flips_agree(by_t) & (tested.p_signs < 0.075))


RULES: dict[str, Rule] = {
    "rule 1": rule_1,
    "rule 1 on times": flips_alone,
    "rule 2": rule_2,
    "ranks and flips": ranks_and_flips,
    "ranks alone": ranks_alone,
    "t and ranks": t_and_ranks,
    "t, flips and signs": t_and_signs,
}


def called_better(tables: Sequence[Floats], rule: Rule, looks: Sequence[Look]) -> NDArray[np.bool_]:
    """Which pairs of each table are called better at any look, (tables, pairs)."""
    pairs = len(tables) * (len(tables) - 1) // 2
    decided = np.zeros((len(tables[0]), pairs), dtype=bool)
    for look in looks:
        seen = [values[:, : len(look.seeds or values[0])] for values in tables]
        decided |= rule(Tested(seen, decided), look.level)
    return decided


def draw_tables(
    pair: Pair, *, nets: int, tables: int, seeds: int, rng: np.random.Generator, odd: int = 1
) -> list[Floats]:
    """Steady nets, then the odd ones, (tables, seeds) each."""
    draws = [pair[0]] * (nets - odd) + [pair[1]] * odd
    return [np.asarray(draw(rng, (tables, seeds)), float) for draw in draws]


def plans() -> dict[str, SeedPlan]:
    """Numbers of seeds that are tried."""
    fixed = {str(n): SeedPlan.fixed(tuple(range(n))) for n in (6, 8, 10, 20)}
    return fixed | {"6:30": SeedPlan.until_decided(6, 30)}


def show_errors(title: str, pairs: Mapping[str, Pair], *, tables: int, rules: Mapping[str, Rule]) -> None:
    """Print how many tables call anything better."""
    for (world, pair), (nets, odd), (plan_name, plan) in itertools.product(pairs.items(), CROWDS, plans().items()):
        rng = np.random.default_rng(nets)
        drawn = draw_tables(pair, nets=nets, odd=odd, tables=tables, seeds=len(plan.seeds), rng=rng)
        for name, rule in rules.items():
            wrong = [bool(any(pairs)) for pairs in called_better(drawn, rule, plan.looks).tolist()]
            print(f"{title} | {world} | {nets} nets, {odd} odd | {plan_name} | {name}: {rate_of(wrong)}", flush=True)


def difference_found_by(rule: Rule, *, nets: int, plan: SeedPlan, tables: int, power: float = 0.8) -> float:
    """The lead of one of alike normal nets, in their deviations, that a rule finds so often against another one."""
    low, high = 0.0, 8.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (
            (low, middle) if power_of(rule, middle, nets=nets, plan=plan, tables=tables) > power else (middle, high)
        )
    return (low + high) / 2


def power_of(rule: Rule, lead: float, *, nets: int, plan: SeedPlan, tables: int) -> float:
    """How often the net that leads is called better than the next one."""
    rng = np.random.default_rng(7)
    drawn = [rng.normal(size=(tables, len(plan.seeds))) for _ in range(nets)]
    drawn[0] = drawn[0] + lead
    return float(called_better(drawn, rule, plan.looks)[:, 0].mean())


def show_power(*, tables: int, rules: Mapping[str, Rule]) -> None:
    """Print what every rule finds where rule 1 finds it in 80 %."""
    for nets, (plan_name, plan) in itertools.product((2, 4), plans().items()):
        lead = difference_found_by(rule_1, nets=nets, plan=plan, tables=tables)
        found = {name: power_of(rule, lead, nets=nets, plan=plan, tables=tables) for name, rule in rules.items()}
        said = ", ".join(f"{name} {share:.1%}" for name, share in found.items())
        print(f"power | {nets} nets | {plan_name} | lead of {lead:.2f} deviations: {said}", flush=True)


def show_bias(*, tables: int) -> None:
    """Print by how much leads that are decided early read too large under 6:30, two alike normal nets."""
    plan = plans()["6:30"]
    for lead in (0.5, 1.0, 1.5):
        rng = np.random.default_rng(11)
        a, b = rng.normal(size=(2, tables, len(plan.seeds)))
        a = a + lead * np.sqrt(2)  # in deviations of the differences
        decided, shown = np.zeros(tables, bool), np.zeros(tables)
        for look in plan.looks:
            n = len(look.seeds or ())
            now = rule_2(Tested([a[:, :n], b[:, :n]], decided[:, None]), look.level)[:, 0] & ~decided
            shown[now] = (a - b)[now, :n].mean(axis=1) / np.sqrt(2)
            decided |= now
        print(f"bias | true {lead:.2f} deviations: reported {shown[decided].mean():.2f} in {decided.mean():.1%}")


def main() -> None:
    """Print every rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=4_000)
    tables = parser.parse_args().tables
    kept = {name: RULES[name] for name in ("rule 1", "rule 1 on times", "rule 2")}
    show_errors("nobody better", worlds(), tables=tables, rules=kept)
    show_errors("nobody better", worlds(), tables=tables, rules={k: v for k, v in RULES.items() if k not in kept})
    show_errors("equal means", equal_means(), tables=tables, rules=kept)
    show_power(tables=tables, rules=RULES)
    show_bias(tables=tables)


if __name__ == "__main__":
    main()
