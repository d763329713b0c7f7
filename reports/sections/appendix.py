"""What stands behind the numbers: method, layers, runs that went wrong, environment, the command to repeat it all."""

from __future__ import annotations

import collections
import math
from typing import TYPE_CHECKING, Any

from bench.analysis.conditions import describe_setup, setup_of
from bench.analysis.winners import was_cut_short
from bench.core.recipe import Recipe
from bench.core.records import RULE
from bench.system.text import duration, four_digits, listing, one_line, percent, plural, slugify
from reports.cells import MISSING, facts_table, last_lines, number_cell, number_column, table_of, text_column
from reports.document import Cell, Code, Prose, Section, Table, detail, failure, those, warning
from reports.figures.layers import layer_drawing
from reports.sections.comparison import budgets_by_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.analysis.conditions import Condition
    from bench.core.metadata import ArchitectureMetadata
    from bench.core.records import RunRecord, Study
    from reports.document import Block

_MOST_TRACEBACKS = 5
"""Faults that are shown with the lines that they came through."""
EVALUATION_LIMIT = 0.25
"""Evaluation may cost at most this share of training time (METHODOLOGY.md, over the default budget on full MNIST)."""


def method_table(condition: Condition) -> Table:
    """Data, split, recipe, budget, seeds, machine and what evaluation cost, one row each."""
    return facts_table(f"How {condition.title} was measured", _facts(condition), value="How")


def _facts(condition: Condition) -> list[tuple[str, str]]:
    recipes = {entry.label: describe_recipe(entry.records[0].recipe) for entry in condition.entries}
    recipe_rows = [(f"Recipe of {label}", recipe) for label, recipe in recipes.items()]
    if len(set(recipes.values())) == 1:
        recipe_rows = [("Recipe", f"{condition.records[0].recipe_name}: {recipe_rows[0][1]}")]
    early = f"; runs trained {condition.trained}" if condition.trained != str(condition.budget) else ""
    budget = f"{condition.budget} per run{early}"
    if condition.budget is None:
        budget = f"each source's own: {listing(budgets_by_name(condition))}"
    return [
        *_data_rows(condition),
        *recipe_rows,
        ("Budget", budget),
        ("Seeds", _seeds(condition)),
        ("Verdicts", _rule(condition)),
        *_clock_rows(condition.records),
    ]


def compared_section(condition: Condition, study: Study) -> Section:
    """What was compared, in short: the idea of each net, the data, the recipe and the seeds."""
    rows = {row[0]: row[1] for row in _facts(condition)}
    short = ("Data", "Recipe", "Budget", "Seeds")
    facts = [(name, text.partition("; content hash")[0]) for name, text in rows.items() if name.startswith(short)]
    ideas = [
        (entry.label, metadata)
        for entry in condition.entries
        if (metadata := study.architectures.get(entry.architecture_hash)) is not None
    ]
    nets = table_of(
        "The architectures",
        ideas,
        [
            text_column("Architecture", lambda row: row[0]),
            text_column("Idea", lambda row: row[1].summary or MISSING),
            text_column("Source", lambda row: row[1].source or "not stated"),
        ],
    )
    blocks = those(nets if ideas else None, facts_table("Trained alike, on", facts, value="How"))
    return detail("What was compared", f"{condition.slug}-compared", *blocks)


def _data_rows(condition: Condition) -> list[tuple[str, str]]:
    record, metadata = condition.records[0], condition.dataset
    if metadata is None:
        return [("Data", f"{record.dataset}, content hash {record.data_hash}")]
    pool = f"{metadata.pool_images:,} images to train and validate on, {metadata.test_images:,} test images"
    shape = " × ".join(str(size) for size in metadata.image_shape)
    note = f" Note: {metadata.note}" if metadata.note else ""
    # Folders of a machine are nobody's business: the content hash says which files they are.
    origin = "read from files" if set(metadata.origin) & {"/", "\\"} else f"from {metadata.origin}"
    data = f"{metadata.name}: {pool}, {shape}, {len(metadata.classes)} classes; {origin}"
    moments = f"mean {four_digits(metadata.mean)} and deviation {four_digits(metadata.deviation)} of the whole pool"
    train, validation = metadata.pool_images - metadata.validation_images, metadata.validation_images
    own = all(run.split_seed == run.seed for run in condition.records)
    whose = "each seed draws its own" if own else "the split seed is fixed"
    return [
        ("Data", f"{data}; content hash {metadata.data_hash}.{note}"),
        ("Pixels", f"scaled to [0, 1], then standardised with {moments}"),
        ("Split", f"{train:,} training and {validation:,} validation images, stratified; {whose}"),
    ]


