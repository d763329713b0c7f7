"""A gain in words and as a row: worded so that nobody can read more into it than its verdict says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.stats.verdicts import BETTER
from reports.document import Cell, Column, Table
from reports.search import count_states
from reports.tuned import winner_of
from reports.versions import level_note, outcome, version_cells, version_columns
from reports.wording import percent, plural

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
    within = f"{words[0]} to {words[1]}, {seeds}" if words else seeds
    winner = winner_of(gain.tuning)
    other = (
        f", now another net, {winner.architecture},"
        if winner and winner.architecture != gain.tuning.architecture
        else ""
    )
    return f"{gain.label}{other} {verb} {_number(100 * sign * mean, 2)} pp ({within}), {verdict_text(gain)}"


def verdict_text(gain: Gain) -> str:
    """The verdict on tuned against default, or why there is none."""
    if gain.verdict is None:
        return _no_verdict(gain.tuning)
    if not gain.later or not gain.earlier:
        return "not retrained yet"
    return outcome(gain.verdict, "tuned", "default")


def _no_verdict(tuning: Tuning) -> str:
    if not tuning.winners:
        return "no complete trial yet"
    if len(tuning.objectives) > 1:
        return f"no single winner, a front of {plural(len(tuning.winners), 'recipe')}"
    return "the default recipe won"


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def gain_table(contest: Contest) -> Table:
    """One row an architecture: both accuracies, the gain and its verdict, what the search cost."""
    columns = (
        *version_columns("Default", "Tuned", difference="Gain"),
        Column(name="Trials: complete/pruned/failed", numeric=False, essential=False),
        Column(name="Training images of the search, of its ceiling", numeric=False, essential=False),
    )
    caption = f"Tuned against default, {contest.title}: retrained on fresh seeds, Holm over the architectures"
    return Table(
        caption=caption + level_note(contest.gains),
        columns=columns,
        rows=tuple(_gain_row(gain) for gain in contest.gains),
    )


def _gain_row(gain: Gain) -> tuple[Cell, ...]:
    tuning = gain.tuning
    spent = sum(trial.images for trial in tuning.trials)
    share = f" ({percent(spent / tuning.ceiling_images, 0)} %)" if tuning.ceiling_images else ""
    return (
        *version_cells(gain, verdict_text(gain)),
        Cell(text="/".join(map(str, count_states(tuning)))),
        Cell(text=f"{spent:,} of {tuning.ceiling_images:,}{share}", value=spent),
    )
