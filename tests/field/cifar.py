from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture


class Block(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o)
        self.c2, self.b2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.short = (
            nn.Sequential()
            if s == 1 and i == o
            else nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), nn.BatchNorm2d(o))
        )

    def forward(self, x):
        y = self.b2(self.c2(F.relu(self.b1(self.c1(x)))))
        y += self.short(x)
        return F.relu(y)


class Res(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True))
        self.a, self.b, self.c = Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        y = F.avg_pool2d(self.c(self.b(self.a(self.stem(x)))), 8)
        return self.fc(y.view(y.size(0), -1))


class Le(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.pool, self.c2 = nn.Conv2d(3, 6, 5), nn.MaxPool2d(2, 2), nn.Conv2d(6, 16, 5)
        self.f1, self.f2, self.f3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.c1(x)))
        x = self.pool(F.relu(self.c2(x)))
        x = x.view(-1, 16 * 5 * 5)
        return self.f3(F.relu(self.f2(F.relu(self.f1(x)))))


ARCHITECTURES = [
    Architecture(name="cifar-res", build=Res, input_shape=(3, 32, 32)),
    Architecture(name="cifar-tutorial", build=Le, input_shape=(3, 32, 32)),
]
