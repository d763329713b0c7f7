"""The exit code of a command, and what a user or a machine got wrong as one line on stderr.

0 all well; 1 a run failed or the gate found a regression; 2 bad usage or bad input; 130 interrupted. Needs no library,
so that it can say which is missing.
"""

from __future__ import annotations

import errno
import io
import os
import platform
import sys
from typing import TYPE_CHECKING

from bench.core.errors import ActionError, BenchError, reason
from bench.system.interrupts import INTERRUPTED, stoppable
from bench.system.program import program_name, program_words
from bench.system.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

_OWN = ("bench", "reports", "architectures")
"""Packages of this project."""

OLDEST_PYTHON = (3, 11)
"""`requires-python` of pyproject.toml."""

_ENVIRONMENT = "run `make run`, or `source .venv/bin/activate`"
"""The way out for whoever has the repository and not its environment."""

_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""A machine says these, not a mistake of ours: `--list > /dev/full`, a disk that fills or turns read-only."""

SHORT_HELP = """\
  {program} --all                 train every architecture, compare, write the reports
  {program} --arch NAME           train some; --list shows them
  {program} --doctor              what is wrong with the nets, before anything trains?
  {program} --arch NAME --tune    tune it, then compare tuned with default
  {program} --all --check         did a change make a net worse than thresholds.toml says?
  {program} --report              write the reports again from stored results
  {program} --help                everything else"""


def exit_code_of(act: Callable[[], int]) -> int:
    """What a command ends with that does this; every fault that it knows of is said in a line."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        here = f"this is {platform.python_version()} ({sys.executable})"
        sys.stderr.write(
            f"{program_name()}: Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or later is needed, {here}: "
            "make the environment with one: `python3.11 -m venv .venv`, `.venv/bin/pip install -e .`.\n"
        )
        return 2
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no × gets a ? for it
            stream.reconfigure(errors="replace")
    with stoppable() as stop:
        try:
            return _do(act)
        except KeyboardInterrupt:
            pass
        except ModuleNotFoundError as missing:
            if (missing.name or "bench").partition(".")[0] in _OWN:
                raise
            why = f"'{missing.name}' is not installed for {sys.executable}"
            sys.stderr.write(f"{program_name()}: dependencies are missing: {_ENVIRONMENT} ({why}).\n")
            return 2
        except Exception:  # libraries turn an interruption into faults of their own
            if not stop.heard:
                raise
        if not stop.told:
            say("interrupted; what was finished is stored, the same command goes on from there.")
        return INTERRUPTED


def _do(act: Callable[[], int]) -> int:
    """What it ends with; what a user or a machine got wrong becomes a line on stderr, and 2."""
    try:
        return act()
    except ActionError as error:
        say(f"{one_line(str(error))}\n{SHORT_HELP.format(program=' '.join(program_words()))}")
    except BenchError as error:
        say(one_line(str(error)))
    except BrokenPipeError:  # `runner.py --list | head`: nobody listens any more
        drop_output()
        return 1
    except OSError as error:
        if error.errno not in _DISK_FAULTS:
            raise
        place = f"'{error.filename}'" if error.filename else "The output or a file"
        say(f"{place} cannot be written ({reason(error)}); fix that and run the command again.")
        drop_output()
    return 2


def say(text: str) -> None:
    """Say a line on stderr, behind the program's name."""
    from rich.console import Console  # noqa: PLC0415 - a library

    console = Console(stderr=True, highlight=False, markup=False)
    console.print(f"{program_name()}: {text}", soft_wrap=not console.is_terminal)  # elsewhere a line stays one line


def drop_output() -> None:
    """Let what is still buffered go nowhere, or the interpreter would fail on it once more as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
