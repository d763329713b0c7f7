"""What a recording starts from: the checkout it names, the file that is there, and the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from gate_examples import make_reference, make_thresholds

from bench.arguments import parse_arguments
from bench.errors import ActionError, ArchitectureError, ThresholdsError, UnknownNameError, UsageError
from bench.gate import baseline, work
from bench.gate.baseline import Baseline, find_baseline
from bench.gate.seeds import find_commit
from bench.gate.writing import write_thresholds
from bench.nets.registry import Registry
from bench.recipe import Recipe
from bench.spec import Architecture

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


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where thresholds belong, outside any checkout; the suite itself lies in none either."""
    for module in (baseline, work):
        monkeypatch.setattr(module, "PROJECT", tmp_path / "suite")
    (tmp_path / "repository").mkdir()
    return tmp_path / "repository" / "thresholds.toml"


@pytest.fixture
def checkout(file: Path) -> Path:
    """A checkout around the file, with nets.py in it."""
    folder = file.parent
    git(folder, "init", "--quiet")
    (folder / "nets.py").write_text("one\n")
    write_thresholds(file, make_thresholds(make_reference("alpha")))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def find(file: Path, words: str = "--all", registry: Registry = REGISTRY) -> Baseline:
    arguments = parse_arguments([*words.split(), "--write-thresholds", str(file)])
    assert arguments.gate is not None
    return find_baseline(arguments, arguments.gate, registry)


def names(found: Baseline) -> list[str]:
    return [net.name for net in found.nets]


def test_without_a_file_the_command_line_and_the_defaults_say_how(file: Path) -> None:
    found = find(file)
    assert names(found) == ["alpha", "beta"]
    assert (found.dataset, found.device, found.epochs, found.recipe) == ("auto", "auto", 3, Recipe())
    assert (dict(found.before), dict(found.kept), found.commit, found.changed) == ({}, {}, "", ())
    found = find(file, "--arch beta-v --dataset kmnist --epochs 9 --lr 0.1 --device cpu")
    assert names(found) == ["beta-v"]
    assert (found.dataset, found.device, found.epochs, found.recipe) == ("kmnist", "cpu", 9, Recipe(lr=0.1))


def test_what_the_command_line_does_not_say_stays_as_it_is_in_the_file(file: Path) -> None:
    recipe = Recipe(lr=0.01, weight_decay=0.1)
    stored = make_thresholds(make_reference("alpha"), dataset="kmnist", device="cpu", recipe=recipe, epochs=20)
    write_thresholds(file, stored)
    found = find(file)
    assert (found.dataset, found.device, found.epochs, found.recipe) == ("kmnist", "cpu", 20, recipe)
    assert (dict(found.before), found.changed) == ({"alpha": make_reference("alpha")}, ())


def test_a_subset_keeps_the_others(file: Path) -> None:
    write_thresholds(file, make_thresholds(*map(make_reference, ("alpha", "beta", "gone"))))
    found = find(file, "--arch beta")
    assert names(found) == ["beta"]
    assert dict(found.kept) == {"alpha": make_reference("alpha"), "gone": make_reference("gone")}
    assert set(found.before) == {"alpha", "beta", "gone"}


def test_all_keeps_nothing_and_records_variants_that_were_recorded(file: Path) -> None:
    write_thresholds(file, make_thresholds(*map(make_reference, ("alpha-v", "gone"))))
    found = find(file)
    assert names(found) == ["alpha", "beta", "alpha-v"]
    assert dict(found.kept) == {}
    assert names(find(file, "--all --variants")) == ["alpha", "beta", "alpha-v", "beta-v"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--lr 0.1", "recipe shared → shared lr=0.1"),
        ("--epochs 9", "epochs 3 → 9"),
        ("--dataset kmnist", "dataset mnist5k → kmnist"),
        ("--device cuda", "device cpu → cuda"),
        ("--lr 0.1 --epochs 9", "recipe shared → shared lr=0.1, epochs 3 → 9"),
    ],
)
def test_references_of_two_recipes_never_share_a_file(file: Path, flags: str, said: str) -> None:
    write_thresholds(file, make_thresholds(make_reference("alpha"), make_reference("beta")))
    with pytest.raises(UsageError) as caught:
        find(file, f"--arch beta {flags}")
    assert str(caught.value) == (
        f"--write-thresholds: {said}, while alpha would keep references made before; record all of them with --all, "
        "or name another file."
    )
    for words in (f"--all {flags}", f"--arch alpha --arch beta {flags}"):
        found = find(file, words)
        assert ", ".join(found.changed) == said
        assert dict(found.kept) == {}


