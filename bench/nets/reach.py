"""What code reaches without naming it: through namespaces looked up by text, and through hooks of base classes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUILTINS = frozenset("globals locals vars eval exec builtins __builtins__ __import__".split())
_MEMBERS = frozenset("import_module getmodule __dict__ __globals__ f_globals __subclasses__".split())


def reaches_anything(body: Sequence[ast.stmt]) -> bool:
    """Whether code looks names up by text or in a namespace, so that nobody can read in it what it uses.

    Args:
        body: Statements of a file; comments and texts in them are not looked at.
    """
    nodes = [node for statement in body for node in ast.walk(statement)]
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in _BUILTINS | _MEMBERS:
            return True
        if isinstance(node, ast.alias) and node.name in _BUILTINS | _MEMBERS | {"modules"}:
            return True
        # A net has methods eval() and modules(), which are called; sys.modules is not.
        members = _MEMBERS if node in called else _MEMBERS | {"modules"}
        if isinstance(node, ast.Attribute) and node.attr in members:
            return True
    return False


def hooked_names(body: Sequence[ast.stmt]) -> set[str]:
    """Names of classes whose making may run more than their own body, and of what such a class is assigned to.

    Such a class has a keyword (as `metaclass`), a base that is called, or `__init_subclass__`, or a base in the file
    that is of this kind. A base from another file is not looked into.

    Args:
        body: Statements of a file.
    """
    nodes = [node for statement in body for node in ast.walk(statement)]
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
    called = any(isinstance(part, ast.Call) for base in node.bases for part in ast.walk(base))
    return called or bool(node.keywords) or "__init_subclass__" in _mentioned(node.body)


def _mentioned(nodes: Sequence[ast.AST]) -> set[str]:
    """Variables, attributes, functions and classes that stand in code."""
    found = set()
    for part in (part for node in nodes for part in ast.walk(node)):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
        elif isinstance(part, ast.FunctionDef | ast.ClassDef):
            found.add(part.name)
    return found
