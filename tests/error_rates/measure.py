"""How often verdicts err: on really trained pools and on sets simulated from distributions fitted to them.

The pool is trained by the suite itself: `runner.py --arch tests/error_rates/twins.py --dataset mnist5k --seeds 1200
--no-timing --results DIR`, then the same with `mistaught.py --seeds 300 --study planted`; `measure.py --pool DIR` takes
their accuracies over into `pool.csv`. Without `--pool` that file is used as it is.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
from scipy import stats

from bench.analysis.metrics import accuracy_metric
from bench.analysis.stats.paired import pair_differences
from bench.analysis.stats.power import power_of_better, seeds_to_find
from bench.analysis.verdicts import BETTER, DECIDED, Verdict, judge_pairs
from bench.core.seeds import ALPHA, ONE_LOOK, SeedPlan
from bench.store.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from bench.core.seeds import Look

    Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]

POOL = Path(__file__).with_name("pool.csv")
"""Test accuracies of really trained runs on `mnist5k`, default recipe and budget, one row a run."""

METRIC = accuracy_metric()


def read_pool() -> dict[str, NDArray[np.float64]]:
    """Test accuracy by net, in the order of the seeds from 0."""
    with POOL.open(newline="") as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: int(row["seed"]))
    nets = sorted({row["net"] for row in rows})
    return {net: np.array([float(row["test_accuracy"]) for row in rows if row["net"] == net]) for net in nets}


def write_pool(results: Path) -> None:
    """Take the accuracies over from a results directory."""
    with open_store(f"sqlite:///{results}/bench.db", create=False) as store, POOL.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("net", "seed", "test_accuracy"))
        for study in sorted(store.studies.names()):
            records = store.studies.load(study, with_details=False).records
            ordered = sorted(records, key=lambda record: (record.architecture, record.seed))
            ok = (record for record in ordered if record.status == "ok")
            writer.writerows((record.architecture, record.seed, record.test_accuracy) for record in ok)


def found_better(columns: Sequence[NDArray[np.float64]], looks: Sequence[Look] = ONE_LOOK) -> bool:
    """Whether any pair is called better; one column a net, one row a seed."""
    values = {f"net-{at}": dict(enumerate(column.tolist())) for at, column in enumerate(columns)}
    return any(pair.verdict in BETTER for pair in judge_pairs(values, METRIC, looks=looks))


def rate_of(found: Iterable[bool]) -> str:
    """A rate with its Clopper-Pearson interval."""
    outcomes = list(found)
    interval = stats.binomtest(sum(outcomes), len(outcomes)).proportion_ci(0.95)
    share = sum(outcomes) / len(outcomes)
    return f"{sum(outcomes):,} of {len(outcomes):,} = {share:.2%} (95 % {interval.low:.2%} to {interval.high:.2%})"


def disjoint_sets(pool: dict[str, NDArray[np.float64]], *, seeds: int, looks: Sequence[Look] = ONE_LOOK) -> list[bool]:
    """A/A over sets of consecutive seeds, none of which is used twice."""
    a, b = pool["twin-a"], pool["twin-b"]
    starts = range(0, len(a) - seeds + 1, seeds)
    return [found_better((a[s : s + seeds], b[s : s + seeds]), looks) for s in starts]


def simulated_sets(draw: Draw, *, sets: int, seeds: int, nets: int = 2, looks: Sequence[Look] = ONE_LOOK) -> list[bool]:
    """A/A over sets drawn from a distribution, seeds shared by the nets of a set but not correlated."""
    rng = np.random.default_rng(0)
    return [found_better([draw(rng, seeds) for _ in range(nets)], looks) for _ in range(sets)]


def distributions(pool: dict[str, NDArray[np.float64]]) -> dict[str, Draw]:
    """Normal and skewed distributions with the mean and deviation of the pool; accuracies of whole images."""
    twins = np.concatenate([pool["twin-a"], pool["twin-b"]])
    mean, deviation = float(twins.mean()), float(twins.std(ddof=1))
    shape = stats.skewnorm.fit(twins)

    def left_skewed(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        return mean + deviation * (1 - rng.exponential(size=n))  # skewness −2

    return {
        f"normal({mean:.4f}, {deviation:.4f})": lambda rng, n: _whole(rng.normal(mean, deviation, n)),
        f"skew-normal fitted (shape {shape[0]:.2f})": lambda rng, n: _whole(
            np.asarray(stats.skewnorm.rvs(*shape, size=n, random_state=rng))
        ),
        "exponential, skewness −2": lambda rng, n: _whole(left_skewed(rng, n)),
        "a bad seed in ten (5 deviations lower)": lambda rng, n: _whole(
            rng.normal(mean, deviation, n) - 5 * deviation * (rng.random(n) < 0.1)
        ),
    }


def _whole(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.round(np.minimum(values, 1.0), 3), dtype=np.float64)  # mnist5k has 1,000 test images


def planted(pool: dict[str, NDArray[np.float64]], *, seeds: int, sets: int) -> list[bool]:
    """How often the mistaught net is found worse, over sets of seeds drawn from the pool."""
    good, bad = pool["twin-a"], pool["mistaught"]
    rng = np.random.default_rng(seeds)
    return [_found_worse(good, bad, rng.choice(len(bad), seeds, replace=False)) for _ in range(sets)]


def _found_worse(good: NDArray[np.float64], bad: NDArray[np.float64], chosen: NDArray[np.int64]) -> bool:
    values = {"bad": dict(enumerate(bad[chosen].tolist())), "good": dict(enumerate(good[chosen].tolist()))}
    (pair,) = judge_pairs(values, METRIC)
    return pair.verdict == Verdict.B_BETTER


def seeds_until_decided(pool: dict[str, NDArray[np.float64]], *, plan: SeedPlan, sets: int) -> NDArray[np.int64]:
    """Seeds that a study until decided takes for the planted pair, one number a set."""
    rng, took = np.random.default_rng(0), []
    for _ in range(sets):
        chosen = rng.choice(len(pool["mistaught"]), len(plan.seeds), replace=False)
        columns = [pool[net][chosen].tolist() for net in ("twin-a", "mistaught")]
        values = {name: dict(enumerate(column)) for name, column in zip(("good", "bad"), columns, strict=True)}
        (pair,) = judge_pairs(values, METRIC, looks=plan.looks)
        took.append(pair.n if pair.verdict in DECIDED else len(plan.seeds))
    return np.array(took)


def count_asked_for(what: str, *, default: int, about: str | None, write: Callable[[Path], None]) -> int:
    """How many sets or gates the command line asks for; a pool that it names is taken over first."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, help="results directory of the commands above")
    parser.add_argument(f"--{what}", type=int, default=default, dest="count")
    given = parser.parse_args()
    if given.pool:
        write(given.pool)
    return int(given.count)


