"""Pipes, devices, folders and odd surroundings where a file or a terminal is expected: one line, never a wait."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.system.files import check_could_be_made, open_regular, read_regular, write_atomically
from bench.system.urls import name_place
from tests.front_door import RUNNER, run

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX")

PLAN = "--dataset mnist5k --plan --results {folder}/r"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--all --check /dev/full", "'/dev/full' cannot be read (it is not a regular file); name another file."),
        ("--all --check {folder}/pipe", "pipe' cannot be read (it is not a regular file); name another file."),
        ("--all --check {folder}", "cannot be read (Is a directory); name another file."),
        (f"--arch bn25k --tune --space {{folder}}/pipe {PLAN}", "pipe cannot be read (it is not a regular file)"),
        (f"--arch {{folder}}/pipe.py {PLAN}", "pipe.py is no regular file; give the path of a Python file."),
        (f"--arch bn25k --augmentation crop:100 {PLAN}", "'crop:100' of bn25k moves images of 28×28 pixels out of"),
        (
            "--arch bn25k --dataset mnist5k --plan --store sqlite:////proc/x/bench.db",
            "'/proc/x' cannot be made in '/proc'",
        ),
        ("--arch bn25k --dataset mnist5k --plan --results {folder}/pipe/r", "cannot be made in"),
        ("--report --results {folder}/db", "bench.db cannot be read or written"),
        ("--report --results {folder}/loop", "No store at"),
        ("--merge {folder}/db --results {folder}/r", "Nothing to merge: no bench.db in"),
        (
            "--report --store postgresql+psycopg://u:p@ss:w/rd@h/db",
            "Store 'postgresql+psycopg://***@h/db' is no database",
        ),
    ],
)
def test_what_is_no_file_is_one_line(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "db").mkdir()
    for name in ("pipe", "pipe.py", "db/bench.db"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "loop").symlink_to("loop")
    assert run(*words.format(folder=tmp_path).split()) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "r").exists(), "a plan leaves nothing behind"


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("bn* hidden=8", "'bn*' means bn25k, bn24k, bn106k, bn207k; values of knobs go with one of them."),
        ("bn25k hidden=8 hidden=16", "hidden stands there twice; give one value."),
    ],
)
def test_knobs_belong_to_one_net_and_have_one_value(
    arch: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--arch", arch, "--dataset", "mnist5k", "--plan", "--results", tmp_path / "r") == 2
    assert capsys.readouterr().err == f"runner.py: --arch '{arch}': {message}\n"


def test_only_regular_files_are_read_and_written(tmp_path: Path) -> None:
    file, pipe = tmp_path / "file", tmp_path / "pipe"
    file.write_bytes(b"0123456789")
    os.mkfifo(pipe)
    assert read_regular(file) == b"0123456789"
    assert read_regular(file, most_bytes=10) == b"0123456789"
    with pytest.raises(OSError, match="10 bytes are too many, 9 the most"):
        read_regular(file, most_bytes=9)
    for other in (pipe, Path("/dev/zero")):
        with pytest.raises(OSError, match="it is not a regular file"):
            open_regular(other)
        with pytest.raises(OSError, match="it is not a regular file"):
            write_atomically(other, b"")
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    assert pipe.is_fifo()
    assert check_could_be_made(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql+psycopg://u:p@ss:w/rd@h:1/db?sslpassword=w", "postgresql+psycopg://***@h:1/db"),
        ("postgresql+psycopg://u:ss?w@h@x/db", "postgresql+psycopg://***@x/db"),
        ("postgresql+psycopg://u:secret", "postgresql+psycopg://…"),
        ("postgresql+psycopg://u:secret@h/db?password=x", "postgresql+psycopg://u:***@h/db"),
        ("u:secret@h", "u:***@h"),
        ("sqlite:////home/me@work/bench.db", "/home/me@work/bench.db"),
    ],
)
def test_no_url_shows_its_password(url: str, place: str) -> None:
    assert name_place(url) == place


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_that_knows_few_characters(encoding: str) -> None:
    surroundings = os.environ | {"PYTHONIOENCODING": encoding, "COLUMNS": "1"}
    command = [sys.executable, str(RUNNER), "--list"]
    ended = subprocess.run(command, capture_output=True, check=False, env=surroundings)
    assert (ended.returncode, ended.stderr) == (0, b"")
