"""What a run's numbers were made on: versions, hardware, commit. Imports nothing heavy and says nothing personal.

Reports are published, so no host name, user name or path is in here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parents[2]
"""The folder that holds runner.py."""

LIBRARIES = tuple(
    "torch torchvision torchinfo numpy scipy statsmodels scikit-learn pandas mlxtend optuna sqlalchemy alembic "
    "distributed matplotlib seaborn".split()
)
_ENGINE_LIBRARIES = ("torch", "torchvision", "numpy")
"""Those whose version can change the speed of a run."""

INSTRUCTION_LIMITS = tuple(
    "ATEN_CPU_CAPABILITY ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA MKL_ENABLE_INSTRUCTIONS MKL_CBWR".split()
)
"""Variables that keep torch, oneDNN and MKL from instructions which the processor has."""

_GIT_TIMEOUT_SECONDS = 5.0


def describe_environment(*, accelerator: str = "") -> dict[str, Any]:
    """Versions and hardware, as JSON keeps them.

    Args:
        accelerator: Name of the accelerator that computes, as its library calls it; empty on a CPU.

    Returns:
        `project_version`, `commit` and `dirty` (None without git; untracked files are not dirt), `python`, `libraries`
        (version by name, those that are installed), `os`, `libc`, `cpu`, `cores` (those this process may use),
        `memory_bytes`, `accelerator`, and `machine`: a hash of everything that decides speed. Timings may be compared
        only where `machine` agrees.
    """
    checkout = _git_state(PROJECT)
    libraries = {name: version for name in LIBRARIES if (version := _version(name))}
    hardware = {
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()).strip(),
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "accelerator": accelerator,
    }
    decisive = hardware | {name: libraries.get(name) for name in _ENGINE_LIBRARIES}
    # Only where set: a processor with fewer instructions is another machine, and others keep the name that they had.
    decisive |= {name: os.environ[name] for name in INSTRUCTION_LIMITS if os.environ.get(name)}
    return hardware | {
        "project_version": project_version(),
        "commit": checkout and checkout.commit,
        "dirty": checkout and bool(checkout.changed),
        "libraries": libraries,
        "memory_bytes": psutil.virtual_memory().total,
        "machine": hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12],
    }


def project_version() -> str:
    """Version of this suite: as installed, else as pyproject.toml beside it says."""
    if installed := _version("architecture-bench"):
        return installed
    try:
        return str(tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    except (OSError, ValueError, KeyError):
        return "unknown"


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What the processor calls itself; its instruction set where it does not say."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class GitState:
    """What git says of a checkout: its top folder, the commit, None before the first one, and what differs from it.

    `changed` holds tracked files, from the top; untracked files are no change.
    """

    folder: Path
    commit: str | None
    changed: tuple[str, ...]


def find_checkout(place: Path) -> GitState | None:
    """The checkout that holds a place, itself or above; None without one, or when git has nothing to say of it."""
    top = _find_top(place)
    return None if top is None else _git_state(top)


def is_checkout(place: Path) -> bool:
    """Whether a place lies in a checkout, whatever git says of it."""
    return _find_top(place) is not None


def _find_top(place: Path) -> Path | None:
    place = place.resolve()
    return next((folder for folder in (place, *place.parents) if (folder / ".git").exists()), None)


def _git_state(folder: Path) -> GitState | None:
    """What git says of this very folder; None when it has nothing to say of it."""
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return None
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(  # noqa: S603 - fixed arguments
            [git, "-C", str(folder), "status", "-z", "--porcelain=v2", "--branch", "--untracked-files=no"],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_GIT_TIMEOUT_SECONDS,
            check=True,
            env=surroundings | {"GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    entries = iter(answer.stdout.split("\0"))  # quoted paths, as between line ends, would name no file
    commit, changed = None, []
    for entry in entries:
        if entry.startswith("# branch.oid"):
            commit = entry.split()[-1]
        elif entry and not entry.startswith("#"):
            changed.append(entry.split(" ", _FIELDS[entry[0]])[-1])
            if entry[0] == "2":
                next(entries)  # what a renamed file was called
    return GitState(folder=folder, commit=None if commit == "(initial)" else commit, changed=tuple(changed))


_FIELDS = {"1": 8, "2": 9, "u": 10}
"""Fields before the path of a changed, renamed or conflicting file (`git status --porcelain=v2`)."""
