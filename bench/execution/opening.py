"""Which workers a workplace gets."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bench.execution.processes import open_processes
from bench.execution.single import open_single

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.run import Workplace
    from bench.execution.pool import Workers


@contextlib.contextmanager
def open_workers(workplace: Workplace, *, most: int | None = None) -> Iterator[Workers]:
    """Start the workers, or connect to them, and let go of them at the end, whatever happened.

    One job trains in one process, more in one each, and a cluster's wherever they are; a net without a file, which no
    other process could load, trains in this one.

    Args:
        workplace: Where they find data and leave results, and how many may train at once.
        most: No more processes than that, as for a plan of fewer runs.

    Raises:
        StoreError: The results directory cannot be written. A scheduler that does not answer ends the tasks instead.
    """
    if workplace.cluster is not None:
        from bench.execution.cluster.opening import open_cluster  # noqa: PLC0415 - Dask takes half a second

        opened = open_cluster(workplace, workplace.cluster)
    elif workplace.jobs == 1:
        opened = open_single(workplace)
    else:
        opened = open_processes(workplace, count=min(workplace.jobs, most or workplace.jobs))
    with opened as workers:
        yield workers
