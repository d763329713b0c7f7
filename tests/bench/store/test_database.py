"""Every way in which a store can be unusable is one line with the place and a way out, and loses nothing."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.core.errors import NoStoreError, StoreError
from bench.store.store import open_store
from tests.bench.store.examples import make_curve, make_predictions, store_url
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_line(place: object, *words: str) -> Iterator[None]:
    """Expects a StoreError of one line that names the place and says these words."""
    with pytest.raises(StoreError) as caught:
        yield
    message = str(caught.value)
    assert "\n" not in message
    assert str(place) in message
    for word in words:
        assert re.search(word, message), f"{word!r} is not in {message!r}"


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own at `folder`; skips where mounting is not allowed."""
    mount = shutil.which("mount")
    if mount is None or os.name != "posix":
        pytest.skip("no mount command here")
    if subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True).returncode:  # noqa: PLW1510
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)  # noqa: S607


def make_store(folder: Path) -> Path:
    """A store with one run; returns its file."""
    with open_store(store_url(folder)) as store:
        store.runs.add(record_of(make_request()), make_curve(), [make_predictions("test", 2_000)])
    return folder / "bench.db"


def is_intact(folder: Path, *, runs: int) -> bool:
    with closing(sqlite3.connect(folder / "bench.db")) as connection:
        checked = connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counts = [connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("bench_runs", "bench_curves")]  # noqa: S608
    return checked and counts == [runs, runs]


def test_garbage_is_no_database_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "bench.db"
    file.write_bytes(b"these are notes, not a database\n" * 100)
    with one_line(file, "not a database", "move it away", "--results"):
        open_store(store_url(tmp_path))
    assert file.read_bytes() == b"these are notes, not a database\n" * 100
    assert [path.name for path in tmp_path.iterdir()] == ["bench.db"]


def test_a_torn_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    file = make_store(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * 8192 + content[12288:])
    with one_line(file, "damaged", "--results"), open_store(store_url(tmp_path)) as store:
        store.runs.counted([make_request().id])


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = make_store(tmp_path)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE bench_schema_version SET version_num = '9999'")
    with one_line(file, "'9999'", "newer", "update"):
        open_store(store_url(tmp_path))
    assert is_intact(tmp_path, runs=1)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_results_directory_that_is_a_file(tmp_path: Path, below: str) -> None:
    (tmp_path / "results").write_text("a file")
    directory = tmp_path / "results" / below
    with one_line(directory, "file", "--results"):
        open_store(store_url(directory))
    assert (tmp_path / "results").read_text() == "a file"


def test_a_store_that_is_a_directory(tmp_path: Path) -> None:
    (tmp_path / "bench.db").mkdir()
    with one_line(tmp_path / "bench.db", "cannot be opened", "--results"):
        open_store(store_url(tmp_path))


@pytest.mark.skipif(not hasattr(os, "setresuid"), reason="needs setresuid to drop root, whom permissions do not bind")
@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_directory_without_permission(tmp_path: Path, below: str) -> None:
    make_store(tmp_path)  # everything is imported before rights are dropped
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        is_root = os.getuid() == 0
        try:
            if is_root:
                os.setresuid(65534, 65534, 0)
            with one_line(name, "cannot be (written|made)", "--results"):
                open_store(store_url(Path(name) / below))
        finally:
            if is_root:
                os.setresuid(0, 0, 0)
        Path(name).chmod(0o755)
        assert list(Path(name).iterdir()) == []


def test_a_disk_that_becomes_read_only_half_way(tmp_path: Path) -> None:
    with small_disk(tmp_path, "4m"):
        file = make_store(tmp_path)
        with open_store(store_url(tmp_path)) as store:
            store.runs.add(record_of(make_request(1)))
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)  # noqa: S607
        with one_line(tmp_path, "cannot be written", "--results"):
            open_store(store_url(tmp_path))
        subprocess.run(["mount", "-o", "remount,rw", tmp_path], check=True)  # noqa: S607
        assert file.exists()
        assert is_intact(tmp_path, runs=2)


def test_a_full_disk_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m"):
        file, stored = make_store(tmp_path), 1
        with open_store(store_url(tmp_path)) as store:
            with one_line(file, "full", "free some space"):
                for seed in range(1, 100):
                    store.runs.add(record_of(make_request(seed)), make_curve(), [make_predictions("test", 5_000)])
                    stored += 1
            assert 1 < stored < 30
            assert len(store.runs.counted([make_request(seed).id for seed in range(100)])) == stored
        assert is_intact(tmp_path, runs=stored)


