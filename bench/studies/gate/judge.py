"""The judging of one architecture: from the runs of its stages to passed or failed, and why."""

from __future__ import annotations

import builtins
import dataclasses
import math
from typing import TYPE_CHECKING

from bench.core.work.gate import Judgement, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.metadata import ArchitectureMetadata
    from bench.core.records import RunRecord
    from bench.core.work.gate import Reference

_MACHINERY = ("bench.", "distributed.", "concurrent.futures.")
"""Where errors are defined that the suite and its workers raise; only for runs that do not say whose fault it was."""


def judge_counts(reference: Reference, metadata: ArchitectureMetadata, *, recording: str) -> Judgement | None:
    """A failure when the net has other numbers of parameters or MACs than when it was recorded, which no noise does.

    Args:
        reference: What the architecture is held against.
        metadata: What was counted of it.
        recording: The command that records it anew.
    """
    changed = [
        f"{noun} {was:,} → {now:,}"
        for noun, was, now in (
            ("parameters", reference.now.params, metadata.params),
            ("MACs", reference.now.macs, metadata.macs),
        )
        if was != now
    ]
    if not changed:
        return None
    reason = f"It is another net than the recorded one: {', '.join(changed)}. Re-record if meant: {recording}"
    return Judgement(architecture=reference.architecture, passed=False, reason=reason, reference=reference)


def judge_runs(reference: Reference, stages: Sequence[Sequence[RunRecord]]) -> Judgement | None:
    """Passed or failed by the two-stage rule (`bench.studies.gate.rule`); None when fresh seeds must be asked.

    Args:
        reference: What the architecture is held against.
        stages: The runs of the first stage, and of the fresh seeds where they were asked.
    """
    judgement = Judgement(architecture=reference.architecture, passed=True, reason="", reference=reference)
    for records in stages:
        troubled = sorted((record for record in records if record.status != "ok"), key=_is_machines)
        if troubled:  # the net's own faults first: they fail whatever happened to the machine
            return _judge_troubled(judgement, troubled[0])
        stage = Stage(
            seeds=tuple(record.seed for record in records),
            accuracies=tuple(record.val_accuracy or 0.0 for record in records),
            epochs_to_95=tuple(record.time_to(0.95).epochs for record in records),
        )
        judgement = dataclasses.replace(judgement, stages=(*judgement.stages, stage))
    shortfalls = [find_shortfall(reference, stage) for stage in judgement.stages]
    if not shortfalls[0]:
        return dataclasses.replace(judgement, reason="Not below the limit.")
    if len(shortfalls) == 1:
        return None
    if not shortfalls[1]:
        reason = f"The first seeds fell ({shortfalls[0]}), {len(judgement.seeds)} fresh ones did not: noise."
        return dataclasses.replace(judgement, reason=reason)
    reason = f"First seeds: {shortfalls[0]}. Fresh seeds: {shortfalls[1]}."
    return dataclasses.replace(judgement, passed=False, reason=reason)


def find_shortfall(reference: Reference, stage: Stage) -> str:
    """Where a stage falls below what is demanded, in words; empty when nowhere."""
    latest = reference.floors.epochs_to_95
    short = []
    if stage.mean < reference.limit:
        what = "floor" if reference.limit == reference.floors.accuracy else "limit"
        short.append(f"mean {_percent(stage.mean)} below the {what} {_percent(reference.limit)}")
    median = stage.median_epochs_to_95
    if latest is not None and math.isinf(median):
        short.append(f"the median run never got to 95 %, later than {latest:g} epochs")
    elif latest is not None and median > latest:
        short.append(f"median {median:.2f} epochs to 95 %, later than {latest:g}")
    return ", ".join(short)


def _judge_troubled(judgement: Judgement, record: RunRecord) -> Judgement:
    """A run without a value: the net's own fault fails, the machine's leaves the question open."""
    machine = _is_machines(record)
    said = f"seed {record.seed} {record.status}: {record.error}"
    reason = f"Not judged, the machine is at fault: {said}" if machine else f"{said[0].upper()}{said[1:]}"
    return dataclasses.replace(judgement, passed=None if machine else False, reason=reason, detail=record.traceback)


def _is_machines(record: RunRecord) -> bool:
    return record.status == "interrupted" or (record.status == "failed" and is_machines_fault(record))


def is_machines_fault(record: RunRecord) -> bool:
    """Whether a failed run says nothing of its net: out of memory, a file, the data, a worker that died.

    Runs of schema 6 and before do not say it: there the last error of the traceback tells, by where it was defined.
    """
    if record.fault:
        return record.fault == "machine"
    if not record.traceback or record.error.startswith("Out of memory"):
        return True
    kind = _find_kind(record.traceback)
    known = getattr(builtins, kind, None)
    return kind.startswith(_MACHINERY) or (isinstance(known, type) and issubclass(known, OSError | MemoryError))


def _find_kind(traceback: str) -> str:
    """The dotted name of the last error of a traceback, whose message may have several lines; empty without one."""
    lines = traceback.splitlines()
    last_frame = max((at for at, line in enumerate(lines) if line.startswith('  File "')), default=-1)
    unindented = (line for line in lines[last_frame + 1 :] if line and not line.startswith((" ", "Traceback ")))
    return next(unindented, "").partition(":")[0]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3f} %"
