"""Speed, latency and memory of the nets that one phase timed together, as a table."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from reports.document import Cell, Column, Table
from reports.wording import MISSING, number_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.facts import Timing
    from bench.stats.speeds import SpeedComparison


def timing_table(caption: str, labelled: Mapping[str, Timing], speeds: Mapping[int, SpeedComparison | None]) -> Table:
    """One row an architecture: speed and latency at some batch sizes, and memory.

    Args:
        caption: What it holds and where that was measured.
        labelled: The timings by label.
        speeds: Their comparison by batch size; None where there is no order.
    """
    columns = [Column(name="Architecture", numeric=False)]
    for batch, compared in speeds.items():
        columns += [
            Column(name=f"Images/s at batch {batch}"),
            Column(name="Lowest to highest", numeric=False),
            Column(name=f"Single call at batch {batch} (ms): p50"),
            Column(name="p90"),
            Column(name="p99"),
        ]
        if compared:
            columns.append(Column(name=f"Time relative to the fastest at batch {batch}", numeric=False))
    sizes = _memory_batches(list(labelled.values()))
    for size in sizes:
        at = "" if size is None else f", batch {size}"
        columns += [Column(name=f"Peak memory in training{at} (MB)"), Column(name="Above the bare process (MB)")]
    rows = tuple(
        (
            Cell(text=label),
            *(
                cell
                for batch, compared in speeds.items()
                for cell in (*_batch_cells(timing, batch), *_ratio_cells(label, compared))
            ),
            *(cell for size in sizes for cell in _memory_cells(timing, size)),
        )
        for label, timing in labelled.items()
    )
    return Table(caption=caption, columns=tuple(columns), rows=rows)


def _ratio_cells(label: str, speeds: SpeedComparison | None) -> tuple[Cell, ...]:
    if speeds is None:
        return ()
    ratio = speeds.ratios[label]
    return (Cell(text=f"{ratio.median:.2f} ({ratio.lowest:.2f} to {ratio.highest:.2f})", value=ratio.median),)


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
    above = peak - base if timing.base_has_imports and peak is not None and base is not None else None
    return _megabytes(peak), _megabytes(above)


def _megabytes(size: int | None) -> Cell:
    return number_cell(None if size is None else size / 1e6, 1)
