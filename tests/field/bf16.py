import torch
from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.f1, self.f2 = nn.Linear(784, 64), nn.Linear(64, 10)
        self.register_buffer("table", torch.ones(64, dtype=torch.bfloat16))

    def forward(self, x):
        return self.f2(F.relu(self.f1(x.flatten(1))) * self.table.float())


class Auto(nn.Module):
    def __init__(self):
        super().__init__()
        self.f1, self.f2 = nn.Linear(784, 64), nn.Linear(64, 10)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.f2(F.relu(self.f1(x.flatten(1))))


class Cast(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)).to(torch.bfloat16)

    def forward(self, x):
        return self.net(x.flatten(1).to(torch.bfloat16))


class Double(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 169, 10)
        ).double()

    def forward(self, x):
        return self.net(x.double())


ARCHITECTURES = [
    Architecture(name="bf16-buffer", build=Half),
    Architecture(name="autocast", build=Auto),
    Architecture(name="bf16-net", build=Cast),
    Architecture(name="double", build=Double),
]
