"""Every exception stands in one file, in one of two trees, and in the drawing of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bench.core import errors
from bench.core.errors import BenchError, InternalError

ROOT = Path(__file__).resolve().parents[2]


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
