"""Drops the dimensions of size one behind its last pooling, and so the batch when it is one image."""

from torch import Tensor, nn
from torch.nn import functional

from bench.spec import Architecture


class Squeezed(nn.Module):
    """Two convolutions and global pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 3), nn.Conv2d(16, 10, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        return functional.adaptive_avg_pool2d(self.second(self.first(images).relu()), 1).squeeze()


ARCHITECTURE = Architecture(name="squeezed", build=Squeezed)
