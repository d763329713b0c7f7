"""The trials of one tuning: the recipe that won, how the search went, what mattered, and every trial by number."""

from __future__ import annotations

import itertools
import math
import shlex
import statistics
from typing import TYPE_CHECKING, Any

from bench.analysis.stats.expected_best import FAILED_ACCURACY, expected_best
from bench.analysis.winners import won_by_default
from bench.core.recipe import Recipe, format_augmentation
from bench.system.text import one_line, percent, plural, span
from reports.cells import (
    MISSING,
    column,
    number_cell,
    number_column,
    percent_column,
    table_of,
    text_cell,
    text_column,
)
from reports.document import Cell, Code, Figure, Panel, Point, Prose, Section, Series, Table, detail, those

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.core.work.tuning import Trial, Tuning
    from reports.cells import ColumnOf
    from reports.document import Block


_OBJECTIVES = {"macs": ("MACs per image", 1.0, 0), "latency": ("Latency (ms)", 1000.0, 3)}
"""Header, factor and digits of the objectives beside accuracy."""


def trials_section(tuning: Tuning, *, label: str, slug: str, style: int) -> Section:
    """All that is known of the tuning of one architecture."""
    blocks: tuple[Block, ...] = those(
        *_winning(tuning),
        history_figure(tuning, label=label, slug=slug, style=style),
        _importances(tuning),
        *best_blocks(tuning, label=label, slug=slug, style=style),
        _trials_table(tuning, label) if tuning.trials else None,
    )
    gist = f"Every recipe that was tried for {label}, what it scored, and which hyperparameters mattered."
    return detail(f"Tuning of {label}", slug, *blocks, gist=gist)


def _winning(tuning: Tuning) -> Iterator[Block]:
    """The recipe that won, or those of the front, to be trained again."""
    if not tuning.winners:
        yield Prose("No trial that counts is complete yet.")
    for trial in tuning.winners:
        which = f"Trial {trial.number}" + (" won" if len(tuning.objectives) == 1 else " is on the front")
        default = " It is the default recipe." if won_by_default(tuning) else ""
        flags, varies = recipe_flags(trial.recipe), trial.architecture != tuning.architecture
        net = f" It is another net, {trial.architecture}." if varies else ""
        if varies and tuning.file:
            again = f"Declare it in {tuning.file} to train it again, with {shlex.join(flags) or 'no flags'}."
            yield Prose(one_line(f"{which}.{net} {again}"))
            continue
        words = ["python", "runner.py", "--arch", tuning.file or trial.architecture]
        words += ["--dataset", tuning.dataset, "--epochs", str(tuning.epochs), *flags]
        hint = "with --results and --seeds of this study it uses the runs that are stored"
        yield Prose(one_line(f"{which}.{default}{net} This trains it again; {hint}:"))
        yield Code(one_line(shlex.join(words)))


def recipe_flags(recipe: Mapping[str, Any]) -> list[str]:
    """The options that make the shared recipe this one; every digit is kept, and what does nothing is left out."""
    words: list[str] = []
    known = Recipe.from_json(dict(recipe))
    idle = {"momentum": known.optimizer != "sgd", "plateau_patience": known.schedule != "plateau"}
    for name, value in known.changes().items():
        if idle.get(name):
            continue  # the command line refuses it
        words.append(f"--{name.replace('_', '-')}")
        if name == "augmentation":
            words.append(",".join(f"{kind}:{strength!r}" for kind, strength in value))
        elif value is not True:
            words.append(value if isinstance(value, str) else repr(value))
    return words


def _importances(tuning: Tuning) -> Block:
    if not tuning.importances:
        return Prose("Too few trials to say which hyperparameter mattered.")
    epoch = tuning.importances_epoch
    where = "" if epoch is None else f", by validation accuracy after epoch {epoch}, the last that all of them reached"
    return table_of(
        f"How much of the spread among good trials each hyperparameter explains (PED-ANOVA){where}; intervals over "
        "trials drawn again",
        tuning.importances,
        [
            text_column("Hyperparameter", lambda each: each.name),
            percent_column("Share (%)", lambda each: each.share, 1),
            text_column("95 % interval (%)", lambda each: f"{percent(each.low, 1)} to {percent(each.high, 1)}"),
        ],
    )


