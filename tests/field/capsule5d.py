import torch
from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture


def squash(s):
    n = (s**2).sum(-1, keepdim=True)
    return n * s / ((1.0 + n) * torch.sqrt(n + 1e-8))


class Primary(nn.Module):
    def __init__(self, kinds=8, channels=4):
        super().__init__()
        self.capsules = nn.ModuleList([nn.Conv2d(32, channels, 9, stride=2) for _ in range(kinds)])

    def forward(self, x):
        u = torch.stack([c(x) for c in self.capsules], dim=1)
        return squash(u.view(x.size(0), -1, len(self.capsules)))


class Digits(nn.Module):
    def __init__(self, routes=4 * 36, classes=10, inner=8, outer=16):
        super().__init__()
        self.routes, self.classes = routes, classes
        self.W = nn.Parameter(0.1 * torch.randn(1, routes, classes, outer, inner))

    def forward(self, u):
        b = u.size(0)
        u = torch.stack([u] * self.classes, dim=2).unsqueeze(4)
        W = torch.cat([self.W] * b, dim=0)
        votes = torch.matmul(W, u)
        logits = torch.zeros(1, self.routes, self.classes, 1)
        for turn in range(3):
            c = F.softmax(logits, dim=1)
            c = torch.cat([c] * b, dim=0).unsqueeze(4)
            v = squash((c * votes).sum(1, keepdim=True).squeeze(-1)).unsqueeze(-1)
            if turn < 2:
                a = torch.matmul(votes.transpose(3, 4), torch.cat([v] * self.routes, dim=1))
                logits = logits + a.squeeze(4).mean(0, keepdim=True)
        return v.squeeze(1).squeeze(-1)


class Caps(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.primary, self.digits = nn.Conv2d(1, 32, 9), Primary(), Digits()

    def forward(self, x):
        v = self.digits(self.primary(F.relu(self.conv(x))))
        return 10 * (v**2).sum(-1).sqrt()


ARCHITECTURE = Architecture(name="capsule-5d", build=Caps)
