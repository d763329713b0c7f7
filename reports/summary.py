"""The first lines of a report: what failed, the answer, what it cost, what is open; and how far verdicts carry."""

from __future__ import annotations

import collections
import datetime as dt
import itertools
import math
from typing import TYPE_CHECKING

from bench.analysis.reliability import unlike_collapses
from bench.analysis.verdicts import BETTER, DECIDED, Verdict
from bench.analysis.winners import was_cut_short
from bench.core.recipe import FEW_STEPS, few_steps_text
from bench.core.records import RULE
from bench.core.seeds import ALPHA
from bench.system.text import duration, first_ones, listing, moment, one_line, percent, plural
from reports.answer import find_answer
from reports.document import Prose, failure, warning
from reports.sections.comparison import unequal_budgets
from reports.sections.doctor import doctor_lead
from reports.sections.errors.classes import describe_uneven
from reports.sections.gate import gate_lead
from reports.sections.tuning.section import tuning_lead
from reports.sections.verdicts.looks import changed_verdicts, next_command, taken_out
from reports.sections.verdicts.pairs import undecided_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.analysis.conditions import Condition
    from bench.analysis.reliability import Collapses
    from bench.core.records import RunRecord, Study
    from reports.sections.tuning.gains import Contest

COLLAPSE_RULE = (
    "A seed has collapsed when its run diverged, ended at chance level, or ended more than eight robust standard "
    "deviations below the median of its own net (six seeds at least)"
)
"""docs/methodology.md, "Reliability"."""


def _untrained(condition: Condition) -> Iterator[Prose]:
    """Which architectures learned nothing on any seed, so that no verdict says anything of them."""
    shown = {entry.label: condition.collapses[entry.label] for entry in condition.entries}
    if names := [label for label, found in shown.items() if found.seeds and found.typical is None]:
        yield failure(
            f"On {condition.title}, {listing(first_ones(names))} {_have(len(names))} learned nothing on any seed: with "
            "this recipe a verdict says nothing of the net; try another recipe, as with a smaller --lr."
        )


def _collapsed(condition: Condition) -> Iterator[Prose]:
    """Which architectures collapsed on how many seeds, and which of them more often than others."""
    there = _with_seeds(condition)
    if fallen := {label: found for label, found in there.items() if found.collapsed}:
        parts = first_ones([_describe(label, found) for label, found in fallen.items()])
        yield warning(f"Reliability: {'; '.join(parts)}. {COLLAPSE_RULE}.")
    unlike = [pair for pair in unlike_collapses(condition.collapses) if set(pair) <= there.keys()]
    if parts := [f"{more} collapses more often than {less}" for more, less in unlike]:
        yield Prose(f"{'; '.join(first_ones(parts))} (Fisher's exact test, Holm).")


def _not_collapsed(condition: Condition) -> Iterator[Prose]:
    """What the others may still hide; nothing where all collapsed."""
    there = _with_seeds(condition)
    fallen = any(found.collapsed for found in there.values())
    if others := [len(found.seeds) for found in there.values() if not found.collapsed]:
        whose = "No seed collapsed (diverged, stayed at chance or ended far below its net's others)"
        yield Prose(
            f"{'No seed of the others collapsed' if fallen else whose}; with {plural(min(others), 'seed')} of a net, "
            f"up to {percent(1 - ALPHA ** (1 / min(others)), 0)} % of all its seeds may still do so (95 % bound)."
        )


def _with_seeds(condition: Condition) -> dict[str, Collapses]:
    shown = {entry.label: condition.collapses[entry.label] for entry in condition.entries}
    return {label: found for label, found in shown.items() if found.seeds}


def _describe(label: str, found: Collapses) -> str:
    """`bnrelu collapsed on 1 of 9 seeds (at most 43 % of seeds would): typical 93.6 %, mean 89.1 %`."""
    counted = f"{len(found.collapsed)} of {plural(len(found.seeds), 'seed')}"
    text = f"{label} collapsed on {counted} (at most {percent(found.upper_bound, 0)} % of seeds would)"
    if found.typical is None or found.mean is None:
        return text
    return f"{text}: typical {percent(found.typical)} %, mean {percent(found.mean)} %"


_ROLES = {
    "tune": "of trials while tuning",
    "gate": "of checks by the gate",
    "reference": "of the gate's references",
    "claim": "of claims",
}


