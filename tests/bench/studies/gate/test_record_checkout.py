"""Of which code a reference speaks: the commit of the checkout, and what is refused because no commit holds it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench.cli.arguments import parse_arguments
from bench.core.errors import UsageError
from bench.studies.gate import record
from bench.studies.gate.record import find_baseline
from bench.studies.gate.runs import find_commit
from bench.studies.gate.thresholds import write_thresholds
from tests.bench.studies.gate.baselines import REGISTRY, find, git, names, needs_git
from tests.bench.studies.gate.examples import make_reference, make_thresholds

if TYPE_CHECKING:
    from pathlib import Path


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
    assert find(file, "--all --force").commit == git(checkout, "rev-parse", "HEAD") + "+changes"
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
    assert find_baseline(arguments.options, arguments.gate, REGISTRY).commit


@needs_git
def test_the_suites_own_checkout_counts_too(
    checkout: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert file.exists()
    monkeypatch.setattr(record, "PROJECT", checkout)
    elsewhere = tmp_path / "thresholds.toml"
    assert find(elsewhere).commit == "", "the net of a file elsewhere is in no commit of the suite"
    (checkout / "nets.py").write_text("two\n")
    with pytest.raises(UsageError, match=r"\(nets\.py\)"):
        find(elsewhere)
    assert names(find(elsewhere, "--arch alpha --force")) == ["alpha"]


@needs_git
def test_before_the_first_commit_there_is_none_to_name(file: Path) -> None:
    git(file.parent, "init", "--quiet")
    assert find(file).commit == ""


@needs_git
def test_a_checkout_that_git_cannot_read_is_refused_unless_forced(file: Path) -> None:
    (file.parent / ".git").mkdir()
    (file.parent / ".git" / "HEAD").write_text("nonsense")
    with pytest.raises(
        UsageError, match=r"tracked files differ from the commit \(whatever git would say of "
    ) as caught:
        find(file)
    assert "\n" not in str(caught.value)
    assert names(find(file, "--all --force")) == ["alpha", "beta"]


def test_without_git_a_checkout_is_refused_unless_forced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="whatever git would say"):
        find(file)
    assert names(find(file, "--arch beta --force")) == ["beta"]


@needs_git
@pytest.mark.parametrize("name", [b"caf\xe9.py", b"two\nlines.py"])
def test_a_changed_file_of_any_name_is_refused_in_one_line(checkout: Path, file: Path, name: bytes) -> None:
    odd = os.path.join(os.fsencode(checkout), name)  # noqa: PTH118 - Path has no place for bytes
    for text in ("one", "two"):
        with open(odd, "w") as stream:  # noqa: PTH123 - as above
            stream.write(text)
        if text == "one":
            git(checkout, "add", ".")
            git(checkout, "commit", "--quiet", "--message", "odd")
    with pytest.raises(UsageError) as caught:
        find(file)
    shown = "caf\ufffd.py" if name.startswith(b"caf") else "two\ufffdlines.py"
    assert f"tracked files differ from the commit ({shown}); commit them first" in str(caught.value)
