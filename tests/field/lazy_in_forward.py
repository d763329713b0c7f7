from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture


class LazyHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3)
        self.fc1 = None
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = x.flatten(1)
        if self.fc1 is None:
            self.fc1 = nn.Linear(x.shape[1], 64)
        return self.fc2(F.relu(self.fc1(x)))


ARCHITECTURE = Architecture(name="lazy-in-forward", build=LazyHead)
