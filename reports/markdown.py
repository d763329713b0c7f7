"""Writes a document as GitHub's Markdown, figures linked as files beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reports.document import Code, Prose, Table

if TYPE_CHECKING:
    from reports.document import Block, Column, Document

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape_markdown(text: str) -> str:
    """Plain text such that Markdown and HTML find nothing in it to act on, in a paragraph or a table cell."""
    escaped = re.sub(r"([\\`*_\[\]|~$])", r"\\\1", text.translate(_ENTITIES))
    # Marks of headings, lists and rules count only where a line begins.
    return re.sub(r"^(\d+(?=[.)](\s|$))|(?=[#+\-=]))", r"\1\\", escaped)


def write_markdown(document: Document) -> str:
    """The document as Markdown; its figures are expected at `figures/<slug>.svg` beside the file."""
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
        return f"{fence}sh\n{block.text}\n{fence}"
    if isinstance(block, Table):
        return f"{escape_markdown(block.caption)}:\n\n{_table(block)}"
    folded = f"<details><summary>The numbers behind it</summary>\n\n{_table(block.table)}\n\n</details>"
    return (
        f"**{escape_markdown(block.title)}**\n\n![{escape_markdown(block.alt)}](figures/{block.slug}.svg)\n\n{folded}"
    )


def _prose(prose: Prose) -> str:
    text = escape_markdown(prose.text)
    return f"> **Note:** {text}" if prose.tone == "warning" else text


def _table(table: Table) -> str:
    rows = [
        _row([column.name for column in table.columns]),
        _row([_rule(column) for column in table.columns], raw=True),
    ]
    rows.extend(_row([cell.text for cell in row]) for row in table.rows)
    return "\n".join(rows)


def _row(cells: list[str], *, raw: bool = False) -> str:
    return "| " + " | ".join(cell if raw else escape_markdown(cell) for cell in cells) + " |"


def _rule(column: Column) -> str:
    return "---:" if column.numeric else ":---"