def _trials_table(tuning: Tuning, label: str) -> Table:
    def value(name: str) -> ColumnOf[Trial]:
        return column(
            one_line(name),
            lambda trial: value_cell(trial.hyperparameters[name]) if name in trial.hyperparameters else Cell(MISSING),
            numeric=False,
        )

    won = {trial.number for trial in tuning.winners}
    return table_of(
        f"All trials of {label}; validation accuracy is the mean over {plural(len(tuning.seeds), 'seed')}, of a pruned "
        "trial when it was pruned",
        tuning.trials,
        [
            number_column("Trial", lambda trial: trial.number),
            text_column("State", lambda trial: _state(trial, tuning, won=trial.number in won)),
            percent_column("Validation accuracy (%)", lambda trial: trial.values[0] if trial.values else None),
            *objective_columns(tuning),
            column("Epochs", lambda t: number_cell(t.epochs, 0 if float(t.epochs).is_integer() else 2)),
            number_column("Training images", lambda trial: trial.images),
            *map(value, dict.fromkeys(name for trial in tuning.trials for name in trial.hyperparameters)),
            text_column("Reason", lambda trial: trial.reason or MISSING),
        ],
    )


def objective_columns(tuning: Tuning) -> list[ColumnOf[Trial]]:
    """What a trial reached on the objectives beside accuracy; a failed one has no values."""

    def objective(at: int, name: str) -> ColumnOf[Trial]:
        header, factor, digits = _OBJECTIVES[name]
        return number_column(header, lambda t: t.values[at] if t.values[1:] else None, digits, factor=factor)

    return [objective(at, name) for at, name in enumerate(tuning.objectives) if at]


def _state(trial: Trial, tuning: Tuning, *, won: bool) -> str:
    notes = []
    if trial.number == 0 and tuning.starts_with_default:
        notes.append("the default recipe")
    if trial.repeats is not None:
        notes.append(f"repeats trial {trial.repeats}")
    if won:
        notes.append("won" if len(tuning.objectives) == 1 else "on the front")
    if trial.number >= tuning.counted:
        notes.append("not counted")
    return f"{trial.state} ({', '.join(notes)})" if notes else trial.state


def value_cell(value: Any) -> Cell:
    """The value of a hyperparameter, as short as it can be told from others."""
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, int | float):
        return Cell(f"{value:.4g}" if isinstance(value, float) else str(value), value=float(value))
    if isinstance(value, list | tuple) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in value):
        return text_cell(format_augmentation(tuple((str(name), float(strength)) for name, strength in value)))
    return text_cell("none" if value is None else str(value))


def history_figure(tuning: Tuning, *, label: str, slug: str, style: int) -> Figure | None:
    """Validation accuracy by trial; None while no trial has a value."""
    complete, pruned = _points(tuning, "complete"), _points(tuning, "pruned")
    best = _best_so_far([point for point in complete if point.x < tuning.counted])
    if not complete and not pruned:
        return None
    floor = _floor([point.y for point in complete or pruned], also=[point.y for point in pruned])
    series = (
        Series(label="complete", style=style, points=_above(complete, floor)),
        Series(label="pruned, when it was", style=style, points=_above(pruned, floor), hollow=True),
        Series(label="best so far of complete trials", style=style, points=_above(best, floor), stepped=True),
    )
    drawn, y_label = tuple(each for each in series if each.points), "Validation accuracy (%)"
    panel = Panel(title="Trials in order", x_label="Trial", y_label=y_label, series=drawn, joined=False)
    reached = {point.x: point.y for point in best}
    table = table_of(
        f"Trials of {label} in order",
        tuning.trials,
        [
            number_column("Trial", lambda trial: trial.number),
            text_column("State", lambda trial: trial.state),
            percent_column("Validation accuracy (%)", lambda trial: trial.values[0] if trial.values else None),
            number_column("Best so far (%)", lambda trial: reached.get(trial.number), 2),
        ],
    )
    states = "{} complete, {} pruned (hollow), {} failed (not drawn)".format(*count_states(tuning))
    rise = f" The best so far goes from {best[0].y:.2f} % to {best[-1].y:.2f} %." if best else ""
    title = f"Trials of {label} in order{_said(floor)}"
    alt = f"Validation accuracy of the trials of {label} in order: {states}.{rise}"
    return Figure(slug=f"{slug}-history", title=title, alt=alt, panels=(panel,), table=table)


