"""Plain text in Markdown: nothing in it acts."""

from __future__ import annotations

import pytest

from reports.writers.markdown import escape_markdown


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
