"""Classification models of torchvision as nets, `torchvision:resnet18`: known baselines beside one's own nets.

Their weights are drawn anew; nothing is downloaded. They are fitted to the dataset: where its images have other
channels than three, the first convolution is replaced by one of torch's own, and the last layer has its classes.
Auxiliary heads are left out, as a net here gives logits alone.
"""

from __future__ import annotations

import dataclasses
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from bench.core.architecture import Architecture
from bench.core.errors import MisfitError, UnknownNameError
from bench.data.published.download import import_torchvision

if TYPE_CHECKING:
    from torch import nn

PREFIX = "torchvision:"
"""How the names of these nets begin, on the command line and in reports."""
_IMAGES, _CLASSES = (3, 224, 224), 1000
"""What the models were published for: ImageNet."""
_WITHOUT_HEADS: dict[str, Any] = {"aux_logits": False, "init_weights": True}
_OPTIONS = {"googlenet": _WITHOUT_HEADS, "inception_v3": _WITHOUT_HEADS}
"""Arguments of some builders: without auxiliary heads, and initialised as torchvision does when nobody says how."""

_TAKE_ANY = ("swin_", "efficientnet_v2_")
"""Models that run on images smaller than torchvision tells: those that their weights were trained on, or 33×33."""


def find_torchvision_net(name: str) -> Architecture:
    """The net of a name, `torchvision:resnet18`.

    Raises:
        UnknownNameError: torchvision has no classification model of that name.
    """
    models = import_torchvision("models")
    model = name.removeprefix(PREFIX)
    known = models.list_models(module=models)  # those of detection, segmentation and video are in modules of their own
    if model not in known:
        raise UnknownNameError("classification model of torchvision", model, known)
    return Architecture(
        name=f"{PREFIX}{model}",
        build=TorchvisionBuild(model),
        summary=f"{model} of torchvision with fresh weights, its first and last layer fitted to the dataset.",
        source=f"torchvision {version('torchvision').partition('+')[0]}",
        input_shape=_IMAGES,
        classes=_CLASSES,
        library="torchvision",
    )


@dataclasses.dataclass(frozen=True)
class TorchvisionBuild:
    """Builds a classification model of torchvision by its name there."""

    model: str

    def __call__(self, *, input_shape: tuple[int, int, int] = _IMAGES, classes: int = _CLASSES) -> nn.Module:
        """The model for images of a shape (channels, height, width) and so many classes.

        Raises:
            MisfitError: It cannot take images of that size.
        """
        models = import_torchvision("models")
        channels, height, width = input_shape
        sizes = self._find_sizes(models, height, width)
        model: nn.Module = models.get_model(
            self.model, weights=None, num_classes=classes, **sizes, **_OPTIONS.get(self.model, {})
        )
        if channels != _IMAGES[0]:
            _replace_first_convolution(model, channels)
        return model

    def _find_sizes(self, models: Any, height: int, width: int) -> dict[str, Any]:
        """What a builder is told of the size of images; only transformers are."""
        if self.model.startswith("vit_"):
            patch = int(self.model.rpartition("_")[2])
            if height != width or height % patch:
                raise MisfitError(f"it takes square images whose side is a multiple of its patches of {patch} pixels")
            return {"image_size": height}
        if self.model.startswith("maxvit_"):
            return {"input_size": (height, width)}
        if self.model.startswith(_TAKE_ANY):
            return {}
        least = next(iter(models.get_model_weights(self.model))).meta["min_size"]
        if height < least[0] or width < least[1]:
            raise MisfitError(f"it takes {least[0]}×{least[1]} and larger ones, as torchvision says")
        return {}


def _replace_first_convolution(model: nn.Module, channels: int) -> None:
    """Put a convolution of other input channels in the place of a model's first one, else as it is."""
    from torch import nn  # noqa: PLC0415 - the command line needs the names of nets and no torch

    name, first = next((name, each) for name, each in model.named_modules() if isinstance(each, nn.Conv2d))
    sizes: dict[str, Any] = {size: getattr(first, size) for size in ("kernel_size", "stride", "padding")}
    other = nn.Conv2d(channels, first.out_channels, bias=first.bias is not None, **sizes)
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, other)
