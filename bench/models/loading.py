"""From a Python file to the architectures that it declares, or to a class of it that is named.

Every fault of the file becomes one line that names it.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.core.architecture import FROM_DATASET, Architecture
from bench.core.errors import ArchitectureError, BenchError, UnknownNameError, first_line
from bench.data.published.download import import_with_torchvision
from bench.models.process_state import kept_surroundings
from bench.system.python_file import is_own_fault, line_in
from bench.system.text import first_ones, listing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

Noun = TypeVar("Noun")


def load_file(path: Path, name: str | None = None) -> list[Architecture]:
    """Import a net file and collect what it declares, in order, each with `file` set to the resolved path.

    With a name it is the one that is declared so or, where none is, the class or function of that name: a net whose
    input shape and classes the dataset decides (`Architecture.undeclared`).

    A declaration is a module-level `Architecture`, or one in a module-level list or tuple. What the file only imports
    from elsewhere is not its own. A neighbour of the file can be imported by name, and inside a package relatively too.

    Raises:
        ArchitectureError: The file is missing, has a syntax error, raises while it is imported, declares nothing, or
            declares one name twice; or what is named cannot be built.
        UnknownNameError: Nothing in the file has the name.
    """
    path = Path(path).resolve()
    module, found = find_declared(path, Architecture)
    names = [architecture.name for architecture in found]
    if twice := next((each for each in names if names.count(each) > 1), None):
        raise ArchitectureError(f"{path} declares '{twice}' twice; each architecture needs a name of its own.")
    if name is not None:
        found = [net for net in found if net.name == name] or [_undeclared(path, module, name, names)]
    elif not found:
        typed = min(os.path.relpath(path), str(path), key=len)
        named = [f"--arch {typed}:{each}" for each in _makers(module)]
        ways = [f"name what makes one, as {' or '.join(first_ones(named))}"] if named else []
        ways.append("add ARCHITECTURE = Architecture(name=…, build=…) at module level")
        raise ArchitectureError(f"{path} declares no architecture; {', or '.join(ways)}.")
    return [dataclasses.replace(architecture, file=path) for architecture in found]


def find_declared(path: Path, kind: type[Noun]) -> tuple[ModuleType, list[Noun]]:
    """Import a file and collect what it declares of a kind at module level, alone or in lists, each once.

    What it only imports from elsewhere is not its own.

    Raises:
        ArchitectureError: The file is missing, has a syntax error or raises while it is imported.
    """
    tree = _parse(path)
    module = _import(path)
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    found: list[Noun] = []
    for variable, value in vars(module).items():
        if variable not in imported:
            items = value if isinstance(value, list | tuple) else [value]
            found += [item for item in items if isinstance(item, kind) and not any(item is f for f in found)]
    return module, found


def _makers(module: ModuleType) -> list[str]:
    """Names of the classes of nets that a file defines itself, and of its functions that seem to make one."""
    from torch import nn  # noqa: PLC0415 - a file that has any has imported it

    own = {name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
    return [
        name
        for name, value in own.items()
        if (isinstance(value, type) and issubclass(value, nn.Module))
        or (inspect.isfunction(value) and (name == "build" or {*FROM_DATASET} & {*inspect.signature(value).parameters}))
    ]


def _undeclared(path: Path, module: ModuleType, name: str, declared: Sequence[str]) -> Architecture:
    """A class or function of a file as a net that the file does not declare."""
    from torch import nn  # noqa: PLC0415

    build = vars(module).get(name)
    if build is None:
        raise UnknownNameError(f"architecture, class or function in {path}", name, [*declared, *_makers(module)])
    if not (inspect.isfunction(build) or (isinstance(build, type) and issubclass(build, nn.Module))):
        raise ArchitectureError(f"{path}: '{name}' is no class of torch.nn.Module, nor a function that makes one.")
    parameters = inspect.signature(build).parameters.values()
    bound = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    if lacking := [each.name for each in bound if each.default is each.empty and each.name not in FROM_DATASET]:
        raise ArchitectureError(
            f"{path}: {name} cannot be built without {listing(lacking)}; give each a default (the dataset gives "
            f"{listing(list(FROM_DATASET))} where they are asked for), or declare an Architecture of bench.spec."
        )
    return Architecture(name=name, build=build, undeclared=True)


def _parse(path: Path) -> ast.Module:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ArchitectureError(f"{path} is no regular file; give the path of a Python file.")
    if not path.is_file():
        raise ArchitectureError(f"No net file at {path}; give the path of a Python file with a net.")
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise _syntax_error(error, path) from error
    except (OSError, ValueError) as error:
        raise ArchitectureError(f"{path} cannot be read as Python source: {first_line(error)}.") from error


def _syntax_error(error: SyntaxError, path: Path) -> ArchitectureError:
    where = f"{error.filename or path}, line {error.lineno}"
    return ArchitectureError(f"{where}: syntax error, {error.msg}; fix it and run again.")


def _import(path: Path) -> ModuleType:
    """Import the file; whatever it raises, even SystemExit, becomes an ArchitectureError with its line."""
    try:
        with kept_surroundings(path):
            return import_with_torchvision(path, prefix="net")
    except SyntaxError as error:  # in a neighbour that the file imports
        raise _syntax_error(error, path) from error
    except BenchError as error:
        raise ArchitectureError(f"{path}{line_in(path, error)}: {error}") from error
    except BaseException as error:
        if not is_own_fault(path, error):
            raise
        raise ArchitectureError(
            f"{path}{line_in(path, error)}: importing it raised {first_line(error)}; fix it and run again."
        ) from error
