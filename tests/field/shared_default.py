from torch import nn

from bench.spec import Architecture


class Block(nn.Module):
    def __init__(self, i, o, activation=nn.PReLU(), norm=nn.BatchNorm1d(64)):
        super().__init__()
        self.fc, self.norm, self.act = nn.Linear(i, o), norm, activation

    def forward(self, x):
        return self.act(self.norm(self.fc(x)))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.b1, self.b2, self.out = Block(784, 64), Block(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        return self.out(self.b2(self.b1(x.flatten(1))))


ARCHITECTURE = Architecture(name="shared-default", build=Shared)
