"""Ways of writing and starting a net."""

import torch
import torch.nn.functional as F
from torch import nn

from parts import Base, Zoo, cbr

correct = Zoo()


@correct
def one_hidden_nobias():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64, bias=False), nn.ReLU(), nn.Linear(64, 10, bias=False))


@correct
def zero_last():
    n = nn.Sequential(nn.Conv2d(1, 8, 5, 2), nn.ReLU(), nn.AdaptiveMaxPool2d(4), nn.Flatten(), nn.Linear(128, 10))
    nn.init.zeros_(n[-1].weight)
    nn.init.zeros_(n[-1].bias)
    return n


@correct
def prior_bias():
    n = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.Sigmoid(), nn.Linear(32, 10))
    nn.init.xavier_uniform_(n[1].weight)
    n[-1].bias.data = torch.log(torch.tensor([0.2] + [0.8 / 9] * 9))
    return n


@correct
def lazy_bn():
    return nn.Sequential(
        nn.LazyConv2d(8, 3, 2),
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(16),
        nn.LazyBatchNorm1d(),
        nn.ReLU(),
        nn.Linear(16, 10),
    )


@correct
class ScriptedWhole(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = torch.jit.script(cbr(1, 8, 3, 2))
        self.h = torch.jit.trace(nn.Linear(8, 10), torch.zeros(2, 8))

    def forward(self, x):
        return self.h(self.b(x).mean((2, 3)))


@correct
def compiled():
    return torch.compile(nn.Sequential(cbr(1, 8, 3, 2), nn.Flatten(), nn.Linear(8 * 196, 10)))


@correct
class CompiledPart(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = torch.compile(cbr(1, 8, 3, 2), fullgraph=True)
        self.h = nn.Linear(8, 10)
        self.head = torch.compile(self._head)

    def _head(self, x):
        return self.h(x.mean((2, 3)))

    def forward(self, x):
        return self.head(self.b(x))


@correct
class FOnly(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.empty(8, 1, 5, 5))
        self.b = nn.Parameter(torch.zeros(8))
        self.v = nn.Parameter(torch.empty(10, 8 * 36))
        nn.init.kaiming_uniform_(self.w)
        nn.init.xavier_normal_(self.v)

    def forward(self, x):
        return F.linear(F.max_pool2d(F.leaky_relu(F.conv2d(x, self.w, self.b, 2)), 2).flatten(1), self.v)


@correct
class ExtraArgs(Base):
    def __init__(self, num_classes: int = 10, *, dropout=0.1):
        super().__init__()
        self.dp = dropout

    def forward(self, x, targets=None, return_features=False, **kw):
        z = F.dropout(torch.tanh(self.f(x.flatten(1))), self.dp, self.training)
        return (self.h(z), z) if return_features else self.h(z)


correct.add(
    "a_hundred_classes",
    lambda: nn.Sequential(cbr(3, 8, 3, 2), nn.Flatten(), nn.Linear(8 * 256, 100)),
    input_shape=(3, 32, 32),
    classes=100,
)


ARCHITECTURES = correct.nets
