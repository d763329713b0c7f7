"""What a symbolic trace of a net tells about its layers: whether convolutions run, and who uses what they give.

A trace freezes what a forward decides in Python, so nothing is ever run by it: `nodes.py` takes it as
a hint. A variable may hold a value that nobody asks for again (`c1 = relu(conv(x)); s2 = max_pool2d(c1, 2); …`); only
the whole forward can tell.
"""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch.nn import functional

from bench.models.determinism import kept_generators
from bench.models.rewriting.kernels.stages import MaxPool, Relu, knows, pool_of
from bench.models.rewriting.routing.own_code import is_pure
from bench.models.rewriting.routing.routable import is_routable, known_layers

if TYPE_CHECKING:
    from bench.models.rewriting.routing.nodes import Key

_RELUS = (functional.relu, torch.relu, torch.relu_, "relu", "relu_")
_POOLS = (functional.max_pool2d, torch.max_pool2d)


def has_chains(model: nn.Module) -> bool:
    """Whether a convolution that the kernels can run is called in a net's forward, as far as can be told.

    A net that cannot be traced is taken to call all its layers.
    """
    if not is_routable(model):
        return False
    graph = _trace(model)
    known = {id(layer) for layer in known_layers(model) if type(layer) is nn.Conv2d}
    modules = dict(model.named_modules(remove_duplicate=False))
    return graph is None or any(
        node.op == "call_module" and id(modules[str(node.target)]) in known for node in graph.nodes
    )


def lone_values(model: nn.Module) -> frozenset[Key]:
    """The layers, from a convolution on, after which only one other layer asks for the value; modules by path.

    Empty for a net that cannot be traced, or whose forward does more than to compute its output.
    """
    graph = _trace(model)
    if graph is None:
        return frozenset()
    modules = dict(model.named_modules(remove_duplicate=False))
    keys: dict[fx.Node, Key] = {}
    lone: dict[Key, bool] = {}
    for node in graph.nodes:
        given = node.args[0] if node.args else None
        before = keys.get(given, ()) if isinstance(given, fx.Node) else ()
        step = _step(node, modules)
        if step is None or not (before or (isinstance(step, str) and type(modules[step]) is nn.Conv2d)):
            continue
        keys[node] = key = (*before, step)
        changed = [given] if isinstance(given, fx.Node) and _is_in_place(node, modules) else []
        lone[key] = lone.get(key, True) and all(len(value.users) == 1 for value in (node, *changed))
    return frozenset(key for key, is_lone in lone.items() if is_lone)


def _trace(model: nn.Module) -> fx.Graph | None:
    """The graph of a copy of the net; None where its forward cannot be followed, or must not run once more."""
    if not is_pure(model):
        return None
    try:
        with kept_generators(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fx.Tracer().trace(copy.deepcopy(model))
    except Exception:  # noqa: BLE001 - whatever it is, this forward cannot be followed
        return None


def _step(node: fx.Node, modules: dict[str, nn.Module]) -> str | Relu | MaxPool | None:
    """What a call is to the kernels: the path of a module, a function, or nothing that they know."""
    if node.op == "call_module":
        module = modules[str(node.target)]
        if type(module) is nn.ReLU:
            return Relu()
        if type(module) is nn.MaxPool2d and knows(module):
            return pool_of(module)
        return str(node.target) if type(module) in (nn.Conv2d, nn.BatchNorm2d) and knows(module) else None
    if node.op in ("call_function", "call_method") and node.target in _RELUS:
        return Relu()
    if node.op == "call_function" and node.target in _POOLS:
        return _pool(*node.args[1:], **node.kwargs)
    return None


def _is_in_place(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether what a ReLU was given is what it gives."""
    if node.op == "call_module":
        return bool(getattr(modules[str(node.target)], "inplace", False))
    return node.target in (torch.relu_, "relu_") or bool(node.kwargs.get("inplace")) or len(node.args) > 1


def _pool(kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, **modes: Any) -> MaxPool | None:
    return None if any(modes.values()) else MaxPool.of(kernel_size, stride or kernel_size, padding, dilation)
