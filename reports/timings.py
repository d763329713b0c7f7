"""Inference speed and memory from the quiet phases: one table a phase, machine, device and thread count."""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING, TypeAlias

from bench.stats.speeds import compare_speeds
from reports.batch_sizes import batch_figure
from reports.document import Cell, Column, Prose, Section, Table
from reports.wording import MISSING, listing, moment, number_cell, one_line, percent, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.facts import Timing
    from bench.records import Study
    from bench.stats.speeds import SpeedComparison
    from reports.document import Block

_Group: TypeAlias = tuple[str, str, str, int, bool]
"""Phase, machine, device, threads, whether it was quiet: only timings that share all of it stand in one table."""


def timing_section(study: Study, styles: Mapping[str, int]) -> Section | None:
    """Speed and memory of the architectures of a study; None while nothing was timed.

    Args:
        study: Holds the timings.
        styles: Colour and marker by architecture label.
    """
    shown = {record.architecture_hash for record in study.records}
    found = [timing for timing in study.timings if timing.architecture_hash in shown]
    if not found:
        return None
    groups: dict[_Group, list[Timing]] = {}
    for timing in found:
        key = (timing.measured_together, timing.machine, timing.device, timing.threads, timing.quiet)
        groups.setdefault(key, []).append(timing)
    labels = _labels(found)
    styles = _styled(styles, labels.values())
    text = (
        "Measured in a phase of its own, architectures interleaved, each net as its source prints it. Only timings of "
        "one phase are compared: those of other phases, machines, devices or thread counts stand in tables of their "
        "own, the newest first, and are never ranked with these. Times relative to the fastest are computed within "
        "each repeat: their median (lowest to highest)."
    )
    blocks: list[Block] = [Prose(text=text)]
    for number, key in enumerate(sorted(sorted(groups), key=lambda key: _ended(groups[key]), reverse=True), 1):
        (_, machine, device, threads, quiet), timings = key, groups[key]
        when = moment(_ended(timings))
        where = one_line(f"machine {machine}, {device}, {plural(threads, 'thread')}, {when}")
        if not quiet:
            warning = (
                f"Not quiet ({where}): other work shared the machine, so the next table is not ranked and must not be "
                "compared."
            )
            blocks.append(Prose(text=warning, tone="warning"))
        labelled = {labels[_net(timing)]: timing for timing in sorted(timings, key=_net)}
        speeds = _compared(labelled, quiet=quiet)
        if quiet:
            blocks += _ranks_of_all(speeds)
            slug = "inference-batches" if number == 1 else f"inference-batches-{number}"
            figure = batch_figure(labelled, speeds, styles=styles, where=where, slug=slug)
            blocks += [figure] if figure else []
        caption = f"Inference speed and memory ({where}{'' if quiet else ', NOT QUIET'})"
        blocks.append(_table(caption, labelled, {batch: speeds[batch] for batch in _ends(speeds)}))
    return Section(title="Inference speed and memory", slug="inference", blocks=tuple(blocks), detail=True)


def _ended(timings: Sequence[Timing]) -> str:
    return max(timing.measured_at for timing in timings)


def _compared(labelled: Mapping[str, Timing], *, quiet: bool) -> dict[int, SpeedComparison | None]:
    """Each batch size that was timed, with what may be said of the order there; nothing of a phase with company."""
    timings = labelled.values()
    batches = sorted({batch for timing in timings for batch in (*timing.seconds_per_batch, *timing.call_seconds)})
    if not quiet:
        return dict.fromkeys(batches)
    return {
        batch: compare_speeds(
            {label: timing.seconds_per_batch.get(batch, ()) for label, timing in labelled.items()},
            {label: timing.twin_seconds_per_batch.get(batch, ()) for label, timing in labelled.items()},
        )
        for batch in batches
    }


def _ends(speeds: Mapping[int, SpeedComparison | None]) -> list[int]:
    """The smallest and the largest batch size: words and table speak of these, the picture of all."""
    return sorted({min(speeds), max(speeds)}) if speeds else []


def _ranks_of_all(speeds: Mapping[int, SpeedComparison | None]) -> list[Prose]:
    """What may be said of the order at each end."""
    ends = {batch: speeds[batch] for batch in _ends(speeds)}
    said = [Prose(text=_ranks(batch, compared)) for batch, compared in ends.items() if compared]
    if unknown := [str(batch) for batch, compared in ends.items() if compared is None]:
        text = (
            f"At batch {listing(unknown)} not every net was timed twice, so the noise is unknown and the next table is "
            "not ranked there; the study's command, given again, times them anew."
        )
        said.append(Prose(text=text, tone="warning"))
    return said


def _net(timing: Timing) -> tuple[str, str]:
    return timing.architecture, timing.architecture_hash


def _labels(timings: Iterable[Timing]) -> dict[tuple[str, str], str]:
    """Each net's name, with the start of its hash where two sources share one: the same in every phase."""
    nets = sorted({_net(timing) for timing in timings})
    names = [name for name, _ in nets]
    return {
        (name, source): one_line(name if names.count(name) == 1 else f"{name} ({source[:7]})") for name, source in nets
    }


def _styled(styles: Mapping[str, int], labels: Iterable[str]) -> dict[str, int]:
    """The styles, and the next free ones for labels that have none, over all phases so that no two nets share one."""
    unknown = dict.fromkeys(label for label in labels if label not in styles)
    return {**styles, **dict(zip(unknown, itertools.count(1 + max(styles.values(), default=-1)), strict=False))}


def _ranks(batch: int, speeds: SpeedComparison) -> str:
    """The noise, and who is fastest as far as it lets that be said."""
    noise = (
        f"At batch {batch} the medians of the same net timed twice differ by up to {percent(speeds.noise - 1, 1)} %: "
        "smaller differences do not count, nor do those that turn round in one of the repeats."
    )
    first, tied = speeds.order[0], list(speeds.tied)
    if len(speeds.order) == 1:
        return noise
    if tied:
        return f"{noise} {first} has the lowest median of repeats; {listing(tied)} cannot be told from it."
    return f"{noise} {first} is the fastest by the medians of repeats."


def _table(caption: str, labelled: Mapping[str, Timing], speeds: Mapping[int, SpeedComparison | None]) -> Table:
    columns = [Column(name="Architecture", numeric=False)]
    for batch, compared in speeds.items():
        columns += [
            Column(name=f"Images/s at batch {batch}"),
            Column(name="Lowest to highest", numeric=False),
            Column(name=f"Latency at batch {batch} (ms): p50"),
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
    above = None if peak is None or base is None else peak - base
    return _megabytes(peak), _megabytes(above)


def _megabytes(size: int | None) -> Cell:
    return number_cell(None if size is None else size / 1e6, 1)
