"""What a net file may change of its process while it is imported, built and tried, put back or refused."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import ArchitectureError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def kept_surroundings(path: Path, *, who: str = "") -> Iterator[None]:
    """Put back what a net file changes of its process, and hide the command line from it.

    Put back are the working directory, the environment, `sys.path`, `sys.argv`, the standard streams and their
    descriptors, signal handlers, warning filters, what logs go where, and torch's threads and gradient mode. The
    default type and device of torch decide the net, and so do functions of torch that a file replaces by its own: such
    a file is refused, in a message that begins with `who`.

    Raises:
        ArchitectureError: The file changed torch's default type or device, or functions of torch.
    """
    folder, environment, search = os.open(".", os.O_RDONLY), dict(os.environ), list(sys.path)
    descriptors = _keep_descriptors()
    argv, streams = sys.argv, (sys.stdin, sys.stdout, sys.stderr)
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    signals = _read_signals()
    before, functions = _read_torch(), _read_functions()
    sys.argv = [str(path)]
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.fchdir(folder)
        os.close(folder)
        _restore_descriptors(descriptors)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        sys.path[:] = search
        sys.argv = argv
        sys.stdin, sys.stdout, sys.stderr = streams
        root.setLevel(level)
        root.handlers[:] = handlers
        _restore_signals(signals)
        changed = _restore_torch(before)
    if changed:
        raise ArchitectureError(
            f"{who}{_place_of(path, 'set_default_')}sets torch's {changed}, which holds for every net; give this net's "
            "own layers a dtype or device instead."
        )
    if replaced := _find_replaced(functions, path):
        place = _place_of(path, f".{replaced.rpartition('.')[2]} =")
        raise ArchitectureError(
            f"{who}{place}replaces {replaced}, which holds for every net; give this net a class or a function of its "
            "own."
        )


def _read_functions() -> dict[tuple[Any, str], Any]:
    """What nets are made of, by where it stands: functions, classes and their methods."""
    import torch  # noqa: PLC0415 - only a file that is imported needs it, and it most often does so itself
    from torch import nn  # noqa: PLC0415

    places = [torch, torch.Tensor, nn, nn.functional, nn.init, *{v for v in vars(nn).values() if isinstance(v, type)}]
    return {(place, name): value for place in places for name, value in list(vars(place).items())}


def _find_replaced(before: dict[tuple[Any, str], Any], path: Path) -> str:
    """The first thing of torch that is now one of a net's own folder; empty when there is none."""
    for (place, name), value in before.items():
        now = vars(place).get(name, value)
        module = sys.modules.get(str(getattr(now, "__module__", None)))
        if now is not value and path.parent in Path(getattr(module, "__file__", None) or "").parents:
            owner = f"{place.__module__}.{place.__qualname__}" if isinstance(place, type) else place.__name__
            return f"{owner}.{name}"
    return ""


def _place_of(path: Path, words: str) -> str:
    """`line 12 `: the first line of a file that holds words; `importing it ` when none does."""
    lines = enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
    return next((f"line {number} " for number, line in lines if words in line), "importing it ")


def _keep_descriptors() -> dict[int, int]:
    """Copies of the standard streams' descriptors that are open."""
    kept = {}
    for number in (0, 1, 2):
        with contextlib.suppress(OSError):
            kept[number] = os.dup(number)
    return kept


def _restore_descriptors(kept: dict[int, int]) -> None:
    for number, copy in kept.items():
        os.dup2(copy, number)
        os.close(copy)


def _read_signals() -> dict[int, Any]:
    if threading.current_thread() is not threading.main_thread():
        return {}  # a thread can set none either
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _restore_signals(before: dict[int, Any]) -> None:
    if before:
        signal.setitimer(signal.ITIMER_REAL, 0)  # first: one that is still running would end the process
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            with contextlib.suppress(OSError, ValueError):  # those that nobody may handle
                signal.signal(number, handler)


def _read_torch() -> dict[str, Any]:
    """Settings of torch that hold for everything in this process."""
    import torch  # noqa: PLC0415 - only a file that is imported needs it, and it most often does so itself

    return {
        "default type": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "generator": torch.get_rng_state(),
    }


def _restore_torch(before: dict[str, Any]) -> str:
    """Put them back; which of those that decide the net were changed, and to what."""
    import torch  # noqa: PLC0415 - as above

    now = _read_torch()
    found = [f"{name} to {now[name]}" for name in ("default type", "default device") if now[name] != before[name]]
    if found:
        torch.set_default_dtype(before["default type"])
        usual = torch.device("cpu")  # as nobody has set one, which costs nothing when tensors are made
        torch.set_default_device(None if before["default device"] == usual else before["default device"])
    if now["threads"] != before["threads"]:
        torch.set_num_threads(before["threads"])
    torch.set_grad_enabled(before["gradients"])
    torch.set_rng_state(before["generator"])
    return " and ".join(found)