def describe_recipe(recipe: Mapping[str, Any]) -> str:
    """A recipe in one line, what is off left out."""
    known = Recipe.from_json(dict(recipe))
    nesterov = " (Nesterov)" if known.nesterov else ""
    decayed = f"weight decay {known.weight_decay:g} on all parameters (biases and BatchNorm's too)"
    augmented = [f"random {name} {strength:g}" for name, strength in known.augmentation]
    parts = (
        known.optimizer,
        f"{known.schedule} schedule, learning rate {known.lr:g}",
        f"batch {known.batch_size}",
        f"momentum {known.momentum:g}{nesterov}" if known.optimizer == "sgd" else "",
        decayed if known.weight_decay else "no weight decay",
        f"label smoothing {known.label_smoothing:g}" if known.label_smoothing else "",
        *(augmented or ["no augmentation"]),
        "losses weighted so that classes count alike" if known.class_weights == "balanced" else "",
        "" if known.patience is None else f"early stopping on validation accuracy, patience {known.patience}",
        f"stopped at {100 * (known.stop_at_accuracy or 0):g} % validation accuracy" if known.stop_at_accuracy else "",
        f"weights of the {'best' if known.keep == 'best' else 'last'} epoch kept",
    )
    return ", ".join(filter(None, parts))


def _seeds(condition: Condition) -> str:
    seeds = ", ".join(map(str, sorted({run.seed for run in condition.records})))
    sets = {frozenset(run.seed for run in entry.records) for entry in condition.entries}
    whose = "shared by all architectures" if len(sets) == 1 else "not every architecture has all of them"
    return f"{seeds} ({whose}; a seed gives the split, the data order and the augmentation)"


def _rule(condition: Condition) -> str:
    margins = f"{100 * condition.margins.margin:g} percentage points, {condition.margins.margin_epochs:g} epochs"
    on = ", on balanced accuracy" if condition.metric.is_balanced else ""
    looks = "once, at 5 %"
    if condition.seed_plan:
        looks = ", ".join(f"at {len(look.seeds or ())} seeds at {100 * look.level:.2g} %" for look in condition.looks)
    return (
        f"rule {RULE}, on typical seeds{on}: rank test (Brunner and Munzel, paired), corrected for all pairs (Holm), "
        f"and sign flips of the mean; differences within {margins} do not matter; judged {looks}"
    )


