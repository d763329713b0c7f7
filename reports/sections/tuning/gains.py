"""What tuning gained: each architecture's winning recipe against its default one, on the same fresh seeds."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, Self

from bench.analysis.conditions import seed_plan_of
from bench.analysis.verdicts import BETTER, Verdict, Versions, judge_versions
from bench.analysis.winners import default_runs, place_of, winner_of, winner_runs, won_by_default
from bench.core.seeds import ONE_LOOK
from bench.system.text import first_ones, one_line, percent, plural
from reports.cells import column, table_of, text_column
from reports.document import Cell, Prose
from reports.sections.tuning.trials import count_states
from reports.sections.versions import level_note, outcome, version_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.analysis.conditions import Condition
    from bench.core.records import Study
    from bench.core.work.tuning import Tuning
    from reports.document import Table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gain(Versions):
    """One architecture with its default recipe, the earlier version, and tuned, the later one.

    Its label has the start of its hash when two sources of one name were tuned. The tuned runs are the default ones
    when the default won, and those of a whole front with several objectives; there is no verdict then.
    """

    tuning: Tuning

    @property
    def means(self) -> tuple[float | None, float | None]:
        """Mean test accuracy of default and tuned; a front is not one recipe and has none."""
        default, tuned = super().means
        return default, None if len(self.tuning.objectives) > 1 else tuned


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contest:
    """Architectures that were tuned on the same data for the same epochs, whose gains are judged together."""

    title: str  # data and budget
    gains: tuple[Gain, ...]  # by name
    elsewhere: bool  # retrained runs of other devices or versions are left out

    def narrowed(self, names: frozenset[str]) -> Self:
        """The gains of some architectures, judged as they are with the others."""
        return dataclasses.replace(self, gains=tuple(g for g in self.gains if g.tuning.architecture in names))


def find_contests(study: Study) -> tuple[Contest, ...]:
    """The tunings of a study that has any, with their gains judged: Holm over the architectures of each contest."""
    groups: dict[tuple[str, int, str], list[Tuning]] = {}
    for tuning in sorted(study.tunings, key=lambda t: (t.architecture, t.architecture_hash, t.name)):
        groups.setdefault((tuning.dataset, tuning.epochs, tuning.data_hash), []).append(tuning)
    titles = collections.Counter((dataset, epochs) for dataset, epochs, _ in groups)
    contests = []
    for (dataset, epochs, data_hash), group in sorted(groups.items()):
        which = f", data {data_hash[:7]}" if titles[dataset, epochs] > 1 else ""
        contests.append(_contest(group, study, title=one_line(f"{dataset}, {plural(epochs, 'epoch')}") + which))
    return tuple(contests)


def _contest(tunings: Sequence[Tuning], study: Study, *, title: str) -> Contest:
    every = [
        Gain(label=label, tuning=tuning, earlier=default_runs(tuning, study), later=winner_runs(tuning, study))
        for tuning, label in zip(tunings, _labels(tunings), strict=True)
    ]
    # Of where the winner was retrained last, or else the default: what is paired must have computed alike.
    tuned = [run for gain in every for run in gain.later]
    runs = tuned or [run for gain in every for run in gain.earlier]
    place = place_of(max(runs, key=lambda run: (run.finished_at, run.run_id))) if runs else None
    gains = [
        dataclasses.replace(
            gain,
            earlier=tuple(run for run in gain.earlier if place_of(run) == place),
            later=tuple(run for run in gain.later if place_of(run) == place),
        )
        for gain in every
    ]
    return Contest(title=title, gains=_judge(gains, study), elsewhere=len({*map(place_of, tuned)}) > 1)


def _labels(tunings: Sequence[Tuning]) -> list[str]:
    """A name for each, unlike the others: with the start of its source's hash, or else of the tuning, where needed."""
    names = [one_line(tuning.architecture) for tuning in tunings]
    sources = [(tuning.architecture, tuning.architecture_hash) for tuning in tunings]
    labels = []
    for tuning, name, source in zip(tunings, names, sources, strict=True):
        detail = tuning.name if sources.count(source) > 1 else tuning.architecture_hash[:7]
        labels.append(name if names.count(name) == 1 else one_line(f"{name} ({detail})"))
    return labels


def _judge(gains: Sequence[Gain], study: Study) -> tuple[Gain, ...]:
    """Each with its verdict, Holm over those that have a winner other than the default."""
    with_winner = [gain for gain in gains if winner_of(gain.tuning) and not won_by_default(gain.tuning)]
    plan = seed_plan_of([run for gain in with_winner for run in (*gain.later, *gain.earlier)], study)
    looks = plan.looks if plan else ONE_LOOK
    chance = study.chance(gains[0].tuning.data_hash) if gains else 0.0
    found = judge_versions(with_winner, chance=chance, margin=study.margins.margin, looks=looks)
    judged = {gain.label: gain for gain in found}
    return tuple(judged.get(gain.label, gain) for gain in gains)