def test_without_a_selection_what_the_file_names_is_recorded(file: Path) -> None:
    with pytest.raises(ActionError, match="nothing says which architectures; add --all or --arch NAME"):
        find(file, "")
    write_thresholds(file, make_thresholds(make_reference("beta"), make_reference("alpha-v")))
    assert names(find(file, "")) == ["beta", "alpha-v"]
    write_thresholds(file, make_thresholds(make_reference("gone")))
    with pytest.raises(UnknownNameError, match="No architecture 'gone'"):
        find(file, "")


def test_a_broken_net_or_file_stops_a_recording_before_it_begins(file: Path, tmp_path: Path) -> None:
    broken = Registry(
        architectures=REGISTRY.architectures, broken={tmp_path / "x.py": ArchitectureError("x is broken")}
    )
    with pytest.raises(ArchitectureError, match="x is broken"):
        find(file, "--all", broken)
    file.write_text("version = 2")
    with pytest.raises(ThresholdsError, match="mend it"):
        find(file)


@needs_git
def test_a_reference_names_the_commit_of_the_checkout(checkout: Path, file: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert find(file).commit == head
    assert find_commit(checkout / "new" / "other.toml") == head


@needs_git
def test_a_changed_checkout_is_refused_unless_forced(checkout: Path, file: Path) -> None:
    (checkout / "nets.py").write_text("two\n")
    with pytest.raises(UsageError) as caught:
        find(file)
    assert str(caught.value) == (
        "--write-thresholds: tracked files differ from the commit (nets.py); commit them first, or record all the same "
        "with --force."
    )
    assert find(file, "--all --force").commit == git(checkout, "rev-parse", "HEAD")
    (checkout / "more.py").write_text("")
    git(checkout, "add", "more.py")
    with pytest.raises(UsageError, match=r"differ from the commit \((more|nets)\.py and 1 more\)"):
        find(file)


@needs_git
def test_untracked_files_and_the_thresholds_themselves_are_no_change(checkout: Path, file: Path) -> None:
    (checkout / "notes.txt").write_text("mine")
    file.write_text(file.read_text() + "# a floor was added by hand\n")
    head = git(checkout, "rev-parse", "HEAD")
    assert find(file).commit == head
    other = checkout / "other.toml"  # written elsewhere, the changed file is one like any other
    with pytest.raises(UsageError, match=r"\(thresholds\.toml\)"):
        find(other)


@needs_git
@pytest.mark.parametrize("name", ["thresholds two.toml", "sub/gate.toml"])
def test_the_thresholds_are_known_by_their_path(checkout: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checkout / name
    path.parent.mkdir(exist_ok=True)
    write_thresholds(path, make_thresholds(make_reference("alpha")))
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "second")
    path.write_text(path.read_text() + "#\n")
    assert names(find(path)) == ["alpha", "beta"]
    monkeypatch.chdir(checkout)
    assert parse_arguments(["--all", "--write-thresholds", name]).gate is not None
    arguments = parse_arguments(["--all", "--write-thresholds", name])
    assert arguments.gate is not None
    assert find_baseline(arguments, arguments.gate, REGISTRY).commit


@needs_git
def test_the_suites_own_checkout_counts_too(
    checkout: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert file.exists()
    monkeypatch.setattr(baseline, "PROJECT", checkout)
    monkeypatch.setattr(work, "PROJECT", checkout)
    elsewhere = tmp_path / "thresholds.toml"
    assert find(elsewhere).commit == git(checkout, "rev-parse", "HEAD")
    (checkout / "nets.py").write_text("two\n")
    with pytest.raises(UsageError, match=r"\(nets\.py\)"):
        find(elsewhere)
    assert names(find(elsewhere, "--arch alpha --force")) == ["alpha"]


@needs_git
def test_before_the_first_commit_there_is_none_to_name(file: Path) -> None:
    git(file.parent, "init", "--quiet")
    assert find(file).commit == ""
