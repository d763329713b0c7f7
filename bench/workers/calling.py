"""One call in a process of its own, and what became of it."""

from __future__ import annotations

import builtins
import dataclasses
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.workers.apart import Apart

if TYPE_CHECKING:
    from collections.abc import Callable


class RaisedError(Exception):
    """A call raised what is none of our errors; the text says what, its traceback is a note."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """What a call printed.

    Attributes:
        lines: How many lines.
        text: The end of it.
    """

    lines: int
    text: str

    @property
    def last(self) -> str:
        """Its last line that is not empty."""
        return next((line.strip() for line in reversed(self.text.splitlines()) if line.strip()), "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a call that did not end its process.

    Attributes:
        value: What it gave; None when it raised.
        said: What it printed.
        fault: What it raised: one of our errors as a plain BenchError, anything else as RaisedError.
    """

    value: Any
    said: Said
    fault: BenchError | RaisedError | None


def call_apart(function: Callable[..., Any], *arguments: Any, limit_seconds: float) -> Answer:
    """Call a function of a module in a process of its own.

    Args:
        function: What is called.
        arguments: What it is given; they and what it gives are pickled.
        limit_seconds: How long it may take.

    Raises:
        DiedError: The process ended, or was ended, before it answered.
    """
    apart = Apart(function, *arguments, limit_seconds=limit_seconds)
    try:
        kind, value = apart.listen()
    finally:
        apart.end()
    text = apart.output.strip()
    said = Said(lines=max(apart.lines, int(bool(text))), text=text)
    if kind == "value":
        return Answer(value=value, said=said, fault=None)
    if kind == "refused":
        refusal = BenchError(value[0])
        refusal.__cause__ = _rebuild(value[1])
        return Answer(value=None, said=said, fault=refusal)
    raised = RaisedError(value[0])
    raised.add_note(value[1])
    return Answer(value=None, said=said, fault=raised)


def _rebuild(cause: tuple[str, str] | None) -> BaseException | None:
    """The cause of a refusal, as far as Python itself knows its kind."""
    kind = getattr(builtins, cause[0], None) if cause else None
    if cause is None or not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return None
    try:
        rebuilt: BaseException = kind(cause[1].removeprefix(cause[0]).removeprefix(": "))
    except TypeError:  # UnicodeError takes more
        return None
    return rebuilt
