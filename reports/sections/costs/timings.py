"""Inference speed and memory from the quiet phases: one part a phase, machine, device and thread count."""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING, TypeAlias

from bench.analysis.stats.estimates import median_of
from bench.analysis.stats.speeds import compare_speeds
from bench.system.text import listing, moment, one_line, percent, plural
from reports.cells import MISSING, column, number_column, table_of, text_column
from reports.document import Cell, Figure, Panel, Point, Prose, Section, Series, Table, those, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bench.analysis.stats.speeds import SpeedComparison
    from bench.core.metadata import Timing
    from bench.core.records import Study
    from reports.cells import ColumnOf
    from reports.document import Block


_CALLS_BEYOND = 10
"""So many single calls must lie beyond a percentile for it to be shown: p99 takes 1,000 calls, p90 100."""

_Timed: TypeAlias = "tuple[str, Timing]"
"""A net's label and timing: a row of the tables."""


def timing_table(caption: str, labelled: Mapping[str, Timing], speeds: Mapping[int, SpeedComparison | None]) -> Table:
    """One row an architecture: speed and latency at some batch sizes, and memory."""
    # One pair of columns for each batch size that memory was measured at, as memory grows with the batch.
    sizes = {timing.memory_batch_size for timing in labelled.values() if timing.peak_memory_bytes is not None} or {None}
    return table_of(
        caption,
        labelled.items(),
        [
            text_column("Architecture", lambda row: row[0]),
            *(each for batch, compared in speeds.items() for each in _batch_columns(batch, compared)),
            *(each for size in sorted(sizes, key=lambda size: size or 0) for each in _memory_columns(size)),
        ],
    )


def _batch_columns(batch: int, compared: SpeedComparison | None) -> list[ColumnOf[_Timed]]:
    def rates(row: _Timed) -> list[float]:
        return sorted(batch / seconds for seconds in row[1].seconds_per_batch.get(batch, ()))

    def rate(row: _Timed) -> float | None:
        seconds = median_of(row[1].seconds_per_batch.get(batch, ()))  # not of the rates: beside it stands this pass
        return batch / seconds if seconds else None

    def extent(row: _Timed) -> str:
        found = rates(row)
        return f"{found[0]:,.0f} to {found[-1]:,.0f}" if found else MISSING

    def quantile(name: str, percentile: int) -> ColumnOf[_Timed]:
        def seconds(row: _Timed) -> float | None:
            calls = row[1].call_seconds.get(batch, ())
            if len(calls) * (100 - percentile) < 100 * _CALLS_BEYOND:
                return None
            # "inclusive" because the calls are all that were made, not a sample of a wider range
            return statistics.quantiles(calls, n=100, method="inclusive")[percentile - 1]

        return number_column(name, seconds, 3, factor=1000)

    def relative(row: _Timed) -> Cell:
        assert compared is not None  # noqa: S101 - the column is left out without
        ratio = compared.ratios[row[0]]
        return Cell(f"{ratio.median:.2f} ({ratio.lowest:.2f} to {ratio.highest:.2f})", ratio.median)

    return [
        number_column(f"Images/s at batch {batch}", rate),
        text_column("Lowest to highest", extent),
        number_column(
            f"Pass at batch {batch} (ms, median of blocks)",
            lambda row: median_of(row[1].seconds_per_batch.get(batch, ())),
            3,
            factor=1000,
        ),
        quantile(f"Single call at batch {batch} (ms): p50", 50),
        quantile("p90", 90),
        quantile("p99", 99),
        *([column(f"Time relative to the fastest at batch {batch}", relative, numeric=False)] if compared else []),
    ]


def _memory_columns(batch: int | None) -> list[ColumnOf[_Timed]]:
    def megabytes(timing: Timing, *, above: bool) -> float | None:
        peak, base = timing.peak_memory_bytes, timing.base_memory_bytes if above else 0
        if timing.memory_batch_size != batch or peak is None or base is None or (above and not timing.base_has_trained):
            return None
        return (peak - base) / 1e6

    at = "" if batch is None else f", batch {batch}"
    return [
        number_column(f"Peak memory in training{at} (MB)", lambda row: megabytes(row[1], above=False), 1),
        number_column("Above a smallest net (MB)", lambda row: megabytes(row[1], above=True), 1),
    ]


