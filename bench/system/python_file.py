"""Runs a Python file that a user wrote, alone or in its package, and puts back what it does to the process."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def import_file(path: Path, *, prefix: str) -> ModuleType:
    """Import a file whatever it is called; what it raises comes through.

    Args:
        path: The file, resolved.
        prefix: What the name of its module begins with, where it is in no package.
    """
    return _import_in_package(path) or _import_alone(path, prefix)


def _import_in_package(path: Path) -> ModuleType | None:
    """Import the file under its dotted name when its folder is a package and that name is free or already this file."""
    root, dotted = path.parent, path.stem
    while (root / "__init__.py").is_file():
        root, dotted = root.parent, f"{root.name}.{dotted}"
    top = dotted.partition(".")[0]
    loaded = sys.modules.get(top)
    taken = loaded is not None and loaded.__file__ != str(root / top / "__init__.py")
    if root == path.parent or taken or not all(part.isidentifier() for part in dotted.split(".")):
        return None
    with _search_first(root):
        return importlib.import_module(dotted)


def _import_alone(path: Path, prefix: str) -> ModuleType:
    """Run the file under a name that no other path has; its neighbours are its own and do not stay importable."""
    name = f"{prefix}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file, which ends in .py")
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.modules[name] = module
    with _search_first(path.parent), _not_itself(path):
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        finally:
            for other in set(sys.modules) - before - {name}:
                if Path(getattr(sys.modules[other], "__file__", None) or "").parent == path.parent:
                    del sys.modules[other]  # two files may each have a neighbour helpers.py
    return module


@contextlib.contextmanager
def _search_first(folder: Path) -> Iterator[None]:
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the file may have emptied it
            sys.path.remove(str(folder))


@contextlib.contextmanager
def _not_itself(path: Path) -> Iterator[None]:
    """Let `import torchvision` in a file torchvision.py find the library, not the file."""

    class Others(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
            elsewhere = [entry for entry in sys.path if entry != str(path.parent)]
            return importlib.machinery.PathFinder.find_spec(fullname, elsewhere) if fullname == path.stem else None

    others = Others()
    sys.meta_path.insert(0, others)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(others)


def line_in(path: Path, error: BaseException) -> str:
    """`, line 12`: the innermost line of a file that an error came through; empty when it came through none."""
    frames = traceback.extract_tb(error.__traceback__)
    numbers = [frame.lineno for frame in frames if Path(frame.filename) == path]
    return f", line {numbers[-1]}" if numbers else ""


def is_own_fault(path: Path | None, error: BaseException) -> bool:
    """Whether what code of a file raised is the fault of the file.

    Everything is, but a KeyboardInterrupt: that one is taken for Ctrl-C unless a `raise` statement of the file made it.
    """
    if not isinstance(error, KeyboardInterrupt):
        return True
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    if path is None or innermost.lineno is None or Path(innermost.filename) != path:
        return False
    raises = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Raise)]
    return any(node.lineno <= innermost.lineno <= (node.end_lineno or node.lineno) for node in raises)


@contextlib.contextmanager
def kept_process(path: Path) -> Iterator[None]:
    """Put back what code of a file changes of its process, and hide the command line from it.

    Put back are the working directory, the environment, `sys.path`, `sys.argv`, the standard streams and their
    descriptors, signal handlers, warning filters, and what logs go where.
    """
    with _kept_python(path), _kept_descriptors(), _kept_signals(), warnings.catch_warnings():
        yield


@contextlib.contextmanager
def _kept_python(path: Path) -> Iterator[None]:
    """Folder, environment, imports, command line, streams and logs as they were; in here the file is all it says."""
    folder, environment, search, argv = os.open(".", os.O_RDONLY), dict(os.environ), list(sys.path), sys.argv
    streams, root = (sys.stdin, sys.stdout, sys.stderr), logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    sys.argv = [str(path)]
    try:
        yield
    finally:
        os.fchdir(folder)
        os.close(folder)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        sys.path[:] = search
        sys.argv = argv
        sys.stdin, sys.stdout, sys.stderr = streams
        root.setLevel(level)
        root.handlers[:] = handlers


@contextlib.contextmanager
def _kept_descriptors() -> Iterator[None]:
    """The descriptors of the standard streams that are open."""
    copies = {}
    for number in (0, 1, 2):
        with contextlib.suppress(OSError):
            copies[number] = os.dup(number)
    try:
        yield
    finally:
        for number, copy in copies.items():
            os.dup2(copy, number)
            os.close(copy)


@contextlib.contextmanager
def _kept_signals() -> Iterator[None]:
    """Signal handlers, in the main thread, which alone can set any; a timer that is still running is stopped."""
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in signal.valid_signals()} if is_main else {}
    try:
        yield
    finally:
        if before:
            signal.setitimer(signal.ITIMER_REAL, 0)  # first: it would end the process
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                with contextlib.suppress(OSError, ValueError):  # those that nobody may handle
                    signal.signal(number, handler)
