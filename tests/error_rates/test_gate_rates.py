"""The gate on really trained runs: seldom a false alarm, a planted drop found at the promised power."""

from __future__ import annotations

import numpy as np
import pytest

from bench.studies.gate.rule import caught_drop, chance_to_fail
from tests.error_rates.gate_rates import PLANTED_DEVIATIONS, REFERENCES, any_of, bounds, failures, read_gate_pool
from tests.error_rates.measure import read_pool

NETS = ("bn25k", "conv16k", "fc3136", "lenet21k")


def twins() -> dict[str, np.ndarray]:
    return {name: values for name, values in read_pool().items() if name.startswith("twin")}


def test_the_pool_is_what_it_says() -> None:
    pool = read_gate_pool()
    assert tuple(pool) == NETS
    assert all(len(values) >= 33 for values in pool.values()), "30 references and three first seeds at least"
    assert all(values.min() > 0.98 and values.max() < 1 for values in pool.values())


@pytest.mark.parametrize("pool", [read_gate_pool, twins], ids=["the four nets", "twins"])
def test_a_harmless_change_fails_a_whole_gate_once_in_a_thousand_at_most(pool: object) -> None:
    found = any_of(failures(pool(), gates=20_000))  # type: ignore[operator]
    assert len(found) == 20_000
    assert bounds(found)[1] <= 1e-3


@pytest.mark.parametrize("pool", [read_gate_pool, twins], ids=["the four nets", "twins"])
def test_a_drop_of_2_9_deviations_is_caught(pool: object) -> None:
    assert caught_drop(REFERENCES) <= PLANTED_DEVIATIONS == 2.9, "what METHODOLOGY says, rounded up"
    values = pool()  # type: ignore[operator]
    drop = {name: PLANTED_DEVIATIONS * float(of.std(ddof=1)) for name, of in values.items()}
    for name, outcomes in failures(values, gates=2_000, drop=drop).items():
        assert bounds(outcomes)[1] >= 0.98, name
        assert np.mean(outcomes) >= 0.96, f"{name}: skewed accuracies cost a little of what normal ones promise"


def test_a_drop_of_a_fifth_of_a_point_is_caught_as_often_as_promised() -> None:
    pool = read_gate_pool()
    for name, outcomes in failures(pool, gates=2_000, drop=0.002).items():
        promised = chance_to_fail(0.002 / float(pool[name].std(ddof=1)), references=REFERENCES)
        assert np.mean(outcomes) == pytest.approx(promised, abs=0.03), name
