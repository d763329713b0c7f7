"""The first lines of a report: what the data is if not what it seems, what was found, what is undecided, the cost."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

from bench.analysis.reliability import FEWEST_TO_COMPARE, p_of_collapses
from bench.analysis.verdicts import BETTER, DECIDED, Verdict
from bench.analysis.winners import was_cut_short
from bench.core.records import RULE
from bench.core.seeds import ALPHA
from bench.system.text import duration, first_ones, listing, moment, one_line, percent, plural
from reports.document import Prose, warning
from reports.sections.comparison import unequal_budgets
from reports.sections.gate import gate_lead
from reports.sections.tuning.section import tuning_lead
from reports.sections.verdicts import verdict_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.analysis.conditions import Condition
    from bench.analysis.reliability import Collapses
    from bench.core.records import Study
    from reports.sections.tuning.gains import Contest

COLLAPSE_RULE = (
    "A seed has collapsed when its run diverged, ended at chance level, or ended more than eight robust standard "
    "deviations below the median of its own net (six seeds at least)"
)
"""docs/methodology.md, "Reliability"."""


def untrained_sentences(condition: Condition) -> list[Prose]:
    """Which architectures learned nothing on any seed, so that no verdict says anything of them."""
    shown = {entry.label: condition.collapses[entry.label] for entry in condition.entries}
    names = [label for label, found in shown.items() if found.seeds and found.typical is None]
    if not names:
        return []
    text = (
        f"On {condition.title}, {listing(first_ones(names))} {_have(len(names))} learned nothing on any seed: with "
        "this recipe a verdict says nothing of the net; try another recipe, as with a smaller --lr."
    )
    return [warning(text)]


def reliability_sentences(condition: Condition) -> list[Prose]:
    """Which architectures collapsed on how many seeds, and what the others may still hide; nothing without a value."""
    shown = {entry.label: condition.collapses[entry.label] for entry in condition.entries}
    there = {label: found for label, found in shown.items() if found.seeds}
    fallen = {label: found for label, found in there.items() if found.collapsed}
    lines = []
    if fallen:
        parts = first_ones([_describe(label, found) for label, found in fallen.items()])
        lines.append(warning(f"Reliability: {'; '.join(parts)}. {COLLAPSE_RULE}."))
    if more := [text for names, text in _compared(condition.collapses) if set(names) <= there.keys()]:
        lines.append(Prose(f"{'; '.join(first_ones(more))} (Fisher's exact test, Holm)."))
    if there and len(fallen) < len(there):
        fewest = min(len(found.seeds) for label, found in there.items() if label not in fallen)
        bound = 1 - ALPHA ** (1 / fewest)
        whose = "No seed collapsed" if not fallen else "No seed of the others collapsed"
        meaning = "" if fallen else " (diverged, stayed at chance or ended far below its net's others)"
        text = (
            f"{whose}{meaning}; with {plural(fewest, 'seed')} of a net, up to {percent(bound, 0)} % of all its seeds "
        )
        lines.append(Prose(f"{text}may still do so (95 % bound)."))
    return lines


def _describe(label: str, found: Collapses) -> str:
    """`bnrelu collapses: 1 of 9 seeds (at most 43 % would); typical 93.6 %, mean 89.1 %`."""
    counted = f"{len(found.collapsed)} of {plural(len(found.seeds), 'seed')}"
    text = f"{label} collapsed on {counted} (at most {percent(found.upper_bound, 0)} % of seeds would)"
    if found.typical is None or found.mean is None:
        return text
    return f"{text}: typical {percent(found.typical)} %, mean {percent(found.mean)} %"


def _compared(there: dict[str, Collapses]) -> list[tuple[tuple[str, str], str]]:
    """Pairs that collapse unlike often, and how to say it, from ten seeds on, Holm over those that could be tested."""
    tested = [
        (p, a, b)
        for a, b in itertools.combinations(there, 2)
        if min(len(there[a].seeds), len(there[b].seeds)) >= FEWEST_TO_COMPARE
        and (p := p_of_collapses(there[a], there[b])) is not None
    ]
    found = []
    for at, (p, a, b) in enumerate(sorted(tested)):
        if p * (len(tested) - at) >= ALPHA:
            break
        share = {name: len(there[name].collapsed) / len(there[name].seeds) for name in (a, b)}
        more, less = sorted((a, b), key=lambda name: -share[name])
        found.append(((a, b), f"{more} collapses more often than {less}"))
    return found


_ROLES = {"tune": "of trials while tuning", "gate": "of checks by the gate", "reference": "of the gate's references"}


def lead(study: Study, conditions: Sequence[Condition], contests: Sequence[Contest]) -> tuple[Prose, ...]:
    """The first lines: what the data is if not what it seems, what was found, what is undecided, what it cost."""
    lines = [
        warning(one_line(f"{facts.name}: {facts.note}"))
        for facts in sorted(study.datasets.values(), key=lambda facts: (facts.name, facts.data_hash))
        if facts.note
    ]
    if study.missing:
        text = f"Preliminary: {plural(study.missing, 'planned run')} {_have(study.missing)} not ended; all may change."
        lines.append(warning(text))
    if beside := sorted({entry.label for condition in conditions for entry in condition.beside}):
        text = f"Not shown here, and judged with those that are: {listing(beside)}. Fronts, ranks and timings speak of "
        text += "those shown alone."
        lines.append(warning(text))
    lines.extend(tuning_lead(contests))  # whoever tuned asked for this first
    for condition in conditions:
        lines.extend(_findings(condition, complete=not study.missing))
    if len(conditions) > 1:
        lines.append(Prose("These conditions are never mixed: each has its own tables and figures below."))
    if study.gate:
        lines[:0] = gate_lead(study.gate)
    elif not conditions:
        lines.append(warning("No run to compare has ended yet."))
    if study.first_rule < RULE and conditions:
        text = f"This study was begun under rule {study.first_rule} of verdicts and is judged here by rule {RULE}, "
        text += "which speaks of typical seeds: verdicts may differ from those that were shown then."
        lines.append(Prose(text))
    lines.append(Prose(_identity(study)))
    lines.extend(_set_aside(study))
    return tuple(lines)


def _identity(study: Study) -> str:
    """Which study of the results directory this is, and how far it got."""
    last = max((record.finished_at for record in study.records), default="")
    ended = f", the last ended {moment(last)}" if last else ""
    ok = sum(record.status == "ok" for record in study.records)
    cut = sum(was_cut_short(record, study) for record in study.records)
    pruned = f", {cut:,} cut short by tuning" if cut else ""
    return one_line(f"Study {study.name}: {plural(len(study.records), 'run')}, {ok:,} ended ok{pruned}{ended}.")


def _findings(condition: Condition, *, complete: bool) -> list[Prose]:
    """What a condition showed, in words, and what it cost."""
    ok = [run for run in condition.records if run.status == "ok"]
    counts = f"{plural(len(condition.entries), 'architecture')}, {len(ok):,} of {plural(len(condition.records), 'run')}"
    cost = f"{duration(math.fsum(run.train_seconds or 0 for run in ok))} of training, summed over the runs"
    early = f", after {condition.trained}" if condition.trained != str(condition.budget) else ""
    counted = Prose(f"{condition.title}: {counts} ok{early}; it cost {cost}.")
    lines, found = untrained_sentences(condition), verdict_sentences(condition.accuracy)
    if not found:
        return [*lines, counted]
    if condition.budget is None:
        lines.append(unequal_budgets(condition))
    lines += [dataclasses.replace(found[0], text=f"Test accuracy on {condition.title}: {found[0].text}"), *found[1:]]
    if any(pair.p is not None for pair in condition.accuracy.pairs):
        lines.append(Prose(_promise(condition)))
    return [*lines, *reliability_sentences(condition), *_until_decided(condition, complete=complete), counted]


def _promise(condition: Condition) -> str:
    """What the verdicts speak of and how often they err."""
    pairs = len(condition.accuracy.pairs)
    ranges = sorted({f"{100 * pair.confidence:.4g}" for pair in condition.accuracy.pairs}, key=float)
    equivalent = any(pair.verdict == Verdict.EQUIVALENT for pair in condition.accuracy.pairs)
    also = ", and at most one in twenty calls anything equivalent that is not" if equivalent else ""
    subject, metrics = "this data, budget and recipe", "accuracy and on times alike"
    if condition.budget is None:
        subject, metrics = "this data and of each source's own recipe and budget", "accuracy; times are not judged"
    return (
        f"The verdicts speak of {subject}, and of typical seeds (a seed is one training from a "
        "random start): better means that a run of the one beats a run of the other more often than not. Of tables "
        f"like this one, at most one in twenty calls anything better by luck{also}, on {metrics}. "
        f"{_holds(condition, pairs)} Ranges in brackets are {listing(ranges)} % intervals of the mean difference "
        "(Student's t)."
    )


def _holds(condition: Condition, pairs: int) -> str:
    """Over which pairs and looks the rate holds, and what it is where seeds were added after a verdict was shown."""
    together = f"counts all {pairs} pairs together and " if pairs > 1 else ""
    if earlier := condition.earlier_looks:
        looks = len(earlier) + 1
        shown = listing(list(earlier))
        return (
            f"But verdicts on these runs were shown before, with --seeds {shown}, and the rate adds up: over all "
            f"{looks} looks it is at most {looks} in twenty. --seeds 6:30 from the start would have kept to one."
        )
    if condition.seed_plan:
        return f"This {together}holds over all looks at the results."
    return (
        f"This {together}holds if the number of seeds was fixed beforehand, not if seeds are added until the answer "
        "pleases; --seeds 6:30 from the start adds them until decided, at the same rate."
    )


def _until_decided(condition: Condition, *, complete: bool) -> list[Prose]:
    """How many seeds each architecture took and what that saved."""
    plan = condition.seed_plan
    if plan is None:
        return []
    entries = [entry for entry in condition.entries if entry.label in condition.until_decided]
    took = {entry.label: sum(run.seed in plan.seeds for run in entry.records) for entry in entries}
    seeds = ", ".join(f"{name} {count}" for name, count in sorted(took.items()))
    text = f"Seeds were added until decided, from {plan.first} up to {len(plan.seeds)}: {seeds}."
    open_pairs = [p for p in condition.accuracy.pairs if p.verdict not in DECIDED and {p.a, p.b} <= took.keys() and p.n]
    if not complete or any(took[name] < len(plan.seeds) for pair in open_pairs for name in (pair.a, pair.b)):
        text += " It was cut short; the same command goes on."
    else:
        most = len(plan.seeds) * len(took)
        if saved := most - sum(took.values()):
            text += f" That saved {saved:,} of {plural(most, 'run')}."
    if fixed := sorted({entry.label for entry in condition.entries} - took.keys()):
        text += f" {listing(fixed)} came by another command, with a fixed number of seeds, and stand in the same table."
    if any(pair.verdict in BETTER and pair.n < len(plan.seeds) for pair in condition.accuracy.pairs):
        text += (
            " A lead that was decided early reads too large, the more so the fewer seeds it took: those whose luck "
            "made it look large are decided first."
        )
    if any(run.seed not in plan.seeds for run in condition.records):
        text += " Other seeds stand in the means of the table and in no verdict."
    return [Prose(text)]


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _set_aside(study: Study) -> list[Prose]:
    roles = [study.roles.get(record.run_id, "compare") for record in study.records]
    others = [
        f"{plural(n, 'run')} {_ROLES.get(role, f'of role {role}')}"
        for role in sorted(set(roles) - {"compare"})
        if (n := roles.count(role))
    ]
    lines = [Prose(f"Stored in this study and not compared here: {listing(others)}.")] if others else []
    if study.superseded:
        verb = "is" if study.superseded == 1 else "are"
        lines.append(Prose(f"{plural(study.superseded, 'superseded run')} {verb} kept in the store and not compared."))
    return lines