def lead(study: Study, conditions: Sequence[Condition], contests: Sequence[Contest]) -> Iterator[Prose]:
    """The first lines: what failed, the answer, what it is about and cost, what is open, what the data is."""
    if study.gate:
        yield from gate_lead(study.gate)
    yield from doctor_lead(study)
    for condition in conditions:
        yield from failures(condition)
        yield from _untrained(condition)
    yield from tuning_lead(contests)  # whoever tuned asked for this first
    for condition in conditions:
        about = f"{condition.title}: " if len(conditions) > 1 else ""
        yield Prose(f"{about}{find_answer(condition).text}", tone="answer")
    if not conditions and not (study.gate or study.forgotten or study.claims):
        yield warning("No run to compare has ended yet.")
    if missing := study.missing:
        goes_on = study.command and "--fresh" not in study.command
        again = f" The same command goes on: {one_line(study.command)}" if goes_on else ""
        yield warning(
            f"Preliminary: {plural(missing, 'planned run')} {_have(missing)} not ended; all may change.{again}"
        )
    for condition in conditions:
        yield _what_and_cost(condition)
    for condition, label in zip(conditions, _tell_apart(conditions), strict=True):
        yield from _open_questions(condition, about=f"{label}: " if label else "")
        yield from next_command(condition, study)
    yield from changed_verdicts(study, conditions)
    yield from _notes(study, conditions)
    yield Prose(_identity(study))
    yield from taken_out(study)
    yield from _set_aside(study)


def _tell_apart(conditions: Sequence[Condition]) -> list[str]:
    """What of its title each has for itself: `3 epochs` beside `1 epoch`; nothing of a single one."""
    titles = [condition.title.split(", ") for condition in conditions]
    if len({len(title) for title in titles}) > 1:
        return [condition.title for condition in conditions]
    differ = [len(set(parts)) > 1 for parts in zip(*titles, strict=True)]
    return [", ".join(itertools.compress(title, differ)) for title in titles]


def _notes(study: Study, conditions: Sequence[Condition]) -> Iterator[Prose]:
    """What holds of the whole report: what it leaves out, what its data is, that conditions and rules are several."""
    if beside := sorted({entry.label for condition in conditions for entry in condition.beside}):
        yield warning(
            f"Not shown here, and judged with those that are: {listing(beside)}. Fronts, ranks and timings speak of "
            "those shown alone."
        )
    if any(condition.metric.is_balanced for condition in conditions):
        yield Prose(
            "Verdicts are on balanced accuracy: the mean over the classes of the share of a class's test images that "
            "is right, so that every class counts alike."
        )
    uneven = {condition.records[0].data_hash: condition for condition in conditions if condition.uneven}
    yield from (Prose(describe_uneven(condition), tone="data") for condition in uneven.values())
    for metadata in sorted(study.datasets.values(), key=lambda metadata: (metadata.name, metadata.data_hash)):
        if metadata.note:
            yield Prose(one_line(f"{metadata.name}: {metadata.note}"), tone="data")
    if len(conditions) > 1:
        yield Prose("These conditions are never mixed: each has its own tables and figures below.")
    if study.first_rule < RULE and conditions:
        yield Prose(
            f"This study was begun under rule {study.first_rule} of verdicts and is judged here by rule {RULE}, "
            "which speaks of typical seeds: verdicts may differ from those that were shown then."
        )


def failures(condition: Condition) -> Iterator[Prose]:
    """Which nets failed or diverged, the reason of the first such run beside them: on all seeds first, then on some."""
    for entry in condition.entries:
        if condition.is_crashed(entry):
            on = f"all {len(entry.records)} seeds" if len(entry.records) > 1 else "its only seed so far"
            yield failure(f"{entry.label} failed on {on}: {_reason(entry.records)}")
    parts = [
        f"{entry.label} {status} on {len(runs)} of {plural(len(entry.records), 'seed')} ({_reason(runs)})"
        for entry in condition.entries
        for status in ("failed", "diverged")
        if (runs := entry.having(status)) and not condition.is_crashed(entry)
    ]
    if parts:
        yield failure(f"{'; '.join(first_ones(parts))}.")


def _reason(runs: Sequence[RunRecord]) -> str:
    """Why the first of these runs ended, and that others had other reasons."""
    reasons = list(dict.fromkeys(one_line(run.error) or "no reason was stored" for run in runs))
    return reasons[0] + (f", and {plural(len(reasons) - 1, 'other reason')}" if len(reasons) > 1 else "")


