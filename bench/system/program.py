"""How this program was started: `python runner.py`, or the command that is installed with it. Needs no library."""

from __future__ import annotations

import sys
from pathlib import Path

INSTALLED_COMMAND = "archbench"
"""Of `[project.scripts]` in pyproject.toml; it does what `python runner.py` does."""


def program_words() -> tuple[str, ...]:
    """The words that start it again."""
    return (INSTALLED_COMMAND,) if program_name() == INSTALLED_COMMAND else ("python", program_name())


def program_name() -> str:
    """What messages begin with."""
    return INSTALLED_COMMAND if Path(next(iter(sys.argv), "")).stem == INSTALLED_COMMAND else "runner.py"
