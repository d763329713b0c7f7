"""The fresh seeds: by the commit, or, where there is none, by the net and all that is asked of it."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from bench.models.registry import discover
from bench.studies.gate.runs import draw_fresh_seeds, find_source
from tests.bench.studies.gate.examples import make_reference, make_thresholds

if TYPE_CHECKING:
    from pathlib import Path

    from bench.spec import Architecture

NET = """
from torch import nn
from bench.spec import Architecture

A = Architecture(name="net", build=lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
"""
WATCHED = make_thresholds(make_reference("net"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where thresholds lie, outside any checkout."""
    return tmp_path / "thresholds.toml"


def load(folder: Path, text: str) -> tuple[Architecture, ...]:
    folder.mkdir()
    (folder / "net.py").write_text(text)
    return discover(folder).architectures


def test_six_seeds_of_their_own_range_that_a_source_decides() -> None:
    found = draw_fresh_seeds("c0ffee")
    assert found == draw_fresh_seeds("c0ffee")
    assert len(set(found)) == 6
    assert all(40_000 <= seed < 2**31 for seed in found)
    drawn = [draw_fresh_seeds(f"commit {k}") for k in range(200)]
    assert len(set(drawn)) == 200


def test_without_a_repository_an_edited_net_gets_other_seeds(file: Path, tmp_path: Path) -> None:
    net, same, edited = (
        find_source(file, WATCHED, load(tmp_path / name, text))
        for name, text in (
            ("a", NET),
            ("b", f"# a comment\n{NET}"),
            ("c", NET.replace("nn.Flatten()", "nn.Flatten(1)")),
        )
    )
    assert draw_fresh_seeds(net) == draw_fresh_seeds(same)
    assert not set(draw_fresh_seeds(net)) & set(draw_fresh_seeds(edited))


def test_without_a_repository_other_thresholds_give_other_seeds(file: Path, tmp_path: Path) -> None:
    nets = load(tmp_path / "a", NET)
    asked = [
        WATCHED,
        make_thresholds(make_reference("net"), epochs=4),
        make_thresholds(make_reference("net", mean=0.9)),
    ]
    assert len({draw_fresh_seeds(find_source(file, thresholds, nets)) for thresholds in asked}) == 3


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_in_a_repository_the_commit_decides_and_an_edit_does_not(file: Path, tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=tester", "-c", "user.email=tester"]
    net, edited = load(tmp_path / "a", NET), load(tmp_path / "b", NET.replace("nn.Flatten()", "nn.Flatten(1)"))
    sources: list[str] = []
    for message in ("first", "second"):
        subprocess.run([*git, "init", "--quiet"], check=True)
        subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", message], check=True)
        found = {find_source(file, WATCHED, nets) for nets in (net, edited)}
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
        assert found == {head}
        sources += found
    assert not set(draw_fresh_seeds(sources[0])) & set(draw_fresh_seeds(sources[1]))
