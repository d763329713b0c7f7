"""Which layers of a net are looked at, and a net that gives what these make of images beside its logits."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from bench.models.trained.pixels import PixelNet

_DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
_SKIPPED = (*_DROPOUT, nn.Flatten, nn.Identity)
"""Layers that change nothing of an image in eval mode."""
_TRIED = 2
"""Images of the pass that finds out which layers run: one alone hides what is done over a batch."""


def leaf_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Path and module of every leaf that may change an image."""
    for name, module in model.named_modules():
        if next(module.children(), None) is None and not isinstance(module, _SKIPPED):
            yield name, module


def is_shown(module: nn.Module, output: object, images: int) -> bool:
    """Whether what a layer made of so many images can be shown: maps, or the flat output of a linear layer."""
    if not isinstance(output, torch.Tensor) or not output.is_floating_point() or not output.numel():
        return False
    is_flat = output.ndim == 2 and isinstance(module, nn.Linear)
    return (is_flat or output.ndim == 4) and len(output) == images  # a single number has no length


def find_layers(model: PixelNet, shape: tuple[int, int, int]) -> dict[str, nn.Module]:
    """Layers of a net that run and can be shown, by path within `model.net`, in order of their first execution."""
    found: dict[str, nn.Module] = {}

    def note(name: str, module: nn.Module, _module: nn.Module, _inputs: object, output: object) -> None:
        if is_shown(module, output, _TRIED):
            found.setdefault(name, module)

    layers = leaf_layers(model.net)
    handles = [module.register_forward_hook(functools.partial(note, name, module)) for name, module in layers]
    try:
        with torch.no_grad():  # not inference mode: a net may take gradients within its forward
            model(torch.zeros(_TRIED, *shape, dtype=torch.uint8))
    finally:
        for handle in handles:
            handle.remove()
    return found


class WatchedNet(nn.Module):
    """A net that gives its logits (N, classes) and what its layers made, (N, C, H, W) or (N, F) each, in order.

    One call at a time: what the layers made is kept until it is given out.

    Attributes:
        kinds: Classes of the layers by their paths within the net, in order of first execution.
    """

    def __init__(self, model: PixelNet, shape: tuple[int, int, int]) -> None:
        """Watch a net, until `release`.

        Args:
            model: The net.
            shape: Channels, height and width of an image.
        """
        super().__init__()
        self.model = model
        self._seen: dict[str, Tensor] = {}
        layers = find_layers(model, shape)
        self.kinds = {name: type(module).__name__ for name, module in layers.items()}
        self._handles = [
            module.register_forward_hook(functools.partial(self._keep, name)) for name, module in layers.items()
        ]
        self.eval()

    def release(self) -> None:
        """Take the hooks off the net again."""
        for handle in self._handles:
            handle.remove()

    def _keep(self, name: str, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        if name not in self._seen:  # a layer may run several times
            self._seen[name] = output.clone()  # what follows may change it in place

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Logits and what each of the layers made, of pixels (N, C, H, W)."""
        self._seen.clear()
        logits = self.model(images)
        made = tuple(self._seen[name] for name in self.kinds)
        self._seen.clear()
        return (logits, *made)
