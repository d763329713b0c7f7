"""Inference speed and memory from the quiet phases: one table a phase, machine, device and thread count."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, TypeAlias

from reports.document import Cell, Column, Prose, Section, Table
from reports.wording import MISSING, moment, number_cell, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.facts import Timing
    from bench.records import Study

_Group: TypeAlias = tuple[str, str, str, int, bool]
"""Phase, machine, device, threads, whether it was quiet: only timings that share all of it stand in one table."""


def timing_section(study: Study) -> Section | None:
    """Speed and memory of the architectures of a study; None while nothing was timed."""
    shown = {record.architecture_hash for record in study.records}
    groups: dict[_Group, list[Timing]] = {}
    for timing in study.timings:
        if timing.architecture_hash in shown:
            key = (_phase(timing), timing.machine, timing.device, timing.threads, timing.quiet)
            groups.setdefault(key, []).append(timing)
    if not groups:
        return None
    text = (
        "Measured in a phase of its own, architectures interleaved, each net as its source prints it. Only timings of "
        "one phase are compared: those of other phases, machines, devices or thread counts stand in tables of their "
        "own, the newest first."
    )
    blocks: list[Prose | Table] = [Prose(text=text)]
    for key in sorted(sorted(groups), key=lambda key: _ended(groups[key]), reverse=True):
        (_, machine, device, threads, quiet), timings = key, groups[key]
        when = moment(_ended(timings))
        where = one_line(f"machine {machine}, {device}, {plural(threads, 'thread')}, {when}")
        if not quiet:
            warning = f"Not quiet ({where}): other work shared the machine, so the next table must not be compared."
            blocks.append(Prose(text=warning, tone="warning"))
        blocks.append(_table(f"Inference speed and memory ({where}{'' if quiet else ', NOT QUIET'})", timings))
    return Section(title="Inference speed and memory", slug="inference", blocks=tuple(blocks), detail=True)


def _phase(timing: Timing) -> str:
    # Version 0.1 stored no phase; it gave all timings of one the same second.
    return timing.phase or timing.measured_at


def _ended(timings: Sequence[Timing]) -> str:
    return max(timing.measured_at for timing in timings)


def _table(caption: str, timings: Sequence[Timing]) -> Table:
    batches = sorted({batch for timing in timings for batch in (*timing.seconds_per_batch, *timing.call_seconds)})
    columns = [Column(name="Architecture", numeric=False)]
    for batch in batches:
        columns += [
            Column(name=f"Images/s at batch {batch}"),
            Column(name="Lowest to highest", numeric=False),
            Column(name=f"Latency at batch {batch} (ms): p50"),
            Column(name="p90"),
            Column(name="p99"),
        ]
    sizes = _memory_batches(timings)
    for size in sizes:
        at = "" if size is None else f", batch {size}"
        columns += [Column(name=f"Peak memory in training{at} (MB)"), Column(name="Above the bare process (MB)")]
    ordered = sorted(timings, key=lambda timing: (timing.architecture, timing.architecture_hash))
    rows = tuple(
        (
            Cell(text=one_line(timing.architecture)),
            *(cell for batch in batches for cell in _batch_cells(timing, batch)),
            *(cell for size in sizes for cell in _memory_cells(timing, size)),
        )
        for timing in ordered
    )
    return Table(caption=caption, columns=tuple(columns), rows=rows)


def _batch_cells(timing: Timing, batch: int) -> tuple[Cell, ...]:
    blocks = timing.seconds_per_batch.get(batch, ())
    calls = timing.call_seconds.get(batch, ())
    rates = sorted(batch / seconds for seconds in blocks)
    extent = f"{rates[0]:,.0f} to {rates[-1]:,.0f}" if rates else MISSING
    # 99 cut points; "inclusive" because the calls are all that were made, not a sample of a wider range
    cuts = statistics.quantiles(calls, n=100, method="inclusive") if len(calls) > 1 else None
    tails = (number_cell(1000 * cuts[at], 3) if cuts else Cell(text=MISSING) for at in (49, 89, 98))
    return (number_cell(statistics.median(rates) if rates else None), Cell(text=extent), *tails)


def _memory_batches(timings: Sequence[Timing]) -> list[int | None]:
    """Batch sizes that memory was measured at: one pair of columns each, as memory grows with the batch."""
    sizes = {timing.memory_batch_size for timing in timings if timing.peak_memory_bytes is not None} or {None}
    return sorted(sizes, key=lambda size: size or 0)


def _memory_cells(timing: Timing, batch: int | None) -> tuple[Cell, Cell]:
    if timing.memory_batch_size != batch:
        return Cell(text=MISSING), Cell(text=MISSING)
    peak, base = timing.peak_memory_bytes, timing.base_memory_bytes
    above = None if peak is None or base is None else peak - base
    return _megabytes(peak), _megabytes(above)


def _megabytes(size: int | None) -> Cell:
    return number_cell(None if size is None else size / 1e6, 1)
