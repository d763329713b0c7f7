"""Imports torchvision, whose operators may not load beside this torch, whatever its own name."""

import torchvision
from torch import nn

from bench.spec import Architecture


def build_squeezenet() -> nn.Module:
    """SqueezeNet 1.1 for grey images."""
    net: nn.Module = torchvision.models.squeezenet1_1(num_classes=10)
    net.features[0] = nn.Conv2d(1, 64, 3)  # type: ignore[operator, assignment]
    return net


ARCHITECTURE = Architecture(name="squeezenet", build=build_squeezenet)
