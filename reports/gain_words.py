"""A gain in words and as a row: worded so that nobody can read more into it than its verdict says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.stats.verdicts import BETTER, PairVerdict, Verdict
from reports.document import Cell, Column, Table
from reports.search import count_states
from reports.tuned import winner_of
from reports.wording import MISSING, number_cell, percent, percent_cell, plural

if TYPE_CHECKING:
    from bench.tuning.records import Tuning
    from reports.gains import Contest, Gain


def describe_gain(gain: Gain) -> str:
    """One architecture's gain in words: `bn25k gains 0.05 pp (0.01 to 0.09, from 6 seeds), tuned better`."""
    pair = gain.verdict
    if pair is None or pair.differences is None:
        return f"{gain.label}: {verdict_text(gain)}"
    mean = pair.differences.mean
    sign, verb = (1, "gains") if mean >= 0 else (-1, "loses")
    seeds = f"from {plural(pair.n, 'seed')}"
    ends = sorted(100 * sign * end for end in (pair.low, pair.high) if end is not None)
    digits = 4 if pair.verdict in BETTER and min(map(abs, ends), default=1) < 0.005 else 2
    words = [_number(end, digits) for end in ends]
    within = f"{words[0]} to {words[1]}, {seeds}" if words and not pair.by_flips else f"{seeds}"
    flips = ", by sign flips" if pair.by_flips else ""
    winner = winner_of(gain.tuning)
    other = (
        f", now another net, {winner.architecture},"
        if winner and winner.architecture != gain.tuning.architecture
        else ""
    )
    return f"{gain.label}{other} {verb} {_number(100 * sign * mean, 2)} pp ({within}{flips}), {verdict_text(gain)}"


def verdict_text(gain: Gain) -> str:
    """The verdict on tuned against default, or why there is none."""
    if gain.verdict is None:
        return _no_verdict(gain.tuning)
    if not gain.tuned or not gain.default:
        return "not retrained yet"
    return outcome(gain.verdict, "tuned", "default")


def _no_verdict(tuning: Tuning) -> str:
    if not tuning.winners:
        return "no complete trial yet"
    if len(tuning.objectives) > 1:
        return f"no single winner, a front of {plural(len(tuning.winners), 'recipe')}"
    return "the default recipe won"


def outcome(pair: PairVerdict, a: str, b: str) -> str:
    """A verdict on two versions of one architecture, in words.

    Args:
        pair: The verdict.
        a: What its first one is called: "tuned", "after".
        b: What its second one is called.
    """
    if pair.verdict in BETTER:
        side = a if pair.verdict == Verdict.A_BETTER else b
        matters = {True: ", matters", False: ", too small to matter", None: ""}[pair.matters]
        return f"{side} better{matters}"
    if pair.verdict == Verdict.EQUIVALENT:
        return "equivalent"
    if pair.verdict == Verdict.TOO_FEW_SEEDS:
        return f"too few seeds, {plural(pair.more_seeds or 1, 'more seed')} needed"
    if pair.more_seeds is None:
        return "undecided, more than 1,000 seeds would be needed"
    shows = "which is better" if pair.more_show == "better" else "that they are equivalent"
    return f"undecided, about {plural(pair.more_seeds, 'more seed')} to show {shows}"


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def gain_table(contest: Contest) -> Table:
    """One row an architecture: both accuracies, the gain and its verdict, what the search cost."""
    columns = (
        Column(name="Architecture", numeric=False),
        Column(name="Default: test accuracy (%)"),
        Column(name="Tuned: test accuracy (%)"),
        Column(name="Gain (pp)"),
        Column(name="Interval (pp)", numeric=False),
        Column(name="p (Holm)"),
        Column(name="Verdict", numeric=False),
        Column(name="Seeds", essential=False),
        Column(name="Trials: complete/pruned/failed", numeric=False, essential=False),
        Column(name="Training images of the search, of its ceiling", numeric=False, essential=False),
    )
    levels = sorted({gain.verdict.confidence for gain in contest.gains if gain.verdict and gain.verdict.p is not None})
    at = f"; intervals at {' to '.join(f'{100 * level:.4g} %' for level in levels)}" if levels else ""
    return Table(
        caption=f"Tuned against default, {contest.title}: retrained on fresh seeds, Holm over the architectures{at}",
        columns=columns,
        rows=tuple(_gain_row(gain) for gain in contest.gains),
    )


def _gain_row(gain: Gain) -> tuple[Cell, ...]:
    pair, tuning = gain.verdict, gain.tuning
    found = pair.differences if pair else None
    interval, ends = MISSING, None
    if pair and pair.low is not None and pair.high is not None:
        interval, ends = f"{signed(pair.low)} to {signed(pair.high)}", (100 * pair.low, 100 * pair.high)
    spent = sum(trial.images for trial in tuning.trials)
    share = f" ({percent(spent / tuning.ceiling_images, 0)} %)" if tuning.ceiling_images else ""
    tests = f"{verdict_text(gain)}{' (by sign flips)' if pair and pair.by_flips else ''}"
    p = pair.p_holm if pair else None
    return (
        Cell(text=gain.label),
        percent_cell(gain.mean(tuned=False)),
        percent_cell(gain.mean(tuned=True)),
        Cell(text=MISSING) if found is None else Cell(text=signed(found.mean), value=100 * found.mean, interval=ends),
        Cell(text=interval),
        Cell(text=MISSING if p is None else "< 0.0001" if p < 1e-4 else f"{p:.4f}", value=p),
        Cell(text=tests),
        number_cell(pair.n if pair else None),
        Cell(text="/".join(map(str, count_states(tuning)))),
        Cell(text=f"{spent:,} of {tuning.ceiling_images:,}{share}", value=spent),
    )


def signed(difference: float) -> str:
    """A difference of fractions in pp, with its sign."""
    text = f"{100 * difference:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")