def _identity(study: Study) -> str:
    """Which study of the results directory this is, and how far it got."""
    last = max((record.finished_at for record in study.records), default="")
    ended = f", the last ended {moment(last)}" if last else ""
    ok = sum(record.status == "ok" for record in study.records)
    cut = sum(was_cut_short(record, study) for record in study.records)
    pruned = f", {cut:,} cut short by tuning" if cut else ""
    return one_line(f"Study {study.name}: {plural(len(study.records), 'run')}, {ok:,} ended ok{pruned}{ended}.")


def _open_questions(condition: Condition, *, about: str) -> Iterator[Prose]:
    """What a reader of the answer must know beside it: what is undecided, what collapsed, which rate holds."""
    yield from _without_answers(condition)
    yield from _hardly_trained(condition, about)
    if condition.budget is None and condition.accuracy.pairs:
        yield unequal_budgets(condition)
    yield from undecided_note(condition.accuracy, about=about)
    yield from _collapsed(condition)
    if condition.earlier_looks and any(pair.p is not None for pair in condition.accuracy.pairs):
        yield warning(_holds(condition))


def _hardly_trained(condition: Condition, about: str) -> Iterator[Prose]:
    """That no run took as many steps as learning takes."""
    most = max((run.steps for run in condition.records if run.steps is not None), default=FEW_STEPS)
    if most < FEW_STEPS:
        yield warning(f"{about}{few_steps_text(most)}")


def _without_answers(condition: Condition) -> Iterator[Prose]:
    """How many runs have no value of what verdicts are on."""
    ok = [run for run in condition.records if run.status == "ok" and condition.metric.is_balanced]
    if without := sum(run.run_id not in condition.scores for run in ok):
        yield warning(
            f"{without:,} of {plural(len(ok), 'run')} {_have(without)} stored no answers, from which balanced accuracy "
            "follows, and so no part in verdicts. --fresh trains again; --metric accuracy judges without."
        )


def _what_and_cost(condition: Condition) -> Prose:
    """What the answer is about and what it took: wall-clock time beside the training time of all runs."""
    ok = [run for run in condition.records if run.status == "ok"]
    counts = f"{plural(len(condition.entries), 'architecture')}, {len(ok):,} of {plural(len(condition.records), 'run')}"
    summed = f"{duration(summed_training(condition.records))} of training, summed over the runs"
    clock = clock_seconds(condition.records)
    cost = f"{duration(clock)} by the clock ({summed})" if clock else summed
    early = f", after {condition.trained}" if condition.trained != str(condition.budget) else ""
    return Prose(f"{condition.title}: {counts} ok{early}; it cost {cost}.")


def summed_training(runs: Iterable[RunRecord]) -> float:
    """Seconds of training of distinct runs, however they ended."""
    return math.fsum({run.run_id: run.train_seconds or 0.0 for run in runs}.values())


def clock_seconds(runs: Iterable[RunRecord]) -> float:
    """Time by the clock during which at least one of the runs was under way; 0 where no times are stored.

    A run that was cut short and went on later stands with the time that it took, as if without the pause.
    """
    spans = []
    for run in runs:
        if run.started_at and run.finished_at:
            start, end = map(dt.datetime.fromisoformat, (run.started_at, run.finished_at))
            # A second more, as times are stored in whole ones.
            took = end - start if run.wall_seconds is None else dt.timedelta(seconds=run.wall_seconds + 1)
            spans.append((max(start, end - took), end))
    spans.sort()
    seconds, until = 0.0, None
    for start, end in spans:
        begin = start if until is None else max(start, until)
        if end > begin:
            seconds, until = seconds + (end - begin).total_seconds(), end
    return seconds


def verdict_notes(condition: Condition, *, complete: bool) -> Iterator[Prose]:
    """What the verdicts of a condition speak of, how often they err, how seeds were added; nothing without a pair.

    Args:
        condition: Its accuracy is what is judged.
        complete: Whether every planned run has ended.
    """
    if any(pair.p is not None for pair in condition.accuracy.pairs):
        yield Prose(_promise(condition))
    if condition.accuracy.pairs:
        yield from _coarse_margin(condition)
        yield from _not_collapsed(condition)
        yield from _until_decided(condition, complete=complete)


def _coarse_margin(condition: Condition) -> Iterator[Prose]:
    """That the margin is finer than one test image."""
    images, metric = sum(condition.class_images), condition.metric
    if not metric.is_balanced and images and metric.margin < 1 / images:
        yield Prose(
            f"The margin of {100 * metric.margin:g} pp is less than one of {images:,} test images "
            f"({100 / images:.2f} pp), so that hardly anything can be called equivalent; --margin says what matters."
        )


