from torch import nn

from bench.spec import Architecture


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, images):
        return self.stages(images)


ARCHITECTURE = Architecture(name="tiny", build=Tiny)
