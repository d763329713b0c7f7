"""Inference speed and memory from the quiet phases: one part a phase, machine, device and thread count."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeAlias

from bench.stats.speeds import compare_speeds
from bench.text import one_line
from reports.batch_sizes import batch_figure
from reports.document import Prose, Section
from reports.timing_table import timing_table
from reports.wording import listing, moment, percent, plural

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

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
        "own, the newest first, and are never ranked with these. A pass is timed in blocks of many passes in a row: "
        "rates, orders and fronts go by the median of these repeats, and times relative to the fastest are computed "
        "within each repeat: their median (lowest to highest). A single call has the clock read before and after it "
        "and takes a little longer; its quantiles (p50, p90, p99) say how much calls of one net vary."
    )
    blocks: list[Block] = [Prose(text=text)]
    if any(timing.peak_memory_bytes is not None and not timing.base_has_imports for timing in found):
        text = (
            "Memory above the bare process is left out where an older version measured it, which took 77 MB of an "
            "import for the net's; the study's command, given again, measures it anew."
        )
        blocks.append(Prose(text=text))
    for number, key in enumerate(sorted(sorted(groups), key=lambda key: _ended(groups[key]), reverse=True), 1):
        _, machine, device, threads, quiet = key
        where = one_line(f"machine {machine}, {device}, {plural(threads, 'thread')}, {moment(_ended(groups[key]))}")
        labelled = {labels[_net(timing)]: timing for timing in sorted(groups[key], key=_net)}
        slug = "inference-batches" if number == 1 else f"inference-batches-{number}"
        blocks += _quiet(labelled, styles, where=where, slug=slug) if quiet else _disturbed(labelled, where=where)
    return Section(title="Inference speed and memory", slug="inference", blocks=tuple(blocks), detail=True)


def _quiet(labelled: Mapping[str, Timing], styles: Mapping[str, int], *, where: str, slug: str) -> list[Block]:
    """What may be said of the order, a picture over the batch sizes, and the table."""
    speeds = {
        batch: compare_speeds(
            {label: timing.seconds_per_batch.get(batch, ()) for label, timing in labelled.items()},
            {label: timing.twin_seconds_per_batch.get(batch, ()) for label, timing in labelled.items()},
        )
        for batch in _batches(labelled)
    }
    figure = batch_figure(labelled, speeds, styles=styles, where=where, slug=slug)
    ends = {batch: speeds[batch] for batch in _ends(speeds)}
    table = timing_table(f"Inference speed and memory ({where})", labelled, ends)
    return [*_ranks_of_all(ends), *([figure] if figure else []), table]


def _disturbed(labelled: Mapping[str, Timing], *, where: str) -> list[Block]:
    """The table of a phase with company: a warning, and no order."""
    text = (
        f"Not quiet ({where}): other work shared the machine, so the next table is not ranked and must not be compared."
    )
    table = timing_table(
        f"Inference speed and memory ({where}, NOT QUIET)", labelled, dict.fromkeys(_ends(_batches(labelled)))
    )
    return [Prose(text=text, tone="warning"), table]


def _ended(timings: Sequence[Timing]) -> str:
    return max(timing.measured_at for timing in timings)


def _batches(labelled: Mapping[str, Timing]) -> list[int]:
    """Each batch size that was timed."""
    timings = labelled.values()
    return sorted({batch for timing in timings for batch in (*timing.seconds_per_batch, *timing.call_seconds)})


def _ends(batches: Collection[int]) -> list[int]:
    """The smallest and the largest batch size: words and table speak of these, the picture of all."""
    return sorted({min(batches), max(batches)}) if batches else []


def _ranks_of_all(ends: Mapping[int, SpeedComparison | None]) -> list[Prose]:
    """What may be said of the order at each end."""
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
