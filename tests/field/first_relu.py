from torch import nn

from bench.spec import Architecture


class FirstRelu(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Conv2d(1, 16, 5),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 5),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(512, 10),
        )

    def forward(self, x):
        return self.net(x)


ARCHITECTURE = Architecture(name="first-relu", build=FirstRelu)
