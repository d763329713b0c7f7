"""What shells and people put behind flags by mistake: refused in one printable line, or read as a number in range."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from bench.cli.arguments import parse_arguments, spell_command
from bench.cli.parser import make_parser
from bench.core.errors import BenchError, UsageError
from bench.system.text import find_unprintable, hide_password, hide_passwords, one_line

FLAGS = sorted(
    action.option_strings[0]
    for action in make_parser()._actions
    if action.nargs in (None, "?") and action.option_strings and action.const is not True
)
"""Every flag that takes a value."""
ALONE = {"--arch", "--claims", "--check", "--write-thresholds", "--export", "--merge"}
SHOWN = {"--only", "--compare"}
TUNED = {"--tune-for", "--tune-seeds", "--tune-seconds", "--trials", "--space", "--sampler", "--pruner"}
TEXTS = ("", " ", "\t", "a\nb", "a\x00b", "a\x1b[31mb", "a\u2028b", "a\udcffb")
NUMBERS = ("1e400", "-1e400", "nan", "inf", "-inf", "1" + 30 * "0", "1" + 400 * "0", "1" + 5000 * "0", "-1", "1e-400")
NOT_NUMBERS = ("0x10", "1,000", "½", "1 2", "--", "=", ",", ":", "6:", ":6", "1,,2", "%s", "{}", "$(x)", "'")


def words(flag: str, value: str) -> list[str]:
    action = ["--report"] if flag in SHOWN else ["--all", "--tune"] if flag in TUNED else ["--all"]
    return [*([] if flag in ALONE else action), f"{flag}={value}"]


def numbers(value: Any) -> list[float]:
    """Every number that the arguments hold, however deep."""
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return [value]
    if dataclasses.is_dataclass(value):
        return [n for field in dataclasses.fields(value) for n in numbers(getattr(value, field.name))]
    if isinstance(value, dict):
        return [n for item in value.values() for n in numbers(item)]
    return [n for item in value for n in numbers(item)] if isinstance(value, tuple | list) else []


def test_the_flags_are_all_that_take_a_value() -> None:
    assert {"--arch", "--store", "--results", "--seeds", "--augmentation", "--lr", "--space", "--cluster"} <= set(FLAGS)
    assert not {"--all", "--quiet", "--nesterov", "--help", "--fresh"} & set(FLAGS)


@pytest.mark.parametrize("flag", FLAGS)
def test_text_that_names_nothing_or_cannot_be_shown_is_refused(flag: str) -> None:
    for text in TEXTS:
        with pytest.raises(BenchError) as refusal:
            parse_arguments(words(flag, text))
        said = str(refusal.value)
        assert flag in said
        assert one_line(said) == said
        assert "empty" in said or "character" in said or "invalid" in said


@pytest.mark.parametrize("flag", FLAGS)
def test_odd_numbers_are_refused_or_in_range(flag: str) -> None:
    for text in (*NUMBERS, *NOT_NUMBERS):
        try:
            given = parse_arguments(words(flag, text))
        except BenchError as refusal:
            said = str(refusal)
            assert one_line(said) == said, text
            assert said
        else:
            found = [*numbers(given), *numbers(given.options.recipe())]
            assert all(math.isfinite(number) and -1 <= number <= 1e7 for number in found), text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--augmentation=", "--augmentation '' is empty; leave it out, or give a value."),
        ("--augmentation=,", "No augmentation ''. Known: crop, flip, jitter, rotation, shift."),
        ("--augmentation=shift,", "No augmentation ''."),
        ("--augmentation=crop:1e400", "crop takes whole pixels"),
        ("--augmentation=crop:nan", "crop takes whole pixels"),
        ("--augmentation=rotation:-5", "strength of rotation is -5"),
        ("--patience=1" + 400 * "0", "patience is a number of 401 digits; it must be from 1 to 10000."),
        ("--plateau-patience=-1", "patience of the plateau schedule is -1; it must be from 0 to 10000."),
        (
            "--store=sqlite:///tmp\n/x",
            "--store 'sqlite:///tmp\ufffd/x' holds the character \\n, which no name may hold",
        ),
        ("--store=postgresql://u:pw\n@h/x", "--store 'postgresql://***@h/x' holds the character \\n"),
        ("--results=a\udcff", "--results 'a\ufffd' holds the character \\udcff"),
        ("--cluster=tcp://u:pw@h:1", "--cluster 'tcp://***@h:1' is no address"),
        ("--stroe=postgresql://u:pw@h/x", "Unrecognized arguments: --stroe=postgresql://***@h/x;"),
    ],
)
def test_refusals_name_the_value(given: str, said: str) -> None:
    with pytest.raises(BenchError) as refusal:
        parse_arguments(["--all", *(["--schedule", "plateau"] if "plateau" in given else []), given])
    assert said in str(refusal.value)
    assert "pw" not in str(refusal.value)


def test_only_with_nothing_between_its_commas() -> None:
    with pytest.raises(UsageError, match="--only ', ,' names no architecture"):
        parse_arguments(["--report", "--only", ", ,"])
    assert parse_arguments(["--report", "--only", "a, b,"]).only == ("a", "b")
    assert parse_arguments(["--report"]).only == ()


def test_names_that_people_have_are_no_nasty_words() -> None:
    for name in ("Größe 🧑‍🔬", "/nowhere/a b#%é/ü.py", "名前", "a'\"$b", "e\u0301"):
        assert find_unprintable(name) == ""
        assert parse_arguments(["--all", "--results", name]).options.results.name == name.rpartition("/")[2]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (["--all", "--store", "postgresql+psycopg://u:pw@h/db"], "--store 'postgresql+psycopg://u:***@h/db'"),
        (["--all", "--store=postgresql+psycopg://u:p@pw@h/db"], "'--store=postgresql+psycopg://***@h/db'"),
        (["--all", "--store=postgresql+psycopg://u@h/db?password=pw&host=a@b"], "'--store=postgresql+psycopg://***@b'"),
        (["--all", "--store", "sqlite:////a@b/x.db"], "--store sqlite:////a@b/x.db"),
        (["--all", "--study", "a@b"], "--study a@b"),
    ],
)
def test_the_command_that_reports_show_has_no_password(given: list[str], stored: str) -> None:
    assert spell_command(given) == f"python runner.py --all {stored}"


def test_passwords_in_text() -> None:
    assert hide_password("a+b://u:p@ss:w/rd@h:1/x?password=y") == "a+b://***@h:1/x"
    assert hide_password("u:secret@h") == "u:***@h"
    assert hide_password("x@secret//y@h") == "***@h"
    assert hide_password("sqlite:///x.db") == "sqlite:///x.db"
    assert hide_passwords("see pg://u:p@ss@h/x, mail me@home") == "see pg://***@h/x, mail me@home"
