"""A helper that changes between two commands: what people see, from a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.front_door import RUNNER, SHORT, rows

if TYPE_CHECKING:
    from pathlib import Path

NET = '''
"""A net whose width is in a file of the folder above."""
import sys
from pathlib import Path
from torch import nn
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from widths_of_nets import HIDDEN
from bench.spec import Architecture

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))

ARCHITECTURE = Architecture(name="stale", build=build)
'''
SUPERSEDED = "superseded, and what is asked for and not stored is trained anew"


def train(folder: Path, width: int, *words: object) -> str:
    """What a command said after the helper was written; it must have ended well."""
    (folder / "widths_of_nets.py").write_text(f"HIDDEN = {width}\n")
    short = [word for word in SHORT if word != "--quiet"]
    command = [sys.executable, RUNNER, "--arch", folder / "net" / "net.py", "--results", folder / "r", *short, *words]
    answer = subprocess.run(
        list(map(str, command)), cwd=folder, env=os.environ | {"COLUMNS": "400", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    return answer.stdout


def test_no_row_holds_the_net_before_and_the_net_after(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "net.py").write_text(NET)
    # 785·8 + 9·10 and 785·16 + 17·10 parameters
    assert SUPERSEDED not in train(tmp_path, 8, "--seeds", 2)
    first = {row["run_id"] for row in rows(tmp_path / "r")}
    said = train(tmp_path, 16, "--seeds", 1)
    assert f"2 runs are {SUPERSEDED}" in said
    assert [(row["seed"], row["params"], row["status"]) for row in rows(tmp_path / "r")] == [
        ("0", str(785 * 16 + 17 * 10), "ok")
    ]
    again = train(tmp_path, 16, "--seeds", 1)
    assert SUPERSEDED not in again
    assert "0 runs to train, 1 stored already" in again
    # Back as it was, its runs are there again and nothing is trained.
    back = train(tmp_path, 8, "--seeds", 2)
    assert f"1 run is {SUPERSEDED}" in back
    assert "0 runs to train, 2 stored already" in back
    assert {row["run_id"] for row in rows(tmp_path / "r")} == first
    assert {row["params"] for row in rows(tmp_path / "r")} == {str(785 * 8 + 9 * 10)}
