"""Plain text in Markdown: nothing in it acts; what is folded stays folded."""

from __future__ import annotations

import re

import pytest

from reports.build import build_document
from reports.document import Document, Prose, Section
from reports.writers.markdown import escape_markdown, write_markdown
from tests.factories import make_study


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("# title", "\\# title"),
        ("1. first", "1\\. first"),
        ("98.93", "98.93"),
        ("- item", "\\- item"),
        ("-0.5 to 1", "\\-0.5 to 1"),
        ("a|b*c_d`e", "a\\|b\\*c\\_d\\`e"),
        ("<b> & $x$", "&lt;b&gt; &amp; \\$x\\$"),
        ("[a](b)", "\\[a\\](b)"),
        ("plain, text (3 %)", "plain, text (3 %)"),
    ],
)
def test_markdown_escapes(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


def unfolded(text: str) -> str:
    """What is read without opening anything; every fold must be closed again."""
    depth, shown = 0, []
    for piece in re.split(r"(</?details>)", text):
        depth += {"<details>": 1, "</details>": -1}.get(piece, 0)
        assert depth >= 0
        shown += [piece] if depth == 0 and "details>" not in piece else []
    assert depth == 0
    return "".join(shown)


def test_a_report_is_short_until_something_is_opened() -> None:
    document = build_document(make_study())
    text = write_markdown(document)
    read = unfolded(text)
    assert len(read.split()) <= 4_000 < len(text.split())
    assert "## Repeat it" in read
    opened = [fold[0].title for fold in document.folds if not fold[0].gist]
    assert re.findall(r"^##+ (.*)$", read, re.MULTILINE) == opened
    for section in document.sections:
        if section.gist:
            assert f"<details><summary>{section.title}: {section.gist}</summary>\n\n" in text


def test_notes_are_told_apart_by_kind_and_the_answer_is_bold() -> None:
    tones = {"answer": "a", "failure": "f", "undecided": "u", "data": "d", "warning": "w", "plain": "p"}
    lead = tuple(Prose(text, tone=tone) for tone, text in tones.items())  # type: ignore[arg-type]
    assert write_markdown(Document(title="t", lead=lead, sections=())).split("\n\n")[1:] == [
        "**a**", "> **Failed:** f", "> **Undecided:** u", "> **About the data:** d", "> **Note:** w", "p\n",
    ]  # fmt: skip


def test_parts_of_a_fold_are_closed_with_it() -> None:
    def section(title: str, **fields: object) -> Section:
        return Section(title=title, slug=title, blocks=(Prose(title.lower()),), **fields)  # type: ignore[arg-type]

    sections = (section("A", gist="What."), section("B", level=3), section("C", level=3, gist="<Why>."), section("D"))
    assert write_markdown(Document(title="t", lead=(), sections=sections)).split("\n\n")[1:] == [
        "<details><summary>A: What.</summary>", "a", "### B", "b", "</details>",
        "<details><summary>C: &lt;Why&gt;.</summary>", "c", "</details>", "## D", "d\n",
    ]  # fmt: skip
