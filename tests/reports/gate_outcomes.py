"""Ends of a check, made up by hand for tests of what is written of them."""

from __future__ import annotations

import dataclasses
import math
import statistics
from statistics import NormalDist

from bench.core.work.gate import GateOutcome, Judgement, Measurement, Reference, Stage
from bench.studies.gate.rule import find_allowed

FIRST = (20_000, 20_001, 20_002)
FRESH = (41_003, 47_111, 40_404, 49_999, 52_001, 40_001)
HOSTILE = "<script>alert(1)</script>|**b**`[x](y)\n::error::100% & \x1b[31m\u202e\ud800"
"""Everything that Markdown, HTML, XML, a terminal or a workflow command might act on, and what none can show."""


def make_reference(name: str, *, deviation: float = 0.0006, history: tuple[Measurement, ...] = ()) -> Reference:
    """30 references around 98 %; with the usual deviation the limit is 97.91 %."""
    return Reference(architecture=name, now=make_measurement(deviation), first_seeds=FIRST, history=history)


def make_measurement(deviation: float = 0.0006, *, mean: float = 0.98, recorded: str = "2026-11-21") -> Measurement:
    """Numbers of a net of two parameters."""
    return Measurement(
        mean=mean, deviation=deviation, runs=30, params=2, macs=3, trained="3 epochs, shared", recorded=recorded
    )


_SHARES = [(at + 0.5) / 30 for at in range(30)]
NORMAL = tuple(round(0.98 + 0.002 * NormalDist().inv_cdf(share), 6) for share in _SHARES)
LEFT_TAIL = tuple(round(0.98 + 0.002 * math.log(share), 6) for share in _SHARES)
"""30 accuracies at the quantiles of a normal distribution, and of an exponential tail to the left."""


def make_recorded(name: str, accuracies: tuple[float, ...]) -> Reference:
    """References whose accuracies were kept, and the limit that they ask for."""
    deviation = round(statistics.stdev(accuracies), 6)
    now = dataclasses.replace(
        make_measurement(deviation, mean=round(statistics.fmean(accuracies), 6)),
        accuracies=accuracies,
        allowed=find_allowed(accuracies, deviation),
    )
    return Reference(architecture=name, now=now, first_seeds=FIRST)


def make_stage(accuracy: float, seeds: tuple[int, ...] = FIRST) -> Stage:
    """Seeds that are all equal and never got to 95 %."""
    return Stage(seeds=seeds, accuracies=(accuracy,) * len(seeds), epochs_to_95=(math.inf,) * len(seeds))


PASSED = Judgement(
    architecture="alpha",
    passed=True,
    reason="Not below the limit.",
    stages=(make_stage(0.98125),),
    reference=make_reference("alpha"),
)
FELL = Judgement(
    architecture="beta",
    passed=False,
    reason="First seeds: low. Fresh seeds: low.",
    stages=(make_stage(0.97), make_stage(0.975, FRESH)),
    reference=make_reference("beta", deviation=0.002),
)
OPEN = Judgement(
    architecture="gamma",
    passed=None,
    reason="Not judged, the machine is at fault: seed 20000 failed: no memory",
    reference=make_reference("gamma"),
    detail="Traceback:\n  line\nMemoryError",
)
UNKNOWN = Judgement(architecture="delta", passed=False, reason="It has no reference.")

EVIL = Judgement(
    architecture=HOSTILE, passed=False, reason=HOSTILE, detail=HOSTILE,
    reference=make_reference(HOSTILE, deviation=0.002, history=(make_measurement(recorded=HOSTILE),)),
)  # fmt: skip
SHOWN = "<script>alert(1)</script>|**b**`[x](y) ::error::100% & \ufffd[31m\ufffd\ufffd"
"""HOSTILE as people may see it."""


def make_outcome(*judgements: Judgement, file: str = "thresholds.toml", notes: tuple[str, ...] = ()) -> GateOutcome:
    """A check that wants 0.2 pp caught."""
    return GateOutcome(
        file=file,
        judgements=judgements,
        drop=0.002,
        dataset="mnist5k",
        trained="mnist5k, 3 epochs, shared, cpu",
        notes=notes,
    )
