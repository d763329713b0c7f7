"""Two mistakes as they were printed: a view that folds the batch, and a layer of another net."""

import torch
from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture


class FlattenBug(nn.Module):
    """Of the flatten-bug project as printed: one pool where the view wants two."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.drop = nn.Dropout(0.25)
        self.fc1 = nn.Linear(3136, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        x = self.drop(F.max_pool2d(x, 2))
        x = x.view(-1, 64 * 7 * 7)
        return self.fc2(self.drop(F.relu(self.fc1(x))))


class FourConv(nn.Module):
    """The 4-conv net with the first linear layer of another one."""

    def __init__(self):
        super().__init__()
        layers = []
        for i, o in ((1, 4), (4, 8), (8, 16), (16, 32)):
            layers += [nn.Conv2d(i, o, 3), nn.ReLU()]
            if o in (8, 32):
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.fc1, self.fc2 = nn.Linear(320, 20), nn.Linear(20, 10)

    def forward(self, x):
        x = torch.flatten(self.features(x), 1)
        return self.fc2(F.relu(self.fc1(x)))


ARCHITECTURES = [Architecture(name="flatten-bug", build=FlattenBug), Architecture(name="linear-320", build=FourConv)]
