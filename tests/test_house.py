"""The house, held by reading imports: its star of rooms, its floors, no circle, and no crowded folder."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ROOMS = ("architectures", "bench", "reports")
FILES = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]
MAY_KNOW = {"bench": {"bench"}, "architectures": {"architectures", "bench"}, "reports": {"reports", "bench"}}
FLOORS = "core system data analysis store models training execution studies deploy cli".split()
"""The packages of bench from the ground up: each may import those before it."""
FOLDERS = sorted({file.parent for file in FILES if "migrations" not in file.parts})
MOST_ENTRIES = 12


def imports(tree: ast.AST, *, module: str = "", at_import: bool = False) -> set[str]:
    """Dotted names that code imports; type-checking blocks are not run and are left out.

    Args:
        tree: Parsed code.
        module: Dotted name of the package that holds it, for relative imports.
        at_import: Leave out what only a function imports when it is called.
    """
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if at_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(module.split(".")[: 1 - node.level or None]) if node.level else ""
            start = ".".join(filter(None, (base, node.module)))
            found |= {start} | {f"{start}.{alias.name}" for alias in node.names}
        else:
            found |= imports(node, module=module, at_import=at_import)
    return found


def read(file: Path, *, at_import: bool = False) -> set[str]:
    module = ".".join(file.parent.relative_to(ROOT).parts)
    return imports(ast.parse(file.read_text(encoding="utf-8")), module=module, at_import=at_import)


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def steps(name: str) -> list[str]:
    """The packages on the way to a dotted name, and the name: importing it runs them all."""
    parts = name.split(".")
    return [".".join(parts[: depth + 1]) for depth in range(len(parts))]


def bench_file(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def test_imports_are_read_as_python_runs_them() -> None:
    text = (
        "import torch.nn as nn\nfrom bench import data, spec as s\nfrom . import charts\nfrom ..bench.errors import X\n"
        "if TYPE_CHECKING:\n    import reports\ntry:\n    import runner\nexcept ImportError:\n    pass\n"
        "def late():\n    import pandas\n"
    )
    eager = {"torch.nn", "bench", "bench.data", "bench.spec", "a.b", "a.b.charts", "a.bench.errors", "runner"}
    assert imports(ast.parse(text), module="a.b", at_import=True) == eager | {"a.bench.errors.X"}
    assert imports(ast.parse(text), module="a.b") == eager | {"a.bench.errors.X", "pandas"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_room_knows_only_what_the_star_allows(file: Path) -> None:
    room = file.relative_to(ROOT).parts[0]
    known = tops(read(file)) & {*ROOMS, "runner", "tests"}
    assert known <= MAY_KNOW[room]


@pytest.mark.parametrize("file", sorted((ROOT / "architectures").rglob("*.py")), ids=lambda file: file.stem)
def test_architectures_know_of_bench_only_the_nouns(file: Path) -> None:
    of_bench = {name for name in read(file) if name.startswith("bench")}
    assert {name for name in of_bench if name != "bench.spec" and not name.startswith("bench.spec.")} == set()


def test_reports_and_all_that_they_import_of_bench_do_without_torch() -> None:
    reached: dict[Path, set[str]] = {}
    waiting = [(file, False) for file in sorted((ROOT / "reports").rglob("*.py"))]
    while waiting:
        file, at_import = waiting.pop()
        if file in reached:
            continue
        reached[file] = read(file, at_import=at_import)
        near = [bench_file(step) for name in reached[file] if name.partition(".")[0] == "bench" for step in steps(name)]
        waiting += [(other, True) for other in near if other is not None]
    with_torch = {str(f.relative_to(ROOT)) for f, names in reached.items() if tops(names) & {"torch", "torchvision"}}
    assert with_torch == set()


@pytest.mark.parametrize(
    "module", ["core/errors", "core/recipe", "spec", "core/records", "core/seeds", "models/loading", "models/registry"]
)
def test_modules_that_the_front_door_needs_early_do_without_torch(module: str) -> None:
    assert "torch" not in tops(read(ROOT / "bench" / f"{module}.py", at_import=True))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_is_frozen_holds_nothing_to_be_changed(file: Path) -> None:
    classes = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.ClassDef)]
    frozen = [node for node in classes if any("frozen=True" in ast.unparse(d) for d in node.decorator_list)]
    fields = [field for node in frozen for field in node.body if isinstance(field, ast.AnnAssign)]
    kinds = {ast.unparse(field.annotation).partition("[")[0] for field in fields}
    assert kinds & {"dict", "list", "set"} == set()


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def known_modules(file: Path) -> set[str]:
    """Modules of this project that a file imports, for type checkers included, each by its own name."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    files = {
        bench_file(name) or bench_file(name.rpartition(".")[0] or name) for name in found if tops({name}) & {*ROOMS}
    }
    return {module_of(file) for file in files if file is not None}


def floor_of(module: str) -> int:
    """How high a module stands; `bench.spec` stands on core; reports and `bench` itself look down on all."""
    first, _, rest = module.partition(".")
    if first != "bench" or not rest:
        return len(FLOORS)
    return 0 if rest == "spec" else FLOORS.index(rest.partition(".")[0])


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Modules from which one comes back to where one was; empty where imports go one way."""
    left = {module: set(knows) & graph.keys() for module, knows in graph.items()}
    while done := {module for module, knows in left.items() if not knows}:
        left = {module: knows - done for module, knows in left.items() if module not in done}
    return sorted(left)


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]
    assert circles({"a": {"b", "x"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("file", [file for file in FILES if file.is_relative_to(ROOT / "bench")], ids=module_of)
def test_imports_go_down_only(file: Path) -> None:
    here = floor_of(module_of(file))
    assert {module for module in known_modules(file) if floor_of(module) > here} == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles({module_of(file): known_modules(file) - {module_of(file)} for file in FILES}) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_is_read_at_a_glance(folder: Path) -> None:
    entries = [path.name for path in folder.iterdir() if path.is_dir() or path.suffix != ".pyc"]
    assert len({*entries} - {"__init__.py", "__pycache__", "py.typed"}) <= MOST_ENTRIES