def main() -> None:
    """Print every rate."""
    sets = count_asked_for("sets", default=10_000, about=__doc__, write=write_pool)
    pool, plan = read_pool(), SeedPlan.until_decided(6, 30)
    for net, values in pool.items():
        skew = stats.skew(values)
        print(f"{net}: {len(values)} runs, mean {values.mean():.5f}, s {values.std(ddof=1):.5f}, skewness {skew:.2f}")
    print(f"A/A, disjoint sets of 6 trained seeds: better in {rate_of(disjoint_sets(pool, seeds=6))}")
    until = disjoint_sets(pool, seeds=30, looks=plan.looks)
    print(f"A/A, disjoint sets of 30 trained seeds, until decided 6:30: better in {rate_of(until)}")
    for name, draw in distributions(pool).items():
        print(f"A/A simulated, {name}:")
        print(f"  2 nets, 6 seeds: {rate_of(simulated_sets(draw, sets=sets, seeds=6))}")
        print(f"  4 nets, 6 seeds, any pair: {rate_of(simulated_sets(draw, sets=sets, seeds=6, nets=4))}")
        few = sets // 10
        found = simulated_sets(draw, sets=few, seeds=30, nets=4, looks=plan.looks)
        print(f"  4 nets, until decided 6:30, any pair: {rate_of(found)}")
    difference = pair_differences(
        pool["twin-a"][: len(pool["mistaught"])].tolist(), pool["mistaught"].tolist(), margin=METRIC.margin
    )
    effect = difference.mean / difference.deviation
    wanted = seeds_to_find(effect, alpha=ALPHA) or 30
    print(f"Planted: {100 * difference.mean:.3f} pp, s of differences {100 * difference.deviation:.3f} pp")
    for seeds in sorted({6, 8, wanted, 2 * wanted}):
        promised = power_of_better(effect, seeds, alpha=ALPHA)
        print(f"  {seeds} seeds: promised {promised:.1%}, found {rate_of(planted(pool, seeds=seeds, sets=2_000))}")
    took = seeds_until_decided(pool, plan=plan, sets=2_000)
    print(f"  until decided 6:30: {took.mean():.1f} seeds on average, median {np.median(took):g}")


if __name__ == "__main__":
    # Advice on more seeds takes most of the time, and no rate needs it.
    with (
        mock.patch("bench.analysis.verdicts.advise_seeds", return_value=None),
        mock.patch("bench.analysis.verdicts.detectable_difference", return_value=0.0),
    ):
        main()
