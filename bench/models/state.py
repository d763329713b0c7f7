"""All that changes in a net while it trains: parameters, buffers, and what it keeps in plain attributes.

`state_dict` knows nothing of plain attributes: counters, running tensors, caches. Numbers, text, tensors and lists,
tuples and dicts of them can be saved with a run and given back. Whatever else changes while a net trains (an object of
its own, a random generator) cannot, and is found by its pickled bytes.
"""

from __future__ import annotations

import contextlib
import pickle
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_MODULES = frozenset(vars(nn.Module())) | {"forward", "_is_full_backward_hook", "_flat_weights"}
"""What every module has; how it is run is the engine's, and an RNN's flat weights are its parameters once more."""


def read_state(model: nn.Module, start: dict[str, Any]) -> dict[str, Any]:
    """What a net must be given to go on from where it is; `start` is what `read_plain` read when it was fresh."""
    return {
        "model": model.state_dict(),
        "buffers": dict(model.named_buffers()),  # those that are not persistent are not in the line above
        "plain": {
            path: value
            for path, value in read_plain(model).items()
            if path not in start or not same(start[path], value)
        },
        "trains": {name: parameter.requires_grad for name, parameter in model.named_parameters()},
    }


def write_state(model: nn.Module, state: dict[str, Any]) -> None:
    """Give a fresh net what `read_state` read; RuntimeError or LookupError when it is of another net."""
    model.load_state_dict(state["model"])
    for name, buffer in model.named_buffers():
        buffer.copy_(state["buffers"][name])
    for name, parameter in model.named_parameters():  # a net may freeze or thaw some on the way
        parameter.requires_grad_(state["trains"][name])
    _write_plain(model, state["plain"])


def read_plain(model: nn.Module) -> dict[str, Any]:
    """Copies of the plain attributes that can be saved, by path: `blocks.0.steps`.

    Tensors that lie in the storage of a parameter or buffer are left out: they follow it.
    """
    registered = _storages(model)
    return {path: _copy(value) for path, value in _attributes(model) if _can_be_saved(value, registered)}


def _write_plain(model: nn.Module, saved: dict[str, Any]) -> None:
    """Give plain attributes the values that `read_plain` found; what holds values keeps its identity where it can."""
    modules, registered = dict(model.named_modules()), _storages(model)
    with torch.no_grad():
        for path, value in saved.items():
            module, _, name = path.rpartition(".")
            now = getattr(modules[module], name, None)
            # Not into a parameter: spectral and weight norm leave a view of one behind until the first forward.
            if not (_can_be_saved(now, registered) and _fill(now, value)):
                setattr(modules[module], name, _copy(value))


def fingerprints(model: nn.Module) -> dict[str, bytes]:
    """Pickled values that cannot be saved, by path; those that cannot be pickled either are left out.

    These are plain attributes of other kinds, and what the net's own classes and files keep beside the net.
    """
    registered = _storages(model)
    found = {}
    for name, value in _values_beside(model):
        with contextlib.suppress(Exception):
            found[name] = pickle.dumps(value)
    for path, value in _attributes(model):
        if not _can_be_saved(value, registered) and not isinstance(value, Tensor):
            with contextlib.suppress(Exception):  # lambdas, locks, handles: what they hold cannot be looked at
                found[path] = pickle.dumps(value)
    return found


def _values_beside(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Name and value of what stands on the net's own classes and at module level of their files."""
    kinds = {kind for module in model.modules() for kind in type(module).__mro__}
    own = {kind for kind in kinds if kind.__module__.partition(".")[0] not in ("builtins", "torch", "torchvision")}
    for kind in sorted(own, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}"):
        around = getattr(vars(kind).get("forward"), "__globals__", {})
        beside = {f"{kind.__name__}.{name}": value for name, value in vars(kind).items()} | around
        for name, value in beside.items():
            is_code = isinstance(value, type | types.ModuleType | types.FunctionType | property)
            if not is_code and not isinstance(value, nn.Module) and not name.rpartition(".")[2].startswith("__"):
                yield f"{Path(around.get('__file__', '')).stem}.{name}".lstrip("."), value


def _storages(model: nn.Module) -> set[int]:
    """Addresses of the memory of all parameters and buffers."""
    values = [*model.parameters(), *model.buffers()]
    return {value.untyped_storage().data_ptr() for value in values if value.layout == torch.strided}


def read_bits(value: Tensor) -> bytes:
    """The values of a tensor as they lie in memory, of any type: NumPy has no bfloat16."""
    plain = value.detach().resolve_conj().resolve_neg()
    dense = plain if plain.layout == torch.strided and not plain.is_mkldnn else plain.to_dense()
    return dense.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _attributes(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Path and value of every plain attribute of every module."""
    for module_path, module in model.named_modules():
        for name, value in vars(module).items():
            if name not in _OF_MODULES:
                yield f"{module_path}.{name}" if module_path else name, value


def _can_be_saved(value: Any, registered: set[int]) -> bool:
    if isinstance(value, Tensor):
        is_plain = type(value) is Tensor and value.layout == torch.strided
        return is_plain and value.untyped_storage().data_ptr() not in registered
    if type(value) in (list, tuple):
        return all(_can_be_saved(item, registered) for item in value)
    if type(value) is dict:
        return all(type(key) in (str, int) and _can_be_saved(item, registered) for key, item in value.items())
    return value is None or type(value) in (bool, int, float, str)


def _copy(value: Any) -> Any:
    """A copy that no later step changes and that no graph hangs on."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, list | tuple):
        return type(value)(_copy(item) for item in value)
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return value


def _fill(now: Any, value: Any) -> bool:
    """Change what holds values in place, since others may hold it too; False where that cannot be."""
    if isinstance(now, Tensor) and isinstance(value, Tensor):
        if now.shape != value.shape or now.dtype != value.dtype or now.requires_grad:
            return False
        now.copy_(value)
    elif isinstance(now, list) and isinstance(value, list):
        now[:] = _copy(value)
    elif isinstance(now, dict) and isinstance(value, dict):
        now.clear()
        now.update(_copy(value))
    else:
        return False
    return True


def same(one: Any, other: Any) -> bool:
    """Whether two saved values are the same, bit for bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        is_alike = one.shape == other.shape and one.dtype == other.dtype and one.device == other.device
        return is_alike and torch.equal(one, other)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - NaN is what it was
