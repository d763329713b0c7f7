"""What one may do about a verdict and what became of it: the next command, verdicts that changed, nets taken out."""

from __future__ import annotations

import fnmatch
import math
import re
import shlex
from typing import TYPE_CHECKING

from bench.analysis.verdicts import Verdict
from bench.core.seeds import COMPARISON_SEEDS, FEWEST_SEEDS
from bench.system.text import first_ones, listing
from reports.document import Prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.analysis.conditions import Condition
    from bench.analysis.verdicts import PairVerdict
    from bench.core.records import Study

_USUAL_MOST = 30
"""Seeds to which `--seeds 6:30` goes."""


def next_command(condition: Condition, study: Study) -> Iterator[Prose]:
    """The one command that goes on with undecided pairs, and at what rate; none while a plan is under way.

    By hand every extension is one more look, and nobody knows beforehand how many there will be.
    """
    open_pairs = [pair for pair in condition.accuracy.pairs if pair.verdict == Verdict.UNDECIDED and not pair.never]
    tuned = "--tune" in shlex.split(study.command)  # which takes a fixed number
    plan = condition.seed_plan
    if not open_pairs or tuned or study.missing or (plan and any(pair.n < len(plan.seeds) for pair in open_pairs)):
        return
    has = max(pair.n for pair in open_pairs)
    needed = max(pair.n + (pair.more_seeds or 0) for pair in open_pairs)
    most = min(max(_USUAL_MOST, 2 * has if plan else 10 * math.ceil(needed / 10)), COMPARISON_SEEDS)
    first = plan.first if plan else has if _are_first(condition, has) else FEWEST_SEEDS
    seeds = f"{first}:{most}"
    names = sorted({name for pair in open_pairs for name in (pair.a, pair.b)})
    looks = condition.times_shown + 1
    yield Prose(
        f"To decide what is undecided: {_command(study.command, seeds, names)} adds seeds for those pairs until they "
        f"are decided, or {most} are in; --plan behind it says what that takes. What is decided stands, and over all "
        f"{looks} looks, this report's among them, at most {looks} in twenty tables like this one call anything better "
        "by luck. Adding seeds by hand adds one in twenty each time.",
        tone="advice",
    )


def changed_verdicts(study: Study, conditions: Sequence[Condition]) -> Iterator[Prose]:
    """Which verdicts are not what they were before the last command that changed their table."""
    was = {(each.table, each.metric, each.a, each.b): each.verdict for each in study.shown}
    changed = [
        f"{pair.a} against {pair.b}{'' if comparison is condition.accuracy else ' in epochs to 95 %'} was "
        f"{_worded(pair, before)} and is {_worded(pair, pair.verdict)}{f' ({condition.title})' * (len(conditions) > 1)}"
        for condition in conditions
        for comparison in (condition.accuracy, condition.epochs_to_95)
        for pair in comparison.pairs
        if (before := was.get((condition.code, comparison.metric.name, pair.a, pair.b))) not in (None, pair.verdict)
    ]
    if changed:
        yield Prose(f"Changed by the last command that judged anew: {'; '.join(first_ones(changed))}.", tone="advice")


def _worded(pair: PairVerdict, verdict: str | None) -> str:
    """A verdict on a pair by the names of its nets."""
    name = {Verdict.A_BETTER.value: pair.a, Verdict.B_BETTER.value: pair.b}.get(str(verdict))
    return f"'{name} better'" if name else f"'{verdict}'"


def taken_out(study: Study) -> Iterator[Prose]:
    """Which nets were taken out of the study, and what that means for the others."""
    if study.forgotten:
        names = listing(list(study.forgotten))
        yield Prose(
            f"Taken out of this study by --forget: {names}; the runs stay stored, and --arch brings them back without "
            "training. The rate of error holds for what is left if nothing was taken out for what its verdicts said."
        )


def _are_first(condition: Condition, count: int) -> bool:
    """Whether a fixed number of seeds was the first ones, with which a plan until decided begins."""
    return {run.seed for run in condition.records} >= set(range(count))


def _names(word: str, name: str) -> bool:
    """Whether a word behind `--arch` stands for a net; one with settings for any of its net's, however spelt."""
    with_settings = " " in word and " " in name
    word = word.rpartition(".py:")[2]
    return fnmatch.fnmatchcase(name, word) or (with_settings and word.partition(" ")[0] == name.partition(" ")[0])


def _command(command: str, seeds: str, names: Sequence[str]) -> str:
    """The study's command with other seeds, or, where it does not choose all of these nets, what to write."""
    words = shlex.split(command)
    if not {"--all", "--arch"} & set(words) or {"--check", "--write-thresholds"} & set(words):
        return f"the command that trained them, with --seeds {seeds},"
    kept, chosen = list[str](), list[str]()
    for before, word in zip(["", *words], words, strict=False):
        if before == "--arch":
            chosen.append(word)
        if "--seeds" not in (before, word.partition("=")[0]) and word not in ("--plan", "--fresh", "--time-again"):
            kept.append(word)
    any_name = any(re.split(r" [\w-]+=", word)[0].endswith(".py") for word in chosen)  # a file may declare it
    lacking = [] if any_name else [name for name in names if not any(_names(word, name) for word in chosen)]
    if lacking and "--all" not in words:  # of earlier commands, which may have named them by their files
        return f"one command that names {listing([*names])} by --arch, with --seeds {seeds},"
    return shlex.join([*kept, "--seeds", seeds])
