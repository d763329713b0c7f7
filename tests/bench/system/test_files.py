"""Folders for results: what is in them is none of Git's business, unless somebody made them before."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from bench.system.files import make_results_folder

if TYPE_CHECKING:
    from pathlib import Path


GIT = shutil.which("git")


@pytest.mark.skipif(GIT is None, reason="git is not installed")
def test_results_in_somebodys_repository_are_not_for_git(tmp_path: Path) -> None:
    subprocess.run([str(GIT), "init", "--quiet", tmp_path], check=True)
    made = make_results_folder(tmp_path / "nets" / "gate-results")
    (made / "gate.json").write_text("{}")
    there = tmp_path / "kept"
    there.mkdir()
    make_results_folder(there)
    (there / "gate.json").write_text("{}")
    found = subprocess.run(
        [str(GIT), "-C", tmp_path, "status", "--porcelain", "-uall"], capture_output=True, text=True, check=True
    )
    assert found.stdout == "?? kept/gate.json\n", "a folder that was there is left as it was"
    (made / ".gitignore").write_text("!gate.json\n")
    make_results_folder(made)
    assert (made / ".gitignore").read_text() == "!gate.json\n", "what somebody wrote stays"
