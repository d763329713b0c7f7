"""From a study to its document: the order of reading."""

from __future__ import annotations

import dataclasses
import fnmatch
from typing import TYPE_CHECKING

from bench.analysis.conditions import find_conditions
from bench.core.errors import UnknownNameError
from bench.system.text import one_line
from reports.document import Document, Prose, Section, detail, those
from reports.lead import lead
from reports.sections.appendix import (
    environment_section,
    layer_sections,
    method_table,
    repeat_section,
    troubled_section,
)
from reports.sections.comparison import accuracy_notes, comparison_table, speed_tables, time_to_target_table
from reports.sections.costs import cost_figure, find_cost_front, front_section, seconds_figure, uncounted_note
from reports.sections.curves import curve_figures, label_smoothing
from reports.sections.errors.section import error_section, error_sections
from reports.sections.gate import gate_sections
from reports.sections.inside import inside_section
from reports.sections.stability import budget_sections, stability_section
from reports.sections.timings import timing_section
from reports.sections.tuning.gains import find_contests
from reports.sections.tuning.section import tuning_sections
from reports.sections.verdicts import pair_table, verdict_figure, verdict_sentences
from reports.sections.versions import before_after_section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.analysis.conditions import Condition
    from bench.core.records import Study
    from reports.document import Block
    from reports.sections.tuning.gains import Contest


def find_names(study: Study, patterns: Sequence[str]) -> frozenset[str]:
    """Architectures of a study by name or glob.

    Raises:
        UnknownNameError: A pattern matches none.
    """
    names = sorted({record.architecture for record in study.records})
    found: set[str] = set()
    for pattern in patterns:
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
        portraits=tuple(portrait for portrait in study.portraits if portrait.run_id in runs),
    )


def build_document(
    study: Study,
    conditions: Sequence[Condition] | None = None,
    *,
    only: frozenset[str] | None = None,
    earlier: tuple[str, Study] | None = None,
) -> Document:
    """Everything the report says of a study, worded once for all writers.

    The same study gives the same document: nothing is read from a clock.

    Args:
        study: What the store holds; one without a finished run gives a document that says so.
        conditions: Its conditions, where they are known already.
        only: Architectures that are shown, judged within the whole study; None for all.
        earlier: A study to set beside it, and where it lies.
    """
    conditions, contests = conditions or find_conditions(study), find_contests(study)
    beside = before_after_section(conditions, earlier[1], place=earlier[0], only=only) if earlier else None
    if only is not None:
        conditions = [shown for condition in conditions if (shown := condition.narrowed(only)).entries]
        contests = tuple(left for contest in contests if (left := contest.narrowed(only)).gains)
        study = narrow(study, only)
    return Document(
        title=one_line(f"Architecture comparison: study {study.name}"),
        lead=lead(study, conditions, contests),
        sections=(*those(beside), *_sections(study, conditions, contests)),
    )


def _sections(study: Study, conditions: Sequence[Condition], contests: Sequence[Contest]) -> tuple[Section, ...]:
    """What is said of a study by itself, in the order of reading."""
    tuned = {one_line(tuning.architecture) for tuning in study.tunings}
    labels = sorted({entry.label for condition in conditions for entry in condition.entries} | tuned)
    styles = {label: style for style, label in enumerate(labels)}
    return (
        *(gate_sections(study.gate) if study.gate else ()),
        *tuning_sections(contests, conditions, styles),
        *(section for condition in conditions for section in _condition_sections(condition, study, styles)),
        *budget_sections(conditions),
        *those(timing_section(study, styles), troubled_section(study, conditions), inside_section(study, conditions)),
        *layer_sections(study),
        environment_section(study),
        repeat_section(study),
    )


def _condition_sections(condition: Condition, study: Study, styles: Mapping[str, int]) -> tuple[Section, ...]:
    front, slug = find_cost_front(condition, study), condition.slug
    main: tuple[Block, ...] = those(
        comparison_table(condition),
        cost_figure(condition, front, styles),  # beside the table on the first screen, as far as it has room
        uncounted_note(front),
        pair_table(condition.accuracy, title="Test accuracy") if condition.accuracy.pairs else None,
        verdict_figure(condition),
        *accuracy_notes(condition),
    )
    return (
        Section(title=condition.title, slug=slug, blocks=main),
        *those(front_section(condition, front)),
        detail("How it was measured", f"{slug}-method", method_table(condition)),
        detail("Learning curves", f"{slug}-curves", *_curves(condition, study, styles)),
        detail("Time to target", f"{slug}-targets", *_targets(condition)),
        *those(stability_section(condition, study), error_section(condition, study)),
        *error_sections(condition, study, styles),
        *those(_speed_section(condition, styles)),
    )


def _curves(condition: Condition, study: Study, styles: Mapping[str, int]) -> tuple[Block, ...]:
    figures = curve_figures(condition, study, styles)
    if not figures:
        return (Prose("No run has stored a learning curve yet."),)
    text = (
        "Lines are means over the seeds that ended ok, bands reach from the lowest to the highest seed; a point "
        "that fewer than half of the seeds have is not drawn. Training accuracy is that of the images as they were "
        "trained on, during the epoch, and so can lie below validation accuracy."
    )
    if smoothed := label_smoothing(condition):
        text += (
            f" Training loss is that of the labels trained on, smoothed by {smoothed}; validation loss is that of "
            "plain ones: the two must not be held against each other."
        )
    return Prose(text), *figures


def _targets(condition: Condition) -> tuple[Block, ...]:
    text = (
        "A target is reached at the first of two passes in a row on validation images. A fixed probe of at "
        "most 1,000 of them is scored during the first two epochs, all of them at the end of every epoch. A run that "
        "diverged never got there; one that the budget ends at its first pass has not passed twice. A run that its own "
        "recipe stops at an accuracy has reached that one, and every lower target, at the evaluation that ended it."
    )
    blocks: list[Block] = [Prose(text), time_to_target_table(condition)]
    times = condition.epochs_to_95
    if times.pairs and condition.budget and condition.budget.epochs is not None:
        compared = (
            f"Compared by the mean of the epochs to 95 %, a run that never got there counting as the whole budget of "
            f"{condition.budget}, by the rule of accuracy."
        )
        blocks += [Prose(compared), *verdict_sentences(times), pair_table(times, title="Epochs to 95 %")]
    return tuple(blocks)


def _speed_section(condition: Condition, styles: Mapping[str, int]) -> Section | None:
    blocks: list[Block] = []
    for number, (setting, table) in enumerate(speed_tables(condition), 1):
        blocks += [table, *those(seconds_figure(condition, setting, styles=styles, number=number))]
    text = (
        "The training clock stands still while a run is evaluated. Runs that trained at the same time shared the "
        "machine's memory and caches: compare times inside one table only, and take small differences for noise."
    )
    return detail("Training speed", f"{condition.slug}-speed", Prose(text), *blocks) if blocks else None
