import numpy
import torch
from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture


class Skip(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if self.training and numpy.random.rand() < self.p:
            return x * 0
        return x


class Block(nn.Module):
    def __init__(self, d, p):
        super().__init__()
        self.body, self.skip = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d)), Skip(p)

    def forward(self, x):
        return x + self.skip(self.body(x))


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.blocks, self.z = (
            nn.Linear(784, 32),
            nn.Sequential(*[Block(32, 0.3) for _ in range(4)]),
            nn.Linear(32, 10),
        )

    def forward(self, x):
        return self.z(self.blocks(self.a(x.flatten(1))))


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.z = nn.Linear(784, 32), nn.Linear(32, 10)
        self.a.weight.data = torch.from_numpy(numpy.random.normal(0, 0.05, (32, 784)).astype("float32"))

    def forward(self, x):
        return self.z(F.relu(self.a(x.flatten(1))))


ARCHITECTURES = [Architecture(name="np-depth", build=Deep), Architecture(name="np-init", build=Mixed)]
