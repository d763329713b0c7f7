"""What of a net file's code decides a net: no comment, no docstring, nothing that the net does not use."""

from __future__ import annotations

import ast
import copy
import sys
from typing import TYPE_CHECKING

from bench.nets.reach import hooked_names, reaches_anything

if TYPE_CHECKING:
    from collections.abc import Sequence

DECIDING = ("name", "build", "input_shape", "classes")
"""What of an `Architecture(...)` decides the net; the rest describes it or is in the recipe."""


def reduce_tree(tree: ast.Module, *, own: str | None) -> ast.Module:
    """Take out of a parsed net file, in place, what does not decide the net.

    Comments are gone already. This drops docstrings, imports from `bench`, and every argument of a declaration outside
    `DECIDING`. For one architecture it also drops what that one does not use: declarations of other names, classes,
    functions, constants, recipes, and imports of the standard library. A declaration made in a loop or by a helper has
    no name that can be read here, so it stays, and with it all that it uses. So does a class whose making runs code of
    a base, as `__init_subclass__`; and where what stays may reach anything (`globals()`), all of the file stays.

    Args:
        tree: The file as `ast.parse` reads it.
        own: Name of the architecture; None for a file that a net only imports, of which every name may be used.

    Returns:
        The same tree.
    """
    _Cleaner().visit(tree)
    if own is not None:
        whole = copy.deepcopy(tree.body)
        loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        for statement in tree.body:
            if not loaded & _targets(statement):
                _drop_other_items(statement, own)
        used = _used_statements(tree.body, own)
        tree.body = whole if reaches_anything(used) else used
    return tree


class _Cleaner(ast.NodeTransformer):
    """Drops docstrings, imports from bench, and arguments of declarations that do not decide the net."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
            node.body = [s for s in node.body if not _is_from_bench(s)] or [ast.Pass()]
        if isinstance(node, ast.Call) and _callee(node) == "Architecture":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg is None or keyword.arg in DECIDING]
        return super().generic_visit(node)


def _is_from_bench(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return statement.level == 0 and (statement.module or "").partition(".")[0] == "bench"
    return isinstance(statement, ast.Import) and all(a.name.partition(".")[0] == "bench" for a in statement.names)


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


def _drop_other_items(statement: ast.stmt, own: str) -> None:
    """Take the other declarations out of a list of declarations."""
    value = getattr(statement, "value", None)
    if isinstance(value, ast.List | ast.Tuple) and any(_is_other(item, own) for item in value.elts):
        value.elts = [item for item in value.elts if not _is_other(item, own)]


def _targets(statement: ast.stmt) -> set[str]:
    """Names that a statement binds, when it is of a kind that may be left out."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {target.id for target in targets if isinstance(target, ast.Name)} if _all_names(targets) else set()
    return set()


def _all_names(nodes: Sequence[ast.expr]) -> bool:
    return all(isinstance(node, ast.Name) for node in nodes)


def _used_statements(body: list[ast.stmt], own: str) -> list[ast.stmt]:
    """Leave out statements that only bind a name, when nothing that is kept uses the name."""
    hooked = hooked_names(body)
    kept = [s for s in body if not _only_binds(s, own) or (isinstance(s, ast.ClassDef) and s.name in hooked)]
    while True:
        used = {node.id for statement in kept for node in ast.walk(statement) if isinstance(node, ast.Name)}
        wanted = [statement for statement in body if statement in kept or used & _targets(statement)]
        if len(wanted) == len(kept):
            return kept
        kept = wanted


def _only_binds(statement: ast.stmt, own: str) -> bool:
    if isinstance(statement, ast.ClassDef):
        return not statement.decorator_list
    if isinstance(statement, ast.FunctionDef):
        return not statement.decorator_list
    if isinstance(statement, ast.Import):
        return all(alias.name.partition(".")[0] in sys.stdlib_module_names for alias in statement.names)
    if isinstance(statement, ast.ImportFrom):
        top = "" if statement.level else (statement.module or "").partition(".")[0]
        return top in sys.stdlib_module_names and statement.names[0].name != "*"
    if isinstance(statement, ast.Assign | ast.AnnAssign) and _targets(statement):
        return _targets(statement) == {"__all__"} or _is_idle(statement.value, own)
    return False


def _is_idle(value: ast.expr | None, own: str) -> bool:
    """Whether making a value does nothing else and the value does not declare `own`."""
    if isinstance(value, ast.List | ast.Tuple):
        return all(_is_idle(item, own) for item in value.elts)
    return isinstance(value, ast.Constant | ast.Name) or _is_other(value, own) or _callee(value) in ("Recipe", "Budget")
