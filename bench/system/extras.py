"""Optional packages: which belong together, whether they are installed, and how to install them."""

from __future__ import annotations

import importlib.util

from bench.core.errors import UsageError

EXTRAS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "serve": ("flask", "waitress")}
"""Packages of the extras of pyproject.toml that a command may need."""


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
