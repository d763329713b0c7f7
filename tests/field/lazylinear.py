import torch
from torch import nn

from bench.spec import Architecture


def build():
    return nn.Sequential(
        nn.LazyConv2d(16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.LazyConv2d(32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(64),
        nn.ReLU(),
        nn.LazyLinear(10),
    )


def build_warm():
    net = build()
    net(torch.zeros(1, 1, 28, 28))
    return net


ARCHITECTURES = [Architecture(name="lazylinear", build=build), Architecture(name="lazylinear-warm", build=build_warm)]
