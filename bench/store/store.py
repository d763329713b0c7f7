"""Everything that runs leave behind, in one database: SQLite beside the reports, or PostgreSQL.

A process opens its own store and closes it. Nothing is cached: what another process stored is seen by the next call.

A PostgreSQL server may restart under an open store. A call that fails only because the connection went is made again
for up to a minute (`bench.store.postgres`), which every call may be: doing it twice leaves what doing it once does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
from typing import TYPE_CHECKING, Self, TypeVar

import sqlalchemy as sa

from bench.core.errors import StoreError
from bench.store import schema
from bench.store.artifacts import forget_damaged, pack_pictures, pack_portrait, read_portrayed
from bench.store.codec import pack_curve, pack_predictions, pack_record, unpack_curve, unpack_predictions
from bench.store.database import explained, open_engine, writing
from bench.store.locks import hold
from bench.store.postgres import OPENING_SECONDS, PATIENCE_SECONDS, patiently
from bench.store.runs import (
    chunks,
    insert,
    is_counted,
    put_facts,
    read_architectures,
    read_next_attempts,
    read_records,
    read_training_speeds,
    read_unused_checkpoints,
    write_superseded,
)
from bench.store.studies import delete_gate, read_study, read_study_names, read_timings, write_gate, write_plan
from bench.system.urls import name_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from bench.core.gate import GateOutcome
    from bench.core.metadata import ArchitectureFacts, DatasetFacts, Timing
    from bench.core.pictures import DataPictures, Portrait
    from bench.core.records import CurvePoint, Predictions, RunRecord, Settings, Study
    from bench.core.run import RunRequest

Result = TypeVar("Result")

TIMEOUT_SECONDS = 30.0
"""How long a process waits for another one that writes."""


def open_store(
    url: str,
    *,
    create: bool = True,
    timeout_seconds: float = TIMEOUT_SECONDS,
    patience_seconds: float = OPENING_SECONDS,
    whole: bool = False,
) -> Store:
    """Open a store; make its directory and tables, or migrate them in place, where needed.

    Args:
        url: `sqlite:///DIR/bench.db`, or a `postgresql+psycopg://` URL.
        create: False to refuse where there is no store yet, as for reports.
        timeout_seconds: How long to wait for a lock that another process holds.
        patience_seconds: How long to wait for a server that does not answer; one that refuses is not waited for.
        whole: Look at all of it first, once a command: a damaged index hides runs without a word.

    Raises:
        StoreError: It is no database, has a newer schema, cannot be written, is locked, the disk is full, the server
            does not answer or its driver is not installed.
    """
    engine = open_engine(
        url, create=create, timeout_seconds=timeout_seconds, patience_seconds=patience_seconds, whole=whole
    )
    return Store(engine, name_place(url), timeout_seconds)


class Store:
    """An open store. Every method raises StoreError, one line, when the database or its disk fails.

    A server that restarts is waited for by every method; the store need not be opened again.

    Attributes:
        place: The file, or the URL without password, for messages.
    """

    def __init__(self, engine: sa.Engine, place: str, timeout_seconds: float) -> None:
        self.place = place
        self._engine, self._timeout_seconds = engine, timeout_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _read(self, work: Callable[[sa.Connection], Result]) -> Result:
        """What the work gives that reads; it is done again when the server restarts meanwhile."""

        def once() -> Result:
            with self._engine.connect() as connection:
                return work(connection)

        with explained(self.place, self._timeout_seconds):
            return patiently(once, seconds=PATIENCE_SECONDS)

    def _write(self, work: Callable[[sa.Connection], Result]) -> Result:
        """What the work gives, done in one transaction; it must leave the same when it is done twice."""

        def once() -> Result:
            with writing(self._engine).begin() as connection:
                return work(connection)

        with explained(self.place, self._timeout_seconds):
            return patiently(once, seconds=PATIENCE_SECONDS)

    def add_run(
        self, record: RunRecord, curve: Sequence[CurvePoint] = (), predictions: Sequence[Predictions] = ()
    ) -> bool:
        """Store a run that has ended, or how far it came when interrupted, whole or not at all.

        Args:
            record: The run.
            curve: Its evaluations in order of time.
            predictions: Of its final model, one for each split.

        Returns:
            False when this attempt at its request has ended and is stored already; nothing is changed then. A server
            that restarts after it stored the run and before it said so makes it False as well.
        """
        row, points = pack_record(record), pack_curve(curve)
        arrays = [{"run_id": record.run_id, "split": p.split, "arrays": pack_predictions(p)} for p in predictions]
        interrupted = (schema.runs.c.run_id == record.run_id) & (schema.runs.c.status == "interrupted")

        def add(connection: sa.Connection) -> bool:
            connection.execute(sa.delete(schema.runs).where(interrupted))
            new = insert(connection, schema.runs).on_conflict_do_nothing().returning(schema.runs.c.run_id)
            if connection.scalar(new, row) is None:
                return False
            connection.execute(sa.insert(schema.curves), {"run_id": record.run_id, "points": points})
            if arrays:
                connection.execute(sa.insert(schema.predictions), arrays)
            return True

        return self._write(add)

    @contextlib.contextmanager
    def hold(self, run_id: str, *, waiting: Callable[[], None]) -> Iterator[None]:
        """Keep other processes from training a run; wait while one of them does.

        Args:
            run_id: The run.
            waiting: Called twice a second while another process holds it; what it raises ends the waiting.
        """
        with contextlib.ExitStack() as stack:
            with explained(self.place, self._timeout_seconds):
                stack.enter_context(hold(self._engine, run_id, waiting=waiting))
            yield

    def find_run(self, run_id: str) -> RunRecord | None:
        """A run by its id; None when it is not stored."""
        statement = sa.select(schema.runs).where(schema.runs.c.run_id == run_id)
        found = self._read(lambda connection: read_records(connection, statement))
        return next(iter(found), None)

    def counted_runs(self, request_ids: Iterable[str]) -> dict[str, RunRecord]:
        """The attempt that counts for each request that has one, by request id: the last settled one, else the last."""
        wanted = list(chunks(request_ids))
        counted, of = sa.select(schema.runs).where(is_counted()), schema.runs.c.request_id
        found = self._read(
            lambda connection: [
                record for chunk in wanted for record in read_records(connection, counted.where(of.in_(chunk)))
            ]
        )
        return {record.request_id: record for record in found}

    def next_attempts(self, request_ids: Iterable[str]) -> dict[str, int]:
        """Number of the attempt to make at each request that has one: an interrupted attempt goes on."""
        wanted = list(request_ids)
        return self._read(lambda connection: read_next_attempts(connection, wanted))

    def curve(self, run_id: str) -> tuple[CurvePoint, ...]:
        """Evaluations of a run in order of time.

        Raises:
            StoreError: There is no such run.
        """
        column = schema.curves.c.points
        packed = self._blob(sa.select(column).where(schema.curves.c.run_id == run_id), f"run '{run_id}'")
        with explained(self.place, self._timeout_seconds):
            return unpack_curve(packed)

    def predictions(self, run_id: str, split: str) -> Predictions:
        """What the final model of a run said of the images of a split, "validation" or "test".

        Raises:
            StoreError: None are stored, as for a failed run.
        """
        table = schema.predictions
        statement = sa.select(table.c.arrays).where(table.c.run_id == run_id, table.c.split == split)
        packed = self._blob(statement, f"{split} predictions of run '{run_id}'")
        with explained(self.place, self._timeout_seconds):
            return unpack_predictions(packed, split=split)

    def _blob(self, statement: sa.Select[bytes], what: str) -> bytes:
        stored = self._read(lambda connection: connection.scalar(statement))
        if stored is None:
            raise StoreError(f"Store {self.place} holds no {what}; run the study again to have it.")
        return stored

    def plan_study(
        self,
        name: str,
        *,
        command: str,
        requests: Iterable[RunRequest],
        role: str,
        settings: Settings | None = None,
        seed_plan: str = "",
        recipe_names: Mapping[str, str] | None = None,
    ) -> None:
        """Make or renew a study: link it to requests, whose runs may not exist yet, and supersede what they replace.

        Links of the same architecture name, recipe, budget, dataset, protocol and role but another cohort (an edited
        net, another torch, other data, another device) are kept and no longer compared.

        Args:
            name: Name of the study.
            command: The command line that repeats it.
            requests: What it asks for.
            role: One of `bench.core.records.ROLES`.
            settings: How its results are judged; None keeps what is stored, at first the defaults.
            seed_plan: How its seeds are run: "6", or "6:30" until decided.
            recipe_names: What people call the recipe of a request in this study, by its id; an architecture's own
                ("tuned") takes the place of the one of that name before it. Without one it is the run's.
        """
        wanted = list(requests)
        self._write(
            lambda connection: write_plan(
                connection,
                name,
                command=command,
                requests=wanted,
                role=role,
                settings=settings,
                seed_plan=seed_plan,
                recipe_names=recipe_names or {},
            )
        )

    def study_names(self) -> list[str]:
        """Names of all studies, the one planned last first."""
        return self._read(read_study_names)

    def last_study(self, *, compares: bool = False) -> str | None:
        """The study planned last; None when there is none.

        Args:
            compares: Pass over studies that hold nothing but runs of the gate.
        """
        names = self._read(lambda connection: read_study_names(connection, compares=compares))
        return next(iter(names), None)

    def add_gate(self, name: str, outcome: GateOutcome) -> None:
        """Store how a check of a study ended, in place of the one before."""
        self._write(lambda connection: write_gate(connection, name, outcome))

    def load_study(self, name: str, *, with_details: bool = True) -> Study:
        """A study: the attempt that counts for each current request, by time of finishing, then architecture and seed.

        Args:
            name: Its name.
            with_details: False leaves curves, predictions, pictures and portraits empty, which is quicker.

        Raises:
            UnknownNameError: There is no study of that name.
        """
        return self._read(lambda connection: read_study(connection, name, with_details=with_details))

    def forget_gate(self, name: str) -> None:
        """Forget how a study's last check ended, if there was one."""
        self._write(lambda connection: delete_gate(connection, name))

    def add_architecture(self, facts: ArchitectureFacts) -> None:
        """Store what is exact about an architecture, in place of what was stored under its hash."""
        self._write(lambda connection: put_facts(connection, schema.architectures, "architecture_hash", facts))

    def supersede_other_nets(self, facts: ArchitectureFacts, *, torch_version: str, engine_version: int) -> int:
        """Let runs of another net of the same source count no longer; see `bench.store.runs`.

        Args:
            facts: The net as it was counted just now.
            torch_version: Of the runs that could count for a request of today.
            engine_version: The same.

        Returns:
            How many are superseded that were not before.
        """
        return self._write(
            lambda connection: write_superseded(
                connection, facts, torch_version=torch_version, engine_version=engine_version
            )
        )

    def architectures(self, hashes: Iterable[str]) -> dict[str, ArchitectureFacts]:
        """Facts by architecture hash, of those that are stored."""
        wanted = list(hashes)
        return self._read(lambda connection: read_architectures(connection, wanted))

    def add_dataset(self, facts: DatasetFacts) -> None:
        """Store what is known of a dataset, in place of what was stored under its hash."""
        self._write(lambda connection: put_facts(connection, schema.datasets, "data_hash", facts))

    def add_pictures(self, data_hash: str, pictures: DataPictures) -> None:
        """Store images of a dataset; nothing is changed when there are some."""
        row = {"data_hash": data_hash, "arrays": pack_pictures(pictures)}
        self._write(
            lambda connection: connection.execute(insert(connection, schema.pictures).on_conflict_do_nothing(), row)
        )

    def has_pictures(self, data_hash: str) -> bool:
        """Whether images of a dataset are stored."""
        stored = sa.exists().where(schema.pictures.c.data_hash == data_hash)
        return bool(self._read(lambda connection: connection.scalar(sa.select(stored))))

    def add_portrait(self, portrait: Portrait) -> None:
        """Store the insides of a stored run's net; nothing is changed when they are stored."""
        row = {"run_id": portrait.run_id, "arrays": pack_portrait(portrait)}
        self._write(
            lambda connection: connection.execute(insert(connection, schema.portraits).on_conflict_do_nothing(), row)
        )

    def portrayed(self, run_ids: Iterable[str]) -> set[str]:
        """Which of these runs have a portrait."""
        wanted = list(run_ids)
        return self._read(lambda connection: read_portrayed(connection, wanted))

    def forget_damaged(self, data_hash: str, run_ids: Iterable[str]) -> None:
        """Delete damaged pictures of a dataset and portraits of these runs: what is stored is not stored again."""
        asked = list(run_ids)
        self._write(lambda connection: forget_damaged(connection, data_hash=data_hash, run_ids=asked))

    def add_timing(self, timing: Timing) -> None:
        """Store a timing beside earlier ones; nothing is changed when it is the latest already."""
        keys = {name: getattr(timing, name) for name in ("architecture_hash", "machine", "device")}

        def add(connection: sa.Connection) -> None:
            if timing not in read_timings(connection, [timing.architecture_hash]):
                connection.execute(sa.insert(schema.timings), keys | {"timing": dataclasses.asdict(timing)})

        self._write(add)

    def timing(self, *, architecture_hash: str, machine: str, device: str) -> Timing | None:
        """The latest timing of an architecture on a machine's device."""
        found = self._read(lambda connection: read_timings(connection, [architecture_hash]))
        return next((t for t in found if (t.machine, t.device) == (machine, device)), None)

    def training_speeds(self, machine: str, *, device: str | None = None) -> dict[str, float]:
        """Median training images per second of finished runs on a machine, by architecture hash.

        Args:
            machine: As `bench.system.environment` names it.
            device: Kind of device; None takes all.
        """
        speeds = self._read(lambda connection: read_training_speeds(connection, machine, device=device))
        return {architecture_hash: statistics.median(values) for architecture_hash, values in speeds.items()}

    def unused_checkpoints(self) -> list[RunRecord]:
        """Runs with a checkpoint that no study compares: superseded, failed or replaced by a later attempt.

        An interrupted run keeps its own, to go on from; a file that a compared run shares is left out.
        """
        return self._read(read_unused_checkpoints)

    def forget_checkpoints(self, run_ids: Iterable[str]) -> None:
        """Say that the checkpoint files of these runs are gone; sizes and hashes stay."""
        gone, table = list(chunks(run_ids)), schema.runs

        def forget(connection: sa.Connection) -> None:
            for chunk in gone:
                connection.execute(sa.update(table).where(table.c.run_id.in_(chunk)).values(checkpoint=""))

        self._write(forget)
