"""Claims and what came out: one row each, what contradicts itself, and what looking at the test set was worth."""

from __future__ import annotations

import collections
import dataclasses
import statistics
from typing import TYPE_CHECKING

from bench.analysis.stats.estimates import student_interval
from bench.core.work.claims.claim import PAIRED, TRENDS, UNTRAINED
from bench.core.work.claims.judged import VERDICTS
from bench.core.work.claims.quantity import Quantity
from bench.studies.claims.judge import judge_claims
from bench.studies.claims.quantities import find_runs
from bench.studies.claims.words import SELECTED
from bench.system.text import first_ones, listing, one_line, percent, plural, signed, slugify
from reports.cells import MISSING, column, number_column, table_of, text_column
from reports.document import Cell, Document, Prose, Section, Table, detail, those, warning
from reports.sections.claims.pictures import claim_figures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.core.records import Study
    from bench.core.work.claims.claim import Arm, AskedClaim
    from bench.core.work.claims.judged import JudgedClaim
    from reports.document import Block

FALSE_RATES = {"value": 0.01, "series": 0.01, "range": 0.01, "at least": 0.01, "usually": 0.03, "confusions": 0.05}
"""How often a true claim is "not reproduced" by luck at most, by rule, where values are normal, both looks counted
(docs/claims.md); of a paired rule `PAIRED_RATE`."""
PAIRED_RATE = 0.02

_SAID = 0.05
"""Expected false verdicts from which on they are spoken of."""

_GIST = (
    "Each claim under every completion, with pictures: the claimed value over the seeds, the claimed curve on the band."
)
_WORTH = "How much the best epoch on the test set lies above the last one, by what was trained."


def claims_lead(judged: Sequence[JudgedClaim]) -> Iterator[Prose]:
    """The answer in words: how many claims came out how, and how many false verdicts one expects by luck."""
    if not judged:
        return
    counts = collections.Counter(of.verdict for of in judged if not of.asked.trouble)
    parts = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]]
    if lost := len(judged) - counts.total():
        parts.append(f"{lost} that could not be run")
    yield Prose(f"Of {plural(len(judged), 'claim')} (compound ones in parts) {listing(parts)}.", tone="answer")
    if (expected := expected_by_luck(judged)) >= _SAID:
        yield Prose(
            f"By luck about {expected:.1f} of them at most would be 'not reproduced' were all of them true: one of a "
            "hundred numbers of a single run, one of fifty comparisons, and more where accuracies are skewed "
            "(docs/claims.md)."
        )
    if any(of.claim.is_selected_on_test for of in judged):
        yield warning(
            "Runs by a source's own rule looked at the test set as it did: what that rule chose is selected on test, "
            "stands beside the last epoch, and is compared with no other net's."
        )


def expected_by_luck(judged: Sequence[JudgedClaim]) -> float:
    """How many claims would be "not reproduced" by luck at most, were all of them true."""
    rules = [of.claim.rule for of in judged if of.claim.rule not in UNTRAINED]
    return sum(PAIRED_RATE if rule in (*PAIRED, *TRENDS) else FALSE_RATES[rule] for rule in rules)


def claims_sections(study: Study, judged: Sequence[JudgedClaim] | None = None) -> tuple[Section, ...]:
    """What was claimed and what came out; nothing for a study without claims."""
    judged = judge_claims(study) if judged is None else judged
    if not judged:
        return ()
    blocks: tuple[Block, ...] = (claims_table(judged), *_contradictions(judged), *_elsewhere(judged))
    return (
        Section(title="Claims", slug="claims", blocks=blocks),
        *those(worth_section(study, judged)),
        *_detail_sections(judged),
    )


def claims_document(study: Study) -> Document:
    """Claims by themselves, for `claims.md`."""
    judged = judge_claims(study)
    return Document(title="Claims", lead=tuple(claims_lead(judged)), sections=claims_sections(study, judged))


def claims_table(judged: Sequence[JudgedClaim]) -> Table:
    """A row a claim."""
    return table_of(
        "What was claimed and what came out",
        judged,
        [
            text_column("Id", lambda of: of.claim.id),
            text_column("Claim", lambda of: of.claim.text),
            text_column("Claimed", claimed_text, essential=False),
            text_column("Measured", _measured),
            number_column("Seeds", lambda of: of.n or None),
            text_column("Test set", _look, essential=False),
            text_column("Verdict", lambda of: of.verdict),
            text_column("Why", lambda of: of.why),
        ],
    )


def _measured(judged: JudgedClaim) -> str:
    """Its numbers; those of several conditions stand in detail, behind the first."""
    if judged.claim.rule not in PAIRED or len(judged.cases) < 2 or not judged.cases[0].said:
        return judged.measured or MISSING
    first, *others = judged.cases
    return f"{first.said} ({first.label}), and {plural(len(others), 'other condition')}"


def _look(judged: JudgedClaim) -> str:
    """How its runs looked at the test set."""
    if not judged.claim.arms:
        return MISSING
    if judged.claim.is_selected_on_test:
        return SELECTED
    return "watched, nothing chosen by it" if judged.claim.watches_test else "one look"


def claimed_text(judged: JudgedClaim) -> str:
    """The claimed numbers as they were printed."""
    claim = judged.claim
    if claim.rule in (*PAIRED, *TRENDS):
        return claim.rule
    joined = " to " if claim.rule == "range" else ", "
    text = joined.join(pair.replace(">", "→") for pair in claim.claimed)
    return {"at least": f"≥ {text}", "usually": f"≤ {text}"}.get(claim.rule, text)


