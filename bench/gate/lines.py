"""On which line of a TOML text a key stands: parsers say what a file holds, people want to know where."""

from __future__ import annotations

import collections
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Keys = tuple[str | int, ...]


def find_line(text: str, path: Sequence[str | int]) -> int:
    """The line, from 1, of the key that a path leads to; where it is not written, that of what should hold it.

    Args:
        text: Good TOML whose keys each begin a line.
        path: Keys from the top, a number for an item of an array of tables.
    """
    places: dict[Keys, int] = {}
    for keys, line in _places(text):
        places.setdefault(keys, line)
    nearest = (places.get(tuple(path[:length])) for length in range(len(path), 0, -1))
    return next((line for line in nearest if line is not None), 1)


def _places(text: str) -> Iterator[tuple[Keys, int]]:
    """The keys of every table and of every line that sets one, from the top, and where they stand."""
    table: Keys = ()
    items = collections.Counter[Keys]()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if words.startswith("["):
            table = _first_keys(words)
            if words.startswith("[["):
                items[table] += 1
                table += (items[table] - 1,)
            yield table, number
        elif "=" in words:
            keys = _first_keys(f"{words.partition('=')[0]} = 0")
            for length in range(1, len(keys) + 1):
                yield table + keys[:length], number


def _first_keys(words: str) -> Keys:
    """The dotted keys of a header or of a line that sets one; nothing when it is neither."""
    try:
        found: object = tomllib.loads(words)
    except tomllib.TOMLDecodeError:
        return ()
    keys: Keys = ()
    while isinstance(found, dict | list) and found:
        if isinstance(found, list):
            found = found[0]
        else:
            key, found = next(iter(found.items()))
            keys += (key,)
    return keys
