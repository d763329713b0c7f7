"""A pre-activation block with a skip connection, as in He et al. 2016 (v2), with in-place ReLUs."""

from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture


class PreActNet(nn.Module):
    def __init__(self, inplace=True):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.block = nn.Sequential(nn.ReLU(inplace=inplace), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3, padding=1))
        self.head = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(16 * 14 * 14, 10))

    def forward(self, x):
        h = self.stem(x)
        out = self.block(h)  # ReLU(inplace) has changed h: the skip path is rectified too
        return self.head(out + F.avg_pool2d(h, 2))


A = Architecture(name="preact", build=PreActNet, summary="pre-activation, in place", source="field")
