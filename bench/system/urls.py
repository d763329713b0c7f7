"""The URL of a store: read, refused in a line that shows no part of a password, and named in messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from bench.core.errors import StoreError
from bench.system.text import hide_password, printable

if TYPE_CHECKING:
    from pathlib import Path

DIALECTS = ("sqlite", "postgresql")


def store_in(results: Path) -> str:
    """The URL of the database of a results directory that keeps its own."""
    return sa.URL.create("sqlite", database=str(results / "bench.db")).render_as_string()


def read_url(url: str) -> sa.URL:
    """The URL of a store, taken apart.

    Raises:
        StoreError: It is none, is that of another kind of database, or has a password that was not escaped.
    """
    parsed = _parse(url)
    if parsed is None:
        escaped = " (write '@', ':' and '/' of a password as %40, %3A and %2F)" if "@" in url else ""
        raise StoreError(
            f"Store '{name_place(url)}' is no database URL{escaped}; write sqlite:///DIR/bench.db or "
            "postgresql+psycopg://USER@HOST/NAME."
        )
    if parsed.get_backend_name() not in DIALECTS:
        raise StoreError(
            f"Store {name_place(url)}: only sqlite and postgresql are supported; write sqlite:///DIR/bench.db or "
            "postgresql+psycopg://USER@HOST/NAME."
        )
    if _is_unescaped(parsed, url):
        escaped = "write '@', ':' and '/' of a password as %40, %3A and %2F in its URL"
        raise StoreError(f"Store {name_place(url)}: {escaped}.")
    return parsed


def name_place(url: str) -> str:
    """What to call a store in a message: the file, or the URL without password and options."""
    parsed = _parse(url)
    if parsed is None:
        shown = hide_password(url)
        return printable(shown if "@" in url or "://" not in url else f"{shown.partition('://')[0]}://…")
    if parsed.get_backend_name() == "sqlite":
        return printable(parsed.database or "in memory")
    if _is_unescaped(parsed, url):
        return printable(hide_password(url))
    return printable(parsed.set(query={}).render_as_string(hide_password=True))


def _parse(url: str) -> sa.URL | None:
    try:
        return sa.make_url(url)
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        return None


def _is_unescaped(parsed: sa.URL, url: str) -> bool:
    """Whether a second `@` makes a part of the password look like a host, a name or an option."""
    return parsed.get_backend_name() != "sqlite" and url.count("@") > 1
