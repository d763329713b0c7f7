"""What the code of a net itself does, read from its compiled functions without running them."""

from __future__ import annotations

import contextlib
import dis
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

_ASKS_BESIDE = frozenset(
    "data set_ running_mean running_var num_batches_tracked state_dict buffers named_buffers load_state_dict".split()
)
"""Names by which a forward changes weights without leaving a trace, or reads statistics that come later."""

_ACTS = frozenset(
    "add append clear copy_ delattr discard extend fill_ insert next open pop popitem print put rand randn random "
    "remove seed send setattr setdefault update warn write".split()
)
"""Names by which a forward may do something besides computing its output."""

_STORES = ("STORE_ATTR", "STORE_GLOBAL", "STORE_SUBSCR", "DELETE_ATTR", "DELETE_GLOBAL", "DELETE_SUBSCR")


def is_risky(model: nn.Module) -> bool:
    """Whether a net's own code may notice that its layers run later than they are called."""
    kinds = {kind for module in model.modules() for kind in type(module).__mro__ if _is_own(kind)}
    has_compiled = any(hasattr(value, "_torchdynamo_orig_callable") for kind in kinds for value in _beside(kind))
    return has_compiled or any(map(_asks_beside, _codes(model)))


def _asks_beside(code: types.CodeType) -> bool:
    """Whether it does by such a name, or may ask whether `type(x) is torch.Tensor`."""
    if not _ASKS_BESIDE.isdisjoint(code.co_names):
        return True
    calls = {(step.opname, step.argval) for step in dis.get_instructions(code)} if "type" in code.co_names else ()
    return "Tensor" in code.co_names and ("LOAD_GLOBAL", "type") in calls


def is_pure(model: nn.Module) -> bool:
    """Whether a net's own code, but for that which builds it, surely does nothing but compute an output."""
    for code in _codes(model):
        if not _ACTS.isdisjoint(code.co_names) or any(step.opname in _STORES for step in dis.get_instructions(code)):
            return False
    return True


def _codes(model: nn.Module) -> Iterator[types.CodeType]:
    """Of all functions of the net's own classes but `__init__`, and of what they call by name in their files."""
    waiting: list[Any] = []
    for kind in {kind for module in model.modules() for kind in type(module).__mro__ if _is_own(kind)}:
        for name, value in vars(kind).items():
            function = getattr(value, "fget", None) or getattr(value, "__func__", None) or value
            if isinstance(function, types.FunctionType) and name != "__init__":
                waiting.append(function)
    done: set[types.CodeType] = set()
    while waiting:
        function = waiting.pop()
        for code in _nested(function.__code__):
            if code not in done:
                done.add(code)
                yield code
                called = [function.__globals__.get(name) for name in code.co_names]
                called += [getattr(function, "__wrapped__", None), *_enclosed(function)]
                waiting += [value for value in called if isinstance(value, types.FunctionType) and _is_own(value)]


def _enclosed(function: types.FunctionType) -> list[Any]:
    """What a function of another function keeps of that one, as a decorator's keeps what it decorates."""
    found = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # an empty one
            found.append(cell.cell_contents)
    return found


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _nested(constant)


def _beside(kind: type) -> list[Any]:
    """What stands on a class and at module level of its file."""
    around = getattr(vars(kind).get("forward"), "__globals__", {})
    return [*vars(kind).values(), *around.values()]


def _is_own(thing: Any) -> bool:
    return (thing.__module__ or "").partition(".")[0] not in ("builtins", "torch", "torchvision", "typing", "abc")
