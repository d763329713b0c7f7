"""Tries net files in processes of their own before anything trains: a crash, a hang or a flood costs only that net."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from bench.core.architecture import Architecture
from bench.core.errors import ArchitectureError, DiedError, MisfitError, RaisedError, UsageError
from bench.core.metadata import Diagnosis, Finding
from bench.data.datasets import IMAGES
from bench.models.registry import load_architecture, load_file
from bench.system.process import call_apart, read_frames
from bench.system.text import one_line, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    from bench.core.metadata import ArchitectureMetadata
    from bench.data.datasets import Sample
    from bench.system.process import Answer


@dataclasses.dataclass(frozen=True)
class FileBuild:
    """Builds a net by loading its file; until then nothing of the file has run here.

    `defaults` are the values that its `build` has for its knobs, `takes` those of its arguments that a dataset gives.
    """

    file: Path
    name: str
    defaults: tuple[tuple[str, Any], ...] = ()
    takes: tuple[str, ...] = ()

    def __call__(self, **values: Any) -> nn.Module:
        """The net, with other values of its knobs and for other images where some are given."""
        return load_architecture(self.file, self.name).build(**values)

    @property
    def __signature__(self) -> inspect.Signature:
        """What `inspect.signature` says of it: what a dataset gives it, and its knobs with their values as declared."""
        keyword = inspect.Parameter.KEYWORD_ONLY
        given = [inspect.Parameter(name, keyword) for name in self.takes]
        knobs = [inspect.Parameter(name, keyword, default=value) for name, value in self.defaults]
        return inspect.Signature([*given, *knobs])


def describe_file(path: Path, name: str | None = None) -> list[dict[str, Any]]:
    """Load a net file here and describe what it declares, or one name of it, without the nets, as plain values."""
    return [describe(architecture) for architecture in load_file(path, name)]


def describe(architecture: Architecture) -> dict[str, Any]:
    """What a file declares of one net, without the net, as plain values."""
    fields = {field.name: getattr(architecture, field.name) for field in dataclasses.fields(architecture)}
    plain = (bool, int, float, str, type(None))
    values = {name: value for name, value in architecture.declared_values.items() if type(value) in plain}
    return fields | {"knobs": dict(architecture.knobs), "build": tuple(values.items())}


def from_description(description: Mapping[str, Any]) -> Architecture:
    """The architecture that `describe_file` described in another process."""
    file, name, defaults, takes = (description[key] for key in ("file", "name", "build", "takes"))
    return Architecture(**{**description, "build": FileBuild(file, name, defaults, takes)})


def _check_or_misfit(net: Architecture, sample: Sample, *, device: str, engine: str) -> Any:
    """What `check.check` finds, or the misfit that it raises: the way back from another process loses kinds."""
    from bench.models.doctor.check import check  # noqa: PLC0415 - needs torch, and loading a file does not

    try:
        return check(net, sample, device=device, engine=engine)
    except MisfitError as misfit:
        return misfit


def _examine_or_misfit(net: Architecture, sample: Sample) -> Any:
    """What `examine.examine` finds, or the misfit that it raises."""
    from bench.models.doctor.examine import examine  # noqa: PLC0415 - needs torch

    try:
        return examine(net, sample)
    except MisfitError as misfit:
        return misfit


def _with_prints(answer: Answer) -> Diagnosis:
    """A diagnosis with advice about what the net printed meanwhile."""
    diagnosis: Diagnosis = answer.value
    if not answer.lines:
        return diagnosis
    lines = plural(answer.lines, "line")
    message = (
        f"it printed {lines} while it was examined, the last one '{one_line(answer.last_line)[:60]}': leave print out"
    )
    finding = Finding(level="advice", check="prints", message=message)
    return dataclasses.replace(diagnosis, findings=(*diagnosis.findings, finding))


LIMIT_SECONDS = 120.0
"""How long importing a file or trying a net may take: most take a second, a ResNet-18 on a busy machine a minute."""
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
        """Make it.

        Args:
            limit_seconds: How long importing a file, or trying a net, may take; by the environment when None.
            verbose: Whether the notes hold what nets print.

        Raises:
            UsageError: The environment's limit is no number of seconds.
        """
        self.notes: list[str] = []
        self._limit, self._verbose = limit_seconds or _read_limit(), verbose

    def twin(self) -> Trial:
        """One of the same limits with no notes yet, for a thread of its own."""
        return Trial(limit_seconds=self._limit, verbose=self._verbose)

    def load(self, path: Path, name: str | None = None) -> list[Architecture]:
        """What a net file holds, as `bench.models.loading.load_file` gives it; nothing of the file runs here.

        Whatever it does wrong becomes an ArchitectureError of one line.
        """
        path = Path(path).resolve()
        answer = self._call(describe_file, path, name, file=path)
        if answer.fault is not None:
            printed = f" It printed: {answer.last_line}" if "raised SystemExit" in str(answer.fault) else ""
            raise ArchitectureError(f"{answer.fault}{printed}") from answer.fault.__cause__
        self._note(path.name, answer)
        return [from_description(description) for description in answer.value]

    def check(
        self, architecture: Architecture, sample: Sample, *, device: str, engine: str = "torch"
    ) -> ArchitectureMetadata:
        """What `check.check` finds; a net that is known to this program alone is tried here.

        Whatever it does wrong becomes an ArchitectureError of one line, MisfitError where only the images are wrong.
        """
        check_or_misfit = functools.partial(_check_or_misfit, device=device, engine=engine)
        if architecture.can_be_sent:
            self._refuse_too_large(architecture)
            answer = self._try(architecture, check_or_misfit, sample)
            self._note(architecture.name, answer)
            found = answer.value
        else:
            found = check_or_misfit(architecture, sample)
        if isinstance(found, MisfitError):
            raise found
        metadata: ArchitectureMetadata = found
        return metadata

    def examine(self, architecture: Architecture, sample: Sample, *, was_checked: bool = False) -> Diagnosis:
        """What `examine.examine` finds; what ends the process that tries the net, or takes too long, is an error too.

        Args:
            architecture: The net.
            sample: Images to try it on.
            was_checked: Whether `check` has passed it: then it is not too large, and what ends its examination is
                advice, as it can be trained.

        Raises:
            MisfitError: The net cannot take the images or the classes.
        """
        started = time.perf_counter()
        try:
            if not architecture.can_be_sent:
                found = _examine_or_misfit(architecture, sample)
            else:
                if not was_checked:
                    self._refuse_too_large(architecture)
                answer = self._try(architecture, _examine_or_misfit, sample)
                found = _with_prints(answer) if isinstance(answer.value, Diagnosis) else answer.value
        except ArchitectureError as refusal:
            found = self.refuse(architecture, sample, refusal)
            if was_checked:
                (error,) = found.findings
                advice = dataclasses.replace(error, level="advice", check="unchecked")
                found = dataclasses.replace(found, findings=(advice,))
            return dataclasses.replace(found, seconds=time.perf_counter() - started)
        if isinstance(found, MisfitError):
            raise found
        diagnosis: Diagnosis = found
        return diagnosis

    def refuse(self, architecture: Architecture, sample: Sample, refusal: ArchitectureError) -> Diagnosis:
        """A diagnosis of one error: why a net cannot be tried."""
        from bench.models.doctor.examine import from_refusal  # noqa: PLC0415 - needs torch
        from bench.models.fingerprint import architecture_hash  # noqa: PLC0415 - only who is refused pays for it

        metadata, source = sample.metadata, ""
        with contextlib.suppress(ArchitectureError):  # a file that is gone meanwhile
            source = architecture_hash(architecture)
        return Diagnosis(
            architecture=architecture.name,
            dataset=metadata.name,
            data_hash=metadata.data_hash,
            architecture_hash=source,
            findings=(from_refusal(architecture, refusal),),
        )

    def _refuse_too_large(self, architecture: Architecture) -> None:
        """Refuse a net whose training does not fit this machine's memory, before anything of it is allocated."""
        from bench.models.counts import count_bytes  # noqa: PLC0415 - needs torch

        need = self._try(architecture, count_bytes, IMAGES).value
        needed, present = _TRAINING_COPIES * need.weights, psutil.virtual_memory().total
        if needed > present:
            raise ArchitectureError(
                f"{architecture.name}: its weights take {need.weights / 1e9:,.1f} GB and training them "
                f"{needed / 1e9:,.1f} GB (with gradients and Adam's moments); this machine has "
                f"{present / 1e9:,.1f} GB; make the net smaller, or leave it out."
            )
        if need.values > present:
            raise ArchitectureError(
                f"{architecture.name}: a forward pass of {IMAGES} images makes {need.values / 1e9:,.1f} GB of values; "
                f"this machine has {present / 1e9:,.1f} GB; make its maps smaller (a stride, a pool), or leave it out."
            )

    def _try(self, net: Architecture, function: Callable[..., Any], *arguments: Any) -> Answer:
        answer = self._call(function, net, *arguments, file=net.file or Path(), name=net.name)
        if answer.fault is not None:
            raise ArchitectureError(str(answer.fault)) from answer.fault.__cause__
        return answer

    def _call(self, function: Callable[..., Any], *arguments: Any, file: Path, name: str = "") -> Answer:
        """Call a function apart: import a file, or try the net of a name; what ends the process becomes one line."""
        try:
            answer = call_apart(function, *arguments, limit_seconds=self._limit)
        except DiedError as death:
            frames = read_frames(death.trace)
            line = next((f", line {frame.line}" for frame in frames if frame.file == file), "")
            place = f"{name} ({file.name}{line})" if name else f"{file}{line}"
            building = any(frame.function == "_build" for frame in frames)
            doing = ("building it" if building else "trying it") if name else "importing it"
            fix = f", or allow more seconds with {LIMIT_VARIABLE}" if death.hung else " and run again"
            raise ArchitectureError(f"{place}: {doing} {death}; fix the file{fix}.") from death
        if isinstance(answer.fault, RaisedError):
            if name:
                raise ArchitectureError(f"{name} ({file.name}): trying it raised {answer.fault}; fix its file.")
            raise ArchitectureError(f"{file}: importing it raised {answer.fault}; fix the file and run again.")
        return answer

    def _note(self, name: str, answer: Answer) -> None:
        if answer.lines and self._verbose:
            self.notes.append(f"{name} printed while it was tried: {answer.printed}")
        elif answer.lines:
            lines = plural(answer.lines, "line")
            self.notes.append(f"{name} printed {lines} while it was tried; --verbose shows what nets print.")


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