def _best_so_far(complete: Sequence[Point]) -> tuple[Point, ...]:
    best = itertools.accumulate((point.y for point in complete), max)
    return tuple(Point(x=point.x, y=y) for point, y in zip(complete, best, strict=True))


def _points(tuning: Tuning, state: str) -> tuple[Point, ...]:
    found = [trial for trial in tuning.trials if trial.state == state and trial.values]
    return tuple(Point(x=float(trial.number), y=100 * trial.values[0]) for trial in found)


def _floor(values: list[float], also: list[float] | None = None) -> float | None:
    """From which accuracy (%) on is drawn; None where all is."""
    best = max(values)
    spread = max(best - statistics.median(values), 0.5)  # points of accuracy between the best and the middle trial
    floor = math.floor(10 * (best - 4 * spread)) / 10  # one that learned nothing would flatten all others
    return floor if min([*values, *(also or ())]) < floor else None


def _above(points: tuple[Point, ...], floor: float | None) -> tuple[Point, ...]:
    return tuple(point for point in points if floor is None or point.y >= floor)


def _said(floor: float | None) -> str:
    return "" if floor is None else f" (drawn from {floor:g} % up)"


def count_states(tuning: Tuning) -> tuple[int, int, int]:
    """Trials that are complete, pruned and failed."""
    states = [trial.state for trial in tuning.trials]
    return states.count("complete"), states.count("pruned"), states.count("failed")


def best_blocks(tuning: Tuning, *, label: str, slug: str, style: int) -> Iterator[Block]:
    """The expected best of n trials, or why there is no such curve."""
    if not tuning.independent:
        yield Prose(
            "What fewer trials would have found cannot be told from these: each was chosen in the light of earlier "
            "ones or cut short beside them. Random search without pruning would show it."
        )
        return
    drawn = [trial for trial in tuning.trials if not (trial.number == 0 and tuning.starts_with_default)]
    found = expected_best([trial.values[0] if trial.values else FAILED_ACCURACY for trial in drawn])
    if not found:
        return
    floor = _floor([100 * each.mean for each in found])
    points = tuple(
        Point(x=float(e.n), y=100 * e.mean, low=max(100 * e.low, floor or 0.0), high=100 * e.high) for e in found
    )
    panel = Panel(
        title="Expected best",
        x_label="Trials",
        y_label="Expected best validation accuracy (%)",
        series=(Series(label=label, style=style, points=_above(points, floor)),),
        floor=floor,
    )
    without = ", the default recipe left out, which was not drawn" if len(drawn) < len(tuning.trials) else ""
    yield Prose(
        f"The best that n of these {plural(len(drawn), 'trial')} find on average{without}; a failed trial counts as 0. "
        "The band is a 95 % percentile interval over trials drawn again; it describes, and cannot rise above the best "
        "that was seen."
    )
    title = f"Expected best of n trials of {label}{_said(floor)}"
    alt = f"{title}: from {percent(found[0].mean)} % for one trial to {percent(found[-1].mean)} % for all {len(found)}."
    table = table_of(
        f"Expected best validation accuracy of {label}",
        found,
        [
            number_column("Trials", lambda best: best.n),
            percent_column("Expected best (%)", lambda best: best.mean),
            text_column("95 % interval (%)", lambda best: span(best.low, best.high)),
        ],
    )
    yield Figure(slug=f"{slug}-best", title=title, alt=alt, panels=(panel,), table=table)
