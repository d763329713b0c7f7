"""Deletes weights that no study compares any more; every number stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.store.store import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.options import StudyOptions
    from bench.core.records import RunRecord


def find_unused(options: StudyOptions) -> list[RunRecord]:
    """The runs whose weights they are."""
    with open_store(options.store_url, create=False, whole=True) as store:
        return store.runs.unused_checkpoints()


def prune(options: StudyOptions, unused: Sequence[RunRecord]) -> None:
    """Delete the weights of these runs."""
    with open_store(options.store_url, create=False) as store:
        for record in unused:
            (options.results / record.checkpoint).unlink(missing_ok=True)
        store.runs.forget_checkpoints([record.run_id for record in unused])
