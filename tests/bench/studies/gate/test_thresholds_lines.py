"""Where a key stands in a text of TOML, counted by hand."""

from __future__ import annotations

import pytest

from bench.system.toml_file import find_line
from tests.bench.studies.gate.examples import TEXT

SPELT_ODDLY = """\
# [gate]

  [ gate ]
  recipe.lr = 0.1
recipe . "batch size" = 3
"epochs"    = 2

["a.b"."köpfe"]
'mean' = 1

[[history]]
mean = 1
[[history]]
# mean = 2
mean = 3
[history.more]
x = 1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("version",), 2),
        (("gate",), 4),
        (("gate", "epochs"), 8),
        (("gate", "recipe"), 10),
        (("gate", "recipe", "batch_size"), 12),
        (("architectures", "bn25k"), 14),
        (("architectures", "bn25k", "mean"), 15),
        (("architectures", "bn25k", "floors", "accuracy"), 25),
        (("architectures", "bn25k", "first_seeds", 1), 22),  # one line for the whole list
        (("architectures", "bn25k", "macros"), 14),  # not there: where it should stand
        (("gate", "recipe", "x", "y"), 10),
        (("nowhere",), 1),
        ((), 1),
    ],
)
def test_lines_of_a_thresholds_file(path: tuple[str | int, ...], line: int) -> None:
    assert find_line(TEXT, path) == line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("gate",), 3),
        (("gate", "recipe"), 4),
        (("gate", "recipe", "lr"), 4),
        (("gate", "recipe", "batch size"), 5),
        (("gate", "epochs"), 6),
        (("a.b", "köpfe"), 8),
        (("a.b", "köpfe", "mean"), 9),
        (("history", 0), 11),
        (("history", 0, "mean"), 12),
        (("history", 1), 13),
        (("history", 1, "mean"), 15),
        (("history", 1, "deviation"), 13),
    ],
)
def test_lines_of_keys_that_are_spelt_oddly(path: tuple[str | int, ...], line: int) -> None:
    assert find_line(SPELT_ODDLY, path) == line


def test_broken_text_has_a_first_line() -> None:
    assert find_line("[[[\n= =\n\x00", ("gate",)) == 1
    assert find_line("", ("gate",)) == 1
