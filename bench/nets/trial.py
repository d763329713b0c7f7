"""Tries net files in processes of their own before anything trains: a crash, a hang or a flood costs only that net."""

from __future__ import annotations

import builtins
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from bench.errors import ArchitectureError, UsageError
from bench.nets.declared import describe_file, from_description
from bench.workers.apart import Apart, DiedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.facts import ArchitectureFacts, DatasetFacts
    from bench.spec import Architecture

LIMIT_SECONDS = 60.0
"""How long importing a file, or trying a net, may take: what works takes a second or two."""
LIMIT_VARIABLE = "BENCH_TRIAL_SECONDS"
"""Environment variable that sets another limit."""
_TRAINING_COPIES = 4
"""A weight, its gradient and the two moments of Adam."""


class Trial:
    """Loads files and checks nets, each in a process that ends with it; every fault becomes one line.

    Attributes:
        notes: What a person should know of nets that work.
    """

    def __init__(self, *, limit_seconds: float | None = None, verbose: bool = False) -> None:
        """Stand ready.

        Args:
            limit_seconds: How long importing a file, or trying a net, may take; by the environment when None.
            verbose: Whether the notes hold what nets print.

        Raises:
            UsageError: The environment's limit is no number of seconds.
        """
        self.notes: list[str] = []
        self._limit, self._verbose = limit_seconds or _read_limit(), verbose

    def load(self, path: Path) -> list[Architecture]:
        """What a net file declares, as `bench.nets.loading.load_file` gives it; nothing of the file runs here.

        Raises:
            ArchitectureError: The file cannot be loaded: whatever it does, in one line.
        """
        path = Path(path).resolve()
        try:
            described, said = self._call(path.name, describe_file, path)
        except DiedError as death:
            raise ArchitectureError(
                f"{path}{_line_of(path, death)}: importing it {death}; {_way_out(death)}"
            ) from death
        except _RaisedError as error:
            raise ArchitectureError(f"{path}: importing it raised {error}; fix the file and run again.") from error
        except ArchitectureError as error:
            if "raised SystemExit" in str(error) and self._last_said:
                raise ArchitectureError(f"{error} It printed: {self._last_said}") from error.__cause__
            raise
        self._note(path.name, said)
        return [from_description(description) for description in described]

    def check(self, architecture: Architecture, sample: Sample, *, device: str) -> ArchitectureFacts:
        """What `bench.nets.doctor.check` finds; a net that has no file is tried here, no other process knows it.

        Raises:
            ArchitectureError: The net cannot be trained on the dataset: whatever it does, in one line.
        """
        from bench.nets.doctor import check  # noqa: PLC0415 - needs torch, and loading a file does not

        if architecture.file is None:
            return check(architecture, sample, device=device)
        self._refuse_too_large(architecture)
        facts, said = self._try(architecture, check_there, sample, device)
        self._note(architecture.name, said)
        return facts  # type: ignore[no-any-return]

    def _refuse_too_large(self, architecture: Architecture) -> None:
        """Refuse a net whose training does not fit this machine's memory, before anything of it is allocated."""
        from bench.nets.size import count_weight_bytes  # noqa: PLC0415 - needs torch

        counted, _ = self._try(architecture, count_weight_bytes)
        needed, present = _TRAINING_COPIES * (counted or 0), psutil.virtual_memory().total
        if needed > present:
            raise ArchitectureError(
                f"{architecture.name}: its weights take {counted / 1e9:,.1f} GB and training them "
                f"{needed / 1e9:,.1f} GB (with gradients and Adam's moments); this machine has "
                f"{present / 1e9:,.1f} GB; make the net smaller, or leave it out."
            )

    def _try(self, architecture: Architecture, function: Callable[..., Any], *words: Any) -> tuple[Any, _Said]:
        try:
            return self._call(architecture.name, function, architecture, *words)
        except DiedError as death:
            file = architecture.file or Path()
            doing = "building it" if any(f.function == "_build" for f in death.frames) else "trying it"
            place = f"{architecture.name} ({file.name}{_line_of(file, death)})"
            raise ArchitectureError(f"{place}: {doing} {death}; {_way_out(death)}") from death
        except _RaisedError as error:
            raise ArchitectureError(f"{architecture.name}: trying it raised {error}; fix its file.") from error

    def _call(self, _name: str, function: Callable[..., Any], *arguments: Any) -> tuple[Any, _Said]:
        """What a call gives and prints in a process of its own.

        Raises:
            DiedError: The process ended before it answered.
            ArchitectureError: The call raised one of our errors.
            _RaisedError: It raised something else.
        """
        apart = Apart(function, *arguments, limit_seconds=self._limit)
        try:
            kind, value = apart.listen()
        finally:
            apart.end()
        said = _Said(apart)
        self._last_said = said.last
        if kind == "refused":
            text, cause = value
            raise ArchitectureError(text) from _rebuild(cause)
        if kind == "raised":
            raise _RaisedError(value[0])
        return value, said

    def _note(self, name: str, said: _Said) -> None:
        if said.lines and self._verbose:
            self.notes.append(f"{name} printed while it was tried: {said.text}")
        elif said.lines:
            lines = f"{said.lines:,} line{'s' if said.lines > 1 else ''}"
            self.notes.append(f"{name} printed {lines} while it was tried; --verbose shows what nets print.")


class _RaisedError(Exception):
    """A call raised what is none of our errors."""


class _Said:
    """What a call printed.

    Attributes:
        lines: How many lines.
        text: The end of it.
        last: Its last line.
    """

    def __init__(self, apart: Apart) -> None:
        self.text = apart.output.strip()
        self.lines = max(apart.lines, int(bool(self.text)))
        self.last = next((line.strip() for line in reversed(self.text.splitlines()) if line.strip()), "")


def _read_limit() -> float:
    text = os.environ.get(LIMIT_VARIABLE, "")
    if not text:
        return LIMIT_SECONDS
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < 1e6:
        raise UsageError(f"{LIMIT_VARIABLE} is '{text}'; a number of seconds above 0 is needed.")
    return limit


def _line_of(path: Path, death: DiedError) -> str:
    """`, line 12`: the innermost line of a file where a process ended; empty when nothing says so."""
    return next((f", line {frame.line}" for frame in death.frames if frame.file == path), "")


def _way_out(death: DiedError) -> str:
    if death.hung:
        return f"fix the file, or allow more seconds with {LIMIT_VARIABLE}."
    return "fix the file and run again."


def _rebuild(cause: tuple[str, str] | None) -> BaseException | None:
    """The cause of a refusal, as far as Python itself knows its kind."""
    kind = getattr(builtins, cause[0], None) if cause else None
    if cause is None or not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return None
    try:
        rebuilt = kind(cause[1].removeprefix(f"{cause[0]}: "))
    except TypeError:  # UnicodeError takes more
        return None
    return rebuilt
