"""One architecture in two versions, the later judged against the earlier: tuned or not, before and after."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, TypeVar

from bench.looks import ONE_LOOK
from bench.records import MARGIN
from bench.stats.metrics import accuracy_metric
from bench.stats.verdicts import BETTER, PairVerdict, Verdict, judge_pairs
from reports.document import Cell, Column
from reports.judged import difference_cells, levels_text, p_cell
from reports.verdicts import more_seeds_text
from reports.wording import number_cell, percent_cell, plural, text_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.looks import Look
    from bench.records import RunRecord


@dataclasses.dataclass(frozen=True, kw_only=True)
class Versions:
    """One architecture in two versions.

    Attributes:
        label: Its name, unlike that of any other that is judged with it.
        earlier: Runs of the first version.
        later: Runs of the second.
        verdict: On later − earlier, by test accuracy; None where they are not judged.
    """

    label: str
    earlier: tuple[RunRecord, ...]
    later: tuple[RunRecord, ...]
    verdict: PairVerdict | None = None

    @property
    def means(self) -> tuple[float | None, float | None]:
        """Mean test accuracy of the earlier and of the later one, None without a value.

        On the seeds that both have, where a diverged run counts as guessing as it does in the verdict; on its own where
        the other has no run, or they are not judged.
        """
        if self.verdict is not None and (found := self.verdict.differences) is not None:
            return statistics.fmean(found.b), statistics.fmean(found.a)
        seeds = None if self.verdict is None or not (self.earlier and self.later) else self.verdict.seeds
        return _mean(self.earlier, seeds), _mean(self.later, seeds)


def _mean(runs: Sequence[RunRecord], seeds: Sequence[int] | None) -> float | None:
    there = [
        run.test_accuracy
        for run in runs
        if run.status == "ok" and run.test_accuracy is not None and (seeds is None or run.seed in seeds)
    ]
    return statistics.fmean(there) if there else None


Judged = TypeVar("Judged", bound=Versions)


def judge_versions(
    found: Sequence[Judged], *, chance: float, margin: float = MARGIN, looks: Sequence[Look] = ONE_LOOK
) -> tuple[Judged, ...]:
    """Each with its verdict on later − earlier, Holm over all of them.

    Args:
        found: What is judged.
        chance: Accuracy that a run which diverged counts for.
        margin: Half width of the range of equivalence, an accuracy fraction.
        looks: When it is judged.
    """
    metric = accuracy_metric(margin, chance=chance)
    values = {f"{each.label} later": metric.values(each.later) for each in found}
    values |= {f"{each.label} earlier": metric.values(each.earlier) for each in found}
    names = [(f"{each.label} later", f"{each.label} earlier") for each in found]
    verdicts = judge_pairs(values, metric, looks=looks, pairs=names)
    return tuple(dataclasses.replace(each, verdict=verdict) for each, verdict in zip(found, verdicts, strict=True))


def version_columns(earlier: str, later: str, *, difference: str) -> tuple[Column, ...]:
    """The columns of `version_cells`.

    Args:
        earlier: What the earlier one is called: "Before".
        later: What the later one is called.
        difference: What later − earlier is called.
    """
    return (
        Column(name="Architecture", numeric=False),
        Column(name=f"{earlier}: test accuracy (%)"),
        Column(name=f"{later}: test accuracy (%)"),
        Column(name=f"{difference} (pp)"),
        Column(name="Interval (pp)", numeric=False),
        Column(name="p (Holm)"),
        Column(name="Verdict", numeric=False),
        Column(name="Seeds"),
    )


def version_cells(versions: Versions, said: str) -> tuple[Cell, ...]:
    """Name, both accuracies, the judged difference, its verdict and the seeds it is from.

    Args:
        versions: What the row is about.
        said: The verdict in words, or why there is none.
    """
    pair = versions.verdict
    return (
        text_cell(versions.label),
        *(percent_cell(mean) for mean in versions.means),
        *difference_cells(pair, accuracy_metric()),
        p_cell(pair.p_holm if pair else None),
        Cell(text=said),
        number_cell(pair.n if pair else None),
    )


def level_note(found: Iterable[Versions]) -> str:
    """What a caption ends with: `; intervals at 97.5 %`; empty where no pair could be tested."""
    levels = levels_text(each.verdict for each in found if each.verdict and each.verdict.p is not None)
    return f"; intervals at {levels}" if levels else ""


def outcome(pair: PairVerdict, later: str, earlier: str) -> str:
    """A verdict on two versions of one architecture, in words.

    Args:
        pair: The verdict on later − earlier.
        later: What the later one is called: "tuned", "after".
        earlier: What the earlier one is called.
    """
    if pair.verdict in BETTER:
        side = later if pair.verdict == Verdict.A_BETTER else earlier
        matters = {True: ", matters", False: ", too small to matter", None: ""}[pair.matters]
        return f"{side} better{' on typical seeds alone' if pair.typical_only else ''}{matters}"
    if pair.verdict == Verdict.EQUIVALENT:
        return "equivalent"
    if pair.verdict == Verdict.TOO_FEW_SEEDS:
        return f"too few seeds, {plural(pair.more_seeds or 1, 'more seed')} needed"
    return f"undecided, {more_seeds_text(pair, accuracy_metric())}"
