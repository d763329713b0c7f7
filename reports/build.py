"""From a study to its document: the order of reading."""

from __future__ import annotations

import dataclasses
import fnmatch
from typing import TYPE_CHECKING

from bench.analysis.conditions import find_conditions
from bench.core.errors import UnknownNameError
from bench.core.recipe import spell_settings
from bench.studies.claims.judge import judge_claims
from bench.system.text import one_line
from reports.answer import find_answer
from reports.document import Document, Section, detail, those
from reports.sections.appendix import (
    compared_section,
    environment_section,
    layer_sections,
    method_table,
    repeat_section,
    troubled_section,
)
from reports.sections.claims.section import claims_lead, claims_sections
from reports.sections.comparison import accuracy_notes, comparison_table, reading_notes, spread_table
from reports.sections.costs.against import cost_figure, find_cost_front, front_section, speed_section, uncounted_note
from reports.sections.costs.timings import timing_section
from reports.sections.doctor import doctor_section
from reports.sections.errors.classes import class_section, score_table
from reports.sections.errors.section import error_section, error_sections
from reports.sections.gate import gate_sections
from reports.sections.inside import inside_section
from reports.sections.training import budget_sections, curves_sections, stability_section, targets_section
from reports.sections.tuning.gains import find_contests
from reports.sections.tuning.section import tuning_sections
from reports.sections.verdicts.across import across_sections
from reports.sections.verdicts.pairs import pair_section, verdict_figure
from reports.sections.versions import before_after_section
from reports.summary import lead, verdict_notes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.analysis.conditions import Condition
    from bench.core.records import Study
    from bench.core.work.claims.judged import JudgedClaim
    from reports.document import Block
    from reports.sections.costs.against import CostFront
    from reports.sections.tuning.gains import Contest


def find_names(study: Study, patterns: Sequence[str]) -> frozenset[str]:
    """Architectures of a study by name or glob.

    Raises:
        UnknownNameError: A pattern matches none.
    """
    names = sorted({record.architecture for record in study.records})
    found: set[str] = set()
    for pattern in map(spell_settings, patterns):
        matches = [name for name in names if name == pattern] or fnmatch.filter(names, pattern)
        if not matches:
            raise UnknownNameError("architecture of this study", pattern, names)
        found.update(matches)
    return frozenset(found)


def narrow(study: Study, names: frozenset[str]) -> Study:
    """The study with the runs of some architectures, and their tunings."""
    records = tuple(record for record in study.records if record.architecture in names)
    runs = {record.run_id for record in records}
    return dataclasses.replace(
        study,
        records=records,
        tunings=tuple(tuning for tuning in study.tunings if tuning.architecture in names),
        diagnoses=tuple(diagnosis for diagnosis in study.diagnoses if diagnosis.architecture in names),
        portraits=tuple(portrait for portrait in study.portraits if portrait.run_id in runs),
    )


def build_document(
    study: Study,
    conditions: Sequence[Condition] | None = None,
    *,
    judged: Sequence[JudgedClaim] | None = None,
    only: frozenset[str] | None = None,
    earlier: tuple[str, Study] | None = None,
) -> Document:
    """Everything the report says of a study, worded once for all writers.

    The same study gives the same document: nothing is read from a clock. A study without a finished run gives one that
    says so.

    Args:
        study: What the store holds.
        conditions: Its conditions, where they are known already.
        judged: Its claims, likewise.
        only: Architectures that are shown, judged within the whole study; None for all.
        earlier: A study to set beside it, and where it lies.
    """
    conditions, contests = conditions or find_conditions(study), find_contests(study)
    judged = judge_claims(study) if judged is None else judged
    beside = before_after_section(conditions, earlier[1], place=earlier[0], only=only) if earlier else None
    if only is not None:
        conditions = [shown for condition in conditions if (shown := condition.narrowed(only)).entries]
        contests = tuple(left for contest in contests if (left := contest.narrowed(only)).gains)
        study = narrow(study, only)
    return Document(
        title=one_line(f"Architecture comparison: study {study.name}"),
        lead=(*claims_lead(judged), *lead(study, conditions, contests)),
        sections=(*those(beside), *claims_sections(study, judged), *_sections(study, conditions, contests)),
    )


def _sections(study: Study, conditions: Sequence[Condition], contests: Sequence[Contest]) -> tuple[Section, ...]:
    """What is said of a study by itself: first what everybody reads, then what is folded behind a line each."""
    tuned = {one_line(tuning.architecture) for tuning in study.tunings}
    labels = sorted({entry.label for condition in conditions for entry in condition.entries} | tuned)
    styles = {label: style for style, label in enumerate(labels)}
    fronts = [find_cost_front(condition, study) for condition in conditions]
    curves = [curves_sections(condition, study, styles) for condition in conditions]
    found = [*zip(conditions, fronts, curves, strict=True)]
    return (
        *(gate_sections(study.gate) if study.gate else ()),
        *tuning_sections(contests, conditions, styles),
        *across_sections(conditions, styles),
        *(
            section
            for condition, front, (accuracy, _) in found
            for section in _open_sections(condition, front, study, accuracy, styles, first=condition is conditions[0])
        ),
        *those(doctor_section(study), troubled_section(study, conditions)),
        repeat_section(study),
        *(
            section
            for condition, front, (_, more) in found
            for section in _folded_sections(condition, front, study, more, styles)
        ),
        *budget_sections(conditions),
        *those(timing_section(study, styles), inside_section(study, conditions)),
        *layer_sections(study),
        environment_section(study),
    )


def _open_sections(
    condition: Condition,
    front: CostFront,
    study: Study,
    curves: Section,
    styles: Mapping[str, int],
    *,
    first: bool,
) -> tuple[Section, ...]:
    """Table, picture, verdicts, curves and what was compared; folded for all conditions but the first."""
    blocks: tuple[Block, ...] = those(
        comparison_table(condition, front.latencies),
        *accuracy_notes(condition),
        score_table(condition),
        cost_figure(condition, front, styles),
        uncounted_note(front),
        verdict_figure(condition),
    )
    gist = "" if first else find_answer(condition).text
    main = Section(title=condition.title, slug=condition.slug, blocks=blocks, gist=gist)
    return main, curves, compared_section(condition, study)


def _folded_sections(
    condition: Condition, front: CostFront, study: Study, curves: Section | None, styles: Mapping[str, int]
) -> tuple[Section, ...]:
    """What stands behind the first pages of a condition, most asked for first."""
    notes = (*verdict_notes(condition, complete=not study.missing), *reading_notes(condition))
    return (
        Section(title=f"In detail: {condition.title}", slug=f"{condition.slug}-detail", blocks=(), detail=True),
        *those(pair_section(condition)),
        *([detail("What the verdicts mean", f"{condition.slug}-meaning", *notes, gist=_MEANING)] if notes else []),
        *those(front_section(condition, front)),
        detail("Spread over seeds", f"{condition.slug}-spread", spread_table(condition), gist=_SPREAD),
        *those(curves),
        targets_section(condition),
        *those(stability_section(condition, study), error_section(condition, study), class_section(condition)),
        *error_sections(condition, study, styles),
        *those(speed_section(condition, study, styles)),
        detail("How it was measured", f"{condition.slug}-method", method_table(condition), gist=_METHOD),
    )


_MEANING = "What better and undecided promise, how often they err, and how groups and ranks are to be read."
_SPREAD = "How much each net varies from seed to seed, which ranks it may have, and its size on disk."
_METHOD = "Data, split, recipe, budget, seeds, machine and the rule of the verdicts, in full."