def _clock_rows(records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    setups = sorted({setup_of(record) for record in records}, key=lambda setup: setup[1:])
    rows = [("Machine", f"{'; '.join(dict.fromkeys(map(describe_setup, setups)))}; see Environment")]
    done = [r for r in records if r.status == "ok" and r.train_seconds and r.evaluation_seconds is not None]
    if done:
        training = math.fsum(r.train_seconds or 0 for r in done)
        evaluation = math.fsum(r.evaluation_seconds or 0 for r in done)
        share = evaluation / training
        spent = f"{duration(training)} of training and {duration(evaluation)} of evaluation, summed over the runs"
        limit = f"{'within' if share <= EVALUATION_LIMIT else 'above'} the {percent(EVALUATION_LIMIT, 0)} % it may cost"
        rows.append(("Time", f"{spent}; evaluation is {percent(share, 1)} % of training time, {limit}"))
    return rows


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
    metadata = sorted(
        (metadata for metadata in study.architectures.values() if metadata.architecture_hash in shown),
        key=lambda metadata: (metadata.architecture, metadata.architecture_hash),
    )
    convention = Prose(
        "Parameters and multiply-accumulates (MACs) of one image; biases are no MACs, and a product of complex numbers "
        "is the real ones that it is made of: four in a matrix product, three in a convolution. Shapes leave out the "
        "batch. In the drawings a box is as high as the map and as wide as it has channels or features, on logarithmic "
        "scales; what has no parameters and keeps the shape stands below the layer that it follows, behind a plus."
    )
    gist = "Every layer of every net with its shape, parameters and MACs, drawn and as a table."
    head = Section(title="Layers", slug="layers", blocks=(convention,), detail=True, gist=gist)
    parts = [_layers(net, f"layers-{number}-{slugify(net.architecture)}") for number, net in enumerate(metadata, 1)]
    return (head, *parts) if parts else ()


def _layers(metadata: ArchitectureMetadata, slug: str) -> Section:
    kin = f" Variant of {metadata.variant_of}." if metadata.variant_of else ""
    idea = one_line(f"{metadata.summary}{kin} Source: {metadata.source or 'not stated'}.")
    frozen = metadata.params - metadata.trainable_params
    declared = f", {metadata.declared_macs:,} of them only declared" if metadata.declared_macs else ""
    counts = (
        f"{metadata.params:,} parameters ({frozen:,} of them not trained), {metadata.macs:,} MACs per image{declared}."
    )
    left_out = ", ".join(metadata.uncounted_operations)
    uncounted = f" The MAC count leaves out: {left_out}." if left_out else ""
    table = table_of(
        one_line(f"Layers of {metadata.architecture}, input {' × '.join(map(str, metadata.input_shape))}"),
        metadata.layers,
        [
            text_column("Layer", lambda layer: layer.name),
            text_column("Kind", lambda layer: layer.kind),
            text_column("Output shape", lambda layer: " × ".join(map(str, layer.output_shape))),
            number_column("Parameters", lambda layer: layer.params),
            number_column("MACs", lambda layer: layer.macs),
        ],
        total=(Cell("Total"), Cell(""), Cell(""), number_cell(metadata.params), number_cell(metadata.macs)),
    )
    drawing = layer_drawing(metadata, f"{slug}-drawing")
    prose = (Prose(idea), Prose(one_line(counts + uncounted)))
    return detail(one_line(metadata.architecture), slug, *prose, *those(drawing), table)


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

    table = table_of(
        "Runs that failed, diverged or were interrupted",
        bad,
        [
            text_column("Architecture", lambda run: run.architecture),
            number_column("Seed", lambda run: run.seed),
            text_column("Status", lambda run: run.status),
            text_column("Reason", lambda run: run.error or "no reason was stored"),
            text_column(
                "Condition",
                lambda run: titles.get(run.run_id, f"role {study.roles.get(run.run_id, 'compare')}"),
                essential=False,
            ),
        ],
    )
    text = f"{plural(len(bad), 'run')} of {len(wanted):,} did not end ok. The means above leave them out."
    gist = "Every run that failed, diverged or was interrupted, with its reason; of each fault one traceback."
    return Section(
        title="Runs that went wrong", slug="went-wrong", blocks=(failure(text), table, *_tracebacks(bad)), gist=gist
    )


def _tracebacks(bad: Sequence[RunRecord]) -> Iterator[Block]:
    """Of each fault of a net the first run's, its last lines."""
    first = {(run.architecture, run.error): run for run in reversed(bad) if run.traceback}
    for run in list(reversed(first.values()))[:_MOST_TRACEBACKS]:
        yield Prose(one_line(f"{run.architecture}, seed {run.seed}:"))
        yield Code(last_lines(run.traceback), language="text")


def environment_section(study: Study) -> Section:
    """Versions, hardware and commit, each value that occurs, with a warning for uncommitted changes."""
    seen: dict[str, collections.Counter[str]] = {}
    for record in study.records:
        for key, value in _flatten(record.environment):
            seen.setdefault(key, collections.Counter())[value] += 1
    runs = len(study.records)
    rows = [
        (key, "; ".join(value if n == runs else f"{value} ({plural(n, 'run')})" for value, n in sorted(counts.items())))
        for key, counts in sorted(seen.items())
    ]
    dirty = "Some runs were trained with uncommitted changes in the code: the commit alone does not repeat them."
    gist = "Versions, hardware and commit that the runs were made with."
    blocks = (
        warning(dirty) if any(record.environment.get("dirty") for record in study.records) else None,
        facts_table("Versions, hardware and code of the runs", rows) if rows else None,
        None if rows else Prose("No run has stored its environment."),
    )
    return Section(title="Environment", slug="environment", blocks=those(*blocks), detail=True, gist=gist)


def repeat_section(study: Study) -> Section:
    """The last command of the study, and what it does not repeat."""
    tuned = "--tune" in study.command.split()
    anew = "to tune anew, name another --study" if tuned else "with --fresh it trains all that it names"
    text = Prose(
        f"This is the last command of the study. It trains only what is missing; {anew}. "
        "Runs that other commands or a merge added to the study are not repeated by it. Nets given by path are trained "
        "as their files stand then."
    )
    blocks = (Code(one_line(study.command)), text)
    return Section(title="Repeat it", slug="repeat-it", blocks=blocks, detail=True)


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
