"""How the runs of a condition were made and judged, as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bench.recipe import Recipe
from bench.records import RULE
from bench.text import one_line
from reports.document import Cell, Column, Table
from reports.machines import describe_setting, setting_of
from reports.wording import duration, four_digits, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.facts import DatasetFacts
    from bench.records import RunRecord
    from reports.conditions import Condition

EVALUATION_LIMIT = 0.25
"""Evaluation may cost at most this share of training time (METHODOLOGY.md, over the default budget on full MNIST)."""


def method_table(condition: Condition) -> Table:
    """Data, split, recipe, budget, seeds, machine and what evaluation cost, one row each."""
    records = condition.records
    rows = [*_data_rows(condition), *_recipe_rows(condition), ("Budget", _budget(condition))]
    rows.append(("Seeds", _seeds(condition)))
    rows.append(("Verdicts", _rule(condition)))
    rows.extend(_clock_rows(records))
    return Table(
        caption=f"How {condition.title} was measured",
        columns=(Column(name="What", numeric=False), Column(name="How", numeric=False)),
        rows=tuple((Cell(text=what), Cell(text=one_line(how))) for what, how in rows),
    )


def _budget(condition: Condition) -> str:
    ended_early = condition.trained != str(condition.budget)
    return f"{condition.budget} per run{f'; runs trained {condition.trained}' if ended_early else ''}"


def _data_rows(condition: Condition) -> list[tuple[str, str]]:
    record, facts = condition.records[0], condition.dataset
    if facts is None:
        return [("Data", f"{record.dataset}, content hash {record.data_hash}")]
    pool = f"{facts.pool_images:,} images to train and validate on, {facts.test_images:,} test images"
    shape = " × ".join(str(size) for size in facts.image_shape)
    note = f" Note: {facts.note}" if facts.note else ""
    data = f"{facts.name}: {pool}, {shape}, {len(facts.classes)} classes; {_origin(facts)}"
    moments = f"mean {four_digits(facts.mean)} and deviation {four_digits(facts.deviation)} of the whole pool"
    rows = [
        ("Data", f"{data}; content hash {facts.data_hash}.{note}"),
        ("Pixels", f"scaled to [0, 1], then standardised with {moments}"),
    ]
    return [*rows, ("Split", _split(record, condition.records, facts))]


def _origin(facts: DatasetFacts) -> str:
    """Where the images are from; folders of a machine are nobody's business, the content hash says which they are."""
    return "read from files" if set(facts.origin) & {"/", "\\"} else f"from {facts.origin}"


def _split(record: RunRecord, records: Sequence[RunRecord], facts: DatasetFacts) -> str:
    if record.protocol == "as_claimed":
        return f"all {facts.pool_images:,} pool images trained on; the source's own rule may look at the test set"
    train = facts.pool_images - facts.validation_images
    whose = "each seed draws its own" if all(r.split_seed == r.seed for r in records) else "the split seed is fixed"
    return f"{train:,} training and {facts.validation_images:,} validation images, stratified; {whose}"


def _recipe_rows(condition: Condition) -> list[tuple[str, str]]:
    recipes = {entry.label: describe_recipe(entry.records[0].recipe) for entry in condition.entries}
    if len(set(recipes.values())) == 1:
        return [("Recipe", f"{condition.records[0].recipe_name}: {next(iter(recipes.values()))}")]
    return [(f"Recipe of {label}", recipe) for label, recipe in recipes.items()]


def describe_recipe(recipe: Mapping[str, Any]) -> str:
    """A recipe in one line, what is off left out."""
    known = Recipe.from_json(dict(recipe))
    parts = [known.optimizer, f"{known.schedule} schedule, learning rate {known.lr:g}", f"batch {known.batch_size}"]
    if known.optimizer == "sgd":
        parts.append(f"momentum {known.momentum:g}{' (Nesterov)' if known.nesterov else ''}")
    decayed = f"weight decay {known.weight_decay:g} on all parameters (biases and BatchNorm's too)"
    parts.append(decayed if known.weight_decay else "no weight decay")
    if known.label_smoothing:
        parts.append(f"label smoothing {known.label_smoothing:g}")
    parts.extend(f"random {name} {strength:g}" for name, strength in known.augmentation)
    if not known.augmentation:
        parts.append("no augmentation")
    if known.patience is not None:
        parts.append(f"early stopping on validation accuracy, patience {known.patience}")
    if known.stop_at_accuracy is not None:
        parts.append(f"stopped at {100 * known.stop_at_accuracy:g} % validation accuracy")
    parts.append("weights of the best epoch kept" if known.keep == "best" else "weights of the last epoch kept")
    return ", ".join(parts)


def _seeds(condition: Condition) -> str:
    of_each = [frozenset(run.seed for run in entry.records) for entry in condition.entries]
    seeds = ", ".join(map(str, sorted(frozenset().union(*of_each))))
    whose = "shared by all architectures" if len(set(of_each)) == 1 else "not every architecture has all of them"
    return f"{seeds} ({whose}; a seed gives the split, the data order and the augmentation)"


def _rule(condition: Condition) -> str:
    """How pairs are judged: margins, and when."""
    settings = condition.settings
    margins = f"{100 * settings.margin:g} percentage points, {settings.margin_epochs:g} epochs"
    looks = "once, at 5 %"
    if condition.seed_plan:
        looks = ", ".join(f"at {len(look.seeds or ())} seeds at {100 * look.level:.2g} %" for look in condition.looks)
    return (
        f"rule {RULE}, on typical seeds: rank test (Brunner and Munzel, paired), corrected for all pairs (Holm), "
        f"and sign flips of the mean; differences within {margins} do not matter; judged {looks}"
    )


def _clock_rows(records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    settings = sorted({setting_of(record) for record in records}, key=lambda setting: setting[1:])
    rows = [("Machine", f"{'; '.join(dict.fromkeys(map(describe_setting, settings)))}; see Environment")]
    done = [r for r in records if r.status == "ok" and r.train_seconds and r.evaluation_seconds is not None]
    if done:
        training = math.fsum(r.train_seconds or 0 for r in done)
        evaluation = math.fsum(r.evaluation_seconds or 0 for r in done)
        share = evaluation / training
        spent = f"{duration(training)} of training and {duration(evaluation)} of evaluation, summed over the runs"
        limit = f"{'within' if share <= EVALUATION_LIMIT else 'above'} the {percent(EVALUATION_LIMIT, 0)} % it may cost"
        rows.append(("Time", f"{spent}; evaluation is {percent(share, 1)} % of training time, {limit}"))
    return rows
