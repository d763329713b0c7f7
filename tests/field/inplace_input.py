"""Rescales its input in place, as many do to get from standardised pixels to another range."""

import torch
from torch import nn

from bench.spec import Architecture


class Rescaling(nn.Module):
    def __init__(self, safe=False):
        super().__init__()
        self.safe = safe
        self.fc1, self.fc2 = nn.Linear(784, 64), nn.Linear(64, 10)

    def forward(self, x):
        if self.safe:
            x = x * 0.5 + 1.0
        else:
            x.mul_(0.5).add_(1.0)
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


ARCHITECTURES = [
    Architecture(name="rescaling", build=Rescaling),
    Architecture(name="rescaling-safe", build=lambda: Rescaling(safe=True)),
]