def describe_gain(gain: Gain) -> str:
    """One architecture's gain in words: `bn25k gains 0.05 pp (0.01 to 0.09, from 6 seeds), tuned better`."""
    pair = gain.verdict
    if pair is None or pair.differences is None:
        return f"{gain.label}: {verdict_text(gain)}"
    mean = pair.differences.mean
    sign, verb = (1, "gains") if mean >= 0 else (-1, "loses")
    ends = sorted(100 * sign * end for end in (pair.low, pair.high) if end is not None)
    digits = 4 if pair.verdict in BETTER and min(map(abs, ends), default=1) < 0.005 else 2
    within = f"{' to '.join(_number(end, digits) for end in ends)}, " if ends else ""
    winner, other = winner_of(gain.tuning), ""
    if winner and winner.architecture != gain.tuning.architecture:
        other = f", now another net, {winner.architecture},"
    by = f"{_number(100 * sign * mean, 2)} pp ({within}from {plural(pair.n, 'seed')})"
    return f"{gain.label}{other} {verb} {by}, {verdict_text(gain)}"


def verdict_text(gain: Gain) -> str:
    """The verdict on tuned against default, or why there is none."""
    winners = gain.tuning.winners
    if gain.verdict is not None:
        retrained = gain.later and gain.earlier
        return outcome(gain.verdict, "tuned", "default") if retrained else "not retrained yet"
    if len(gain.tuning.objectives) > 1 and winners:
        return f"no single winner, a front of {plural(len(winners), 'recipe')}"
    return "the default recipe won" if winners else "no complete trial yet"


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def gain_table(contest: Contest) -> Table:
    """One row an architecture: both accuracies, the gain and its verdict, what the search cost."""

    def spent(gain: Gain) -> Cell:
        images, ceiling = sum(trial.images for trial in gain.tuning.trials), gain.tuning.ceiling_images
        share = f" ({percent(images / ceiling, 0)} %)" if ceiling else ""
        return Cell(f"{images:,} of {ceiling:,}{share}", images)

    return table_of(
        f"Tuned against default, {contest.title}: retrained on fresh seeds, Holm over the architectures"
        + level_note(contest.gains),
        contest.gains,
        [
            *version_columns("Default", "Tuned", difference="Gain", said=verdict_text),
            text_column(
                "Trials: complete/pruned/failed",
                lambda gain: "/".join(map(str, count_states(gain.tuning))),
                essential=False,
            ),
            column("Training images of the search, of its ceiling", spent, numeric=False, essential=False),
        ],
    )


def order_sentence(contest: Contest, conditions: Sequence[Condition]) -> Prose | None:
    """Which verdicts on pairs of architectures differ between default and tuned recipes; None under two of them."""
    before, after = (_verdicts(contest, conditions, tuned=tuned) for tuned in (False, True))
    shared = sorted(before.keys() & after.keys())
    differ = [pair for pair in shared if before[pair] != after[pair]]
    turned = [pair for pair in differ if {before[pair], after[pair]} == set(pair)]
    if not differ:
        every = f"all {len(shared)} pairs have" if len(shared) > 1 else "the one pair has"
        text = f"Tuning did not change the order: {every} the same verdict with default and tuned recipes."
        return Prose(text) if shared else None
    text = "Tuning turned no pair round: nobody who was better is worse when tuned."
    if turned:
        parts = [f"{before[p]} is better than {after[p]} with default recipes, and worse when tuned" for p in turned]
        text = f"Tuning changed the order: {'; '.join(first_ones(parts))}."
    if others := [pair for pair in differ if pair not in turned]:
        parts = [f"{a} against {b}: {_worded(before[a, b])} before, {_worded(after[a, b])} tuned" for a, b in others]
        text += (
            f" Verdicts that differ otherwise: {'; '.join(first_ones(parts))}. Undecided does not mean equal, so that "
            "going from or to it is no change of order by itself."
        )
    return Prose(text)


def _verdicts(contest: Contest, conditions: Sequence[Condition], *, tuned: bool) -> dict[tuple[str, str], str]:
    """What the table of default or of tuned runs says of the architectures that were tuned.

    Returns:
        By pair in alphabetical order: the name of the better one, or the verdict.
    """
    single = [gain for gain in contest.gains if len(gain.tuning.objectives) == 1]  # a front has no place in an order
    labels = {run.run_id: gain.label for gain in single for run in (gain.later if tuned else gain.earlier)}
    found: dict[tuple[str, str], str] = {}
    for condition in conditions:
        if condition.records[0].recipe_name.startswith("tuned") != tuned:
            continue
        names = {
            entry.label: labels[run.run_id]
            for entry in condition.entries
            for run in entry.records
            if run.run_id in labels
        }
        for pair in condition.accuracy.pairs:
            if pair.a in names and pair.b in names:
                a, b = names[pair.a], names[pair.b]
                better = a if pair.verdict == Verdict.A_BETTER else b
                found.setdefault((min(a, b), max(a, b)), better if pair.verdict in BETTER else pair.verdict.value)
    return found


def _worded(word: str) -> str:
    return word if word in (Verdict.EQUIVALENT, Verdict.UNDECIDED, Verdict.TOO_FEW_SEEDS) else f"{word} better"
