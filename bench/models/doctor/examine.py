"""The doctor: every lesson of nets that went wrong, tried on one net before anything trains.

Each check passes a net that does what it should, whatever it is made of: where a value decides, a correct net cannot
come near it. What a check itself cannot do is said as advice and stops nothing.
"""

from __future__ import annotations

import contextlib
import re
import time
import warnings
from typing import TYPE_CHECKING

import torch

from bench.core.errors import ArchitectureError, MisfitError, first_line
from bench.core.metadata import Diagnosis, Finding
from bench.models.doctor.advice import design, fitting, propagation
from bench.models.doctor.check import check_fit, run_fitted
from bench.models.doctor.checks import declared, evaluation, gradients, outputs, shapes, state
from bench.models.doctor.clock import shifted_clock
from bench.models.doctor.subject import Subject
from bench.models.fingerprint import architecture_hash
from bench.models.process_state import kept_surroundings
from bench.system.python_file import is_own_fault
from bench.system.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from bench.core.architecture import Architecture
    from bench.data.datasets import Sample

_CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    state.check_sharing,
    gradients.check_new_layers,
    gradients.check_unregistered,
    gradients.check_unused,
    outputs.check_finite,
    outputs.check_probabilities,
    evaluation.check_state,
    evaluation.check_randomness,
    evaluation.check_leak,
    evaluation.check_batch_sizes,
    evaluation.check_batch_dependence,
    state.check_input,
    state.check_seed,
    state.check_state_dict,
    declared.check_precision,
    declared.check_counts,
    gradients.advise_heads,
    outputs.advise_end,
    design.advise_large_layer,
    design.advise_size,
    propagation.advise_loss,
)
_ECHOES: Mapping[Callable[[Subject], Iterator[Finding]], AbstractSet[str]] = {
    evaluation.check_randomness: {"eval-state"},
    evaluation.check_leak: {"call-order", "eval-random"},
    evaluation.check_batch_dependence: {"leak", "batch-size", "call-order", "eval-random"},
    state.check_state_dict: {"unregistered-layers"},
    outputs.advise_end: {"probabilities"},
}
"""Checks that would find again what others have found."""
_ON_PROPAGATION = (design.advise_bias, design.advise_end_norm, propagation.advise_dead, propagation.advise_growth)
_clock = time.perf_counter
"""Of this process: nets are shown another one."""


def examine(architecture: Architecture, sample: Sample) -> Diagnosis:
    """Try every check on a net; nothing of the process is left changed, and no random stream moves.

    Raises:
        MisfitError: The net cannot take the images or the classes of the dataset, which is no fault of it.
    """
    check_fit(architecture, sample.metadata)
    started, file, findings = _clock(), architecture.file, list[Finding]()
    kept = kept_surroundings(file) if file else contextlib.nullcontext()
    # A file is imported under a clock that can be put forward, in a process that ends with it; who has none lives here.
    kept_clock = shifted_clock() if file else contextlib.nullcontext()
    try:
        with (
            torch.compiler.set_stance("force_eager"),
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            kept,
            warnings.catch_warnings(),
            kept_clock as clock,
        ):
            warnings.simplefilter("ignore")  # torch's own, of what a net does; what matters is found here
            findings += _find(Subject(architecture, sample, clock))
    except MisfitError:
        raise
    except ArchitectureError as refusal:
        findings.append(from_refusal(architecture, refusal, check="settings"))
    return Diagnosis(
        architecture=architecture.name,
        dataset=sample.metadata.name,
        data_hash=sample.metadata.data_hash,
        architecture_hash=architecture_hash(architecture),
        findings=tuple(sorted(findings, key=lambda finding: finding.level != "error")),
        seconds=_clock() - started,
    )


def from_refusal(architecture: Architecture, refusal: ArchitectureError, *, check: str = "") -> Finding:
    """What the preflight, or the process apart, says of a net as an error; its file and line stand in their place."""
    text = one_line(str(refusal))
    found = re.match(rf"{re.escape(architecture.name)}(?: \((.+?)(?:, line (\d+))?\))?: (.*)", text)
    place = ""
    if found is not None:
        text = found[3]
        place = f"{found[1]}:{found[2]}" if found[2] else found[1] or ""
    return Finding(level="error", check=check or refusal.check, message=text.rstrip("."), place=place)


def _find(subject: Subject) -> list[Finding]:
    findings = list(_find_unrunnable(subject))
    if findings:
        return findings
    for check in _CHECKS:
        found = {finding.check for finding in findings}
        if {"shared-weights", "new-layers"} & found:
            return findings  # which would come back in all that follows
        if not _ECHOES.get(check, set()) & found:
            findings += _guarded(subject, check)
    with contextlib.suppress(Exception):  # a net that refuses to be watched has no such advice
        seen = propagation.listen(subject)
        findings += [found for advise in _ON_PROPAGATION for found in advise(subject, seen)]
    if not any(finding.level == "error" for finding in findings):
        findings += _guarded(subject, fitting.advise_fit)
        subject.hear_import()
    if subject.settings:
        findings.append(_say_settings(subject))
    return findings


def _find_unrunnable(subject: Subject) -> Iterator[Finding]:
    """Why a net cannot be built, or run forward and backward in both modes."""
    architecture = subject.architecture
    try:
        with subject.alone():
            stray = declared.find_stray(architecture.build())
    except BaseException as error:  # said by what follows, with its line
        if not is_own_fault(architecture.file, error):
            raise
        stray = ""
    if stray:
        yield subject.error("devices", stray)
        return
    try:
        with subject.alone():
            run_fitted(architecture, subject.images)
    except MisfitError:
        raise
    except ArchitectureError as refusal:
        yield from _explain(subject, refusal) or [from_refusal(architecture, refusal)]
        return
    try:
        _ = subject.settled
    except BaseException as error:
        if not is_own_fault(architecture.file, error):
            raise
        text = f"a training step, forward and backward, raised {first_line(error)}: fix its file"
        yield subject.error("runs", text, place=subject.line_of(error))


def _explain(subject: Subject, refusal: ArchitectureError) -> list[Finding]:
    """What types and shapes say of a net that cannot be run; nothing where they do not tell."""
    architecture = subject.architecture
    if refusal.check not in ("runs", "shapes", "batch-size"):
        return []
    try:
        if odd := list(declared.check_precision(subject)):
            return odd
        for training in (False, True):
            found = shapes.explain(
                subject.model,
                input_shape=architecture.input_shape,
                classes=architecture.classes,
                training=training,
                file=subject.file,
            )
            if found is not None:
                return [found]
    except BaseException as error:  # where it cannot even be built, it is said as it was raised
        if not is_own_fault(architecture.file, error):
            raise
    return []


def _guarded(subject: Subject, check: Callable[[Subject], Iterator[Finding]]) -> list[Finding]:
    """What a check finds; what it raises is said and is no error of the net, which has run."""
    try:
        return list(check(subject))
    except BaseException as error:
        if not is_own_fault(subject.architecture.file, error):
            raise
        name = check.__name__.partition("_")[2].replace("_", " ")
        return [subject.advise("unchecked", f"{name} could not be looked at: it raised {first_line(error)}")]


def _say_settings(subject: Subject) -> Finding:
    changed = ", ".join(f"the {name} ({value})" for name, value in subject.settings.items())
    return subject.advise(
        "settings",
        f"it sets {changed} for the whole process, which is put back after each of its runs: leave that to who runs it",
    )
