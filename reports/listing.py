"""Lists on a terminal: the registered architectures, and what a command would train."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from reports.wording import duration, listing, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from bench.planning import Plan
    from bench.spec import Architecture
    from bench.tuning.cost import TuningCost
    from bench.tuning.settings import TuneSettings

_SUMMARY_WIDTH = 32
"""Columns that a summary needs beside the numbers; with fewer it stands below the table."""


def show_architectures(architectures: Sequence[Architecture], faults: Sequence[str], console: Console) -> None:
    """Print one row an architecture, variants under what they vary, and what is wrong with files that are broken.

    Args:
        architectures: What could be loaded.
        faults: One line for each broken file.
        console: Where. Where it is narrow, the summaries follow the table.
    """
    rows = _in_families(architectures)
    table = _table(rows, summaries=False)
    # Its own width, however narrow the console: names and numbers are there to be copied and are not cut.
    table.width = console.measure(table, options=console.options.update(width=1000)).maximum
    if console.width - table.width >= _SUMMARY_WIDTH:
        console.print(_table(rows, summaries=True))
    else:
        console.print(table, crop=False)
        for _, architecture in rows:
            if summary := _summary(architecture, rows):
                console.print(Text.assemble((architecture.name, "bold"), f": {summary}"))
    for fault in faults:
        console.print(Text.assemble(("broken: ", "bold red"), fault))


def _table(rows: Sequence[tuple[str, Architecture]], *, summaries: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("architecture", style="bold", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("MACs", justify="right", no_wrap=True)
    if summaries:
        table.add_column("what it is")
    for label, architecture in rows:
        summary = [Text(_summary(architecture, rows))] if summaries else []
        table.add_row(Text(label), _count(architecture.params), _count(architecture.macs), *summary)
    return table


def _in_families(architectures: Sequence[Architecture]) -> list[tuple[str, Architecture]]:
    """Each architecture once, after what it varies, with its name indented below it."""
    placed: dict[str, tuple[str, Architecture]] = {}

    def place(architecture: Architecture, indent: str) -> None:
        if architecture.name not in placed:
            placed[architecture.name] = indent + architecture.name, architecture
            deeper = "  ↳ " if not indent else f"  {indent}"
            for other in architectures:
                if other.variant_of == architecture.name:
                    place(other, deeper)

    names = {architecture.name for architecture in architectures}
    first = [architecture for architecture in architectures if architecture.variant_of not in names]
    for architecture in (*first, *architectures):  # again all, for variants of each other have no first one
        place(architecture, "")
    return list(placed.values())


def _summary(architecture: Architecture, rows: Sequence[tuple[str, Architecture]]) -> str:
    """What an architecture is; a variant that is not below what it varies says of what it is one."""
    if architecture.variant_of and (architecture.name, architecture) in rows:
        return f"Variant of {architecture.variant_of}. {architecture.summary}".strip()
    return architecture.summary


def show_plan(plan: Plan, *, jobs: int, timing_seconds: float, console: Console) -> None:
    """Print what would be trained, what is stored, and how long it takes, one line an architecture.

    Args:
        plan: The plan.
        jobs: Runs that would train at once.
        timing_seconds: How long the quiet phase after them takes; 0 for none.
        console: Where.
    """
    console.print(f"{plural(len(plan.reused), 'run')} stored, to be reused.")
    console.print(f"{plural(len(plan.tasks), 'run')} to train, {jobs} at a time{':' if plan.tasks else '.'}")
    names = [task.request.architecture.name for task in plan.tasks] + [record.architecture for record in plan.reused]
    for name in dict.fromkeys(names):
        console.print(Text(f"  {name}: {_planned(plan, name)}"))
    if plan.tasks:
        basis = "as measured on this machine" if plan.measured else "a first guess from the MAC counts"
        clock = f"About {duration(plan.wall_seconds(jobs))} by the clock with {jobs} at a time"
        console.print(f"{clock}, start-up included ({basis}).")
    if timing_seconds:
        console.print(f"Then about {duration(timing_seconds)} to measure speed and memory (--no-timing leaves it out).")
    console.print("Nothing was done.")


def show_tuning(settings: TuneSettings, cost: TuningCost, *, console: Console) -> None:
    """Print what a tuning will do and cost, before it begins.

    Args:
        settings: How it tunes.
        cost: What it costs.
        console: Where.
    """
    seeds = f", {plural(settings.seeds, 'seed')} each" if settings.seeds > 1 else ""
    each = f"{plural(settings.trials, 'trial')}{seeds} of at most {plural(cost.epochs, 'epoch')}"
    console.print(
        f"Tuning {plural(cost.architectures, 'architecture')}, {each} for each: {cost.images:,} training "
        f"images and about {duration(cost.search_seconds)} at most."
    )
    console.print(f"Searched: {', '.join(cost.searched)}. Validation only: no trial looks at the test set.")
    if cost.stored:
        console.print(f"{plural(cost.stored, 'trial')} of these {'has' if cost.stored == 1 else 'have'} ended already.")
    if cost.without_knobs:
        console.print(f"Without knobs, so that only the recipe is searched: {', '.join(cost.without_knobs)}.")
    if len(settings.objectives) > 1:
        console.print(
            f"Tuned for {listing(list(settings.objectives))}: a front instead of one winner; no trial is pruned, as "
            "Optuna cannot with several objectives."
        )
    console.print(
        f"Then {plural(cost.runs, 'run')} on fresh seeds, winners beside the default recipe, about "
        f"{duration(cost.compare_seconds)}."
    )


def _planned(plan: Plan, name: str) -> str:
    """`4 runs (seeds 2–5), 3 epochs, about 1 min 30 s one after the other; 2 stored (seeds 0–1)`."""
    tasks = [task for task in plan.tasks if task.request.architecture.name == name]
    stored = [record.seed for record in plan.reused if record.architecture == name]
    parts = []
    if tasks:
        seconds = sum(plan.seconds[task.run_id] for task in tasks)
        seeds = _seeds([task.request.seed for task in tasks])
        budgets = listing(list(dict.fromkeys(str(task.request.budget) for task in tasks)))
        in_a_row = " one after the other" if len(tasks) > 1 else ""
        parts.append(f"{plural(len(tasks), 'run')} ({seeds}), {budgets}, about {duration(seconds)}{in_a_row}")
    if stored:
        parts.append(f"{len(stored):,} stored ({_seeds(stored)})")
    return "; ".join(parts)


def _seeds(seeds: Iterable[int]) -> str:
    """`seeds 0–5, 8`, `seed 3`: neighbours as a range."""
    ordered = sorted(set(seeds))
    groups = itertools.groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0])
    spans = [[seed for _, seed in group] for _, group in groups]
    text = ", ".join(str(span[0]) if len(span) == 1 else f"{span[0]}–{span[-1]}" for span in spans)
    return f"seed{'' if len(ordered) == 1 else 's'} {text}"


def _count(number: int | None) -> str:
    return "undeclared" if number is None else f"{number:,}"
