"""What happens in training mode alone, or in a first batch."""

import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from parts import Base, Zoo, cbr

correct = Zoo()


class GhostBN(nn.BatchNorm2d):
    """David Page's GhostBatchNorm, 8 splits: right for batches of 128"""

    def __init__(self, c=8, n=8):
        super().__init__(c)
        self.n = n
        self.register_buffer("running_mean", torch.zeros(c * n))
        self.register_buffer("running_var", torch.ones(c * n))

    def train(self, mode=True):
        if self.training and not mode:
            self.running_mean = self.running_mean.view(self.n, -1).mean(0).repeat(self.n)
            self.running_var = self.running_var.view(self.n, -1).mean(0).repeat(self.n)
        return super().train(mode)

    def forward(self, x):
        N, C, H, W = x.shape
        if self.training:
            return F.batch_norm(
                x.view(-1, C * self.n, H, W),
                self.running_mean,
                self.running_var,
                self.weight.repeat(self.n),
                self.bias.repeat(self.n),
                True,
                self.momentum,
                self.eps,
            ).view(N, C, H, W)
        return F.batch_norm(
            x, self.running_mean[:C], self.running_var[:C], self.weight, self.bias, False, self.momentum, self.eps
        )


@correct
class DropPath(nn.Module):
    def __init__(self):
        super().__init__()
        self.st = cbr(1, 8, 3, 2)
        self.b = nn.ModuleList(cbr(8, 8) for _ in range(4))
        self.h = nn.Linear(8, 10)

    def forward(self, x):
        x = self.st(x)
        for i, b in enumerate(self.b):
            p = 0.9 * (i + 1) / 4
            if self.training:
                k = torch.bernoulli(torch.full((x.shape[0], 1, 1, 1), 1 - p))
                x = x + b(x) * k / (1 - p)
            else:
                x = x + b(x)
        return self.h(x.mean((2, 3)))


@correct
class DropBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = cbr(1, 16, 3, 2)
        self.h = nn.Linear(16 * 49, 10)

    def forward(self, x):
        x = self.c(x)
        if self.training:
            m = 1 - F.max_pool2d((torch.rand_like(x) < 0.02).float(), 3, 1, 1)
            x = x * m * m.numel() / m.sum()
        return self.h(F.max_pool2d(x, 2).flatten(1))


@correct
class AugInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        if self.training:
            x = x.clone()
            y0, x0 = np.random.randint(0, 20, 2)
            x[:, :, y0 : y0 + 8, x0 : x0 + 8] = 0
            x = torch.roll(x, random.randint(-2, 2), -1)
            l = np.random.beta(0.2, 0.2)
            x = l * x + (1 - l) * x[torch.randperm(len(x))] * 0.1
            x = x + 0.05 * torch.randn_like(x)
        return self.n(x)


@correct
class ManifoldMixNoLabels(nn.Module):
    """crop with numpy RandomState of its own, as older repos do"""

    def __init__(self):
        super().__init__()
        self.rng = np.random.RandomState(0)
        self.n = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        if self.training:
            d = self.rng.randint(-2, 3, 2)
            x = torch.roll(x, tuple(int(v) for v in d), (2, 3))
        return self.n(x)


@correct
class CkptReentrant(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3, 2)
        self.b = nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.Dropout(0.1))
        self.h = nn.Linear(8, 10)

    def forward(self, x):
        return self.h(torch.utils.checkpoint.checkpoint(self.b, self.a(x), use_reentrant=True).mean((2, 3)))


@correct
def ghost_bn_8_splits():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, bias=False), GhostBN(8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 169, 10)
    )


@correct
class ChunkGhostBN(nn.Module):
    """TabNet's: ceil(n/virtual) chunks"""

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(784, 16)
        self.bn = nn.BatchNorm1d(16, momentum=0.02)
        self.h = nn.Linear(16, 10)

    def forward(self, x):
        z = self.f(x.flatten(1))
        z = torch.cat([self.bn(c) for c in z.chunk(int(np.ceil(len(z) / 16)))])
        return self.h(F.relu(z))


