"""How often the gate errs: whole gates resampled from really trained runs, references included.

The pool are the validation accuracies of the runs behind the repository's own `thresholds.toml` (references and first
seeds): after `runner.py --all --write-thresholds --results DIR`, `gate_rates.py --pool DIR` takes them over into
`gate_pool.csv`. Without `--pool` that file is used as it is. The twins of `pool.csv` (1,200 runs each of a net on
`mnist5k`, far noisier and skewed) are a second pool, in which little depends on a few runs drawn again and again.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from bench.core.records import GATE_ROLES
from bench.core.work.gate import Measurement, Reference, Stage
from bench.store.store import open_store
from bench.studies.gate.judge import find_shortfall
from bench.studies.gate.rule import FIRST_SEEDS, FRESH_SEEDS, caught_drop, chance_to_fail
from tests.error_rates.measure import count_asked_for, read_pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Pool = Mapping[str, NDArray[np.float64]]

POOL = Path(__file__).with_name("gate_pool.csv")
"""Validation accuracy of each run of the gate's recipe and split, one row a run."""

REFERENCES = 30
PLANTED_DEVIATIONS = 2.9
"""The drop that METHODOLOGY ("The gate") says is caught with 98 % power."""


def read_gate_pool() -> dict[str, NDArray[np.float64]]:
    """Validation accuracies by architecture."""
    with POOL.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = sorted({row["architecture"] for row in rows})
    return {
        name: np.array([float(row["val_accuracy"]) for row in rows if row["architecture"] == name]) for name in names
    }


def write_gate_pool(results: Path) -> None:
    """Take the accuracies over from a results directory."""
    with open_store(f"sqlite:///{results}/bench.db", create=False) as store:
        study = store.studies.load("gate", with_details=False)
    chosen = [record for record in study.records if study.roles[record.run_id] in GATE_ROLES and record.status == "ok"]
    with POOL.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("architecture", "seed", "val_accuracy"))
        for record in sorted(chosen, key=lambda record: (record.architecture, record.seed)):
            writer.writerow((record.architecture, record.seed, record.val_accuracy))


def failures(
    pool: Pool, *, gates: int, drop: Mapping[str, float] | float = 0.0, seed: int = 0
) -> dict[str, list[bool]]:
    """Whether each architecture fails, gate by gate, by the gate's own judging.

    Args:
        pool: Accuracies that references and seeds are drawn from, with replacement.
        gates: How many.
        drop: What is taken off every checked run, an accuracy fraction; one for all or one an architecture.
        seed: Of the drawing.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[bool]] = {name: [] for name in pool}
    for _ in range(gates):
        for name, values in pool.items():
            lost = drop if isinstance(drop, float) else drop[name]
            reference = _reference(name, rng.choice(values, REFERENCES))
            stages = (rng.choice(values, seeds) - lost for seeds in (FIRST_SEEDS, FRESH_SEEDS))
            found[name].append(all(find_shortfall(reference, _stage(stage)) for stage in stages))
    return found


def any_of(found: Mapping[str, list[bool]]) -> list[bool]:
    """Whether any architecture failed, gate by gate."""
    return [any(outcomes) for outcomes in zip(*found.values(), strict=True)]


def bounds(outcomes: list[bool]) -> tuple[float, float]:
    """Lower and upper bound of a rate, 95 % each (Clopper-Pearson)."""
    failed, of = sum(outcomes), len(outcomes)
    lower = stats.binomtest(failed, of, alternative="greater").proportion_ci(0.95).low
    return float(lower), float(stats.binomtest(failed, of, alternative="less").proportion_ci(0.95).high)


def _reference(name: str, values: NDArray[np.float64]) -> Reference:
    deviation = max(float(values.std(ddof=1)), 1e-4)  # as a recording does: one image of 10,000 at least
    now = Measurement(
        mean=float(values.mean()), deviation=deviation, runs=len(values), params=0, macs=0, trained="", recorded=""
    )
    return Reference(architecture=name, now=now, first_seeds=())


def _stage(values: NDArray[np.float64]) -> Stage:
    return Stage(seeds=tuple(range(len(values))), accuracies=tuple(values.tolist()), epochs_to_95=(0.0,) * len(values))


def _show(title: str, found: Mapping[str, list[bool]]) -> None:
    for name, outcomes in {**found, "any": any_of(found)}.items():
        low, high = bounds(outcomes)
        rate = sum(outcomes) / len(outcomes)
        print(f"{title}, {name}: {sum(outcomes):,} of {len(outcomes):,} = {rate:.5%} (bounds {low:.5%}, {high:.5%})")


def main() -> None:
    """Print every rate."""
    gates = count_asked_for("gates", default=20_000, about=__doc__, write=write_gate_pool)
    pools = {"the four nets": read_gate_pool(), "twins": {k: v for k, v in read_pool().items() if k != "mistaught"}}
    for title, pool in pools.items():
        deviations = {name: float(values.std(ddof=1)) for name, values in pool.items()}
        for name, values in pool.items():
            print(
                f"{title}, {name}: {len(values)} runs, mean {values.mean():.5f}, s {deviations[name]:.5f}, "
                f"skewness {stats.skew(values):.2f}; "
                f"98 % power from {100 * caught_drop(REFERENCES) * deviations[name]:.3f} pp; promised for 0.2 pp "
                f"{chance_to_fail(0.002 / deviations[name], references=REFERENCES):.1%}"
            )
        _show(f"{title}, A/A", failures(pool, gates=gates))
        planted = {name: PLANTED_DEVIATIONS * deviation for name, deviation in deviations.items()}
        _show(f"{title}, drop of {PLANTED_DEVIATIONS} s", failures(pool, gates=gates // 10, drop=planted))
        _show(f"{title}, drop of 0.2 pp", failures(pool, gates=gates // 10, drop=0.002))


if __name__ == "__main__":
    main()
