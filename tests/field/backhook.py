from torch import nn

from bench.spec import Architecture


class Guided(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Linear(32 * 49, 10)
        for m in self.features:
            if isinstance(m, nn.ReLU):
                m.register_full_backward_hook(lambda mod, gi, go: (gi[0].sign() * 1e-3,))

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


ARCHITECTURE = Architecture(name="guided", build=Guided)
