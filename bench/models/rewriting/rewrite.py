"""Rewrites a net for speed without changing what it computes. Architectures stay as their sources print them.

These rules are what ought to be exact; `bench.models.doctor.proof` tries each way on the net itself before anything
trains.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING

import torch
from torch import nn

from bench.core.metadata import BLOCKED, CHANNELS_LAST, LANES, PLAIN
from bench.models.rewriting.routing.routable import goes_its_own_way
from bench.models.rewriting.routing.route import route
from bench.models.rewriting.routing.trace import has_chains
from bench.models.rewriting.torch_internals import is_heard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_BLOCK = 16
"""Channels that oneDNN's blocked layout keeps together (one 512-bit vector of float32)."""


_Norm = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the common base has no other name


def layouts(
    model: nn.Module,
    device: str,
    *,
    normalises: bool = False,
    engine: str = "torch",
) -> tuple[str, ...]:
    """The ways in which a net may be run, the fastest first and `PLAIN` last.

    They follow from the net and the kind of device, never from a measured time: a request gives the same bits on
    every day. Which of them is right for the net, `bench.models.doctor.proof` finds on the machine that trains it.

    Args:
        model: A net as its architecture builds it.
        device: Kind of device that it will run on.
        normalises: Whether it is known to call batch norm as a function.
        engine: What trains it, "torch" or "lanes".
    """
    if any(map(goes_its_own_way, model.modules())):
        return (PLAIN,)
    faster = [LANES] if device == "cpu" and engine == "lanes" and has_chains(model) else []
    if device == "cpu" and torch.backends.mkldnn.is_available() and any(map(_suits_blocks, _sequences(model))):
        faster.append(BLOCKED)
    # torch's BatchNorm for channels_last adds up in float32 on a CPU: at batch 128 gradients are 1e-2 off those in
    # float64, as printed 1e-5.
    is_inexact = device == "cpu" and (normalises or any(isinstance(module, _Norm) for module in model.modules()))
    has_maps = next(_maps(model), None) is not None
    if not is_inexact and (has_maps or any(map(_swaps, _sequences(model)))):
        faster.append(CHANNELS_LAST)
    return (*faster, PLAIN)


def rewrite(model: nn.Module, layout: str) -> None:
    """Run a net, as its architecture builds it, in one of the ways of `layouts`, in place.

    max(relu(x)) = relu(max(x)), forward and backward, and the ReLU then touches a quarter of the values. Layers keep
    their order, names and classes: only how an `nn.Sequential` is run as a whole changes, so a net that indexes,
    slices, names or asks for its layers does what it did.
    """
    if layout == LANES:
        route(model)
    if layout in (PLAIN, LANES):
        return
    for layers in _sequences(model):
        if layout == BLOCKED and _suits_blocks(layers):
            layers.forward = functools.partial(run_blocked, layers)  # type: ignore[method-assign]
        elif _swaps(layers):
            layers.forward = functools.partial(run_swapped, layers)  # type: ignore[method-assign]
    if layout == CHANNELS_LAST:
        for values in _maps(model):
            values.data = values.data.to(memory_format=torch.channels_last)


def run_swapped(layers: nn.Sequential, images: Tensor) -> Tensor:
    """An `nn.Sequential` with each ReLU after the MaxPool that follows it."""
    for layer in _in_order(layers):
        images = layer(images)
    return images


def run_blocked(layers: nn.Sequential, images: Tensor) -> Tensor:
    """The same, its convolutions and what follows them in oneDNN's blocked layout.

    MaxPool, BatchNorm and their backward passes are up to twice as fast there. The dense layout comes back before the
    first layer that does not know it, and at the end.
    """
    for layer in _in_order(layers):
        knows = _knows_blocks(layer)
        if _is_blocked(images) and not knows:
            images = images.to_dense()
        elif knows and isinstance(layer, nn.Conv2d) and _fits_blocks(images):
            images = images.to_mkldnn()
        images = layer(images)
    return images.to_dense() if _is_blocked(images) else images


def _sequences(model: nn.Module) -> list[nn.Sequential]:
    return [module for module in model.modules() if type(module) is nn.Sequential and "forward" not in vars(module)]


def _maps(model: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers of four dimensions, as the weights of 2-D convolutions are."""
    return (values for values in itertools.chain(model.parameters(), model.buffers()) if values.dim() == 4)


def _in_order(layers: nn.Sequential) -> list[nn.Module]:
    """The layers as they are run: each ReLU behind the MaxPool that follows it, where nobody can tell.

    Whoever listens to either would hear another order. A ReLU in place changes its input, which may be wanted elsewhere
    unless a layer just before has made it for this ReLU alone. What follows in place would change the ReLU's output,
    which its gradient needs.
    """
    order, following = list(layers), [*layers, None, None]
    for place, (relu, pool) in enumerate(itertools.pairwise(layers)):
        if type(relu) is not nn.ReLU or type(pool) is not nn.MaxPool2d or pool.return_indices:
            continue
        if _is_changed(relu) or _is_changed(pool) or getattr(following[place + 2], "inplace", False):
            continue
        if not relu.inplace or (place and _makes_its_output(layers[place - 1])):
            order[place], order[place + 1] = pool, relu
    return order


def _swaps(layers: nn.Sequential) -> bool:
    return _in_order(layers) != list(layers)


def _makes_its_output(layer: nn.Module) -> bool:
    return type(layer) in (nn.Conv2d, nn.BatchNorm2d) and not _is_changed(layer)


def _is_changed(module: nn.Module) -> bool:
    """Whether somebody listens to a module, or has given it a forward of its own."""
    return is_heard(module) or "forward" in vars(module)


def _suits_blocks(layers: nn.Sequential) -> bool:
    """Whether blocks pay: a pool or a norm stands beside the convolutions, and less than half of a block is filler."""
    known = [layer for layer in layers if _knows_blocks(layer)]
    channels = [layer.out_channels for layer in known if isinstance(layer, nn.Conv2d)]
    filled = [-(-count // _BLOCK) * _BLOCK < 2 * count for count in channels]
    return bool(channels) and all(filled) and any(isinstance(s, nn.MaxPool2d | nn.BatchNorm2d) for s in known)


def _is_blocked(images: Tensor) -> bool:
    """Whether images, or whatever else a layer gave, are in the blocked layout."""
    return isinstance(images, torch.Tensor) and images.is_mkldnn


def _fits_blocks(images: Tensor) -> bool:
    """Whether oneDNN can take images as they are: not under autocast, in another precision or without a batch."""
    plain = type(images) is torch.Tensor and images.dim() == 4 and images.dtype == torch.float32
    return plain and not images.is_mkldnn and not torch.is_autocast_enabled("cpu")


def _knows_blocks(layer: nn.Module) -> bool:
    """Whether oneDNN has the layer forward and backward in its blocked layout, and nobody listens to it."""
    if _is_changed(layer):
        return False
    if type(layer) is nn.Conv2d:
        plain = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
        return plain and layer.weight.dtype == torch.float32
    if type(layer) is nn.BatchNorm2d:
        has_backward = layer.training or not torch.is_grad_enabled()
        return layer.affine and layer.track_running_stats and layer.momentum is not None and has_backward
    if type(layer) is nn.MaxPool2d:
        return layer.dilation in (1, (1, 1)) and not layer.ceil_mode and not layer.return_indices
    return type(layer) is nn.ReLU and not layer.inplace
