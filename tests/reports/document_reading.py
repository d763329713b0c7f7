"""Reads what a document says: a section, a table of it, its rows by header, its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.document import Prose, Table

if TYPE_CHECKING:
    from reports.document import Document, Section


def section_of(document: Document, slug: str) -> Section:
    """The section of that slug."""
    return next(section for section in document.sections if section.slug == slug)


def table_of(section: Section, caption: str) -> Table:
    """The first of its tables whose caption starts so."""
    tables = [block for block in section.blocks if isinstance(block, Table)]
    return next(table for table in tables if table.caption.startswith(caption))


def rows_of(table: Table) -> list[dict[str, str]]:
    """Each row as its texts by header."""
    names = [column.name for column in table.columns]
    return [dict(zip(names, (cell.text for cell in row), strict=True)) for row in table.rows]


def prose_of(section: Section) -> str:
    """Its paragraphs, a line each."""
    return "\n".join(block.text for block in section.blocks if isinstance(block, Prose))