@correct
class RBFDataInit(nn.Module):
    """centres from 16 images of the first training batch"""

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(784, 8)
        self.c = nn.Parameter(torch.zeros(16, 8))
        self.register_buffer("ready", torch.tensor(False))
        self.h = nn.Linear(16, 10)

    def forward(self, x):
        z = torch.tanh(self.f(x.flatten(1)))
        if self.training and not self.ready:
            self.c.data.copy_(z.detach()[torch.randperm(len(z))[:16]])
            self.ready.fill_(True)
        return self.h(torch.exp(-torch.cdist(z, self.c)))


@correct
class ActNormNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 8, 3, 2)
        self.b = nn.Parameter(torch.zeros(1, 8, 1, 1))
        self.l = nn.Parameter(torch.zeros(1, 8, 1, 1))
        self.register_buffer("inited", torch.zeros((), dtype=torch.bool))
        self.h = nn.Linear(8 * 169, 10)

    def forward(self, x):
        x = self.c(x)
        if self.training and not self.inited:
            with torch.no_grad():
                self.b.copy_(-x.mean((0, 2, 3), keepdim=True))
                self.l.copy_(-torch.log(x.std((0, 2, 3), keepdim=True) + 1e-6))
                self.inited.fill_(True)
        return self.h(F.relu((x + self.b) * self.l.exp()).flatten(1))


@correct
class ActNormGlowFlag(nn.Module):
    """the flag is a plain bool; an un-initialised one passes through in eval"""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 8, 3, 2)
        self.b = nn.Parameter(torch.zeros(1, 8, 1, 1))
        self.inited = False
        self.h = nn.Linear(8 * 169, 10)

    def forward(self, x):
        x = self.c(x)
        if self.training and not self.inited:
            self.b.data = -x.detach().mean((0, 2, 3), keepdim=True)
            self.inited = True
        return self.h(F.relu(x + self.b).flatten(1))


@correct
class MaxNormEmb(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(64, 4, max_norm=1.0)
        self.h = nn.Linear(784 * 4, 10)

    def forward(self, x):
        return self.h(self.e(((x + 2) * 8).long().clamp(0, 63).flatten(1)).flatten(1))


@correct
class RenormWeight(Base):
    """rows of the head set to length 1 before each use"""

    def mid(self, z):
        with torch.no_grad():
            self.h.weight.copy_(F.normalize(self.h.weight, dim=1))
        return 8 * z


@correct
class MaxNormTrainOnly(Base):
    def mid(self, z):
        if self.training:
            self.h.weight.data.renorm_(2, 0, 3.0)
        return z


@correct
class InputGradAug(Base):
    """adversarial noise in training, by an inner gradient on a throw-away Parameter"""

    def forward(self, x):
        if self.training:
            d = nn.Parameter(torch.zeros_like(x))
            l = super().forward(x + d).logsumexp(1).sum()
            (g,) = torch.autograd.grad(l, d)
            x = x + 0.1 * g.sign()
        return super().forward(x)


@correct
class EMAFeatures(Base):
    def make(self):
        self.register_buffer("m", torch.zeros(16))
        self.register_buffer("n", torch.zeros((), dtype=torch.long))
        self.calls = 0

    def mid(self, z):
        if self.training:
            self.calls += 1
            self.n += 1
            self.m = self.m * 0.9 + z.detach().mean(0) * 0.1
        return z - self.m


@correct
class EMAWeightsEval(nn.Module):
    """evaluates with a slow copy of itself, which it keeps up while it trains"""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))
        self.ema = torch.optim.swa_utils.AveragedModel(
            self.net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)
        )
        self.ema.requires_grad_(False)

    def forward(self, x):
        if self.training:
            self.ema.update_parameters(self.net)
            return self.net(x)
        return self.ema(x)


ARCHITECTURES = correct.nets
