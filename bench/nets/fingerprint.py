"""The hash of what decides a net: an edited net is trained again, an untouched one is not.

Heard: the code of the net's file that the net uses (`bench.nets.source`), of its declaration the name, build, input
shape and classes, and the project files that it imports. Not heard: comments, docstrings, formatting, summaries,
declared counts, published recipes, other declarations of the file, `bench` (the engine version stands for it) and
installed libraries (the torch version does). Where the net may reach what it does not name (`bench.nets.reach`), all
of its file is heard. What it reads from elsewhere (helpers found in other ways, data files, the environment) is not
followed here: `bench.nets.initial` hears when it makes another net.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
from typing import TYPE_CHECKING

from bench.environment import PROJECT
from bench.errors import ArchitectureError
from bench.nets.source import reduce_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.spec import Architecture


def architecture_hash(architecture: Architecture) -> str:
    """Hash of everything in the project that decides the net.

    A net without a file (made in a program) is known by its declaration and by the source of what it builds.

    Returns:
        16 hexadecimal digits, the same wherever the project lies.

    Raises:
        ArchitectureError: A file of the net cannot be read or has a syntax error.
    """
    if architecture.file is None:
        declared = (architecture.name, architecture.input_shape, architecture.classes)
        parts = [str(declared), _describe(architecture.build)]
    else:
        declared_name = architecture.variant_of if architecture.values else architecture.name
        # By name as well: declarations that a loop makes cannot be told apart in the source.
        sources = _sources(architecture.file.resolve(), own=declared_name, seen=set())
        parts = [str(declared_name), *sources, *map(str, architecture.values)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _sources(path: Path, *, own: str | None, seen: set[Path]) -> list[str]:
    """Deciding source of a file and of the project files that it imports, each once, in order of import."""
    seen.add(path)
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (OSError, ValueError, SyntaxError) as error:
        raise ArchitectureError(f"{path} cannot be read as Python source: {error}; fix it and run again.") from error
    reduce_tree(tree, own=own)
    parts = [ast.unparse(tree)]
    for file in [file for node in ast.walk(tree) for file in _imported_files(node, path)]:
        if file not in seen:
            parts += _sources(file, own=None, seen=seen)
    return parts


def _imported_files(node: ast.AST, path: Path) -> list[Path]:
    """Files of the project that one import statement of the file `path` runs."""
    if isinstance(node, ast.Import):
        return [file for alias in node.names for file in _find(alias.name, _roots(path))]
    if not isinstance(node, ast.ImportFrom):
        return []
    roots = [path.parents[node.level - 1]] if node.level else _roots(path)
    names = [".".join(filter(None, (node.module, alias.name))) for alias in node.names]
    return [file for name in names for file in _find(name, roots)]


def _roots(path: Path) -> list[Path]:
    """Folders in which a net's absolute imports of project files are looked for."""
    package_root = path.parent
    while (package_root / "__init__.py").is_file():
        package_root = package_root.parent
    return [
        root for root in (path.parent, package_root, PROJECT) if root.name not in ("site-packages", "dist-packages")
    ]


def _find(dotted: str, roots: list[Path]) -> list[Path]:
    """The files that importing `a.b.c` runs: the packages on the way and the module, as far as they exist."""
    parts = dotted.split(".")
    if parts[0] == "bench":
        return []
    for root in roots:
        steps = [root.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
        candidates = [file for step in steps for file in (step / "__init__.py", step.with_suffix(".py"))]
        if found := [file.resolve() for file in candidates if file.is_file()]:
            return found
    return []


def _describe(build: Callable[..., object]) -> str:
    """Source of a class or function, with the arguments that a partial binds; its name when there is no source."""
    if isinstance(build, functools.partial):
        return f"{_describe(build.func)}\0{build.args}{sorted(build.keywords.items())}"
    named = build if hasattr(build, "__qualname__") else type(build)
    try:
        text = textwrap.dedent(inspect.getsource(named))
    except (OSError, TypeError):
        return f"{named.__module__}.{named.__qualname__}"
    try:
        return ast.unparse(reduce_tree(ast.parse(text), own=None))
    except SyntaxError:  # a lambda in the middle of a statement
        return text
