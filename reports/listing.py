"""Shows the registered architectures on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from bench.spec import Architecture


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


def _count(number: int | None) -> str:
    return "counted when trained" if number is None else f"{number:,}"
