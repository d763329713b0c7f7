"""Writes a document as GitHub's Markdown, figures linked as files beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bench.system.text import plural
from reports.document import LABELS, Code, Figure, Gallery, Prose, Table
from reports.figures.sprites import sprite_columns

if TYPE_CHECKING:
    from reports.document import Block, Document, Drawing, Section

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape_markdown(text: str) -> str:
    """Plain text such that Markdown and HTML find nothing in it to act on, in a paragraph or a table cell."""
    escaped = re.sub(r"([\\`*_\[\]|~$])", r"\\\1", text.translate(_ENTITIES))
    # Marks of headings, lists and rules count only where a line begins.
    return re.sub(r"^(\d+(?=[.)](\s|$))|(?=[#+\-=]))", r"\1\\", escaped)


def write_markdown(document: Document) -> str:
    """The document as Markdown; its figures and drawings are expected at `figures/<slug>.svg`, galleries at `.png`."""
    parts = [f"# {escape_markdown(document.title)}", *(_prose(prose) for prose in document.lead)]
    for section, *within in document.folds:
        parts += _section(section)
        for part in within:
            parts += _section(part)
        parts += ["</details>"] * bool(section.gist)
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    """Its heading and blocks; a folded one is opened here and closed by whoever knows what is folded with it."""
    head = f"{'#' * section.level} {escape_markdown(section.title)}"
    if section.gist:  # GitHub reads no Markdown there
        head = f"<details><summary>{f'{section.title}: {section.gist}'.translate(_ENTITIES)}</summary>"
    return [head, *map(_block, section.blocks)]


def _block(block: Block) -> str:
    if isinstance(block, Prose):
        return _prose(block)
    if isinstance(block, Code):
        return _code(block)
    if isinstance(block, Table):
        return _table(block)
    return _gallery(block) if isinstance(block, Gallery) else _picture(block)


def _picture(block: Figure | Drawing) -> str:
    parts: tuple[Figure | Drawing, ...] = block.parts if isinstance(block, Figure) else (block,)
    alts = [block.alt, *(part.title for part in parts[1:])]  # the first says what all of them show
    links = (f"![{escape_markdown(alt)}](figures/{part.slug}.svg)" for part, alt in zip(parts, alts, strict=True))
    shown = f"**{escape_markdown(block.title)}**\n\n{' '.join(links)}"
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
    if prose.tone == "answer":
        text = f"**{text}**"
    if prose.tone in LABELS:
        text = f"> **{LABELS[prose.tone]}:** {text}"
    return f"{text}\n\n{_code(Code(prose.command))}" if prose.command else text


def _code(block: Code) -> str:
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", block.text))]))
    return f"{fence}{block.language}\n{block.text}\n{fence}"


def _table(table: Table) -> str:
    rules = ["---:" if column.numeric else ":---" for column in table.columns]
    rows = [[cell.text for cell in row] for row in table.all_rows]  # Markdown knows no footers
    for at in sorted(table.rules, reverse=True):  # nor lines between rows: an empty one stands there
        rows.insert(at, [""] * len(table.columns))
    return f"{escape_markdown(table.caption)}:\n\n{_rows([column.name for column in table.columns], rules, rows)}"


def _rows(head: list[str], rules: list[str], rows: list[list[str]]) -> str:
    escaped = [list(map(escape_markdown, row)) for row in (head, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (escaped[0], rules, *escaped[1:]))
