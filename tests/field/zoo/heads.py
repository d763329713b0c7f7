"""Ends: prototypes, mixtures, trees and other posteriors; further outputs while training."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from parts import Base, Zoo, cbr

correct = Zoo()


@correct
class Prototypes(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 8))
        self.p = nn.Parameter(torch.randn(10, 8))

    def forward(self, x):
        return -(torch.cdist(self.f(x), self.p) ** 2)


@correct
class RBFout(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.Tanh())
        self.c = nn.Parameter(torch.randn(40, 16) * 0.5)
        self.ls = nn.Parameter(torch.zeros(40))
        self.h = nn.Linear(40, 10)

    def forward(self, x):
        z = self.f(x)
        return self.h(torch.exp(-((z[:, None] - self.c) ** 2).sum(-1) * self.ls.exp() / 16))


@correct
class Maxout(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(784, 64)
        self.b = nn.Linear(16, 10)

    def forward(self, x):
        return self.b(self.a(x.view(x.size(0), -1)).view(-1, 16, 4).max(-1)[0])


@correct
class DeepSup(nn.Module):
    """main logits, then the list of the auxiliary ones, while it trains"""

    def __init__(self):
        super().__init__()
        self.b = nn.ModuleList([cbr(1, 8, 3, 2), cbr(8, 8, 3, 2), cbr(8, 8, 3, 2)])
        self.h = nn.ModuleList(nn.Linear(8, 10) for _ in range(3))

    def forward(self, x):
        o = []
        for b, h in zip(self.b, self.h):
            x = b(x)
            o.append(h(x.mean((2, 3))))
        return (o[-1], o[:-1]) if self.training else o[-1]


@correct
class AuxDict(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(784, 16)
        self.b = nn.Linear(16, 10)
        self.rot = nn.Linear(16, 4)

    def forward(self, x):
        h = F.relu(self.a(x.flatten(1)))
        return (self.b(h), {"rotation": self.rot(h)}) if self.training else self.b(h)


@correct
class EarlyExit(nn.Module):
    def __init__(self):
        super().__init__()
        self.b1 = cbr(1, 8, 3, 2)
        self.b2 = cbr(8, 8, 3, 2)
        self.e = nn.Linear(8, 10)
        self.h = nn.Linear(8, 10)

    def forward(self, x):
        a = self.b1(x)
        b = self.b2(a)
        o = self.h(b.mean((2, 3)))
        return [o, self.e(a.mean((2, 3)))] if self.training else o


@correct
class MixtureOfSoftmaxes(nn.Module):
    """Yang et al. 2018: log sum_k pi_k softmax_k; no logits exist"""

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(784, 32)
        self.pi = nn.Linear(32, 4)
        self.k = nn.Linear(32, 40)

    def forward(self, x):
        z = torch.tanh(self.f(x.flatten(1)))
        lp = self.k(z).view(-1, 4, 10).log_softmax(-1)
        return torch.logsumexp(self.pi(z).log_softmax(-1)[..., None] + lp, 1)


@correct
class SoftTree(nn.Module):
    """Frosst & Hinton: log of leaf distributions weighed by path probabilities"""

    def __init__(self, depth=3):
        super().__init__()
        self.d = depth
        self.inner = nn.Linear(784, 2**depth - 1)
        self.leaf = nn.Parameter(torch.randn(2**depth, 10) * 0.1)

    def forward(self, x):
        p = torch.sigmoid(self.inner(x.flatten(1)))
        path = x.new_ones(len(x), 1)
        k = 0
        for l in range(self.d):
            g = p[:, k : k + 2**l]
            path = torch.stack((path * (1 - g), path * g), 2).flatten(1)
            k += 2**l
        return torch.log(path @ self.leaf.softmax(-1))


@correct
class ProbEnsemble(nn.Module):
    """mean of probabilities, as log: deep-ensemble likelihood"""

    def __init__(self):
        super().__init__()
        self.m = nn.ModuleList(
            nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10)) for _ in range(3)
        )

    def forward(self, x):
        return torch.stack([m(x).log_softmax(1) for m in self.m]).logsumexp(0) - math.log(3)


@correct
class HierarchicalSoftmax(nn.Module):
    """log p(coarse) + log p(fine|coarse)"""

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(784, 32)
        self.c = nn.Linear(32, 2)
        self.fine = nn.Linear(32, 10)

    def forward(self, x):
        z = F.relu(self.f(x.flatten(1)))
        return (self.c(z).log_softmax(1)[:, :, None] + self.fine(z).view(-1, 2, 5).log_softmax(2)).flatten(1)


@correct
class AdaptiveLogSoftmax(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Linear(784, 32)
        self.o = nn.AdaptiveLogSoftmaxWithLoss(32, 10, [4, 7], div_value=2.0)

    def forward(self, x):
        return self.o.log_prob(F.relu(self.f(x.flatten(1))))


@correct
class GaussianBayes(nn.Module):
    """generative: log p(x|y)+log p(y) - log p(x)"""

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(784, 8)
        self.mu = nn.Parameter(torch.randn(10, 8))
        self.ls = nn.Parameter(torch.zeros(10, 8))
        self.pr = nn.Parameter(torch.zeros(10))

    def forward(self, x):
        z = self.f(x.flatten(1))
        j = torch.distributions.Normal(self.mu, self.ls.exp()).log_prob(z[:, None]).sum(-1) + self.pr.log_softmax(0)
        return j - j.logsumexp(1, keepdim=True)


@correct
class GenerativeJoint(GaussianBayes):
    """unnormalised joint: plain logits"""

    def forward(self, x):
        z = self.f(x.flatten(1))
        return torch.distributions.Normal(self.mu, self.ls.exp()).log_prob(z[:, None]).sum(-1) + self.pr.log_softmax(0)


@correct
class ProbsInEvalOnly(Base):
    """logits for the loss, probabilities for whoever uses it"""

    def forward(self, x):
        z = super().forward(x)
        return z if self.training else z.softmax(1)


@correct
class AttnScaled(nn.Module):
    """class attention x learned scale, exp(s) starts at 1"""

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(784, 16)
        self.k = nn.Parameter(torch.randn(10, 16))
        self.logs = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.logs.exp() * (self.f(x.flatten(1)) @ self.k.t() / 4).softmax(1)


@correct
class CosineTemp(nn.Module):
    """cosine x learned temperature which starts at 1"""

    def __init__(self):
        super().__init__()
        self.f = nn.Linear(784, 16)
        self.w = nn.Linear(16, 10, bias=False)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.scale * F.linear(F.normalize(self.f(x.flatten(1))), F.normalize(self.w.weight))


@correct
class Capsules3(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 32, 9, 3)
        self.W = nn.Parameter(torch.randn(1, 196, 10, 8, 8) * 0.05)

    def forward(self, x):
        sq = lambda v: (
            (v.norm(dim=-1, keepdim=True) ** 2 / (1 + v.norm(dim=-1, keepdim=True) ** 2))
            * v
            / (v.norm(dim=-1, keepdim=True) + 1e-8)
        )
        u = sq(F.relu(self.c(x)).view(len(x), -1, 8))
        u = (self.W @ u[:, :, None, :, None]).squeeze(-1)
        b = u.new_zeros(len(x), u.size(1), 10)
        for _ in range(3):
            v = sq((b.softmax(2)[..., None] * u).sum(1))
            b = b + (u * v[:, None]).sum(-1)
        return 10 * v.norm(dim=-1)


@correct
class TwoOptionalHeadsUnusedDecoder(Base):
    """a decoder's output beside the logits while training"""

    def make(self):
        self.dec = nn.Linear(16, 784)

    def forward(self, x):
        z = torch.tanh(self.f(x.flatten(1)))
        return (self.h(z), self.dec(z).view_as(x)) if self.training else self.h(z)


ARCHITECTURES = correct.nets
