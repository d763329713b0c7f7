"""Names of any script in a line of text."""

from __future__ import annotations

import pytest

from bench.system.text import isolate, text_width


@pytest.mark.parametrize(
    ("name", "inside"), [("כלב", True), ("قطة", True), ("cat כלב", True), ("cat", False), ("猫", False)]
)
def test_only_what_runs_from_right_to_left_is_set_apart(name: str, inside: bool) -> None:  # noqa: FBT001
    assert isolate(name) == (f"\u2068{name}\u2069" if inside else name)


@pytest.mark.parametrize(("text", "width"), [("", 0), ("abc", 3), ("猫", 2), ("ｱ", 1), ("e\u0301", 1), ("\uff21", 2)])
def test_columns_that_text_takes(text: str, width: int) -> None:
    assert text_width(text) == width