def batch_figure(
    labelled: Mapping[str, Timing],
    speeds: Mapping[int, SpeedComparison | None],
    *,
    styles: Mapping[str, int],
    where: str,
    slug: str,
) -> Figure | None:
    """Images per second and milliseconds a pass against the batch size; None under two sizes.

    Whiskers are the noise of the phase at that size: the largest factor between the same net timed twice, to both
    sides of the median. None are drawn where that is not known.
    """
    sizes = sorted({size for timing in labelled.values() for size, found in timing.seconds_per_batch.items() if found})
    if len(sizes) < 2:
        return None
    noise = {size: compared.noise if (compared := speeds.get(size)) else None for size in sizes}

    def points(timing: Timing, measure: Callable[[int, float], float]) -> Iterator[Point]:
        for size, blocks in sorted(timing.seconds_per_batch.items()):
            if blocks:
                y, factor = measure(size, statistics.median(blocks)), noise[size]
                yield Point(x=float(size), y=y, low=factor and y / factor, high=factor and y * factor)

    def panel(title: str, measure: Callable[[int, float], float]) -> Panel:
        return Panel(
            title=title,
            x_label="Batch size (images)",
            y_label=title,
            series=tuple(
                Series(label=label, style=styles[label], points=tuple(points(timing, measure)))
                for label, timing in labelled.items()
                if timing.seconds_per_batch
            ),
            whiskers=True,
            log_x=True,
            log_y=True,
            x_ticks=tuple(map(float, noise)),
        )

    panels = (
        panel("Images per second", lambda size, seconds: size / seconds),
        panel("Milliseconds for one pass", lambda _, seconds: 1000 * seconds),
    )
    title = f"Throughput and latency against the batch size ({where})"
    alt = (
        f"{title} of {listing(list(labelled))}, medians of repeats at batch {listing(list(map(str, sizes)))}, all axes "
        "logarithmic; whiskers are the noise of the same net timed twice."
    )
    return Figure(slug=slug, title=title, alt=alt, panels=panels, table=_table(title, labelled, noise))


def _table(title: str, labelled: Mapping[str, Timing], noise: Mapping[int, float | None]) -> Table:
    rows = [
        (label, size, median_of(timing.seconds_per_batch.get(size, ())), percent(factor - 1, 1) if factor else MISSING)
        for label, timing in labelled.items()
        for size, factor in noise.items()
    ]
    return table_of(
        title,
        rows,
        [
            text_column("Architecture", lambda row: row[0]),
            number_column("Batch size", lambda row: row[1]),
            number_column("Images/s", lambda row: row[1] / row[2] if row[2] else None),
            number_column("Pass (ms, median of blocks)", lambda row: row[2], 3, factor=1000),
            column("Noise, the same net timed twice (%)", lambda row: Cell(row[3])),
        ],
    )


_Group: TypeAlias = tuple[str, str, str, int, bool]
"""Phase, machine, device, threads, whether it was quiet: only timings that share all of it stand in one table."""


def timing_section(study: Study, styles: Mapping[str, int]) -> Section | None:
    """Speed and memory of the architectures of a study; None while nothing was timed."""
    shown = {record.architecture_hash for record in study.records}
    found = [timing for timing in study.timings if timing.architecture_hash in shown]
    if not found:
        return None
    groups: dict[_Group, list[Timing]] = {}
    for timing in found:
        key = (timing.measured_together, timing.machine, timing.device, timing.threads, timing.quiet)
        groups.setdefault(key, []).append(timing)
    text = (
        "Measured in a phase of its own, architectures interleaved, each net as its source prints it. Only timings of "
        "one phase are compared: those of other phases, machines, devices or thread counts stand in tables of their "
        "own, the newest first, and are never ranked with these. A pass is timed in blocks of many passes in a row: "
        "rates, orders and fronts go by the median of these repeats, and times relative to the fastest are computed "
        "within each repeat: their median (lowest to highest). A single call has the clock read before and after it "
        "and takes a little longer; its quantiles (p50, p90, p99) say how much calls of one net vary."
    )
    blocks: list[Block] = [Prose(text + _two_latencies(found))]
    if any(timing.peak_memory_bytes is not None and not timing.base_has_trained for timing in found):
        text = (
            "Memory above a smallest net is left out where an older version measured it, which took for the net's what "
            "every net needs; the study's command, given again, measures it anew."
        )
        blocks.append(Prose(text))
    labels = _labels(found)
    # Over all phases, so that no two nets share a style.
    free = itertools.count(1 + max(styles.values(), default=-1))
    styles = {label: next(free) for label in dict.fromkeys(labels.values()) if label not in styles} | dict(styles)
    ended = {key: max(timing.measured_at for timing in of) for key, of in groups.items()}
    for number, key in enumerate(sorted(sorted(groups), key=lambda key: ended[key], reverse=True), 1):
        _, machine, device, threads, quiet = key
        where = one_line(f"machine {machine}, {device}, {plural(threads, 'thread')}, {moment(ended[key])}")
        labelled = {labels[_net(timing)]: timing for timing in sorted(groups[key], key=_net)}
        slug = "inference-batches" if number == 1 else f"inference-batches-{number}"
        blocks += _phase(labelled, styles, quiet=quiet, where=where, slug=slug)
    return Section(title="Inference speed and memory", slug="inference", blocks=tuple(blocks), detail=True, gist=_GIST)


