"""What a net file may change of its process while it is imported, built and tried, put back or refused."""

from __future__ import annotations

import contextlib
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import ArchitectureError
from bench.system.python_file import kept_process

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
    import torch  # noqa: PLC0415 - only a file that is imported needs it, and it most often does so itself

    functions, dtype, device = _read_functions(), torch.get_default_dtype(), torch.get_default_device()
    changed = ""
    with kept_process(path):
        threads, gradients, generator = torch.get_num_threads(), torch.is_grad_enabled(), torch.get_rng_state()
        try:
            yield
        finally:
            now = {"type": torch.get_default_dtype(), "device": torch.get_default_device()}
            before = {"type": dtype, "device": device}
            changed = " and ".join(f"default {name} to {now[name]}" for name in now if now[name] != before[name])
            if changed:
                torch.set_default_dtype(dtype)
                # As nobody has set one, which costs nothing when tensors are made.
                torch.set_default_device(None if device == torch.device("cpu") else device)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            torch.set_grad_enabled(gradients)
            torch.set_rng_state(generator)
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
    import torch  # noqa: PLC0415 - as above
    from torch import nn  # noqa: PLC0415

    places = [torch, torch.Tensor, nn, nn.functional, nn.init, *{v for v in vars(nn).values() if isinstance(v, type)}]
    return {(place, name): value for place in places for name, value in list(vars(place).items())}


def _find_replaced(before: dict[tuple[Any, str], Any], path: Path) -> str:
    """The first thing of torch that is now one of a net's own folder; empty when there is none."""
    for (place, name), value in before.items():
        now = vars(place).get(name, value)
        name_of_module = str(getattr(now, "__module__", None))
        module = sys.modules.get(name_of_module)
        if now is value:
            continue
        if isinstance(now, functools.partial):  # which torch itself never puts there
            owner = f"{place.__module__}.{place.__qualname__}" if isinstance(place, type) else place.__name__
            return f"{owner}.{name}"
        if name_of_module.partition(".")[0] == "torch":  # torch replaces some of its own as it goes
            continue
        if path.parent in Path(getattr(module, "__file__", None) or "").parents:
            owner = f"{place.__module__}.{place.__qualname__}" if isinstance(place, type) else place.__name__
            return f"{owner}.{name}"
    return ""


def _place_of(path: Path, words: str) -> str:
    """`line 12 `: the first line of a file that holds words; `importing it ` when none does."""
    lines = enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
    return next((f"line {number} " for number, line in lines if words in line), "importing it ")
