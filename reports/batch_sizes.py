"""How speed grows with the batch, of the nets that one quiet phase timed together."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from reports.charts import Panel, Point, Series
from reports.document import Cell, Figure, Table, numbers_table
from reports.wording import MISSING, listing, number_cell, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.facts import Timing
    from bench.stats.speeds import SpeedComparison


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

    Args:
        labelled: The timings by label.
        speeds: Their comparison by batch size; None where it could not be made.
        styles: Colour and marker by label.
        where: Machine and moment, for the title.
        slug: Name of the figure.
    """
    sizes = sorted({size for timing in labelled.values() for size, found in timing.seconds_per_batch.items() if found})
    if len(sizes) < 2:
        return None
    noise = {size: compared.noise if (compared := speeds.get(size)) else None for size in sizes}
    panels = (
        _panel("Images per second", labelled, noise, styles=styles, rate=True),
        _panel("Milliseconds for one pass", labelled, noise, styles=styles, rate=False),
    )
    title = f"Throughput and latency against the batch size ({where})"
    alt = (
        f"{title} of {listing(list(labelled))}, medians of repeats at batch {listing(list(map(str, sizes)))}, all axes "
        "logarithmic; whiskers are the noise of the same net timed twice."
    )
    return Figure(slug=slug, title=title, alt=alt, panels=panels, table=_table(title, labelled, noise))


def _panel(
    title: str,
    labelled: Mapping[str, Timing],
    noise: Mapping[int, float | None],
    *,
    styles: Mapping[str, int],
    rate: bool,
) -> Panel:
    """Rates or times of every net; `noise` has the sizes that are marked."""
    return Panel(
        title=title,
        x_label="Batch size (images)",
        y_label=title,
        series=tuple(
            Series(label=label, style=styles[label], points=_points(timing, noise, rate=rate))
            for label, timing in labelled.items()
            if timing.seconds_per_batch
        ),
        whiskers=True,
        log_x=True,
        log_y=True,
        x_ticks=tuple(map(float, noise)),
    )


def _points(timing: Timing, noise: Mapping[int, float | None], *, rate: bool) -> tuple[Point, ...]:
    points = []
    for size, blocks in sorted(timing.seconds_per_batch.items()):
        if not blocks:
            continue
        seconds = statistics.median(blocks)
        y, factor = size / seconds if rate else 1000 * seconds, noise[size]
        low, high = (None, None) if factor is None else (y / factor, y * factor)
        points.append(Point(x=float(size), y=y, low=low, high=high))
    return tuple(points)


def _table(title: str, labelled: Mapping[str, Timing], noise: Mapping[int, float | None]) -> Table:
    rows = []
    for label, timing in labelled.items():
        for size, factor in noise.items():
            blocks = timing.seconds_per_batch.get(size, ())
            seconds = statistics.median(blocks) if blocks else None
            rows.append(
                (
                    Cell(text=label),
                    number_cell(size),
                    number_cell(None if seconds is None else size / seconds),
                    number_cell(None if seconds is None else 1000 * seconds, 3),
                    Cell(text=MISSING if factor is None else percent(factor - 1, 1)),
                )
            )
    names = ("Batch size", "Images/s", "Pass (ms, median of repeats)", "Noise, the same net timed twice (%)")
    return numbers_table(title, names, rows)
