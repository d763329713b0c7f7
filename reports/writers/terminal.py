"""Shows a document's summary on a terminal: its first lines and every section that is no detail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rich import box
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from reports.document import Code, Prose, Table

if TYPE_CHECKING:
    from rich.console import Console

    from reports.document import Document

ROOM_FOR_ALL = 150
"""Terminal columns from which a table shows all its columns instead of the essential ones."""

UNBROKEN = 14
"""Characters of a cell that stay on one line where the others make room."""


def show_summary(document: Document, console: Console) -> None:
    """Print the summary; figures and details stay to the written reports."""
    console.print(Text(document.title, style="bold"))
    for prose in document.lead:
        _show_prose(prose, console)
    left_out = False
    for section in document.sections:
        if section.detail:
            left_out = True
            continue
        console.print()
        console.print(Text(section.title, style="bold underline"))
        for block in section.blocks:
            if isinstance(block, Prose):
                _show_prose(block, console)
            elif isinstance(block, Code):
                console.print(Padding(Text(block.text), (0, 2)))
            elif isinstance(block, Table):
                console.print(grid(block, width=console.width))
            else:
                left_out = True
    if left_out:
        rest = "Figures, pictures, learning curves, speed, layers and environment: in the written report."
        console.print()
        console.print(Text(rest, style="dim"))


def _show_prose(prose: Prose, console: Console) -> None:
    mark = Text("! ", style="bold yellow") if prose.tone == "warning" else Text("  ")
    grid = Grid.grid(padding=0)
    grid.add_row(mark, Text(prose.text))
    console.print(grid)


def grid(table: Table, *, width: int) -> Grid:
    """A table as rich draws it; everything in it is `Text`, so that rich finds no markup in foreign words."""
    shown = [at for at, column in enumerate(table.columns) if width >= ROOM_FOR_ALL or column.essential]
    widths = _widths(table, shown, room=width - 2 * len(shown) - 2)
    grid = Grid(
        box=box.SIMPLE_HEAD,
        title=Text(table.caption),
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


def _widths(table: Table, shown: list[int], *, room: int) -> list[int | None]:
    """Widths that break no word of a header and no short cell; None, rich's own choice, where these do not fit.

    What room is left over goes to the longer cells, from the left.
    """
    widths: list[int | None] = []
    cells = [[row[at].text for row in table.all_rows] for at in shown]
    least = [
        max(map(len, [*table.columns[at].name.split(), *(text[:UNBROKEN] for text in texts)]))
        for at, texts in zip(shown, cells, strict=True)
    ]
    spare = room - sum(least)
    for width, texts in zip(least, cells, strict=True):
        more = min(spare, max(0, max(map(len, texts), default=0) - width))
        widths.append(None if room < sum(least) else width + more)
        spare -= more
    return widths
