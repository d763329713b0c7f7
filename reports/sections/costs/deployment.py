"""What nets cost where they are used: size and latency as ONNX by onnxruntime, beside torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.analysis.stats.estimates import median_of
from bench.system.text import listing, one_line
from reports.cells import number_column, table_of, text_column
from reports.document import Prose

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.core.metadata import Timing
    from reports.cells import ColumnOf
    from reports.document import Block

_BATCHES = (1, 256)
_TEXT = (
    "Deployment: each net as --export onnx writes it, which takes raw pixels and has its normalisation inside, by "
    "{runtime} on one thread, in the same repeats as torch, which is given normalised images. A factor above 1 says "
    "how many times faster onnxruntime is, by the medians of blocks."
)


def deployment_blocks(
    labelled: Mapping[str, Timing], weights: Mapping[str, float | None], *, where: str
) -> Iterator[Block]:
    """What is said of one phase's nets as ONNX; nothing where none was exported.

    Args:
        labelled: The phase's timings by label.
        weights: Size of the file of trained weights in bytes, by hash of the architecture.
        where: The phase, in words.
    """
    tried = {label: timing for label, timing in labelled.items() if timing.onnx_runtime}
    there = {label: timing for label, timing in tried.items() if timing.onnx_seconds_per_batch}
    if there:
        runtimes = sorted({timing.onnx_runtime for timing in there.values()})
        yield Prose(_TEXT.format(runtime=one_line(listing(runtimes))))
        yield table_of(
            f"Deployment ({where})",
            tried.items(),
            [
                text_column("Architecture", lambda row: row[0]),
                number_column(
                    "Weights by torch (kB)", lambda row: weights.get(row[1].architecture_hash), 1, factor=1e-3
                ),
                number_column("ONNX file (kB)", lambda row: row[1].onnx_bytes, 1, factor=1e-3),
                *(column for batch in _BATCHES for column in _batch_columns(batch)),
            ],
        )
    lacking = [one_line(f"{label} ({timing.onnx_runtime})") for label, timing in tried.items() if label not in there]
    if lacking:
        yield Prose(f"Not timed as ONNX: {listing(lacking)}.")


def _batch_columns(batch: int) -> list[ColumnOf[tuple[str, Timing]]]:
    def by_torch(row: tuple[str, Timing]) -> float | None:
        return median_of(row[1].seconds_per_batch.get(batch, ()))

    def by_onnx(row: tuple[str, Timing]) -> float | None:
        return median_of(row[1].onnx_seconds_per_batch.get(batch, ()))

    def factor(row: tuple[str, Timing]) -> float | None:
        ours, theirs = by_torch(row), by_onnx(row)
        return None if ours is None or not theirs else ours / theirs

    return [
        number_column(f"Pass at batch {batch} (ms): torch", by_torch, 3, factor=1000),
        number_column(f"Pass at batch {batch} (ms): onnxruntime", by_onnx, 3, factor=1000),
        number_column(f"Factor at batch {batch}", factor, 2),
    ]
