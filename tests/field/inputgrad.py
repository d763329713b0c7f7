from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture


class Saliency(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.f = nn.Conv2d(1, 16, 3), nn.Linear(16 * 676, 10)

    def forward(self, x):
        if self.training:
            x.requires_grad_()
        return self.f(F.relu(self.c(x)).flatten(1))


ARCHITECTURE = Architecture(name="input-grad", build=Saliency)
