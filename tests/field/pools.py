import torch
from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture


class Up(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.p, self.u, self.f = (
            nn.Conv2d(1, 16, 3, padding=1),
            nn.MaxPool2d(2, return_indices=True),
            nn.MaxUnpool2d(2),
            nn.Linear(16 * 784, 10),
        )

    def forward(self, x):
        y, where = self.p(self.c(x))
        return self.f(F.relu(self.u(y, where)).flatten(1))


class MyReLU(nn.ReLU):
    def forward(self, x):
        return x.clamp(min=0) + 0.1


class Rev(nn.Sequential):
    def forward(self, x):
        for m in reversed(self):
            x = m(x)
        return x


def seq(*pools, relu=nn.ReLU, c=16, tail=None):
    def build():
        with torch.no_grad():
            body = nn.Sequential(
                nn.Conv2d(1, c, 3, padding=1), relu(), pools[0], nn.Conv2d(c, 2 * c, 3, padding=1), relu(), pools[-1]
            )
            n = body(torch.zeros(1, 1, 28, 28)).flatten(1).shape[1]
        return nn.Sequential(body, nn.Flatten(), nn.Linear(n, 10))

    return build


def shared():
    r = nn.ReLU()
    p = nn.MaxPool2d(2)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        r,
        p,
        nn.Conv2d(16, 16, 3, padding=1),
        r,
        p,
        r,
        nn.Flatten(),
        nn.Linear(16 * 49, 10),
    )


def reverse():
    return nn.Sequential(
        Rev(nn.MaxPool2d(2), nn.ReLU(), nn.BatchNorm2d(16), nn.Conv2d(1, 16, 3, padding=1)),
        nn.Flatten(),
        nn.Linear(16 * 196, 10),
    )


def negative():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.BatchNorm2d(16),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


class Sums(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16))
        self.b = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16))
        self.s = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(16, 16, 1))
        self.f = nn.Linear(16 * 196, 10)

    def forward(self, x):
        x = self.a(x)
        return self.f((self.b(x) + self.s(x)).flatten(1))


M = nn.MaxPool2d
ARCHITECTURES = [
    Architecture(name="p-plain", build=seq(M(2))),
    Architecture(name="p-ceil", build=seq(M(3, 2, ceil_mode=True))),
    Architecture(name="p-pad", build=seq(M(3, 2, 1))),
    Architecture(name="p-overlap", build=seq(M(3, 1, 1), M(3, 2))),
    Architecture(name="p-dilated", build=seq(M(2, 2, dilation=2))),
    Architecture(name="p-asym", build=seq(M((2, 1)), M((1, 2)))),
    Architecture(name="p-inplace", build=seq(M(2), relu=lambda: nn.ReLU(inplace=True))),
    Architecture(name="p-subclass", build=seq(M(2), relu=MyReLU)),
    Architecture(name="p-relu6", build=seq(M(2), relu=nn.ReLU6)),
    Architecture(name="p-24", build=seq(M(2), c=24)),
    Architecture(name="p-5", build=seq(M(2), c=5)),
    Architecture(name="p-unpool", build=Up),
    Architecture(name="p-shared", build=shared),
    Architecture(name="p-reverse", build=reverse),
    Architecture(name="p-negative", build=negative),
    Architecture(name="p-sums", build=Sums),
]
