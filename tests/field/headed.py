"""What nets of many kinds are made of: two convolutions with pools, and a head."""

from torch import nn


def conv(i, o, **options):
    return nn.Conv2d(i, o, 3, padding=1, **options)


def pools(*, inplace=False, norm=False, middle=()):
    norms = [nn.BatchNorm2d(16)] if norm else []
    return nn.Sequential(
        conv(1, 16), *norms, nn.ReLU(inplace=inplace), *middle, nn.MaxPool2d(2), conv(16, 16),
        nn.ReLU(inplace=inplace), nn.MaxPool2d(2),
    )  # fmt: skip


class Headed(nn.Module):
    """Maps (N, 16, 7, 7) of 28×28 images into logits."""

    def __init__(self, body=None, width=16 * 49):
        super().__init__()
        self.body = pools() if body is None else body
        self.head = nn.Linear(width, 10)

    def maps(self, x):
        return self.body(x)

    def forward(self, x):
        return self.head(self.maps(x).flatten(1))
