"""Reads what a document says: a section, tables, their rows and columns by header, its words."""

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


def tables_of(document: Document, caption: str) -> list[Table]:
    """All tables of a document whose captions start so."""
    blocks = [block for section in document.sections for block in section.blocks]
    return [block for block in blocks if isinstance(block, Table) and block.caption.startswith(caption)]


def column_of(table: Table, name: str) -> dict[str, str]:
    """The texts of a column, by those of the first."""
    at = [column.name for column in table.columns].index(name)
    return {row[0].text: row[at].text for row in table.rows}


def words_of(document: Document) -> str:
    """Its paragraphs and those of its sections, a line each."""
    blocks = [*document.lead, *(block for section in document.sections for block in section.blocks)]
    return "\n".join(block.text for block in blocks if isinstance(block, Prose))
