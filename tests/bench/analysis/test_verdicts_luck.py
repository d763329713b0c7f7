"""Nets that are the same, simulated: luck makes one better in at most 5 % of tables, however often one looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import binom

from bench.analysis import verdicts
from bench.analysis.metrics import accuracy_metric
from bench.analysis.verdicts import BETTER, PairVerdict, judge_pairs
from bench.core.seeds import ALPHA, ONE_LOOK, Look, SeedPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLES = 300
MOST = int(binom.ppf(0.999, TABLES, 0.05))
"""Tables in error that 5 % stays below with a probability of 99.9 %: 28."""
METRIC = accuracy_metric(1e-6)  # nothing is equivalent, so that every pair may go wrong at every look


@pytest.fixture(autouse=True)
def _no_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many more seeds it takes is costly and no part of a verdict."""
    monkeypatch.setattr(verdicts, "advise_seeds", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(verdicts, "detectable_difference", lambda *_args, **_kwargs: 0.0)


def _tables(
    nets: str, seeds: int, *, looks: Sequence[Look] = ONE_LOOK, shift: float = 0.0
) -> list[tuple[PairVerdict, ...]]:
    """Judged tables of nets with 99 % and 0.07 pp of seed noise, the first of them better by `shift`."""
    rng = np.random.default_rng(20)
    judged = []
    for _ in range(TABLES):
        drawn = np.round(rng.normal(0.99, 0.0007, (len(nets), seeds)), 4)
        drawn[0] += shift
        values = {name: dict(enumerate(row.tolist())) for name, row in zip(nets, drawn, strict=True)}
        judged.append(judge_pairs(values, METRIC, looks=looks))
    return judged


def _wrong(tables: Sequence[Sequence[PairVerdict]]) -> int:
    return sum(any(pair.verdict in BETTER for pair in pairs) for pairs in tables)


def test_three_equal_nets_on_six_seeds() -> None:
    tables = _tables("abc", 6)
    assert _wrong(tables) <= MOST == 28
    uncorrected = sum(any(pair.p is not None and pair.p < ALPHA for pair in pairs) for pairs in tables)
    assert uncorrected > MOST, "three tests at 5 % each would err too often: the simulation can tell"


def test_a_net_that_is_better_is_found() -> None:
    # 0.3 pp is 3.03 deviations of the differences: both of its pairs have about 97 % power at 0.05/3
    tables = _tables("abc", 6, shift=0.003)
    both = sum({pair.verdict for pair in pairs if pair.a == "a"} == {verdicts.Verdict.A_BETTER} for pairs in tables)
    assert both > 0.8 * TABLES


def test_two_equal_nets_looked_at_again_and_again() -> None:
    looks = SeedPlan.until_decided(6, 30).looks
    assert _wrong(_tables("ab", 30, looks=looks)) <= MOST
    careless = [Look(seeds=look.seeds, level=ALPHA) for look in looks]
    assert _wrong(_tables("ab", 30, looks=careless)) > MOST, "seven looks at 5 % each err too often"


def test_three_equal_nets_looked_at_again_and_again() -> None:
    assert _wrong(_tables("abc", 9, looks=SeedPlan.until_decided(6, 9).looks)) <= MOST
