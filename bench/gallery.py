"""Keeps what pictures of a report are made from: images of the dataset, and one portrait of each cohort."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from bench.data.datasets import load_dataset
from bench.errors import ArchitectureError, BenchError, first_line
from bench.events import Note
from bench.pictures import DataPictures
from bench.portraits import choose_samples, paint
from bench.workers.apart import DiedError
from bench.workers.calling import call_apart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.data.datasets import Dataset
    from bench.facts import DatasetFacts
    from bench.pictures import Portrait
    from bench.records import RunRecord
    from bench.spec import Architecture, RunRequest
    from bench.store.store import Store
    from bench.task import Workplace

_SECONDS = 60.0
"""When painting a net counts as hung; it takes about a second."""


def portray(
    requests: Sequence[RunRequest], *, facts: DatasetFacts, workplace: Workplace, store: Store
) -> Iterator[Note]:
    """Keep images of a dataset and one portrait a cohort, where the store lacks them; it takes about a second.

    What is damaged there is lacking. A cohort's portrait is of its good run with the smallest seed that has weights.

    Args:
        requests: Runs on the dataset, ended or not.
        facts: The dataset.
        workplace: Where the data and the weights lie.
        store: Where runs are kept.

    Yields:
        A line for each thing that could not be painted; the runs are stored all the same.
    """
    architectures = {request.id: request.architecture for request in requests}
    records = sorted(store.counted_runs(architectures).values(), key=lambda record: record.seed)
    store.forget_damaged(facts.data_hash, [record.run_id for record in records])
    lacking = [(record, architectures[record.request_id]) for record in _lacking(records, workplace, store)]
    has_pictures = store.has_pictures(facts.data_hash)
    if has_pictures and not lacking:
        return
    try:
        dataset = load_dataset(facts.name, workplace.data_dir, expected_hash=facts.data_hash)
    except BenchError as fault:
        yield Note(text=f"The report goes without new pictures: {fault}")
        return
    if not has_pictures:
        store.add_pictures(facts.data_hash, take_pictures(dataset))
    few = _take_samples(dataset)
    for record, architecture in lacking:
        try:
            portrait, said = _paint(record, architecture, few, workplace)
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - the runs are stored; a picture must not hide them
            said = [f"{architecture.name}: no picture of its insides ({first_line(fault)}); its runs are stored."]
        else:
            store.add_portrait(portrait)
        yield from (Note(text=line) for line in said)


def _take_samples(dataset: Dataset) -> Dataset:
    """What of a dataset portraits are made from."""
    chosen = choose_samples(dataset)
    return dataclasses.replace(
        dataset,
        pool_images=dataset.pool_images[chosen],
        pool_labels=dataset.pool_labels[chosen],
        test_images=dataset.test_images[:0],
        test_labels=dataset.test_labels[:0],
    )


def _paint(
    record: RunRecord, architecture: Architecture, few: Dataset, workplace: Workplace
) -> tuple[Portrait, list[str]]:
    """A portrait and what is to be said of it, made in a process of its own where that can load the net."""
    if architecture.file is None:
        return paint_here(record, architecture, few, workplace.results)
    try:
        answer = call_apart(paint_here, record, architecture, few, workplace.results, limit_seconds=_SECONDS)
    except DiedError as death:
        raise ArchitectureError(f"its process {death}") from death
    if answer.fault is not None:
        raise answer.fault
    painted: tuple[Portrait, list[str]] = answer.value
    return painted


def paint_here(
    record: RunRecord, architecture: Architecture, few: Dataset, results: Path
) -> tuple[Portrait, list[str]]:
    """`bench.portraits.paint`, and what it announces."""
    said: list[str] = []
    return paint(record, architecture, dataset=few, results=results, announce=said.append), said


def take_pictures(dataset: Dataset) -> DataPictures:
    """The images of a dataset that reports show."""
    chosen = choose_samples(dataset)
    return DataPictures(
        test=dataset.test_images,
        samples=dataset.pool_images[chosen],
        sample_labels=dataset.pool_labels[chosen].astype(np.uint8),
        sample_indices=chosen.astype(np.int32),
    )


def _lacking(records: Sequence[RunRecord], workplace: Workplace, store: Store) -> list[RunRecord]:
    """The run to paint of each cohort that has no portrait."""
    portrayed = store.portrayed([record.run_id for record in records])
    done = {record.cohort for record in records if record.run_id in portrayed}
    found: dict[str, RunRecord] = {}
    for record in records:
        has_weights = record.status == "ok" and record.checkpoint and (workplace.results / record.checkpoint).is_file()
        if has_weights and record.cohort not in done:
            found.setdefault(record.cohort, record)
    return list(found.values())
