"""Foreign text in messages of ours: on one line, printable, without anybody's password."""

from __future__ import annotations

import re
import unicodedata

_NO_TEXT = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of control characters, of bytes that are no UTF-8, and of line and paragraph ends."""

_BEFORE_HOST = re.compile(r"^([^:/@]*(?::/*|//*)).*@", re.DOTALL)


def printable(text: str) -> str:
    """Text for a message of one line: a key, or the name of a file, may hold line ends and worse."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def one_line(text: str) -> str:
    """Foreign text on one line: line ends, tabs and rows of spaces become a space, what cannot be printed a mark."""
    return printable(" ".join(text.split()))


def find_unprintable(text: str) -> str:
    """The first character that no name, path or URL may hold, as Python spells it; empty without one.

    A character that joins others, as in emoji, is none of these.
    """
    return next((repr(c)[1:-1] for c in text if unicodedata.category(c) in _NO_TEXT), "")


def hide_password(url: str) -> str:
    """A URL without what stands before its last `@`, and without its options, however it is malformed.

    A URL that can be parsed is shown by `bench.store.urls.name_place`, which hides less.
    """
    shown, hidden = _BEFORE_HOST.subn(r"\1***@", url)
    if not hidden and "@" in url:
        shown = f"***@{url.rpartition('@')[2]}"
    return shown.partition("?")[0]


def hide_passwords(text: str) -> str:
    """Text without what stands before the last `@` of any URL in it."""
    return re.sub(r"(\w:/{1,2})[^\s]*@", r"\1***@", text)
