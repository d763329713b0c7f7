"""What the gate's measured rates are worth: recordings of known shapes, judged at 1.5 deviations and as recorded.

Every recording draws 30 references from a known distribution; its true rate is the chance that the means of three and
of six more draws lie below the limit. `skewed_pool.csv` holds a net that collapses on some seeds: the runs of
`runner.py --arch tests/error_rates/bnrelu.py --dataset mnist5k --seeds 300 --no-timing --results DIR`, taken over by
`gate_widening.py --pool DIR`.
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.core.work.gate import ALLOWED_DEVIATIONS
from bench.store.store import open_store
from bench.studies.gate.rule import find_allowed, resample
from tests.error_rates.measure import count_asked_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Draw = Callable[[np.random.Generator, tuple[int, ...]], Numbers]

POOL = Path(__file__).with_name("skewed_pool.csv")
"""Validation and test accuracies of really trained runs of `bnrelu.py` on `mnist5k`, one row a run."""

_MEANS = 1_000_000
_CHEAP = 50_000
"""Recordings of which those are chosen whose limits are looked for."""


def read_skewed_pool(column: str = "val_accuracy") -> Numbers:
    """Accuracies of the net that collapses, by seed from 0."""
    with POOL.open(newline="") as stream:
        return np.array([float(row[column]) for row in csv.DictReader(stream)])


def write_skewed_pool(results: Path) -> None:
    """Take the accuracies over from a results directory."""
    with open_store(f"sqlite:///{results}/bench.db", create=False) as store:
        records = store.studies.load("main", with_details=False).records
    with POOL.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("net", "seed", "val_accuracy", "test_accuracy"))
        for record in sorted(records, key=lambda record: record.seed):
            writer.writerow((record.architecture, record.seed, record.val_accuracy, record.test_accuracy))


def _bad_seeds(rng: np.random.Generator, shape: tuple[int, ...]) -> Numbers:
    return rng.standard_normal(shape) - 5.0 * (rng.random(shape) < 0.1)


SHAPES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "gamma, skewness -1": lambda rng, shape: -rng.gamma(4.0, size=shape),
    "lognormal, skewness -1.75": lambda rng, shape: -rng.lognormal(0.0, 0.5, size=shape),
    "exponential, skewness -2": lambda rng, shape: -rng.exponential(size=shape),
    "one bad seed in ten, 5 deviations lower": _bad_seeds,
    "bnrelu, really trained": lambda rng, shape: rng.choice(read_skewed_pool(), shape),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truth:
    """What means of three and of six draws come to, ordered."""

    first: Numbers
    fresh: Numbers

    def chance_to_fail(self, limits: Numbers) -> Numbers:
        """Of each limit, that both stages fall below it."""
        first, fresh = (np.searchsorted(means, limits) / len(means) for means in (self.first, self.fresh))
        return np.asarray(first * fresh, dtype=np.float64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recordings:
    """Recordings of one shape, those that err at 1.5 deviations more often among them.

    Attributes:
        truth: What stages come to.
        references: Accuracies of each, (recordings, references).
        weights: What each counts, 1 on average, so that averages are those of recordings drawn alike, (recordings,).
        allowed: Deviations by which each lets a stage lie below its references, (recordings,).
        measured: Rate at 1.5 deviations as measured on its references, (recordings,).
    """

    truth: Truth
    references: Numbers
    weights: Numbers
    allowed: Numbers
    measured: Numbers

    def rate(self, allowed: Numbers | float) -> tuple[float, float]:
        """True share of harmless changes that fail, and its standard error."""
        weighted = self._failing(allowed, 0.0) * self.weights
        return float(weighted.mean()), float(weighted.std(ddof=1) / np.sqrt(len(weighted)))

    def caught(self, drop: float, allowed: Numbers | float) -> float:
        """Share of drops that are caught, each so many of the shape's standard deviations."""
        return float(np.average(self._failing(allowed, drop), weights=self.weights))

    def kept(self) -> float:
        """Share of recordings whose limit stays at 1.5 deviations."""
        return float(np.average(self.allowed == ALLOWED_DEVIATIONS, weights=self.weights))

    def quantile(self, values: Numbers, share: float) -> float:
        """The value below which a share of recordings lies."""
        order = np.argsort(values)
        reached = np.searchsorted(np.cumsum(self.weights[order]) / self.weights.sum(), share)
        return float(values[order][min(int(reached), len(values) - 1)])

    def _failing(self, allowed: Numbers | float, drop: float) -> Numbers:
        unit = float(self.truth.first.std()) * np.sqrt(3)
        limits = self.references.mean(axis=1) - allowed * self.references.std(axis=1, ddof=1) + drop * unit
        return self.truth.chance_to_fail(limits)


