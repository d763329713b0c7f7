"""TOML that people write, checked by a JSON Schema: every fault in one line that names the line of the file."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
import math
import tomllib
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import best_match

from bench.core.errors import UnknownNameError, reason
from bench.system.files import read_regular
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from jsonschema.exceptions import ValidationError

    from bench.core.errors import BenchError

Keys = tuple[str | int, ...]

MOST_BYTES = 16 << 20
"""Far more than thousands of entries need."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong at a place of a file, without the file and the line."""

    keys: Keys
    said: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class TomlKind:
    """A kind of file.

    Attributes:
        schema: File of its JSON Schema.
        error: Makes the error of a message.
        again: What to do about a fault, as the end of a sentence.
    """

    schema: Path
    error: Callable[[str], BenchError]
    again: str

    def read_text(self, path: Path, *, missing: str) -> str:
        """The text of a file.

        Raises:
            BenchError: It is not there (`missing` is said), or cannot be read.
        """
        try:
            return read_regular(path, most_bytes=MOST_BYTES).decode()
        except FileNotFoundError:
            raise self.error(missing) from None
        except OSError as fault:
            raise self.error(f"'{path}' cannot be read ({reason(fault)}); name another file.") from None
        except UnicodeDecodeError:
            raise self.error(f"'{path}' is no text; {self.again}.") from None

    def parse(self, path: Path, text: str) -> dict[str, Any]:
        """What a text holds, as TOML and no more.

        Raises:
            BenchError: It is no TOML.
        """
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError) as fault:  # the latter of brackets in brackets without end
            raise self.error(f"{path} is no TOML: {fault}; {self.again}.") from None

    def find_faults(self, stored: dict[str, Any]) -> list[Fault]:
        """What the schema does not allow: of each item of an array of tables at the top the best match, else of all."""
        unlike: dict[Keys, list[ValidationError]] = {}
        for error in _validator(self.schema).iter_errors(stored):
            path = tuple(error.absolute_path)
            item = path[:2] if len(path) > 1 and isinstance(path[1], int) else ()
            unlike.setdefault(item, []).append(error)
        found = [
            _describe(best_match(iter(errors))) for _, errors in sorted(unlike.items(), key=lambda pair: str(pair[0]))
        ]
        found += [Fault(keys=keys, said=f"{number} is no finite number") for keys, number in find_not_finite(stored)]
        return found

    def blame(self, path: Path, text: str, fault: Fault) -> BenchError:
        """The error that a fault of a file is."""
        where = f"{path}, line {find_line(text, fault.keys)}"
        place = ".".join(map(str, fault.keys)) or "top"
        asks = fault.said.endswith("?")
        again = f" {self.again[0].upper()}{self.again[1:]}" if asks else f"; {self.again}"
        return self.error(printable(f"{where}, {place}: {fault.said}{again}."))


@functools.cache
def _validator(schema: Path) -> Draft202012Validator:
    """The schema's, but 3.0 is no whole number: a seed or a number of epochs that is a float trains nothing."""
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    strict = validators.extend(Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call]
    validator: Draft202012Validator = strict(json.loads(schema.read_text(encoding="utf-8")))
    return validator


def _describe(unlike: ValidationError | None) -> Fault:
    assert unlike is not None  # noqa: S101 - it is of one error at least
    unknown = _unknown_key(unlike)
    return Fault(keys=(*unlike.absolute_path, *unknown), said=_say(unlike, *unknown))


def _say(unlike: ValidationError, unknown: str = "") -> str:
    """What is wrong, in words of people where the library has those of schemas."""
    schema: dict[str, Any] = unlike.schema if isinstance(unlike.schema, dict) else {}
    if unknown:
        return str(UnknownNameError("field", unknown, schema["properties"])).rstrip(".")
    if (unlike.validator == "anyOf" or unlike.validator_value == "string") and "description" in schema:
        return f"{unlike.instance!r} is found; wanted: {schema['description'].rstrip('.')}"
    return f"{unlike.instance!r} is found, {unlike.message}" if unlike.validator == "const" else unlike.message


def _unknown_key(unlike: ValidationError) -> list[str]:
    """The first key that the schema does not know, where that is what is wrong."""
    if unlike.validator != "additionalProperties" or not isinstance(unlike.schema, dict):
        return []
    known, written = unlike.schema.get("properties", {}), unlike.instance
    return [key for key in written if key not in known][:1] if isinstance(written, dict) else []


def find_not_finite(value: object, keys: Keys = ()) -> Iterator[tuple[Keys, float]]:
    """Where a number is nan or inf, which TOML allows and every comparison would silently let pass."""
    if isinstance(value, float) and not math.isfinite(value):
        yield keys, value
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from find_not_finite(item, (*keys, key))


def find_line(text: str, path: Sequence[str | int]) -> int:
    """The line, from 1, of the key that a path leads to; where it is not written, that of what should hold it.

    Args:
        text: Good TOML whose keys each begin a line.
        path: Keys from the top, a number for an item of an array of tables.
    """
    lines: dict[Keys, int] = {}
    table: Keys = ()
    items = collections.Counter[Keys]()

    def place(keys: Keys) -> Keys:
        """Keys with the number of the latest item behind each that is an array of tables."""
        placed: Keys = ()
        for key in keys:
            placed += (key,)
            if placed in items:
                placed += (items[placed] - 1,)
        return placed

    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line.startswith("[["):
            keys = _first_keys(line)
            array = (*place(keys[:-1]), *keys[-1:])
            items[array] += 1
            table = (*array, items[array] - 1)
            lines.setdefault(table, number)
        elif line.startswith("["):
            table = place(_first_keys(line))
            lines.setdefault(table, number)
        elif "=" in line:
            keys = _first_keys(f"{line.partition('=')[0]} = 0")
            for length in range(1, len(keys) + 1):
                lines.setdefault(table + keys[:length], number)
    nearest = (lines.get(tuple(path[:length])) for length in range(len(path), 0, -1))
    return next((line for line in nearest if line is not None), 1)


def _first_keys(line: str) -> Keys:
    """The dotted keys of a header or of a line that sets one; nothing when it is neither."""
    try:
        value: object = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    keys: Keys = ()
    while isinstance(value, dict | list) and value:
        if isinstance(value, list):
            value = value[0]
        else:
            key, value = next(iter(value.items()))
            keys += (key,)
    return keys
