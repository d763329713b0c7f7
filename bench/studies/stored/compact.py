"""A study as small files of text that a repository can hold and `--merge` reads back, bit for bit.

A file for every cohort (runs that differ in seed alone), so that a sitting changes only those that it trained, and one
for the study. Each line is a row of a table of the store, in JSON; lzma makes the files a tenth of that. Left out are
weights, validation answers, and the answers to test images of claims that do not speak of them.
"""

from __future__ import annotations

import base64
import json
import lzma
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bench.core.errors import StoreError, reason
from bench.store import schema
from bench.store.store import open_store
from bench.studies.claims.quantities import find_runs
from bench.system.files import read_regular, write_atomically
from bench.system.text import slugify

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from bench.core.options import StudyOptions
    from bench.core.records import Study
    from bench.store.store import Store

    Row = dict[str, Any]

ENDING = ".jsonl.xz"
FOLDER = "compact"
"""Where an export lies in its results directory."""
_STUDY_FILE = f"study{ENDING}"
_TABLES = {
    table.name: table
    for table in (
        schema.studies,
        schema.runs,
        schema.curves,
        schema.predictions,
        schema.architectures,
        schema.datasets,
        schema.links,
        schema.claims,
    )
}
"""In the order in which rows are read back: what others refer to comes first."""
_MOST_BYTES = 1 << 30


def is_compact(folder: Path) -> bool:
    """Whether a folder holds such an export."""
    try:
        return (folder / _STUDY_FILE).is_file()
    except OSError:  # a name that no file can have
        return False


def write_compact(options: StudyOptions) -> Path:
    """Write the study shown, in place of what stood there of it; the folder.

    Raises:
        StoreError: There is no such study, or the files cannot be written.
        UnknownNameError: There is no study of that name.
    """
    folder = options.results / FOLDER
    with open_store(options.store_url, create=False, whole=True) as store:
        name = options.study or store.studies.last()
        if name is None:
            raise StoreError(f"No study in {store.place} yet; train one first.")
        study = store.studies.load(name)
        files = dict(_files(store, study))
    try:
        for file, lines in files.items():
            content = lzma.compress("".join(lines).encode(), preset=9)
            path = folder / file
            if not path.is_file() or path.read_bytes() != content:
                write_atomically(path, content)
        for path in set(folder.glob(f"*{ENDING}")) - {folder / each for each in files}:
            path.unlink()
    except OSError as fault:
        raise StoreError(f"'{folder}' cannot be written ({reason(fault)}); choose another --results.") from fault
    return folder


def _files(store: Store, study: Study) -> Iterator[tuple[str, list[str]]]:
    """Each file with its lines."""
    answered = _answered(study)

    def read(connection: sa.Connection) -> list[tuple[str, list[str]]]:
        study_row = connection.execute(sa.select(schema.studies).where(schema.studies.c.name == study.name)).one()
        of_study = schema.links.c.study_id == study_row.study_id
        links = connection.execute(sa.select(schema.links).where(of_study).order_by(*schema.links.primary_key)).all()
        asked = [link.request_id for link in links]
        runs = list(schema.select_in(connection, sa.select(schema.runs), schema.runs.c.request_id, asked))
        runs.sort(key=lambda row: (row.seed, row.run_id))
        cohorts: dict[tuple[str, str], list[str]] = {}
        for row in runs:
            lines = cohorts.setdefault((row.architecture, row.cohort), [])
            lines += _lines(schema.runs.name, [row._asdict() | {"checkpoint": ""}])
            for table in (schema.curves, schema.predictions):
                found = connection.execute(sa.select(table).where(table.c.run_id == row.run_id)).all()
                kept = [each._asdict() for each in found]
                if table is schema.predictions:
                    kept = [each for each in kept if each["split"] == "test" and row.run_id in answered]
                lines += _lines(table.name, kept)
        known = [*_lines(schema.studies.name, [study_row._asdict()])]
        for table, column, keys in (
            (schema.architectures, schema.architectures.c.architecture_hash, {row.architecture_hash for row in runs}),
            (schema.datasets, schema.datasets.c.data_hash, {row.data_hash for row in runs}),
        ):
            rows = schema.select_in(connection, sa.select(table), column, sorted(keys))
            known += _lines(table.name, [row._asdict() for row in rows])
        claims = sa.select(schema.claims).where(schema.claims.c.study_id == study_row.study_id)
        known += _lines(schema.links.name, [link._asdict() for link in links])
        ordered = connection.execute(claims.order_by(schema.claims.c.place))
        known += _lines(schema.claims.name, [row._asdict() for row in ordered])
        return [
            (_STUDY_FILE, known),
            *((f"{slugify(name)}-{cohort}{ENDING}", lines) for (name, cohort), lines in sorted(cohorts.items())),
        ]

    yield from store.database.read(read)


def _answered(study: Study) -> set[str]:
    """Runs whose answers to test images are kept: all that are compared, and those of claims on confusions."""
    found = {run_id for run_id, role in study.roles.items() if role != "claim"}
    for asked in study.claims:
        if asked.claim.rule == "confusions":
            for arm in asked.claim.arms:
                found |= {record.run_id for record in find_runs(study, arm, asked).records.values()}
    return found


def _lines(table: str, rows: Iterable[Row]) -> list[str]:
    return [json.dumps({"table": table, "row": {k: _plain(v) for k, v in row.items()}}) + "\n" for row in rows]


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _bytes_again(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) and value.keys() == {"base64"} else value


def read_compact(folder: Path, results: Path) -> Path:
    """Make a store of an export in a results directory; the database.

    Raises:
        StoreError: A file cannot be read, or is damaged.
    """
    rows: dict[str, list[Row]] = {name: [] for name in _TABLES}
    for path in sorted(folder.glob(f"*{ENDING}")):
        for line in _read_lines(path):
            rows[line["table"]].append({key: _bytes_again(value) for key, value in line["row"].items()})
    database = results / "bench.db"
    with open_store(f"sqlite:///{database}") as store, store.database.begin() as connection, store.database.explained():
        for name, table in _TABLES.items():
            if rows[name]:
                connection.execute(sa.insert(table), rows[name])
    return database


def _knows(table: str, columns: AbstractSet[str]) -> bool:
    """Whether a row of these columns can be stored: all are known, and none is missing that must be there."""
    if table not in _TABLES:
        return False
    own = _TABLES[table].columns
    needed = {column.name for column in own if not (column.nullable or column.server_default is not None)}
    return needed <= columns <= {column.name for column in own}


def _read_lines(path: Path) -> list[Row]:
    try:
        text = lzma.decompress(read_regular(path, most_bytes=_MOST_BYTES)).decode()
        lines = [json.loads(line) for line in text.splitlines()]
        known = all(_knows(line["table"], line["row"].keys()) for line in lines)
    except OSError as fault:
        raise StoreError(f"'{path}' cannot be read ({reason(fault)}); fix that, or merge without it.") from fault
    except (lzma.LZMAError, ValueError, KeyError, TypeError, AttributeError, EOFError) as fault:
        raise StoreError(f"'{path}' is damaged ({fault}); take it from the repository again.") from fault
    if not known:
        raise StoreError(f"'{path}' is of another version of the suite; merge it with the one that wrote it.")
    return lines
