"""Shows a document on a terminal: its first lines and every section that is no detail; no word is broken in two."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from bench.system.text import plural
from reports.document import Code, Prose, Table

if TYPE_CHECKING:
    from rich.console import Console

    from reports.document import Document, Section, Tone

ROOM_FOR_ALL = 150
"""Terminal columns from which a table shows all its columns instead of the essential ones."""

UNBROKEN = 14
"""Characters of a cell that stay on one line where the others make room."""

_FEWEST_COLUMNS = 2
"""What a table shows on the narrowest terminal: the name of a row and what is said of it."""

_COLOURS: dict[Tone, str] = {"failure": "red", "warning": "yellow", "undecided": "yellow", "data": "cyan"}
"""Of the marks of notes."""

_SPARE = 2
"""Columns of a terminal before the first and behind the last of a table's; as many part two of these."""


def show_summary(document: Document, console: Console) -> None:
    """Print the summary; figures and details stay to the written reports."""
    console.print(Text(document.title, style="bold"))
    for prose in document.lead:
        show_prose(prose, console)
    left_out = [show_section(section, console) for section in document.sections if not section.detail]
    if any(left_out) or any(section.detail for section in document.sections):
        rest = "Figures, pictures, learning curves, speed, layers and environment: in the written report."
        console.print()
        console.print(Text(rest, style="dim"))


def show_section(section: Section, console: Console) -> bool:
    """Print a section; whether it has pictures, which are left out."""
    console.print()
    console.print(Text(section.title, style="bold underline"))
    left_out = False
    for block in section.blocks:
        if isinstance(block, Prose):
            show_prose(block, console)
        elif isinstance(block, Code):
            console.print(Padding(Text(block.text), (0, 2)))
        elif isinstance(block, Table):
            console.print(grid(block, width=console.width))
        else:
            left_out = True
    return left_out


def show_prose(prose: Prose, console: Console) -> None:
    """Print a paragraph, a note behind a mark whose colour says of which kind it is."""
    colour = _COLOURS.get(prose.tone)
    mark = Text("! ", style=f"bold {colour}") if colour else Text("  ")
    grid = Grid.grid(padding=0)
    grid.add_row(mark, Text(prose.text, style="bold" if prose.tone == "answer" else ""))
    console.print(grid)
    if prose.command:
        console.print(Text(f"  {prose.command}"), soft_wrap=True)


def longest_word(text: str) -> int:
    """Characters of the longest word of a text."""
    return max(map(len, text.split()), default=0)


def grid(table: Table, *, width: int) -> Grid:
    """A table as rich draws it; everything in it is `Text`, so that rich finds no markup in foreign words."""
    shown = [at for at, column in enumerate(table.columns) if width >= ROOM_FOR_ALL or column.essential]
    left_out = 0
    while len(shown) > _FEWEST_COLUMNS and sum(_least(table, at, unbroken=0) for at in shown) > _room(shown, width):
        shown.pop()
        left_out += 1
    more = f"; {plural(left_out, 'column')} more in the written report" if left_out else ""
    widths = _widths(table, shown, room=_room(shown, width))
    grid = Grid(
        box=box.SIMPLE_HEAD,
        title=Text(f"{table.caption}{more}"),
        title_justify="left",
        title_style="dim",
        show_footer=table.total is not None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for at, wanted in zip(shown, widths, strict=True):
        column = table.columns[at]
        justify: Literal["left", "right"] = "right" if column.numeric else "left"
        footer = Text(table.total[at].text if table.total else "")
        grid.add_column(Text(column.name), footer, justify=justify, overflow="fold", width=wanted)
    for row in table.rows:
        grid.add_row(*(Text(row[at].text) for at in shown))
    return grid


def _room(shown: list[int], width: int) -> int:
    return width - _SPARE * len(shown) - _SPARE


def _least(table: Table, at: int, *, unbroken: int) -> int:
    """Characters that a column needs to break no word of its header and cells, and no cell of so many at most."""
    texts = [row[at].text for row in table.all_rows]
    words = [longest_word(text) for text in (table.columns[at].name, *texts)]
    return max(words + [len(text) for text in texts if len(text) <= unbroken])


def _widths(table: Table, shown: list[int], *, room: int) -> list[int | None]:
    """Widths that break no word and, where there is room, no short cell; None, rich's own choice, where none do.

    What room is left over goes where the cells are tallest.
    """
    found = [[_least(table, at, unbroken=unbroken) for at in shown] for unbroken in (UNBROKEN, 0)]
    widths = next((each for each in found if sum(each) <= room), None)
    if widths is None:
        return [None] * len(shown)
    longest = [max((len(row[at].text) for row in table.all_rows), default=0) for at in shown]
    for _ in range(room - sum(widths)):
        lines = [math.ceil(length / max(width, 1)) for length, width in zip(longest, widths, strict=True)]
        if max(lines) <= 1:
            break
        widths[lines.index(max(lines))] += 1
    return list(widths)