def _promise(condition: Condition) -> str:
    """What the verdicts speak of and how often they err."""
    pairs = condition.accuracy.pairs
    ranges = sorted({f"{100 * pair.confidence:.4g}" for pair in pairs}, key=float)
    equivalent = any(pair.verdict == Verdict.EQUIVALENT for pair in pairs)
    also = ", and at most one in twenty calls anything equivalent that is not" if equivalent else ""
    accuracy = "balanced accuracy" if condition.metric.is_balanced else "accuracy"
    subject, metrics = "this data, budget and recipe", f"{accuracy} and on times alike"
    if condition.budget is None:
        subject, metrics = "this data and of each source's own recipe and budget", f"{accuracy}; times are not judged"
    return (
        f"The verdicts speak of {subject}, and of typical seeds (a seed is one training from a "
        "random start): better means that a run of the one beats a run of the other more often than not. Of tables "
        f"like this one, at most one in twenty calls anything better by luck{also}, on {metrics}. "
        f"{_holds(condition)} Ranges in brackets are {listing(ranges)} % intervals of the mean difference "
        "(Student's t)."
    )


def _holds(condition: Condition) -> str:
    """Over which pairs and looks the rate holds, and what it is where seeds were added after a verdict was shown."""
    pairs, earlier = len(condition.accuracy.pairs), condition.earlier_looks
    together = f"counts all {pairs} pairs together and " if pairs > 1 else ""
    if earlier:
        looks = condition.times_shown
        return (
            f"Looks add up: verdicts on these runs were shown before, with --seeds {listing(list(earlier))}, and the "
            f"rate adds up: over all {looks} looks it is at most {looks} in twenty. --seeds 6:30 from the start would "
            "have kept to one."
        )
    if condition.seed_plan:
        return f"This {together}holds over all looks at the results."
    return (
        f"This {together}holds if the number of seeds was fixed beforehand, not if seeds are added until the answer "
        "pleases; --seeds 6:30 from the start adds them until decided, at the same rate."
    )


def _until_decided(condition: Condition, *, complete: bool) -> Iterator[Prose]:
    """How many seeds each architecture took and what that saved."""
    if (plan := condition.seed_plan) is None:
        return
    entries = [entry for entry in condition.entries if entry.label in condition.until_decided]
    took = {entry.label: sum(run.seed in plan.seeds for run in entry.records) for entry in entries}
    seeds = ", ".join(f"{name} {count}" for name, count in sorted(took.items()))
    text = f"Seeds were added until decided, from {plan.first} up to {len(plan.seeds)}: {seeds}."
    open_pairs = [p for p in condition.accuracy.pairs if p.verdict not in DECIDED and {p.a, p.b} <= took.keys() and p.n]
    if not complete or any(took[name] < len(plan.seeds) for pair in open_pairs for name in (pair.a, pair.b)):
        text += " It was cut short; the same command goes on."
    elif saved := len(plan.seeds) * len(took) - sum(took.values()):
        text += f" That saved {saved:,} of {plural(len(plan.seeds) * len(took), 'run')}."
    if fixed := sorted({entry.label for entry in condition.entries} - took.keys()):
        text += f" {listing(fixed)} came by another command, with a fixed number of seeds, and stand in the same table."
    if any(pair.verdict in BETTER and pair.n < len(plan.seeds) for pair in condition.accuracy.pairs):
        text += (
            " A lead that was decided early reads too large, the more so the fewer seeds it took: those whose luck "
            "made it look large are decided first."
        )
    if any(run.seed not in plan.seeds for run in condition.records):
        text += " Other seeds stand in the means of the table and in no verdict."
    yield Prose(text)


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _set_aside(study: Study) -> Iterator[Prose]:
    roles = collections.Counter(study.roles.get(record.run_id, "compare") for record in study.records)
    del roles["compare"]
    others = [f"{plural(n, 'run')} {_ROLES.get(role, f'of role {role}')}" for role, n in sorted(roles.items())]
    if others:
        yield Prose(f"Stored in this study and not compared here: {listing(others)}.")
    if study.superseded:
        verb = "is" if study.superseded == 1 else "are"
        yield Prose(f"{plural(study.superseded, 'superseded run')} {verb} kept in the store and not compared.")
