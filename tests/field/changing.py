"""Nets that change what they hold after training has begun, and one that gives the same memory for every answer."""

import torch
from torch import nn
from torch.nn import functional

from bench.spec import Architecture

STEP = 5


class Plain(nn.Module):
    """Two layers."""

    def __init__(self):
        super().__init__()
        self.first, self.last, self.steps = nn.Linear(784, 32), nn.Linear(32, 10), 0

    def forward(self, images):
        if self.training:
            self.steps += 1
            if self.steps == STEP:
                self.change()
        return self.last(functional.relu(self.first(images.flatten(1))))

    def change(self):
        pass


class Thawing(Plain):
    """Its first layer is trained from the fifth step on."""

    def __init__(self):
        super().__init__()
        self.first.requires_grad_(False)

    def change(self):
        self.first.requires_grad_(True)


class Swapping(Plain):
    """Takes another last layer, which no optimizer knows."""

    def change(self):
        self.last = nn.Linear(32, 10)


class Reusing(Plain):
    """Gives the same memory for every answer, with other logits in it."""

    def __init__(self):
        super().__init__()
        self.buffers_by_size = {}

    def forward(self, images):
        logits = super().forward(images)
        if torch.is_grad_enabled():
            return logits
        given = self.buffers_by_size.setdefault(len(logits), torch.empty(len(logits), 10))
        return given.copy_(logits)


ARCHITECTURES = [Architecture(name=kind.__name__.lower(), build=kind) for kind in (Plain, Thawing, Swapping, Reusing)]
