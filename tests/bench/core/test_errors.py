"""Every exception stands in one file, in one of two trees, and in the drawing of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bench.core import errors
from bench.core.errors import BenchError, InternalError, UsageError, reason
from bench.core.recipe import Recipe
from bench.studies.tuning import space
from tests import ROOT


def test_no_exception_is_defined_elsewhere() -> None:
    files = [ROOT / "runner.py", *(ROOT / "bench").rglob("*.py"), *(ROOT / "reports").rglob("*.py")]
    classes = {
        node.name: file
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Error", "Exception", "Signal"))
    }
    assert "BenchError" in classes
    assert {file.relative_to(ROOT).as_posix() for file in classes.values()} == {"bench/core/errors.py"}


def _below(kind: type[BaseException]) -> set[type[BaseException]]:
    return {kind}.union(*(_below(below) for below in kind.__subclasses__() if below.__module__ == errors.__name__))


@pytest.mark.parametrize("root", [BenchError, InternalError])
def test_the_drawing_shows_every_one_and_each_says_what_it_is(root: type[BaseException]) -> None:
    for kind in _below(root):
        assert f" {kind.__name__}" in str(errors.__doc__)
        assert kind.__doc__


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "x"), "No space left on device"),
        (OSError("compressed data is cut off"), "OSError"),
        (ConnectionResetError(), "ConnectionResetError"),
    ],
)
def test_a_file_fault_always_has_a_reason(error: OSError, said: str) -> None:
    assert reason(error) == said


def test_a_search_space_that_gives_no_reason_is_not_said_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path, **_how: object) -> bytes:
        raise BlockingIOError

    monkeypatch.setattr(space, "read_regular", fail)
    with pytest.raises(UsageError, match=r"Search space own.toml cannot be read \(BlockingIOError\); give another"):
        space.load_space(Path("own.toml"), base=Recipe(), fixed=set())
