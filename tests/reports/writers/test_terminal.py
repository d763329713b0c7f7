"""The summary on a terminal: all of the comparison, inside its width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from reports.build import build_document
from reports.document import Cell, Column, Table
from reports.writers.terminal import grid, show_summary
from tests.factories import make_run, make_study, study_of


def test_terminal_holds_every_comparison_cell() -> None:
    document = build_document(make_study())
    console = Console(file=io.StringIO(), width=200, color_system=None)
    show_summary(document, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Table) and not section.detail:
                assert all(cell.text in shown for row in block.rows for cell in row)


def test_the_terminals_first_line_names_the_study() -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    show_summary(build_document(study_of(make_run("bn25k", seed=0), name="weekly")), console)
    assert "study weekly" in console.file.getvalue().splitlines()[0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_terminal_stays_inside_its_width(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    show_summary(build_document(make_study()), console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    if width >= 80:
        rows = [line for line in lines if line.strip().startswith("fc3136") and "421,642" in line]
        assert len(rows) == 2, "one in the comparison, one in the costs"


def test_where_columns_do_not_fit_the_last_go_and_no_word_is_broken() -> None:
    names = ("Architecture", "Verdict", "Interval", "Explanation")
    cells = ("a-name-of-26-characters-xx", "undecided", "−0.10 to +0.18", "incomprehensibilities")
    row = tuple(map(Cell, cells))
    table = Table(caption="c", columns=tuple(Column(name=name, numeric=False) for name in names), rows=(row,))

    def words(width: int) -> set[str]:
        console = Console(file=io.StringIO(), width=width, color_system=None)
        console.print(grid(table, width=width))
        found = console.file.getvalue().split()  # type: ignore[attr-defined]
        return {word for word in found if "─" not in word}

    assert words(100) == {"c", *names, *" ".join(cells).split()}
    more = "more in the written report".split()
    assert words(70) == {"c;", "1", "column", *more, *names[:3], *" ".join(cells[:3]).split()}
    assert words(44) == {"c;", "2", "columns", *more, *names[:2], *cells[:2]}


def test_room_goes_to_the_tallest_cells() -> None:
    texts = ("a " * 30, "b " * 60, "", "c")
    table = Table(
        caption="",
        columns=tuple(Column(name=name, numeric=False) for name in ("A", "B", "", "D")),
        rows=(tuple(map(Cell, texts)),),
    )
    console = Console(file=io.StringIO(), width=54, color_system=None)
    console.print(grid(table, width=54))
    lines = [line for line in console.file.getvalue().splitlines() if set(line.split()) & set("abc")]  # type: ignore[attr-defined]
    assert len(lines) == 5, "a needs 60 and b 120 characters: 13 and 27 of 40 make five lines of both"
