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

from bench.system import environment
from bench.system.environment import (
    GitState,
    cpu_model,
    describe_environment,
    find_checkout,
    is_checkout,
    project_version,
)
from tests import ROOT

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


@needs_git
def test_the_checkout_that_holds_a_place_is_found_from_below(tmp_path: Path) -> None:
    assert find_checkout(tmp_path / "file.toml") is None
    git(tmp_path, "init", "--quiet")
    assert find_checkout(tmp_path) == GitState(folder=tmp_path.resolve(), commit=None, changed=())
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "net.py").write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    found = GitState(folder=tmp_path.resolve(), commit=git(tmp_path, "rev-parse", "HEAD"), changed=())
    for place in (tmp_path, tmp_path / "deep" / "net.py", tmp_path / "deep" / "er", tmp_path / "not" / "there.toml"):
        assert find_checkout(place) == found


@needs_git
def test_a_relative_place_and_a_link_lead_to_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkout").mkdir()
    git(tmp_path / "checkout", "init", "--quiet")
    (tmp_path / "link").symlink_to(tmp_path / "checkout")
    found = find_checkout(tmp_path / "link" / "thresholds.toml")
    assert found is not None
    assert found.folder == (tmp_path / "checkout").resolve()
    monkeypatch.chdir(tmp_path / "checkout")
    assert find_checkout(Path("thresholds.toml")) == found


@needs_git
def test_of_nested_checkouts_the_inner_one_counts(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for folder in (tmp_path, inner):
        git(folder, "init", "--quiet")
    found = find_checkout(inner / "thresholds.toml")
    assert found is not None
    assert found.folder == inner.resolve()


@needs_git
def test_a_worktree_is_a_checkout_of_its_own(tmp_path: Path) -> None:
    main, tree = tmp_path / "main", tmp_path / "tree"
    main.mkdir()
    git(main, "init", "--quiet")
    (main / "net.py").write_text("one\n")
    git(main, "add", ".")
    git(main, "commit", "--quiet", "--message", "first")
    git(main, "worktree", "add", "--quiet", str(tree))  # its .git is a file
    (tree / "net.py").write_text("two\n")
    changed = {found.folder.name: found.changed for place in (main, tree) if (found := find_checkout(place))}
    assert changed == {"main": (), "tree": ("net.py",)}


@needs_git
def test_what_changed_is_named_from_the_top_whatever_happened_to_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    (tmp_path / "sub folder").mkdir()
    for name in ("sub folder/a net.py", "gone.py", "old name.py", "both.py", "same.py"):
        (tmp_path / name).write_text(f"what is in {name}\n" * 5)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    git(tmp_path, "checkout", "--quiet", "-b", "other")
    (tmp_path / "both.py").write_text("theirs\n")
    git(tmp_path, "commit", "--quiet", "--all", "--message", "theirs")
    git(tmp_path, "checkout", "--quiet", "main")
    (tmp_path / "both.py").write_text("ours\n")
    git(tmp_path, "commit", "--quiet", "--all", "--message", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        git(tmp_path, "merge", "other")
    git(tmp_path, "mv", "old name.py", "new name.py")
    (tmp_path / "sub folder" / "a net.py").write_text("edited\n")
    (tmp_path / "gone.py").unlink()
    (tmp_path / "added.py").write_text("")
    git(tmp_path, "add", "added.py")
    (tmp_path / "untracked.py").write_text("")
    found = find_checkout(tmp_path / "sub folder")
    assert found is not None
    assert sorted(found.changed) == ["added.py", "both.py", "gone.py", "new name.py", "sub folder/a net.py"]


def test_names_that_git_would_quote_are_given_as_they_are(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    odd = ["größe.toml", 'with "quotes".py', "with\ttab.py"]
    for name in odd:
        (tmp_path / name).write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    for name in odd:
        (tmp_path / name).write_text("two\n")
    found = find_checkout(tmp_path)
    assert found is not None
    assert sorted(found.changed) == sorted(odd)


def test_without_git_there_is_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert find_checkout(tmp_path) is None


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


@needs_git
@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep names as text")
def test_a_name_that_is_not_utf_8_is_named_as_the_system_does(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    odd = tmp_path / os.fsdecode(b"caf\xe9.py")
    odd.write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    odd.write_text("two\n")
    found = find_checkout(tmp_path)
    assert found is not None
    assert found.changed == ("caf\udce9.py",)
    assert (found.folder / found.changed[0]).read_text() == "two\n"


@needs_git
def test_a_checkout_that_git_cannot_read_is_one_all_the_same(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert not is_checkout(below)
    (tmp_path / ".git").mkdir()
    assert (is_checkout(below), find_checkout(below)) == (True, None)
