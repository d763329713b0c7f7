"""Two mistakes as they were printed: a view that folds the batch, and a layer of another net."""

import torch
from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture


class FlattenBug(nn.Module):
    """Of the flatten-bug project as printed: one pool where the view wants two."""

    def __init__(self, faulty=True):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.drop, self.fc1, self.fc2 = nn.Dropout(0.25), nn.Linear(3136, 128), nn.Linear(128, 10)
        self.faulty = faulty

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = x if self.faulty else F.max_pool2d(x, 2)
        x = self.drop(F.max_pool2d(F.relu(self.conv2(x)), 2))
        x = x.view(-1, 64 * 7 * 7)
        return self.fc2(self.drop(F.relu(self.fc1(x))))


class FourConv(nn.Module):
    """The 4-conv net with the first linear layer of another one."""

    def __init__(self, faulty=True, soft=False):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.fc1, self.fc2, self.soft = nn.Linear(320 if faulty else 512, 20), nn.Linear(20, 10), soft

    def forward(self, x):
        x = self.fc2(F.relu(self.fc1(torch.flatten(self.features(x), 1))))
        return F.softmax(x, dim=1) if self.soft else x


ARCHITECTURES = [Architecture(name="flatten-bug", build=FlattenBug), Architecture(name="linear-320", build=FourConv)]
