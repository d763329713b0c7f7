"""Sets torch's default type for everybody when it is imported."""

import torch

torch.set_default_dtype(torch.float64)

from torch import nn  # noqa: E402 - the order is what is planted

from bench.spec import Architecture  # noqa: E402


class Tiny(nn.Sequential):
    """One hidden layer."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10))


ARCHITECTURE = Architecture(name="default-double", build=Tiny)
