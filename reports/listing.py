"""Lists on a terminal: the registered architectures, and what a command would train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from reports.wording import duration, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from bench.spec import Architecture
    from bench.suite import Plan


def show_architectures(architectures: Sequence[Architecture], faults: Sequence[str], console: Console) -> None:
    """Print one row an architecture, and what is wrong with files that could not be loaded.

    Args:
        architectures: What could be loaded.
        faults: One line for each broken file.
        console: Where.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("architecture", style="bold", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("MACs an image", justify="right", no_wrap=True)
    table.add_column("variant of", no_wrap=True)
    table.add_column("what it is")
    for architecture in architectures:
        table.add_row(
            Text(architecture.name),
            _count(architecture.params),
            _count(architecture.macs),
            Text(architecture.variant_of or ""),
            Text(architecture.summary),
        )
    console.print(table)
    for fault in faults:
        console.print(Text.assemble(("broken: ", "bold red"), fault))


def show_plan(plan: Plan, *, jobs: int, console: Console) -> None:
    """Print what would be trained and how long it takes.

    Args:
        plan: The plan.
        jobs: Runs that would train at once.
        console: Where.
    """
    console.print(f"{plural(len(plan.reused), 'run')} stored, to be reused.")
    console.print(f"{plural(len(plan.tasks), 'run')} to train, {jobs} at a time{':' if plan.tasks else '.'}")
    for task in plan.tasks:
        name, seed = task.request.architecture.name, task.request.seed
        console.print(Text(f"  {name}, seed {seed}, {task.request.budget}: {duration(plan.seconds[task.run_id])}"))
    if plan.tasks:
        basis = "as measured on this machine" if plan.measured else "a first guess from the MAC counts"
        console.print(f"About {duration(plan.wall_seconds(jobs))} in all ({basis}).")
    console.print("Nothing was done.")


def _count(number: int | None) -> str:
    return "counted when trained" if number is None else f"{number:,}"
