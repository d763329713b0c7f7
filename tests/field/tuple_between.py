from torch import nn

from bench.spec import Architecture


class Two(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.a, self.b = nn.Conv2d(i, o, 3, padding=1), nn.Conv2d(i, o, 1)

    def forward(self, x):
        return self.a(x), self.b(x)


class Join(nn.Module):
    def forward(self, pair):
        return pair[0] + pair[1]


def build():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        Two(16, 16),
        Join(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 49, 10),
    )


ARCHITECTURE = Architecture(name="tuple-between", build=build)
