"""Deletes weights that no study compares any more; every number stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.store.store import open_store

if TYPE_CHECKING:
    from bench.core.options import StudyOptions
    from bench.core.records import RunRecord


def prune(options: StudyOptions) -> list[RunRecord]:
    """Delete them unless that is only planned; the runs whose weights they are."""
    with open_store(options.store_url, create=False, whole=True) as store:
        unused = store.runs.unused_checkpoints()
        if not options.plan_only:
            for record in unused:
                (options.results / record.checkpoint).unlink(missing_ok=True)
            store.runs.forget_checkpoints([record.run_id for record in unused])
    return unused
