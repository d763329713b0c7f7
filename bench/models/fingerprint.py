"""The hash of what decides a net: an edited net is trained again, an untouched one is not.

It covers the code of the net's file that the net uses, the name, build, input shape and classes of its declaration,
those that it is fitted to, and the project files that it imports; not comments, docstrings, formatting, summaries,
declared counts, published recipes, other declarations of the file, `bench` (the engine version stands for it) and
installed libraries (the torch version does; of a net that a library builds, the library's too). What a net reads in
other ways (helpers found by path, data files, the environment) is not followed here: `bench.models.build` finds out
when it makes another net.
"""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
import inspect
import sys
import textwrap
from importlib.metadata import version
from typing import TYPE_CHECKING

from bench.core.errors import ArchitectureError
from bench.system.environment import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from bench.core.architecture import Architecture

_MEMBERS = frozenset("import_module getmodule __dict__ __globals__ f_globals __subclasses__".split())
_NAMES = _MEMBERS | frozenset("globals locals vars eval exec builtins __builtins__ __import__".split())
"""Members and names by which code reaches what it does not name."""
_DECIDING = ("name", "build", "input_shape", "classes")
"""What of an `Architecture(...)` decides the net; the rest describes it or is in the recipe."""


def architecture_hash(architecture: Architecture) -> str:
    """Hash of everything in the project that decides the net: 16 hexadecimal digits, wherever the project lies.

    A net without a file is known by its declaration and by the source of what it builds (made in a program), or by the
    library that builds it and its version.

    Raises:
        ArchitectureError: A file of the net cannot be read or has a syntax error.
    """
    if architecture.file is None:
        declared = (architecture.name, architecture.input_shape, architecture.classes)
        parts = [str(declared), _describe(architecture.build)]
        if architecture.library:
            parts.append(f"{architecture.library} {version(architecture.library).partition('+')[0]}")
    else:
        declared_name = architecture.declared_name
        # By name as well: declarations that a loop makes cannot be told apart in the source.
        sources = _sources(architecture.file.resolve(), own=declared_name, seen=set())
        fits = architecture.undeclared or architecture.fitted_from is not None  # else its source says the shape
        shape = [str(architecture.input_shape), str(architecture.classes)] if fits else []
        varied = map(str, (*architecture.values, *architecture.recipe_changes))
        parts = [declared_name, *sources, *varied, *shape]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


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
        return ast.unparse(_reduce(ast.parse(text), own=None))
    except SyntaxError:  # a lambda in the middle of a statement
        return text


def _sources(path: Path, *, own: str | None, seen: set[Path]) -> list[str]:
    """Deciding source of a file and of the project files that it imports, each once, in order of import."""
    seen.add(path)
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (OSError, ValueError, SyntaxError) as error:
        raise ArchitectureError(f"{path} cannot be read as Python source: {error}; fix it and run again.") from error
    parts = [ast.unparse(_reduce(tree, own=own))]
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
    roots = (path.parent, package_root, PROJECT)
    return [root for root in roots if root.name not in ("site-packages", "dist-packages")]


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


def _reduce(tree: ast.Module, *, own: str | None) -> ast.Module:
    """Take out of a parsed net file, in place, what does not decide the net.

    This drops docstrings, imports from `bench`, and every argument of a declaration outside `_DECIDING`. For the one
    architecture that is named `own` it also drops what that one does not use: declarations of other names, classes,
    functions, constants, recipes, and imports of the standard library. A declaration made in a loop or by a helper has
    no name that can be read here, so it stays, and with it all that it uses.
    """
    _Cleaner().visit(tree)
    if own is not None:
        whole = copy.deepcopy(tree.body)
        loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        for statement in tree.body:
            value = getattr(statement, "value", None)
            if isinstance(value, ast.List | ast.Tuple) and not loaded & _targets(statement):
                value.elts = [item for item in value.elts if not _is_other(item, own)]
        used = _used_statements(tree.body, own)
        tree.body = whole if _reaches_anything(used) else used
    return tree


class _Cleaner(ast.NodeTransformer):
    """Drops docstrings, imports from bench, and arguments of declarations that do not decide the net."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
            node.body = [s for s in node.body if not _is_from_bench(s)] or [ast.Pass()]
        if isinstance(node, ast.Call) and _callee(node) == "Architecture":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg is None or keyword.arg in _DECIDING]
        return super().generic_visit(node)


def _is_from_bench(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return statement.level == 0 and _top(statement.module) == "bench"
    return isinstance(statement, ast.Import) and all(_top(alias.name) == "bench" for alias in statement.names)


def _top(dotted: str | None) -> str:
    return (dotted or "").partition(".")[0]


def _callee(node: ast.AST | None) -> str:
    """`Architecture` for `Architecture(…)` and `spec.Architecture(…)`; empty for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_other(node: ast.AST | None, own: str) -> bool:
    """Whether a node is a declaration of a name that can be read and is not `own`."""
    if not isinstance(node, ast.Call) or _callee(node) != "Architecture":
        return False
    name = next((keyword.value for keyword in node.keywords if keyword.arg == "name"), None)
    return isinstance(name, ast.Constant) and name.value != own


