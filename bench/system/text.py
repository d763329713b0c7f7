"""Text of messages and reports: numbers, lists and times in words; foreign text on one line, without passwords."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_TEXT = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of control characters, of bytes that are no UTF-8, and of line and paragraph ends."""

_BEFORE_HOST = re.compile(r"^([^:/@]*(?::/*|//*)).*@", re.DOTALL)


def printable(text: str) -> str:
    """Text for a message of one line: a key, or the name of a file, may hold line ends and worse."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def one_line(text: str) -> str:
    """Foreign text on one line: line ends, tabs and rows of spaces become a space, what cannot be printed a mark."""
    return printable(" ".join(text.split()))


_RIGHT_TO_LEFT = ("R", "AL", "AN")
"""Classes of characters that run from right to left (Unicode Standard Annex 9)."""


def isolate(name: str) -> str:
    """A name for the middle of a sentence: one that runs from right to left stands between marks (FSI, PDI).

    Without them words and numbers beside it would change places.
    """
    return f"\u2068{name}\u2069" if runs_right_to_left(name) else name


def runs_right_to_left(text: str) -> bool:
    """Whether any of it does."""
    return any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text)


def text_width(text: str) -> int:
    """Columns that text takes where letters have one width: East Asian wide ones two, accents of their own none."""
    marks = sum(unicodedata.combining(character) > 0 for character in text)
    return len(text) - marks + sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def find_unprintable(text: str) -> str:
    """The first character that no name, path or URL may hold, as Python spells it; empty without one.

    A character that joins others, as in emoji, is none of these.
    """
    return next((repr(c)[1:-1] for c in text if unicodedata.category(c) in _NO_TEXT), "")


def hide_password(url: str) -> str:
    """A URL without what stands before its last `@`, and without its options, however it is malformed.

    A URL that can be parsed is shown by `bench.system.urls.name_place`, which hides less.
    """
    shown, hidden = _BEFORE_HOST.subn(r"\1***@", url)
    if not hidden and "@" in url:
        shown = f"***@{url.rpartition('@')[2]}"
    return shown.partition("?")[0]


def hide_passwords(text: str) -> str:
    """Text without what stands before the last `@` of any URL in it."""
    return re.sub(r"(\w:/{1,2})[^\s]*@", r"\1***@", text)


MOST_LISTED = 12
"""Things that a sentence names; more are counted and left to a table."""


def slugify(text: str) -> str:
    """A name for a file or an anchor: lower-case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].rstrip("-") or "x"


def percent(fraction: float, digits: int = 2) -> str:
    """A fraction as % without the sign: 0.98934 → 98.93; ties go to the even digit, 0.87375 → 87.38."""
    return f"{_decimal(100 * fraction):.{digits}f}"


def number(value: float, digits: int = 0) -> str:
    """A number with thousands separators; ties go to the even digit."""
    return f"{_decimal(value):,.{digits}f}"


def _decimal(value: float) -> Decimal:
    """What is rounded where it is shown: a mean that ends in a tie may come out a hair below it in binary."""
    return Decimal(str(round(float(value), 10)))


def span(low: float, high: float) -> str:
    """Two fractions as a range in %: 98.85 to 99.01."""
    return f"{percent(low)} to {percent(high)}"


def plural(number: int, noun: str) -> str:
    """A count and its noun: 1 run, 2,000 runs."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listing(words: list[str]) -> str:
    """Words in a row: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def first_ones(words: list[str]) -> list[str]:
    """The first of many, and how many more there are."""
    return words if len(words) <= MOST_LISTED else [*words[:MOST_LISTED], f"{len(words) - MOST_LISTED} more"]


def four_digits(values: Sequence[float]) -> str:
    """Small numbers in a row, one a channel: 0.1307, 0.3081."""
    return ", ".join(f"{value:.4f}" for value in values)


def short_number(value: float) -> str:
    """Three digits, with a minus sign."""
    return f"{value:.3g}".replace("-", "−")


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, +0.12 or −1,034; what rounds to nothing has none."""
    text = f"{value:+,.{digits}f}"
    return text[1:] if set(text) <= set("+-0.") else text.replace("-", "−")


def moment(iso: str) -> str:
    """A stored time for people, to the minute: 2026-01-05 00:00 UTC; what is no ISO time stays as it is."""
    try:
        when = dt.datetime.fromisoformat(iso)
    except ValueError:
        return one_line(iso)
    utc = when.astimezone(dt.UTC) if when.tzinfo else when  # a time without a zone was stored as UTC
    return f"{utc:%Y-%m-%d %H:%M} UTC"


def duration(seconds: float) -> str:
    """A span of time for people: 45 s, 2 min 05 s, 1 h 07 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
