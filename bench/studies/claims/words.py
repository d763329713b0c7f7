"""What came out of a claim, in words: numbers in the unit in which they were printed, and one line of why."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from bench.analysis.verdicts import Verdict
from bench.core.work.claims.claim import PAIRED, TRENDS
from bench.core.work.claims.judged import FEWEST_SEEDS
from bench.system.text import percent, plural, signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.analysis.verdicts import PairVerdict
    from bench.core.work.claims.claim import Claim
    from bench.core.work.claims.judged import CaseResult
    from bench.core.work.claims.quantity import Quantity
    from bench.studies.claims.rules import Confusion, Ruling

_UNITS = {"accuracy": "%", "epochs": "epochs", "whole epochs": "epochs", "seconds": "s", "loss": "", "count": ""}
SELECTED = "selected on test"


def number_of(value: float, kind: str) -> str:
    """A value in its unit: 99.31 %, 0.92 epochs, 0.0646."""
    if kind == "accuracy":
        return f"{percent(value)} %"
    digits = {"loss": 4, "epochs": 2, "seconds": 1, "whole epochs": 1}.get(kind, 2)
    return f"{value:,.{digits}f} {_UNITS.get(kind, '')}".strip()


def numbers(measured: Sequence[float]) -> str:
    """Exact numbers in a row, whole ones as such."""
    texts = [f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}" for value in measured]
    return " + ".join(texts) if texts else "nothing was counted"


def too_few(n: int) -> str:
    """That so many seeds are not enough."""
    return f"{n} of {FEWEST_SEEDS} seeds"


def _half(width: float, kind: str) -> str:
    return f"{percent(width)} pp" if kind == "accuracy" else number_of(width, kind)


def of_ruling(claim: Claim, quantity: Quantity, ruling: Ruling) -> str:
    """What the rule found, with the interval that it judged by."""
    kind = quantity.kind
    low, high = ruling.low, ruling.high
    if claim.rule == "usually" and low is not None and high is not None:
        return f"share of seeds {percent(low, 0)} to {percent(high, 0)} % (Wilson)"
    if claim.rule in ("range", "at least") and low is not None and high is not None:
        name = "95 % interval of the mean" if claim.rule == "range" else "one-sided bounds of the mean"
        return f"{name} {number_of(low, kind)} to {number_of(high, kind)}"
    interval = f"95 % prediction interval ± {_half(ruling.width or 0.0, kind)}"
    if claim.rule != "series":
        return interval
    place = f"{'batch' if quantity.name == 'batch_loss' else 'epoch'} {claim.at[ruling.place]}"
    is_within = ruling.verdict in ("reproduced", "consistent")
    return f"widest {interval} ({place})" if is_within else f"{interval} at {place}, the worst"


def outcome(claim: Claim, pair: PairVerdict) -> str:
    """What a condition gave: better, worse or equivalent; of a trend, whether it rises or falls."""
    better, worse = ("it falls", "it rises") if claim.rule == "falls" else ("it rises", "it falls")
    if claim.rule not in TRENDS:
        better, worse = "better", "worse"
    known = {Verdict.A_BETTER: better, Verdict.B_BETTER: worse, Verdict.EQUIVALENT: "equivalent within the margin"}
    return known.get(pair.verdict, "undecided")


def of_pair(claim: Claim, result: CaseResult, pair: PairVerdict, *, margin: float) -> str:
    """The difference of the two sides, what is claimed to be the better one first, with its interval and p."""
    if pair.differences is None:
        return too_few(result.n)
    kind, factor = result.quantity.kind, 100.0 if result.quantity.kind == "accuracy" else 1.0
    unit = "pp" if kind == "accuracy" else _UNITS[kind]
    sign = 1.0 if result.quantity.higher_is_better or claim.rule == "rises" else -1.0
    sign = -1.0 if claim.rule == "falls" else sign
    ends = [end for end in (pair.low, pair.high) if end is not None]
    shown = sorted(sign * end * margin * factor for end in ends)
    interval = f" ({signed(shown[0])} to {signed(shown[1])})" if len(shown) == 2 else ""
    p = "" if pair.p_holm is None else f", p = {pair.p_holm:.2g}"
    mean = sign * pair.differences.mean * margin * factor
    return f"{signed(mean)} {unit}{interval}{p}".replace("  ", " ")


def of_confusions(claimed: Sequence[str], found: Sequence[Confusion], names: Sequence[str]) -> str:
    """In how many resamples each claimed pair is among the most confused, and which these are."""
    parts = [
        f"{pair.replace('>', '→')} in {percent(one.of_means, 0)} % of resamples and {percent(one.of_runs, 0)} % of runs"
        for pair, one in zip(claimed, found, strict=True)
    ]
    top = ", ".join(f"{names[true]}→{names[said]}" for true, said in found[0].top)
    return f"{'; '.join(parts)}; the top pairs are {top}"


def measured(claim: Claim, cases: Sequence[CaseResult]) -> str:
    """The numbers of the primary completion, or of every condition."""
    shown = cases if claim.rule in PAIRED else cases[:1]
    parts = [text for case in shown if (text := _measured_case(claim, case, several=len(shown) > 1))]
    return "; ".join(parts) or "nothing yet"


def _measured_case(claim: Claim, case: CaseResult, *, several: bool) -> str:
    kind = case.quantity.kind
    if claim.rule in (*PAIRED, *TRENDS, "confusions"):
        return f"{case.label}: {case.said}" if several else case.said
    if claim.rule == "series":
        means = [number_of(statistics.fmean(of.values()), kind) for of in case.series if of]
        return ", ".join(means)
    if case.mean is None:
        return ""
    if claim.rule == "usually":
        most = claim.printed[0].high
        reached = sum(value <= most for value in case.values.values())
        return f"{reached} of {plural(case.n, 'seed')}"
    text = number_of(case.mean, kind)
    if (deviation := _deviation(case.values)) is not None:
        text += f", s = {_half(deviation, kind)}"
    if case.last and case.last != case.values:
        text += f" ({SELECTED}; last epoch {number_of(statistics.fmean(case.last.values()), kind)})"
    return text


def _deviation(values: Mapping[int, float]) -> float | None:
    return statistics.stdev(values.values()) if len(values) > 1 else None


def why(claim: Claim, verdict: str, cases: Sequence[CaseResult], *, failed: int) -> str:
    """One line on how the verdict came about."""
    lost = f"; {plural(failed, 'run')} failed" if failed else ""
    if (fewest := min(case.n for case in cases)) < FEWEST_SEEDS and verdict == "undecided":
        return f"{fewest} of {FEWEST_SEEDS} seeds have ended{lost}"
    if claim.rule in (*PAIRED, *TRENDS):
        return f"{_of_conditions(cases)}{lost}"
    primary, others = cases[0], cases[1:]
    parts = [primary.said]
    if verdict == "not reproduced":
        parts.insert(0, _direction(claim, primary))
        if others:
            parts.append(f"so under each of {len(cases)} completions")
    elif verdict == "undecided" and others:
        there = [case.label for case in others if case.verdict in ("reproduced", "consistent")]
        parts.append(f"within it under: {', '.join(there)}" if there else "not outside the 99 % interval everywhere")
    elif verdict == "undecided" and claim.rule in ("value", "series"):
        parts.append("outside the 95 % interval and within the 99 % one")
    return "; ".join(filter(None, parts)) + lost


def _direction(claim: Claim, case: CaseResult) -> str:
    """On which side of the claim the measured mean lies."""
    if claim.rule not in ("value", "series", "range", "at least") or not case.side:
        return ""
    return f"measured {'higher' if case.side < 0 else 'lower'} than claimed"


def _of_conditions(cases: Sequence[CaseResult]) -> str:
    found = list(dict.fromkeys(case.outcome for case in cases))
    if len(found) == 1:
        return found[0] + (f" in all {len(cases)} cases" if len(cases) > 1 else "")
    return "; ".join(f"{case.label}: {case.outcome}" for case in cases)
