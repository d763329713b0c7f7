from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture


class Softmaxed(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.pool, self.d1, self.d2 = nn.MaxPool2d(2, 2), nn.Dropout(0.25), nn.Dropout(0.5)
        self.f1, self.f2, self.soft = nn.Linear(9216, 128), nn.Linear(128, 10), nn.Softmax(dim=1)

    def forward(self, x):
        x = self.pool(F.relu(self.c2(F.relu(self.c1(x)))))
        x = self.d1(x)
        x = x.view(x.size(0), -1)
        return self.soft(self.f2(self.d2(F.relu(self.f1(x)))))


class Plain(Softmaxed):
    def __init__(self):
        super().__init__()
        self.soft = nn.Identity()


ARCHITECTURES = [Architecture(name="softmax-end", build=Softmaxed), Architecture(name="softmax-none", build=Plain)]