_GIST = "Latency and images a second by batch size, and the memory of training, measured while nothing else ran."


def _phase(
    labelled: Mapping[str, Timing], styles: Mapping[str, int], *, quiet: bool, where: str, slug: str
) -> Iterator[Block]:
    """What may be said of the order, a picture over the batch sizes, and the table; no order of a phase with company.

    Words and table speak of the smallest and the largest batch size, the picture of all.
    """
    timings = labelled.values()
    batches = sorted({batch for timing in timings for batch in (*timing.seconds_per_batch, *timing.call_seconds)})
    ends = dict.fromkeys([*batches[:1], *batches[-1:]])
    if not quiet:
        yield warning(
            f"Not quiet ({where}): other work shared the machine, so the next table is not ranked and must not be "
            "compared."
        )
        yield timing_table(f"Inference speed and memory ({where}, NOT QUIET)", labelled, ends)
        return
    speeds = {
        batch: compare_speeds(
            {label: timing.seconds_per_batch.get(batch, ()) for label, timing in labelled.items()},
            {label: timing.twin_seconds_per_batch.get(batch, ()) for label, timing in labelled.items()},
        )
        for batch in batches
    }
    for batch in ends:
        if compared := speeds[batch]:
            yield Prose(_ranks(batch, compared))
    if unknown := [str(batch) for batch in ends if speeds[batch] is None]:
        yield warning(
            f"At batch {listing(unknown)} not every net was timed twice, so the noise is unknown and the next table is "
            "not ranked there; the study's command, given again, times them anew."
        )
    yield from those(batch_figure(labelled, speeds, styles=styles, where=where, slug=slug))
    yield timing_table(f"Inference speed and memory ({where})", labelled, {batch: speeds[batch] for batch in ends})


def _two_latencies(timings: Sequence[Timing]) -> str:
    """Both latencies of one net, the newest, at the smallest batch size that has both, and why; empty without."""
    for timing in sorted(timings, key=lambda timing: (timing.quiet, timing.measured_at), reverse=True):
        for batch in sorted(timing.seconds_per_batch.keys() & timing.call_seconds.keys()):
            blocks, calls = timing.seconds_per_batch[batch], timing.call_seconds[batch]
            if blocks and calls:
                a_pass, a_call = (f"{1000 * statistics.median(seconds):,.3f} ms" for seconds in (blocks, calls))
                return (
                    f" So one net has two latencies: {one_line(timing.architecture)} takes {a_pass} a pass at batch "
                    f"{batch} (median of blocks, as everywhere else in this report) and {a_call} a call (median of "
                    "single calls)."
                )
    return ""


def _net(timing: Timing) -> tuple[str, str]:
    return timing.architecture, timing.architecture_hash


def _labels(timings: Iterable[Timing]) -> dict[tuple[str, str], str]:
    """Each net's name, with the start of its hash where two sources share one: the same in every phase."""
    nets = sorted({_net(timing) for timing in timings})
    names = [name for name, _ in nets]
    return {
        (name, source): one_line(name if names.count(name) == 1 else f"{name} ({source[:7]})") for name, source in nets
    }


def _ranks(batch: int, speeds: SpeedComparison) -> str:
    """The noise, and who is fastest as far as it lets that be said."""
    noise = (
        f"At batch {batch} the medians of the same net timed twice differ by up to {percent(speeds.noise - 1, 1)} %: "
        "smaller differences do not count, nor do those that turn round in one of the repeats."
    )
    first = speeds.order[0]
    if len(speeds.order) == 1:
        return noise
    if speeds.tied:
        return f"{noise} {first} has the lowest median of repeats; {listing(list(speeds.tied))} cannot be told from it."
    return f"{noise} {first} is the fastest by the medians of repeats."
