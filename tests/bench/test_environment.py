"""What is said of a machine: true, quick, and nothing personal."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import environment
from bench.environment import cpu_model, describe_environment, project_version

ROOT = Path(__file__).resolve().parents[2]

GIT = shutil.which("git")
needs_git = pytest.mark.skipif(GIT is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> str:
    """Runs git, unmoved by the user's own settings."""
    assert GIT is not None
    who = {f"GIT_{role}_{what}": "tester" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    answer = subprocess.run(
        [GIT, "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | who | {"GIT_CONFIG_GLOBAL": os.devnull},
    )
    return answer.stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder of its own for `describe_environment`."""
    monkeypatch.setattr(environment, "PROJECT", tmp_path)
    return tmp_path


def state(described: dict[str, Any]) -> tuple[str | None, bool | None]:
    return described["commit"], described["dirty"]


def test_versions_are_those_that_would_be_imported() -> None:
    import numpy as np
    import sqlalchemy as sa
    import torch

    described = describe_environment()
    libraries = described["libraries"]
    assert (libraries["numpy"], libraries["sqlalchemy"]) == (np.__version__, sa.__version__)
    assert libraries["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert described["python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux describes the machine in /proc")
def test_hardware_is_what_the_kernel_says() -> None:
    described = describe_environment()
    total = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    assert total is not None
    assert described["memory_bytes"] == int(total[1]) * 1024
    allowed = re.search(r"Cpus_allowed:\s+([0-9a-f,]+)", Path("/proc/self/status").read_text())
    assert allowed is not None
    assert described["cores"] == int(allowed[1].replace(",", ""), 16).bit_count()


def test_nothing_personal_and_no_path() -> None:
    text = json.dumps(describe_environment())
    assert platform.node() not in text
    assert str(Path.home()) not in text
    assert str(ROOT) not in text
    assert not re.search(r'"[^"]*/[a-z]', text), "no value looks like a path"


def test_json_keeps_it() -> None:
    described = describe_environment()
    assert json.loads(json.dumps(described, allow_nan=False)) == described


def test_the_machine_is_a_hash_of_what_decides_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    here = describe_environment()["machine"]
    assert re.fullmatch("[0-9a-f]{12}", here)
    assert describe_environment()["machine"] == here
    machines = {here, describe_environment(accelerator="a card")["machine"]}
    with monkeypatch.context() as other:
        other.setattr(environment, "usable_cores", lambda: 999)
        machines.add(describe_environment()["machine"])
    with monkeypatch.context() as other:
        other.setattr(environment, "cpu_model", lambda: "another processor")
        machines.add(describe_environment()["machine"])
    real = environment._version
    for library, changes in (("torch", True), ("matplotlib", False)):
        with monkeypatch.context() as other:
            other.setattr(environment, "_version", lambda name, lib=library: "0.0" if name == lib else real(name))
            machine = describe_environment()["machine"]
        assert (machine != here) is changes
        machines.add(machine)
    assert len(machines) == 5


def test_the_commit_does_not_name_the_machine(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state(describe_environment()) == (None, None)
    without = describe_environment()["machine"]
    monkeypatch.setattr(environment, "PROJECT", ROOT)
    assert describe_environment()["machine"] == without
    assert project != ROOT


@needs_git
def test_commit_and_dirt(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(project, "init", "--quiet")
    (project / "net.py").write_text("one\n")
    assert state(describe_environment()) == (None, False), "there is no commit yet"
    git(project, "add", "net.py")
    git(project, "commit", "--quiet", "--message", "first")
    head = git(project, "rev-parse", "HEAD")
    assert state(describe_environment()) == (head, False)
    (project / "notes.txt").write_text("untracked")
    assert state(describe_environment()) == (head, False)
    (project / "net.py").write_text("two\n")
    assert state(describe_environment()) == (head, True)
    monkeypatch.setenv("GIT_DIR", str(ROOT / ".git"))  # as inside a hook
    assert state(describe_environment()) == (head, True)


@needs_git
def test_a_repository_around_the_project_is_not_the_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "site-packages").mkdir()
    monkeypatch.setattr(environment, "PROJECT", tmp_path / "site-packages")
    assert state(describe_environment()) == (None, None)


def test_without_git_and_with_a_git_that_hangs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".git").mkdir()
    with monkeypatch.context() as bare:
        bare.setenv("PATH", "")
        assert state(describe_environment()) == (None, None)
    programs = project / "bin"
    programs.mkdir()
    (programs / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(environment, "_GIT_TIMEOUT_SECONDS", 0.1)
    assert state(describe_environment()) == (None, None)


def test_the_version_of_a_checkout_that_is_not_installed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_version", lambda _name: None)
    assert project_version() == "unknown"
    (project / "pyproject.toml").write_text('[project]\nversion = "9.8.7"\n')
    assert project_version() == "9.8.7"
    (project / "pyproject.toml").write_text("[project\n")
    assert project_version() == "unknown"


def test_the_processor_of_a_machine(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: A Fine Processor: 2 GHz\nflags\t: fpu\nmodel name\t: Another\n")
    assert cpu_model(cpuinfo) == "A Fine Processor: 2 GHz"
    cpuinfo.write_text("processor\t: 0\nCPU part\t: 0xd0c\n")  # ARM has no model name
    fallback = platform.processor() or platform.machine()
    assert cpu_model(cpuinfo) == fallback
    assert cpu_model(tmp_path / "missing") == fallback
    assert fallback
