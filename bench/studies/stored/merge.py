"""Brings another results directory into this one: keeps everything, refuses contradictions.

Files come first and rows after them, in one transaction: a kill at any moment leaves this directory as it was, plus
files that nothing speaks of yet, and the same command ends the work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench.core.errors import NoStoreError, StoreError, reason
from bench.store.merge import MergePlan, plan_merge, write_merge
from bench.store.schema import runs
from bench.store.store import open_store
from bench.store.study_rows import read_study_names
from bench.studies.load import keep_verdicts
from bench.studies.stored.compact import is_compact, read_compact
from bench.studies.tuning.results import copy_trials
from bench.system.files import read_regular, write_atomically
from bench.system.text import listing, plural
from bench.system.urls import read_url

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from bench.core.records import Study
    from bench.store.database.database import Database

_NAMED = 3
"""Studies that the line about a merge names; of more it says how many."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Merged:
    """How many runs came over, how many were here already, and the other's studies, the one planned last first."""

    merged: int
    already: int
    studies: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = [" ".join(name.split()) for name in self.studies[:_NAMED]]
        if len(self.studies) > _NAMED:
            names.append(f"{len(self.studies) - _NAMED:,} more")
        studies = f" into {'study' if len(self.studies) == 1 else 'studies'} {listing(names)}" if names else ""
        were = "was" if self.already == 1 else "were"
        return f"{plural(self.merged, 'run')} merged{studies}, {self.already:,} {were} here already."


def merge(other: Path, *, results: Path, store_url: str) -> Merged:
    """Bring every run, study, timing, trial and file of another directory into this one; the other stays as it is.

    Raises:
        StoreError: One of the two cannot be used, they are the same, or they contradict each other.
    """
    with _found(other, store_url) as database:
        return _merge(other, database, results=results, store_url=store_url)


def _merge(other: Path, database: Path, *, results: Path, store_url: str) -> Merged:
    source_url = sa.URL.create("sqlite", database=str(database)).render_as_string()
    with (
        _opened(source_url, create=False) as source,
        source.engine.connect() as theirs,  # one transaction: what is stored there meanwhile stays out
        _opened(store_url, create=True) as target,
    ):
        with target.engine.connect() as here, source.explained():
            plan = plan_merge(here, theirs)
            states = _find_states(here, theirs, plan, folder=other / "checkpoints")
            names = tuple(read_study_names(theirs))
        before = _load_studies(store_url, names)
        with_weights = _copy_files(plan, states, other=other, results=results)
        with target.begin() as here:
            if plan_merge(here, theirs) != plan:
                raise StoreError(
                    f"Store {target.place} was written by another program while files were copied; "
                    "run the same command again."
                )
            write_merge(here, theirs, plan, with_weights=with_weights)
    _keep_shown(store_url, before)
    copy_trials(source_url, store_url)
    return Merged(merged=len(plan.moves), already=plan.already, studies=names)


def _load_studies(store_url: str, names: Collection[str]) -> list[Study]:
    """Those of these names that are here."""
    with open_store(store_url, patience_seconds=0, whole=True) as store:
        return [store.studies.load(name, with_details=False) for name in store.studies.names() if name in names]


def _keep_shown(store_url: str, before: Sequence[Study]) -> None:
    """Keep what each study showed before whose tables have changed."""
    with open_store(store_url, patience_seconds=0, whole=True) as store:
        for study in before:
            now = store.studies.load(study.name, with_details=False)
            if {run.run_id for run in now.records} != {run.run_id for run in study.records}:
                keep_verdicts(store, study)


@contextlib.contextmanager
def _found(other: Path, store_url: str) -> Iterator[Path]:
    """The other directory's database; of a compact export one that is made of it for as long as it is needed."""
    if is_compact(other) and not (other / "bench.db").exists():
        with tempfile.TemporaryDirectory() as folder:
            yield read_compact(other, Path(folder))
    else:
        yield _find_database(other, store_url)


def _find_database(other: Path, store_url: str) -> Path:
    """The other directory's database, which must be there and be another one."""
    database = other / "bench.db"
    try:
        if other.is_file():
            raise StoreError(f"'{other}' is a file; name the results directory that is to be merged.")
        if not database.is_file():
            raise NoStoreError(f"Nothing to merge: no bench.db in '{other}'; name a results directory that has one.")
        with database.open("rb"):
            pass
        target = read_url(store_url)
        own = Path(target.database or "") if target.get_backend_name() == "sqlite" else None
        if own is not None and own.is_file() and own.samefile(database):
            raise StoreError(f"'{other}' is the results directory itself; name another one behind --merge.")
    except OSError as error:
        raise StoreError(
            f"'{other}' cannot be read ({reason(error)}); fix its permissions or merge a copy of it."
        ) from error
    return database


@contextlib.contextmanager
def _opened(url: str, *, create: bool) -> Iterator[Database]:
    """A database whose faults name their own place: with two open, the fault must not be laid to the other."""
    with open_store(url, create=create, patience_seconds=0, whole=True) as store:

        def explain(context: sa.ExceptionContext) -> None:
            with store.database.explained():
                raise context.sqlalchemy_exception or context.original_exception

        sa.event.listen(store.database.engine, "handle_error", explain)
        yield store.database


def _find_states(here: sa.Connection, theirs: sa.Connection, plan: MergePlan, *, folder: Path) -> list[Path]:
    """States to go on from: of runs that came over interrupted, or that a kill left without a row in either store."""
    ended = set(here.scalars(sa.select(runs.c.run_id))) | set(theirs.scalars(sa.select(runs.c.run_id)))
    ended -= {move.run_id for move in plan.moves if move.row["status"] == "interrupted"}
    return [path for path in sorted(folder.glob("*.unfinished")) if path.stem not in ended]


def _copy_files(plan: MergePlan, states: list[Path], *, other: Path, results: Path) -> set[str]:
    """Copy weights and states; the ids (here) of the runs whose weights are here now."""
    with_weights = set()
    folder = results / "checkpoints"
    try:
        for move in plan.moves:
            path = other / "checkpoints" / Path(move.row["checkpoint"]).name  # never outside, whatever a row says
            if not move.row["checkpoint"] or not path.is_file():
                continue
            content = read_regular(path)
            if hashlib.sha256(content).hexdigest() != move.row["checkpoint_hash"]:
                raise StoreError(f"Weights '{path}' are not those that were stored; delete the file to merge without.")
            target = folder / Path(f"{move.run_id}.pt").name
            if not target.is_file() or target.read_bytes() != content:
                write_atomically(target, content)
            with_weights.add(move.run_id)
        for path in states:
            with contextlib.suppress(FileNotFoundError):  # its run ended a moment ago
                if not (folder / path.name).exists():  # this directory goes on from its own
                    write_atomically(folder / path.name, read_regular(path))
    except OSError as error:
        raise StoreError(
            f"Files of '{other}' cannot be copied to '{results}' ({reason(error)}); nothing is merged."
        ) from error
    return with_weights
