"""What is kept beside runs: what is known of nets and datasets, timings, pictures of data and portraits of nets.

Damage to a picture or a portrait costs a report that picture and no more: it counts as missing, is said, and is made
again with the next training.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench.core.metadata import ArchitectureMetadata, DatasetMetadata, Timing
from bench.store import codec
from bench.store.schema import architectures, datasets, insert_missing, pictures, portraits, put, select_in, timings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.core.pictures import DataPictures, Portrait
    from bench.core.records import RunRecord
    from bench.store.database.database import Database


class Artifacts:
    """The artifacts of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_architecture(self, metadata: ArchitectureMetadata) -> None:
        """Store what is exact about an architecture, in place of what was stored under its hash.

        How long a step took is not: it is another each time.
        """
        exact = dataclasses.replace(metadata, proof=dataclasses.replace(metadata.proof, step_seconds=None))
        row = {"architecture_hash": metadata.architecture_hash, "facts": codec.to_json(exact)}
        self._database.write(lambda connection: put(connection, architectures, [row]))

    def architectures(self, hashes: Iterable[str]) -> dict[str, ArchitectureMetadata]:
        """Metadata by architecture hash, of those that are stored."""
        asked = list(hashes)
        return self._database.read(lambda connection: read_architectures(connection, asked))

    def add_dataset(self, metadata: DatasetMetadata) -> None:
        """Store what is known of a dataset, in place of what was stored under its hash."""
        row = {"data_hash": metadata.data_hash, "facts": codec.to_json(metadata)}
        self._database.write(lambda connection: put(connection, datasets, [row]))

    def datasets(self, hashes: Iterable[str]) -> dict[str, DatasetMetadata]:
        """What is known of datasets, by data hash, of those that are stored."""
        asked = list(hashes)
        return self._database.read(lambda connection: read_datasets(connection, asked))

    def add_timing(self, timing: Timing) -> None:
        """Store a timing beside earlier ones; nothing is changed when it is the latest already."""
        row = {name: getattr(timing, name) for name in ("architecture_hash", "machine", "device")}

        def add(connection: sa.Connection) -> None:
            if timing not in read_timings(connection, [timing.architecture_hash]):
                connection.execute(sa.insert(timings), row | {"timing": codec.to_json(timing)})

        self._database.write(add)

    def timing(self, *, architecture_hash: str, machine: str, device: str) -> Timing | None:
        """The latest timing of an architecture on a machine's device."""
        found = self._database.read(lambda connection: read_timings(connection, [architecture_hash]))
        return next((timing for timing in found if (timing.machine, timing.device) == (machine, device)), None)

    def add_pictures(self, data_hash: str, shown: DataPictures) -> None:
        """Store images of a dataset; nothing is changed when there are some."""
        row = {"data_hash": data_hash, "arrays": codec.pack_pictures(shown)}
        self._database.write(lambda connection: insert_missing(connection, pictures, [row]))

    def has_pictures(self, data_hash: str) -> bool:
        """Whether images of a dataset are stored."""
        stored = sa.select(sa.exists().where(pictures.c.data_hash == data_hash))
        return bool(self._database.read(lambda connection: connection.scalar(stored)))

    def pictures(self, data_hash: str) -> DataPictures | None:
        """Images of a dataset; None where there are none or they are damaged."""
        found = self._database.read(lambda connection: read_pictures(connection, [data_hash])).get(data_hash)
        return None if found is None or found.damaged else found

    def add_portrait(self, portrait: Portrait) -> None:
        """Store the insides of a stored run's net; nothing is changed when they are stored."""
        row = {"run_id": portrait.run_id, "arrays": codec.pack_portrait(portrait)}
        self._database.write(lambda connection: insert_missing(connection, portraits, [row]))

    def portrayed(self, run_ids: Iterable[str]) -> set[str]:
        """Which of these runs have a portrait."""
        asked, stored = list(run_ids), sa.select(portraits.c.run_id)
        rows = self._database.read(lambda connection: list(select_in(connection, stored, portraits.c.run_id, asked)))
        return {row.run_id for row in rows}

    def forget_damaged(self, data_hash: str, run_ids: Iterable[str]) -> None:
        """Delete damaged pictures of a dataset and portraits of these runs: what is stored is not stored again."""
        asked = ((pictures.c.data_hash, [data_hash]), (portraits.c.run_id, list(run_ids)))

        def forget(connection: sa.Connection) -> None:
            for column, keys in asked:
                rows = select_in(connection, sa.select(column, column.table.c.arrays), column, keys)
                damaged = [row[0] for row in rows if not codec.is_sound(row.arrays)]
                connection.execute(sa.delete(column.table).where(column.in_(damaged)))

        self._database.write(forget)


def read_architectures(connection: sa.Connection, hashes: Iterable[str]) -> dict[str, ArchitectureMetadata]:
    """Metadata by architecture hash, of those that are stored."""
    column, what = architectures.c.architecture_hash, "what was counted of an architecture"
    rows = select_in(connection, sa.select(architectures), column, hashes)
    return {row.architecture_hash: codec.from_json(ArchitectureMetadata, row.facts, what) for row in rows}


def read_datasets(connection: sa.Connection, hashes: Iterable[str]) -> dict[str, DatasetMetadata]:
    """Metadata by data hash, of those that are stored."""
    rows = select_in(connection, sa.select(datasets), datasets.c.data_hash, hashes)
    return {row.data_hash: codec.from_json(DatasetMetadata, row.facts, "what is known of a dataset") for row in rows}


def read_timings(connection: sa.Connection, hashes: Iterable[str]) -> list[Timing]:
    """The latest timing of each architecture hash, machine and device."""
    keys = timings.c.architecture_hash, timings.c.machine, timings.c.device
    latest = sa.select(sa.func.max(timings.c.timing_id)).group_by(*keys)
    wanted = sa.select(timings.c.timing).where(timings.c.timing_id.in_(latest)).order_by(timings.c.timing_id)
    rows = select_in(connection, wanted, timings.c.architecture_hash, sorted(hashes))
    return [codec.from_json(Timing, row.timing, "a timing") for row in rows]


def read_pictures(connection: sa.Connection, hashes: Iterable[str]) -> dict[str, DataPictures]:
    """Pictures by data hash, of those that are stored; damaged ones are empty and say so."""
    rows = select_in(connection, sa.select(pictures), pictures.c.data_hash, hashes)
    return {row.data_hash: codec.unpack_pictures(row.arrays) for row in rows}


def read_portraits(connection: sa.Connection, records: Sequence[RunRecord]) -> tuple[Portrait, ...]:
    """One portrait of each cohort that has some: of its run with the smallest seed, in the order of the runs.

    A damaged one stands for its cohort, empty, only where no other does.
    """
    run_ids = [record.run_id for record in records]
    found = select_in(connection, sa.select(portraits), portraits.c.run_id, run_ids)
    packed = {row.run_id: row.arrays for row in found}
    sound = {run_id: codec.is_sound(arrays) for run_id, arrays in packed.items()}
    chosen: dict[str, RunRecord] = {}
    for record in records:
        if record.run_id in packed:
            rival = chosen.setdefault(record.cohort, record)
            chosen[record.cohort] = min(rival, record, key=lambda run: (not sound[run.run_id], run.seed))
    return tuple(codec.unpack_portrait(packed[record.run_id], run_id=record.run_id) for record in chosen.values())
