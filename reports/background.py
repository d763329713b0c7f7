"""What stands behind the numbers: layers, runs that went wrong, environment, the command to repeat it all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.text import one_line
from reports.document import Cell, Code, Column, Prose, Section, Table
from reports.layer_drawing import layer_drawing
from reports.tuned import was_cut_short
from reports.wording import number_cell, plural, slugify, text_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.facts import ArchitectureFacts
    from bench.records import Study
    from reports.conditions import Condition
    from reports.document import Block

_NAMES = {
    "cpu": "processor",
    "cores": "processor cores that could be used",
    "dirty": "uncommitted changes",
    "libc": "C library",
    "libraries": "library",
    "machine": "machine (code of all that decides speed)",
    "os": "operating system",
    "project_version": "version of the suite",
}
"""What people call the keys of an environment that do not say it themselves."""


def layer_sections(study: Study) -> tuple[Section, ...]:
    """One part an architecture: its idea, its source, its layers with shapes, parameters and MACs."""
    # Variations that tuning tried and dropped would bury the others.
    shown = {run.architecture_hash for run in study.records if study.roles.get(run.run_id) != "tune"}
    shown |= {tuning.architecture_hash for tuning in study.tunings}
    facts = sorted(
        (facts for facts in study.architectures.values() if facts.architecture_hash in shown),
        key=lambda facts: (facts.architecture, facts.architecture_hash),
    )
    if not facts:
        return ()
    convention = (
        "Parameters and multiply-accumulates (MACs) of one image; biases are no MACs, and a product of complex numbers "
        "is the real ones that it is made of: four in a matrix product, three in a convolution. Shapes leave out the "
        "batch. In the drawings a box is as high as the map and as wide as it has channels or features, on logarithmic "
        "scales; what has no parameters and keeps the shape stands below the layer that it follows, behind a plus."
    )
    head = Section(title="Layers", slug="layers", blocks=(Prose(text=convention),), detail=True)
    return (
        head,
        *(_layers(net, f"layers-{number}-{slugify(net.architecture)}") for number, net in enumerate(facts, 1)),
    )


def _layers(facts: ArchitectureFacts, slug: str) -> Section:
    kin = f" Variant of {facts.variant_of}." if facts.variant_of else ""
    idea = one_line(f"{facts.summary}{kin} Source: {facts.source or 'not stated'}.")
    frozen = facts.params - facts.trainable_params
    declared = f", {facts.declared_macs:,} of them only declared" if facts.declared_macs else ""
    counts = f"{facts.params:,} parameters ({frozen:,} of them not trained), {facts.macs:,} MACs per image{declared}."
    left_out = ", ".join(facts.uncounted_operations)
    uncounted = f" The MAC count leaves out: {left_out}." if left_out else ""
    rows = [
        (
            text_cell(layer.name),
            text_cell(layer.kind),
            Cell(text=" × ".join(map(str, layer.output_shape))),
            number_cell(layer.params),
            number_cell(layer.macs),
        )
        for layer in facts.layers
    ]
    shape = " × ".join(map(str, facts.input_shape))
    total = (Cell(text="Total"), Cell(text=""), Cell(text=""), number_cell(facts.params), number_cell(facts.macs))
    table = Table(
        caption=one_line(f"Layers of {facts.architecture}, input {shape}"),
        columns=(
            Column(name="Layer", numeric=False),
            Column(name="Kind", numeric=False),
            Column(name="Output shape", numeric=False),
            Column(name="Parameters"),
            Column(name="MACs"),
        ),
        rows=tuple(rows),
        total=total,
    )
    drawing = layer_drawing(facts, f"{slug}-drawing")
    blocks: list[Block] = [Prose(text=idea), Prose(text=one_line(counts + uncounted))]
    blocks += [drawing, table] if drawing else [table]
    return Section(title=one_line(facts.architecture), slug=slug, blocks=tuple(blocks), level=3, detail=True)


def troubled_section(study: Study, conditions: Sequence[Condition]) -> Section | None:
    """Runs that failed, diverged or were interrupted, with the reason; None when every run ended ok.

    Runs that tuning cut short are none of these.
    """
    wanted = [record for record in study.records if not was_cut_short(record, study)]
    titles = {record.run_id: condition.title for condition in conditions for record in condition.records}
    bad = sorted(
        (record for record in wanted if record.status != "ok"),
        key=lambda record: (record.architecture, record.seed, record.run_id),
    )
    if not bad:
        return None
    rows = tuple(
        (
            text_cell(record.architecture),
            number_cell(record.seed),
            text_cell(record.status),
            text_cell(record.error or "no reason was stored"),
            text_cell(titles.get(record.run_id, f"role {study.roles.get(record.run_id, 'compare')}")),
        )
        for record in bad
    )
    columns = (
        Column(name="Architecture", numeric=False),
        Column(name="Seed"),
        Column(name="Status", numeric=False),
        Column(name="Reason", numeric=False),
        Column(name="Condition", numeric=False, essential=False),
    )
    text = f"{plural(len(bad), 'run')} of {len(wanted):,} did not end ok. The means above leave them out."
    table = Table(caption="Runs that failed, diverged or were interrupted", columns=columns, rows=rows)
    return Section(title="Runs that went wrong", slug="went-wrong", blocks=(Prose(text=text, tone="warning"), table))


def environment_section(study: Study) -> Section:
    """Versions, hardware and commit, each value that occurs, with a warning for uncommitted changes."""
    seen: dict[str, dict[str, int]] = {}
    for record in study.records:
        for key, value in _flatten(record.environment):
            counts = seen.setdefault(key, {})
            counts[value] = counts.get(value, 0) + 1
    runs = len(study.records)
    rows = tuple((text_cell(key), text_cell("; ".join(_worded(seen[key], runs)))) for key in sorted(seen))
    blocks: list[Prose | Table] = []
    if any(record.environment.get("dirty") for record in study.records):
        text = "Some runs were trained with uncommitted changes in the code: the commit alone does not repeat them."
        blocks.append(Prose(text=text, tone="warning"))
    if rows:
        columns = (Column(name="What", numeric=False), Column(name="Value", numeric=False))
        blocks.append(Table(caption="Versions, hardware and code of the runs", columns=columns, rows=rows))
    else:
        blocks.append(Prose(text="No run has stored its environment."))
    return Section(title="Environment", slug="environment", blocks=tuple(blocks), detail=True)


def repeat_section(study: Study) -> Section:
    """The last command of the study, and what it does not repeat."""
    anew = (
        "to tune anew, name another --study"
        if "--tune" in study.command.split()
        else "with --fresh it trains all that it names"
    )
    text = (
        f"This is the last command of the study. It trains only what is missing; {anew}. "
        "Runs that other commands or a merge added to the study are not repeated by it. Nets given by path are trained "
        "as their files stand then."
    )
    return Section(
        title="Repeat it", slug="repeat-it", blocks=(Code(text=one_line(study.command)), Prose(text=text)), detail=True
    )


def _flatten(environment: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """What people call each value, and the value for people; those that say nothing are left out."""
    for key, value in environment.items():
        name = prefix + _NAMES.get(key, key.removesuffix("_bytes").replace("_", " "))
        if isinstance(value, dict):
            yield from _flatten(value, f"{name} ")
        elif value in (None, "", []):
            continue
        elif isinstance(value, bool):
            yield name, "yes" if value else "no"
        elif key.endswith("_bytes") and isinstance(value, int):
            yield name, f"{value / 2**30:.1f} GiB"
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value))
        else:
            yield name, str(value)


def _worded(counts: Mapping[str, int], runs: int) -> list[str]:
    """Each value, with the number of its runs unless all have it."""
    return [value if n == runs else f"{value} ({plural(n, 'run')})" for value, n in sorted(counts.items())]
