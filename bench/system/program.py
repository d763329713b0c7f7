"""How this program was started, as `python runner.py` or by its installed command, and which extras it has.

Needs no library.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from bench.core.errors import UsageError

INSTALLED_COMMAND = "archbench"
"""Of `[project.scripts]` in pyproject.toml; it does what `python runner.py` does."""

EXTRAS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "serve": ("flask", "waitress")}
"""Packages of the extras of pyproject.toml that a command may need."""


def program_words() -> tuple[str, ...]:
    """The words that start it again."""
    return (INSTALLED_COMMAND,) if program_name() == INSTALLED_COMMAND else ("python", program_name())


def program_name() -> str:
    """What messages begin with."""
    return INSTALLED_COMMAND if Path(next(iter(sys.argv), "")).stem == INSTALLED_COMMAND else "runner.py"


def find_missing(*packages: str) -> list[str]:
    """Those of some packages that are not installed."""
    return [package for package in packages if importlib.util.find_spec(package) is None]


def require_extra(extra: str, *, what: str) -> None:
    """Refuse what cannot be done without an extra: a UsageError with the way out where a package of it is missing.

    Args:
        extra: One of `EXTRAS`.
        what: As a user types it, `--serve`.
    """
    if missing := find_missing(*EXTRAS[extra]):
        raise UsageError(
            f"{what} needs the package '{missing[0]}', which is not installed; python -m pip install -e '.[{extra}]'."
        )