def _contradictions(judged: Sequence[JudgedClaim]) -> Iterator[Prose]:
    """Where a source disagrees with itself, once each, and what else a reader should know."""
    found: dict[str, list[str]] = {}
    for of in judged:
        if of.claim.contradiction:
            found.setdefault(of.claim.contradiction, []).append(of.claim.id)
    for text, ids in found.items():
        verb = "contradicts itself" if len(ids) == 1 else "contradict themselves"
        yield warning(one_line(f"{listing(ids)} {verb}: {text}"))
    notes: dict[str, list[str]] = {}
    for of in judged:
        if of.claim.note:
            notes.setdefault(of.claim.note, []).append(of.claim.id)
    if notes:
        yield Prose(one_line(" ".join(f"{listing(ids)}: {text}" for text, ids in notes.items())))


def _elsewhere(judged: Sequence[JudgedClaim]) -> Iterator[Prose]:
    """That claims were run on other images than they are about."""
    others = [of for of in judged if of.claim.arms and of.asked.dataset not in ("", of.claim.dataset)]
    if others:
        about, run = ({of.claim.dataset for of in others}, {of.asked.dataset for of in others})
        yield warning(
            f"{listing(first_ones([of.claim.id for of in others]))}: about {listing(sorted(about))} and run on "
            f"{listing(sorted(run))}; these verdicts say nothing of their sources."
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Worth:
    """How much the kept weights of one arm lie above its last epoch's, in accuracy on test."""

    name: str
    kept: float
    last: float
    gains: tuple[float, ...]  # one a seed


def worth_section(study: Study, judged: Sequence[JudgedClaim]) -> Section | None:
    """What looking at the test set was worth: mean inflation with its interval; None where nobody chose by it."""
    rows = [worth for arm, asked in _peeking_arms(judged).items() if (worth := _find_worth(study, arm, asked))]
    if not rows:
        return None
    every = [gain for row in rows for gain in row.gains]
    mean, (low, high) = statistics.fmean(every), student_interval(every)
    text = (
        f"Best on test lies {signed(100 * mean, 3)} pp ({signed(100 * low, 3)} to {signed(100 * high, 3)}, 95 %) above "
        f"the last epoch, over {plural(len(every), 'run')}: so much a printed best accuracy promises too much."
    )
    table = table_of(
        "Test accuracy selected on test, and after the last epoch",
        rows,
        [
            text_column("Trained", lambda row: row.name),
            number_column("Seeds", lambda row: len(row.gains)),
            text_column("Selected on test (%)", lambda row: percent(row.kept)),
            text_column("Last epoch (%)", lambda row: percent(row.last)),
            column("Inflation (pp)", _gain_cell),
        ],
    )
    return Section(
        title="What looking at the test set was worth", slug="claims-worth", blocks=(Prose(text), table), gist=_WORTH
    )


def _gain_cell(row: _Worth) -> Cell:
    mean, (low, high) = statistics.fmean(row.gains), student_interval(row.gains)
    text = f"{signed(100 * mean, 3)} ({signed(100 * low, 3)} to {signed(100 * high, 3)})"
    return Cell(text, value=100 * mean, interval=(100 * low, 100 * high))


def _peeking_arms(judged: Sequence[JudgedClaim]) -> dict[Arm, AskedClaim]:
    """What was trained by a rule that keeps the best weights on test, each once, with a claim that asked for it."""
    return {
        arm: of.asked
        for of in judged
        if of.claim.is_selected_on_test
        for arm in of.claim.arms
        if arm.recipe.keep == "best"
    }


def _find_worth(study: Study, arm: Arm, asked: AskedClaim) -> _Worth | None:
    runs = find_runs(study, arm, asked)
    kept, last = runs.values(Quantity.parse("test_accuracy")), runs.last()
    seeds = [seed for seed in last if seed in kept]
    if len(seeds) < 3:
        return None
    recipe = arm.recipe
    name = f"{arm.net}, {recipe.optimizer} {recipe.lr:g}, batch {recipe.batch_size}"
    return _Worth(
        name=name,
        kept=statistics.fmean(kept[seed] for seed in seeds),
        last=statistics.fmean(last[seed] for seed in seeds),
        gains=tuple(kept[seed] - last[seed] for seed in seeds),
    )


def _detail_sections(judged: Sequence[JudgedClaim]) -> Iterator[Section]:
    """Every claim under each of its completions or conditions, with a picture where that says more."""
    shown = [of for of in judged if of.cases and of.claim.rule not in UNTRAINED]
    if not shown:
        return
    yield Section(title="Claims in detail", slug="claims-detail", blocks=(Prose(_GIST),), detail=True, gist=_GIST)
    for of in shown:
        blocks: tuple[Block, ...] = (Prose(one_line(f"{of.claim.text}: {of.verdict}. {of.why}.")), *claim_figures(of))
        yield detail(
            one_line(f"{of.claim.id}, {of.claim.source}"), f"claim-{slugify(of.claim.id)}", *blocks, _cases(of)
        )


def _cases(judged: JudgedClaim) -> Table:
    name = "Condition" if judged.claim.rule in PAIRED else "Completion"
    return table_of(
        f"{judged.claim.id} by {name.lower()}",
        judged.cases,
        [
            text_column(name, lambda case: case.label),
            number_column("Seeds", lambda case: case.n),
            text_column("Verdict alone", lambda case: case.verdict),
            text_column("What was found", lambda case: case.said or MISSING),
        ],
    )
