"""From a study to its document: the order of reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.background import environment_section, layer_sections, repeat_section, troubled_section
from reports.comparison import accuracy_notes, comparison_table
from reports.conditions import find_conditions
from reports.costs import parameters_figure, seconds_figure
from reports.curves import curve_figures
from reports.document import Document, Prose, Section
from reports.durations import speed_tables, time_to_target_table
from reports.method import lead, method_table
from reports.timings import timing_section
from reports.wording import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.records import Study
    from reports.conditions import Condition
    from reports.document import Block


def build_document(study: Study) -> Document:
    """Everything the report says of a study, worded once for all writers.

    The same study gives the same document: nothing is read from a clock.

    Args:
        study: What the store holds; one without a finished run gives a document that says so.
    """
    conditions = find_conditions(study)
    labels = sorted({entry.label for condition in conditions for entry in condition.entries})
    styles = {label: style for style, label in enumerate(labels)}
    where_needed = (timing_section(study), troubled_section(study, conditions))
    return Document(
        title=one_line(f"Architecture comparison: study {study.name}"),
        lead=lead(study, conditions),
        sections=(
            *(section for condition in conditions for section in _condition_sections(condition, study, styles)),
            *(section for section in where_needed if section),
            *layer_sections(study),
            environment_section(study),
            repeat_section(study),
        ),
    )


def _condition_sections(condition: Condition, study: Study, styles: Mapping[str, int]) -> tuple[Section, ...]:
    parameters = parameters_figure(condition, styles)
    main: list[Block] = [comparison_table(condition), *accuracy_notes(condition)]
    if parameters:
        main.append(parameters)
    slug = condition.slug
    curves: list[Block] = list(curve_figures(condition, study, styles))
    if curves:
        text = (
            "Lines are means over the seeds that ended ok, bands reach from the lowest to the highest seed; a point "
            "that fewer than half of the seeds have is not drawn. Training accuracy is that of the images as they were "
            "trained on, during the epoch, and so can lie below validation accuracy."
        )
        curves.insert(0, Prose(text=text))
    else:
        curves.append(Prose(text="No run has stored a learning curve yet."))
    return (
        Section(title=condition.title, slug=slug, blocks=tuple(main)),
        Section(
            title="How it was measured", slug=f"{slug}-method", blocks=(method_table(condition),), level=3, detail=True
        ),
        Section(title="Learning curves", slug=f"{slug}-curves", blocks=tuple(curves), level=3, detail=True),
        Section(title="Time to target", slug=f"{slug}-targets", blocks=_targets(condition), level=3, detail=True),
        *_speed_section(condition, styles),
    )


def _targets(condition: Condition) -> tuple[Block, ...]:
    text = (
        "A target is reached at the first of two passes in a row on validation images. A fixed probe of at "
        "most 1,000 of them is scored during the first two epochs, all of them at the end of every epoch. A run that "
        "diverged never got there; one that passes only at its very end has not passed twice."
    )
    return Prose(text=text), time_to_target_table(condition)


def _speed_section(condition: Condition, styles: Mapping[str, int]) -> tuple[Section, ...]:
    blocks: list[Block] = []
    for number, (setting, table) in enumerate(speed_tables(condition), 1):
        blocks.append(table)
        figure = seconds_figure(condition, setting, styles=styles, number=number)
        if figure:
            blocks.append(figure)
    if not blocks:
        return ()
    text = (
        "The training clock stands still while a run is evaluated. Runs that trained at the same time shared the "
        "machine's memory and caches: compare times inside one table only, and take small differences for noise."
    )
    title = "Training speed"
    return (
        Section(title=title, slug=f"{condition.slug}-speed", blocks=(Prose(text=text), *blocks), level=3, detail=True),
    )
