"""Runs a net's convolutions, and what follows them, by the kernels, whatever its forward looks like.

All that changes in a net is how single layers answer while its whole forward runs, and that forward runs as printed:
`pending.py` says what they answer. Outside of it, and wherever something is unusual (a hook, another
precision, a transform), a layer runs as torch has it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from bench.models.rewriting.kernels.stages import fits, slide
from bench.models.rewriting.routing.nodes import Chains, Node, Run, local, root
from bench.models.rewriting.routing.pending import Pending, extend, holds_pending, max_pool, plain, relu, show
from bench.models.rewriting.routing.routable import is_routable, known_layers
from bench.models.rewriting.routing.trace import lone_values
from bench.models.rewriting.torch_internals import has_hooks, is_transformed, is_watched, parameters_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


def route(model: nn.Module) -> None:
    """Let the kernels run what they know of a net, in place; a net with which that is not safe stays as it is.

    Parameters, names, classes and the order of layers stay. Copies and pickles of the net run as it does.
    """
    if is_routable(model):
        chains = Chains(lone_values(model))
        for layer in known_layers(model):
            layer.forward = functools.partial(_ANSWERS[type(layer)], layer)
        model.forward = functools.partial(_run, model, chains)


def _run(model: nn.Module, chains: Chains, *args: Any, **kwargs: Any) -> Any:
    """The printed forward of a whole net, with layers that answer later."""
    printed = type(model).forward
    modules, lone = chains.look_up(model)
    if local.run is not None or is_transformed() or is_watched(modules):
        return printed(model, *args, **kwargs)
    local.run = run = Run(chains, lone)
    try:
        output = plain(printed(model, *args, **kwargs))
        if run.settle():
            _replace_kept(modules)
    finally:
        local.run = None
    return output


def _replace_kept(modules: tuple[nn.Module, ...]) -> None:
    """Plain tensors where modules keep values beyond the pass, in their attributes or in lists and dicts there."""
    for module in modules:
        for name, value in vars(module).items():
            if not holds_pending(value):
                continue
            if type(value) is list:
                value[:] = plain(value)
            elif type(value) is dict:
                value.update(plain(value))
            else:
                vars(module)[name] = plain(value)


def _take(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a layer was given, if it may answer later; else None."""
    return None if local.run is None or len(args) != 1 or kwargs or has_hooks(layer) else args[0]


def _convolve(layer: nn.Conv2d, *args: Any, **kwargs: Any) -> Any:
    found = NotImplemented
    images = None if is_transformed() else _take(layer, args, kwargs)
    if type(images) is Pending and images.node.value is not None:
        images = images.node.value
    if type(images) is Pending:
        shape = _shape(layer, images.node.shape)
        found = NotImplemented if shape is None else extend(images, layer, shape)
    elif isinstance(images, torch.Tensor) and _fits(layer, images):
        shape = _shape(layer, images.shape)
        found = NotImplemented if shape is None else _start(layer, images, shape)
    return nn.Conv2d.forward(layer, *args, **kwargs) if found is NotImplemented else found


def _fits(layer: nn.Conv2d, images: Tensor) -> bool:
    """Whether the kernels can take a plain tensor, and the layer has its own weights, of the same type."""
    weight = parameters_of(layer)["weight"]
    is_own = type(weight) is nn.Parameter and weight.dtype is torch.float32 and weight.is_cpu
    return is_own and fits(images) and images.is_contiguous()


def _shape(layer: nn.Conv2d, shape: Sequence[int]) -> tuple[int, ...] | None:
    """(N, C, H, W) of what a convolution gives; None where torch is to say what is wrong, or nothing is there."""
    if shape[1] != layer.in_channels or not shape[0] or type(parameters_of(layer)["weight"]) is not nn.Parameter:
        return None
    height, width = slide(shape[2:], layer.kernel_size, layer.stride, layer.padding)  # type: ignore[arg-type]
    return (shape[0], layer.out_channels, height, width) if height > 0 and width > 0 else None


def _start(layer: nn.Conv2d, images: Tensor, shape: tuple[int, ...]) -> Any:
    run = local.run
    if run is None or torch.is_grad_enabled() is not run.grad:
        return NotImplemented
    return show(Node(run, shape, layer=layer, parent=root(run, images)))


def _normalise(layer: nn.BatchNorm2d, *args: Any, **kwargs: Any) -> Any:
    found = NotImplemented
    images = None if is_transformed() else _take(layer, args, kwargs)
    if local.run is not None and local.run.norms:
        local.run.settle_norm(layer)
    if type(images) is Pending:
        shape = images.node.shape
        has_one = shape[0] * shape[2] * shape[3] == 1  # torch says what is wrong with one value a channel
        weight = parameters_of(layer)["weight"]
        is_own = weight is None or type(weight) is nn.Parameter
        if shape[1] == layer.num_features and not has_one and is_own:
            found = extend(images, layer, shape)
    return nn.BatchNorm2d.forward(layer, *args, **kwargs) if found is NotImplemented else found


def _rectify(layer: nn.ReLU, *args: Any, **kwargs: Any) -> Any:
    images = _take(layer, args, kwargs)
    found = relu(images, inplace=layer.inplace) if type(images) is Pending else NotImplemented
    return nn.ReLU.forward(layer, *args, **kwargs) if found is NotImplemented else found


def _pool(layer: nn.MaxPool2d, *args: Any, **kwargs: Any) -> Any:
    images = _take(layer, args, kwargs)
    found: Any = NotImplemented
    if type(images) is Pending:
        found = max_pool(
            images,
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.ceil_mode,
            layer.return_indices,
        )
    return nn.MaxPool2d.forward(layer, *args, **kwargs) if found is NotImplemented else found


_ANSWERS: dict[type[nn.Module], Callable[..., Any]] = {
    nn.Conv2d: _convolve,
    nn.BatchNorm2d: _normalise,
    nn.ReLU: _rectify,
    nn.MaxPool2d: _pool,
}
"""How layers of each kind answer."""