def _targets(statement: ast.stmt) -> set[str]:
    """Names that a statement binds, when it is of a kind that may be left out."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {_top(alias.asname or alias.name) for alias in statement.names}
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        return set(names) if len(names) == len(targets) else set()
    return set()


def _used_statements(body: list[ast.stmt], own: str) -> list[ast.stmt]:
    """Leave out statements that only bind a name, when nothing that is kept uses the name."""
    hooked = _hooked_names(body)
    kept = [
        statement
        for statement in body
        if not _only_binds(statement, own)
        or own in _targets(statement)  # a class that is trained without a declaration
        or (isinstance(statement, ast.ClassDef) and statement.name in hooked)
    ]
    while True:
        used = {node.id for node in _walk(kept) if isinstance(node, ast.Name)}
        wanted = [statement for statement in body if statement in kept or used & _targets(statement)]
        if len(wanted) == len(kept):
            return kept
        kept = wanted


def _only_binds(statement: ast.stmt, own: str) -> bool:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return not statement.decorator_list
    if isinstance(statement, ast.Import):
        return all(_top(alias.name) in sys.stdlib_module_names for alias in statement.names)
    if isinstance(statement, ast.ImportFrom):
        in_library = not statement.level and _top(statement.module) in sys.stdlib_module_names
        return in_library and statement.names[0].name != "*"
    if isinstance(statement, ast.Assign | ast.AnnAssign) and _targets(statement):
        return _targets(statement) == {"__all__"} or _is_idle(statement.value, own)
    return False


def _is_idle(value: ast.expr | None, own: str) -> bool:
    """Whether making a value does nothing else and the value does not declare `own`."""
    if isinstance(value, ast.List | ast.Tuple):
        return all(_is_idle(item, own) for item in value.elts)
    idle = ("Recipe", "Budget", "Claim", "Case", "Arm")
    return isinstance(value, ast.Constant | ast.Name) or _is_other(value, own) or _callee(value) in idle


def _reaches_anything(body: Sequence[ast.stmt]) -> bool:
    """Whether code looks names up by text or in a namespace, so that nobody can read in it what it uses."""
    nodes = _walk(body)
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in _NAMES:
            return True
        if isinstance(node, ast.alias) and node.name in _NAMES | {"modules"}:
            return True
        # A net has methods eval() and modules(), which are called; sys.modules is not.
        members = _MEMBERS if node in called else _MEMBERS | {"modules"}
        if isinstance(node, ast.Attribute) and node.attr in members:
            return True
    return False


def _hooked_names(body: Sequence[ast.stmt]) -> set[str]:
    """Names of classes whose making may run more than their own body, and of what such a class is assigned to.

    Such a class has a keyword (as `metaclass`), a base that is called, or `__init_subclass__`, or a base in the file
    that is of this kind. A base from another file is not looked into.
    """
    nodes = _walk(body)
    hooked: set[str] = set()
    while True:
        before = len(hooked)
        for node in nodes:
            if isinstance(node, ast.ClassDef) and (_has_hook(node) or _mentioned(node.bases) & hooked):
                hooked.add(node.name)
            elif isinstance(node, ast.Assign) and _mentioned([node.value]) & hooked:
                hooked |= _mentioned(node.targets)
        if len(hooked) == before:
            return hooked


def _has_hook(node: ast.ClassDef) -> bool:
    called = any(isinstance(part, ast.Call) for part in _walk(node.bases))
    return called or bool(node.keywords) or "__init_subclass__" in _mentioned(node.body)


def _mentioned(nodes: Iterable[ast.AST]) -> set[str]:
    """Variables, attributes, functions and classes that stand in code."""
    fields = {ast.Name: "id", ast.Attribute: "attr", ast.FunctionDef: "name", ast.ClassDef: "name"}
    return {getattr(node, fields[type(node)]) for node in _walk(nodes) if type(node) in fields}


def _walk(nodes: Iterable[ast.AST]) -> list[ast.AST]:
    return [part for node in nodes for part in ast.walk(node)]