def test_a_full_disk_by_quota(tmp_path: Path) -> None:
    file = make_store(tmp_path)
    with open_store(store_url(tmp_path)) as store:
        with store.database.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        with one_line(file, "full", "free some space"):
            store.runs.add(record_of(make_request(1)), make_curve(), [make_predictions("test", 5_000)])
        with store.database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=100000")
        assert store.runs.add(record_of(make_request(1)), make_curve(), [make_predictions("test", 5_000)])
    assert is_intact(tmp_path, runs=2)


def test_a_lock_held_too_long(tmp_path: Path) -> None:
    file = make_store(tmp_path)
    with (
        open_store(store_url(tmp_path), timeout_seconds=0.1) as store,
        closing(sqlite3.connect(file, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        assert len(store.runs.counted([make_request().id])) == 1, "readers do not wait"
        with one_line(file, "locked", r"0\.1 s", "again"):
            store.runs.add(record_of(make_request(1)))
        other.execute("ROLLBACK")
        assert store.runs.add(record_of(make_request(1)))
    assert [path.name for path in tmp_path.iterdir()] == ["bench.db"], "closing leaves no log behind"


def test_the_default_wait_is_half_a_minute_and_commits_are_flushed(tmp_path: Path) -> None:
    with open_store(store_url(tmp_path)) as store, store.database.engine.connect() as connection:
        pragmas = ("busy_timeout", "journal_mode", "foreign_keys", "synchronous")
        values = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() for pragma in pragmas]
    assert values == [30_000, "wal", 1, 2]


def test_a_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with one_line("postgresql+psycopg://me:***@host/db", "'psycopg'", "not installed", "pip install"):
        open_store("postgresql+psycopg://me:secret@host/db?sslpassword=secret")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("results/bench.db", "no database URL"),
        ("postgres://host/db", "postgresql"),
        ("mysql://me:secret@host/db", "only sqlite and postgresql"),
        ("sqlite+nonsense:///bench.db", "no database URL"),
    ],
)
def test_urls_that_are_none(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_no_store_is_made_where_only_reading_was_asked_for(tmp_path: Path) -> None:
    with one_line(tmp_path / "none" / "bench.db", "No store", "--results"):
        open_store(store_url(tmp_path / "none"), create=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "bench.db").touch()
    with one_line(tmp_path / "bench.db", "no results"):
        open_store(store_url(tmp_path), create=False)


@pytest.mark.parametrize("inside", ["", "deeper/still"])
def test_a_file_where_a_results_directory_is_wanted(tmp_path: Path, inside: str) -> None:
    file = tmp_path / "README.md"
    file.write_text("text")
    url = store_url(file / inside)
    with pytest.raises(StoreError, match=r"README\.md' is a file, and a results directory is wanted; name") as caught:
        open_store(url, create=False)
    assert not isinstance(caught.value, NoStoreError), "a plan must not go on as if a store could be made there"
    assert "train something" not in str(caught.value)
    with pytest.raises(StoreError, match=r"README\.md.* cannot be written .*; choose another with --results"):
        open_store(url)
    assert file.read_text() == "text"


def test_a_place_that_cannot_even_be_looked_at(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot be read \(File name too long\); name another with"):
        open_store(store_url(tmp_path / ("x" * 300)), create=False)


def test_our_own_mistakes_keep_their_traceback(tmp_path: Path) -> None:
    with open_store(store_url(tmp_path)) as store, pytest.raises(Exception, match="NOT NULL") as caught:
        store.runs.add(record_of(make_request(), status=None))
    assert not isinstance(caught.value, StoreError)


def test_a_database_is_copied_with_what_its_log_holds_and_under_any_name(tmp_path: Path) -> None:
    """As where a directory is read-only and SQLite cannot make the log's index: the files are copied then."""
    from bench.store.database import copied

    source = tmp_path / "source" / "other.db"
    with open_store(f"sqlite:///{source}") as store:
        store.studies.plan("one", command="", requests=[], role="compare")
        frozen = tmp_path / "frozen"
        shutil.copytree(source.parent, frozen, ignore=shutil.ignore_patterns("*-shm"))  # the log is not yet taken over
    assert (frozen / "other.db-wal").stat().st_size
    with copied.copied_store(source) as folder, open_store(f"sqlite:///{folder}/bench.db", create=False) as store:
        assert store.studies.names() == ["one"]
    target = tmp_path / "bench.db"
    copied._copy_files(frozen / "other.db", target)
    with open_store(f"sqlite:///{target}", create=False) as store:
        assert store.studies.names() == ["one"]
