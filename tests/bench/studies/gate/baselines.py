"""What a recording starts from, found for nets that are never built, and git, for tests of both."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from bench.cli.arguments import parse_arguments
from bench.models.registry import Registry
from bench.spec import Architecture
from bench.studies.gate.record import Baseline, find_baseline

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

GIT = shutil.which("git")
needs_git = pytest.mark.skipif(GIT is None, reason="git is not installed")


def _build() -> nn.Module:
    raise AssertionError("nothing is built to find out what is to be recorded")


def net(name: str, variant_of: str | None = None) -> Architecture:
    return Architecture(name=name, build=_build, variant_of=variant_of)


REGISTRY = Registry(
    architectures=(net("alpha"), net("beta"), net("alpha-v", "alpha"), net("beta-v", "beta")), broken={}
)


def git(folder: Path, *words: str) -> str:
    """Runs git, unmoved by the user's own settings."""
    assert GIT is not None
    who = {f"GIT_{role}_{what}": "tester" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    answer = subprocess.run(
        [GIT, "-C", str(folder), *words],
        capture_output=True, text=True, check=True, env=surroundings | who | {"GIT_CONFIG_GLOBAL": os.devnull},
    )  # fmt: skip
    return answer.stdout.strip()


def find(file: Path, words: str = "--all", registry: Registry = REGISTRY) -> Baseline:
    arguments = parse_arguments([*words.split(), "--write-thresholds", str(file)])
    assert arguments.gate is not None
    return find_baseline(arguments.options, arguments.gate, registry)


def names(found: Baseline) -> list[str]:
    return [net.name for net in found.nets]
