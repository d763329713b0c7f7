"""Writes a document as GitHub's Markdown, figures linked as files beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bench.system.text import plural
from reports.document import Code, Gallery, Prose, Table
from reports.figures.sprites import sprite_columns

if TYPE_CHECKING:
    from reports.document import Block, Document, Drawing, Figure

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape_markdown(text: str) -> str:
    """Plain text such that Markdown and HTML find nothing in it to act on, in a paragraph or a table cell."""
    escaped = re.sub(r"([\\`*_\[\]|~$])", r"\\\1", text.translate(_ENTITIES))
    # Marks of headings, lists and rules count only where a line begins.
    return re.sub(r"^(\d+(?=[.)](\s|$))|(?=[#+\-=]))", r"\1\\", escaped)


def write_markdown(document: Document) -> str:
    """The document as Markdown; its figures and drawings are expected at `figures/<slug>.svg`, galleries at `.png`."""
    parts = [f"# {escape_markdown(document.title)}", *(_prose(prose) for prose in document.lead)]
    for section in document.sections:
        parts.append(f"{'#' * section.level} {escape_markdown(section.title)}")
        parts.extend(_block(block) for block in section.blocks)
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Prose):
        return _prose(block)
    if isinstance(block, Code):
        fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", block.text))]))
        return f"{fence}{block.language}\n{block.text}\n{fence}"
    if isinstance(block, Table):
        return _table(block)
    return _gallery(block) if isinstance(block, Gallery) else _picture(block)


def _picture(block: Figure | Drawing) -> str:
    shown = f"**{escape_markdown(block.title)}**\n\n![{escape_markdown(block.alt)}](figures/{block.slug}.svg)"
    if block.table is None:
        return shown
    return f"{shown}\n\n<details><summary>The numbers behind it</summary>\n\n{_table(block.table)}\n\n</details>"


def _gallery(gallery: Gallery) -> str:
    """The picture of all tiles, and their captions in a table whose cells stand as the tiles do."""
    columns = sprite_columns(gallery)
    captions = [tile.caption for tile in gallery.tiles]
    captions += [""] * (-len(captions) % columns)
    rows = [captions[start : start + columns] for start in range(0, len(captions), columns)]
    table = _rows([str(number) for number in range(1, columns + 1)], [":---"] * columns, rows)
    alt = escape_markdown(f"{gallery.title}: {plural(len(gallery.tiles), 'picture')}, captions in the table below")
    return f"**{escape_markdown(gallery.title)}**\n\n![{alt}](figures/{gallery.slug}.png)\n\n{table}"


def _prose(prose: Prose) -> str:
    text = escape_markdown(prose.text)
    return f"> **Note:** {text}" if prose.tone == "warning" else text


def _table(table: Table) -> str:
    rules = ["---:" if column.numeric else ":---" for column in table.columns]
    rows = [[cell.text for cell in row] for row in table.all_rows]  # Markdown knows no footers
    return f"{escape_markdown(table.caption)}:\n\n{_rows([column.name for column in table.columns], rules, rows)}"


def _rows(head: list[str], rules: list[str], rows: list[list[str]]) -> str:
    escaped = [list(map(escape_markdown, row)) for row in (head, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (escaped[0], rules, *escaped[1:]))
