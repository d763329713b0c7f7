"""The doctor as tests of somebody's own repository: a test of each net and check."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.core.metadata import CHECKS
from tests import ROOT
from tests.front_door import write_faulty, write_tiny

if TYPE_CHECKING:
    from pathlib import Path

ADVISED = """
from torch import nn

class Advised(nn.Sequential):
    def __init__(self):
        stages = nn.Conv2d(1, 4, 5), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(8)
        super().__init__(*stages, nn.Flatten(), nn.Linear(36, 10))
"""
TESTS = len(CHECKS) - 1  # all but whether it can be loaded


def pytest_says(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code and output of pytest in a repository, with the plugin and no other."""
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "pytest", "-p", "bench.cli.pytest_plugin", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_there_is_a_test_of_each_net_and_check(tmp_path: Path) -> None:
    write_faulty(tmp_path, "leaks", fault="images = images - images.mean(0)")
    (tmp_path / "broken.py").write_text("raise ValueError('no')")
    (tmp_path / "advised.py").write_text(ADVISED)
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")
    settings = '[tool.pytest.ini_options]\narchitectures = ["leaks.py", "advised.py:Advised", "broken.py"]\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    code, said = pytest_says(tmp_path, "-rf")
    assert code == 1
    assert f"2 failed, {2 * TESTS} passed" in said  # the leak and the broken file; one test is the repository's own
    assert re.search(r"FAILED leaks\.py::leaks::leak", said)
    assert re.search(r"FAILED broken\.py::loads", said)
    assert "in eval mode the logits of an image change by" in said
    assert "importing it raised ValueError: no" in said
    assert "advice of the doctor" in said
    assert said.count("Advised: bias-before-norm: 0: layer 0 (Conv2d) has a bias") == 1
    assert "Traceback" not in said


def test_they_are_chosen_like_others_and_only_when_asked_for(tmp_path: Path) -> None:
    net = write_tiny(tmp_path)
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")
    code, said = pytest_says(tmp_path, "--architectures", str(net), "-k", "tiny and leak", "-v")
    assert code == 0
    assert "1 passed" in said
    assert "::tiny::leak PASSED" in said
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\narchitectures = ["tiny.py"]\n')
    assert "1 passed" in pytest_says(tmp_path, "test_own.py")[1]
