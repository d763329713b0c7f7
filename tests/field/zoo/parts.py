"""What several nets of the zoo are made of."""

import torch
from torch import nn

from bench.spec import Architecture


class Zoo:
    """The nets of a file: `@correct` puts one in."""

    def __init__(self):
        self.nets = []

    def __call__(self, build):
        self.add(build.__name__, build)
        return build

    def add(self, name, build, **declared):
        self.nets.append(Architecture(name=name, build=build, **declared))


def cbr(i, o, k=3, step=1, g=1, act=nn.ReLU):
    return nn.Sequential(nn.Conv2d(i, o, k, step, k // 2, groups=g, bias=False), nn.BatchNorm2d(o), act())


class Base(nn.Module):
    """784 -> h -> 10 with something between"""

    d = 16

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(784, self.d)
        self.h = nn.Linear(self.d, 10)
        self.make()

    def make(self):
        pass

    def mid(self, z):
        return z

    def forward(self, x):
        return self.h(self.mid(torch.tanh(self.f(x.flatten(1)))))