def record(draw: Draw, *, recordings: int, references: int = 30, seed: int = 0) -> Recordings:
    """Draw recordings and find the limit of each as a recording does.

    Args:
        draw: Accuracies of the net, of any location and scale.
        recordings: How many limits are looked for.
        references: Runs of each recording.
        seed: Of all drawing.
    """
    rng = np.random.default_rng(seed)
    truth = Truth(
        first=np.sort(draw(rng, (_MEANS, 3)).mean(axis=1)), fresh=np.sort(draw(rng, (_MEANS, 6)).mean(axis=1))
    )
    every = draw(rng, (_CHEAP, references))
    failing = truth.chance_to_fail(every.mean(axis=1) - ALLOWED_DEVIATIONS * every.std(axis=1, ddof=1))
    # Few recordings make most of the rate: these are looked at more often, and count less.
    chances = 0.7 * failing / failing.sum() + 0.3 / _CHEAP
    chosen = rng.choice(_CHEAP, recordings, p=chances / chances.sum())
    scale = 0.005  # near 0.9 and narrow, as accuracies are
    found = [(tuple((0.9 + scale * row).tolist()), scale * float(row.std(ddof=1))) for row in every[chosen]]
    return Recordings(
        truth=truth,
        references=every[chosen],
        weights=1 / (_CHEAP * chances[chosen]),
        allowed=np.array([find_allowed(*one) for one in found]),
        measured=np.array([resample(*one).chance_to_fail(0.0, allowed=ALLOWED_DEVIATIONS) for one in found]),
    )


def _show(name: str, references: int, found: Recordings) -> None:
    rates = {
        "at 1.5": found.rate(ALLOWED_DEVIATIONS), "as recorded": found.rate(found.allowed),
    }  # fmt: skip
    said = "; ".join(
        f"{title} {mean:.2e} (s.e. {error:.0e}), five nets {1 - (1 - mean) ** 5:.2e}"
        for title, (mean, error) in rates.items()
    )
    limits = " / ".join(f"{found.quantile(found.allowed, share):.2f}" for share in (0.5, 0.9))
    measured = " / ".join(f"{found.quantile(found.measured, share):.1e}" for share in (0.05, 0.5, 0.95))
    print(
        f"{name}, {references} references: {said}; kept 1.5 in {found.kept():.1%}; limit {limits} deviations (median / "
        f"90 %); measured at 1.5 {measured} (5 / 50 / 95 %); a drop of 2.9 deviations is caught in "
        f"{found.caught(2.9, ALLOWED_DEVIATIONS):.1%}, then {found.caught(2.9, found.allowed):.1%}; of 5 in "
        f"{found.caught(5.0, found.allowed):.1%}",
        flush=True,
    )


def main() -> None:
    """Print every rate."""
    recordings = count_asked_for("recordings", default=1_000, about=__doc__, write=write_skewed_pool)
    for name, draw in SHAPES.items():
        for references in (30, 60):
            _show(name, references, record(draw, recordings=recordings, references=references))


if __name__ == "__main__":
    main()
