"""Weights that are made, chosen or rounded on the way."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from parts import Base, Zoo, cbr

correct = Zoo()


class Surr(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).float()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g / (10 * x.abs() + 1) ** 2


@correct
class SNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 8, 5, 2)
        self.l = nn.Linear(8 * 144, 10)
        self.beta = nn.Parameter(torch.tensor(0.9))

    def forward(self, x):
        i = self.c(x)
        u = torch.zeros_like(i)
        m = 0
        for _ in range(4):
            u = self.beta.clamp(0, 1) * u + i
            k = Surr.apply(u - 1.0)
            u = u - k.detach()
            m = m * 0.9 + self.l(k.flatten(1))
        return m


@correct
class BinaryW(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(64, 784) * 0.05)
        self.b = nn.BatchNorm1d(64)
        self.w2 = nn.Parameter(torch.randn(10, 64) * 0.1)

    def q(self, w):
        a = w.abs().mean(1, keepdim=True)
        return (w.sign() * a - w).detach() + w

    def forward(self, x):
        x = F.hardtanh(self.b(F.linear(x.flatten(1), self.q(self.w1))))
        x = (x.sign() - x).detach() + x
        return F.linear(x, self.q(self.w2))


@correct
class FakeQuant(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3, 2)
        self.b = nn.Linear(8 * 169, 10)
        self.register_buffer("amax", torch.ones(()))

    def q(self, w):
        sc = w.detach().abs().max() / 127
        return torch.fake_quantize_per_tensor_affine(w, float(sc), 0, -128, 127)

    def forward(self, x):
        x = F.relu(F.conv2d(x, self.q(self.a.weight), self.a.bias, 2))
        if self.training:
            with torch.no_grad():
                self.amax.lerp_(x.max(), 0.1)
        x = torch.fake_quantize_per_tensor_affine(x, self.amax / 255, torch.zeros((), dtype=torch.int32), 0, 255)
        return F.linear(x.flatten(1), self.q(self.b.weight), self.b.bias)


@correct
class QATtool(nn.Module):
    """torch.ao's own fake quantisation; observers frozen in eval as torch's references do by hand"""

    def __init__(self):
        super().__init__()
        import torch.ao.quantization as q

        self.w = q.default_weight_fake_quant()
        self.act = q.default_fake_quant()
        self.a = nn.Linear(784, 32)
        self.b = nn.Linear(32, 10)

    def train(self, mode=True):
        super().train(mode)
        (self.act.enable_observer if mode else self.act.disable_observer)()
        (self.w.enable_observer if mode else self.w.disable_observer)()
        return self

    def forward(self, x):
        return self.b(self.act(F.relu(F.linear(x.flatten(1), self.w(self.a.weight), self.a.bias))))


@correct
class HyperNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Linear(16, 10)
        self.main.requires_grad_(False)
        self.enc = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.Tanh())
        self.z = nn.Parameter(torch.randn(8))
        self.gen = nn.ModuleDict({k: nn.Linear(8, v.numel()) for k, v in self.main.named_parameters()})

    def forward(self, x):
        return torch.func.functional_call(
            self.main, {k: self.gen[k](self.z).view_as(v) for k, v in self.main.named_parameters()}, (self.enc(x),)
        )


@correct
class HyperUnfrozen(nn.Module):
    """template held out of the registry, on meta, as in torch's ensembling tutorial"""

    def __init__(self):
        super().__init__()
        ms = [nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 10)) for _ in range(3)]
        p, b = torch.func.stack_module_state(ms)
        self.names = list(p)
        self.ps = nn.ParameterList(nn.Parameter(v.detach()) for v in p.values())
        self.base = [copy.deepcopy(ms[0]).to("meta")]

    def forward(self, x):
        f = lambda p, x: torch.func.functional_call(self.base[0], p, (x,))
        return torch.vmap(f, (0, None))(dict(zip(self.names, self.ps)), x).mean(0)


def moe(E, name):
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.g = nn.Linear(784, E)
            self.e = nn.ModuleList(nn.Sequential(nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 10)) for _ in range(E))

        def forward(self, x):
            x = x.flatten(1)
            p, i = self.g(x).softmax(-1).max(-1)
            y = x.new_zeros(len(x), 10)
            for k in range(E):
                m = (i == k).nonzero().flatten()
                if m.numel():
                    y = y.index_add(0, m, p[m, None] * self.e[k](x[m]))
            return y

    M.__name__ = M.__qualname__ = name
    correct(M)


for E in (8, 16, 32, 64):
    moe(E, f"MoE_{E}experts")


@correct
class ProgressiveGrow(nn.Module):
    """block 2 joins after 200 steps (counted in a buffer)"""

    def __init__(self):
        super().__init__()
        self.a = cbr(1, 8, 3, 2)
        self.b = cbr(8, 8)
        self.register_buffer("t", torch.zeros((), dtype=torch.long))
        self.h = nn.Linear(8 * 196, 10)

    def forward(self, x):
        if self.training:
            self.t += 1
        x = self.a(x)
        if self.t > 200:
            x = x + min(1.0, (int(self.t) - 200) / 200) * self.b(x)
        return self.h(x.flatten(1))


@correct
class QuantBuffer(Base):
    def make(self):
        self.register_buffer("q", torch.quantize_per_tensor(torch.linspace(-1, 1, 16), 0.01, 0, torch.qint8))

    def mid(self, z):
        return z * self.q.dequantize()


class LoRALayer(nn.Linear):
    """loralib's: merged on eval, B not zero"""

    def __init__(self, i, o, r=4):
        super().__init__(i, o)
        self.A = nn.Parameter(torch.randn(r, i) * 0.02)
        self.B = nn.Parameter(torch.randn(o, r) * 0.1)
        self.merged = False
        self.weight.requires_grad = False

    def train(self, m=True):
        super().train(m)
        if m and self.merged:
            self.weight.data -= self.B @ self.A
            self.merged = False
        if not m and not self.merged:
            self.weight.data += self.B @ self.A
            self.merged = True
        return self

    def forward(self, x):
        return (
            F.linear(x, self.weight, self.bias)
            if self.merged
            else F.linear(x, self.weight + self.B @ self.A, self.bias)
        )


@correct
class ACT(Base):
    """adaptive computation: goes on until every image of the batch has halted; halted ones stay"""

    def make(self):
        self.c = nn.GRUCell(16, 16)
        self.p = nn.Linear(16, 1)

    def mid(self, z):
        h = torch.zeros_like(z)
        acc = z.new_zeros(len(z))
        out = torch.zeros_like(z)
        for k in range(8):
            h = self.c(z, h)
            p = torch.sigmoid(self.p(h)).squeeze(-1)
            live = (acc < 0.99).float()
            p = torch.minimum(p, 1 - acc) * live
            out = out + p[:, None] * h
            acc = acc + p
            if bool((acc >= 0.99).all()):
                break
        return out


@correct
class VQ(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Conv2d(1, 8, 4, 4)
        self.cb = nn.Embedding(32, 8)
        self.cb.weight.data.uniform_(-1 / 32, 1 / 32)
        self.h = nn.Linear(8 * 49, 10)

    def forward(self, x):
        z = self.e(x).permute(0, 2, 3, 1)
        i = torch.cdist(z.reshape(-1, 8), self.cb.weight).argmin(1)
        q = self.cb(i).view_as(z)
        return self.h((q + (z - z.detach())).flatten(1))


@correct
class VQema(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Conv2d(1, 8, 4, 4)
        self.register_buffer("cb", torch.randn(32, 8) * 0.3)
        self.register_buffer("n", torch.ones(32))
        self.h = nn.Linear(8 * 49, 10)

    def forward(self, x):
        z = self.e(x).permute(0, 2, 3, 1)
        f = z.reshape(-1, 8)
        i = torch.cdist(f, self.cb).argmin(1)
        q = self.cb[i].view_as(z)
        if self.training:
            with torch.no_grad():
                o = F.one_hot(i, 32).float()
                self.n.mul_(0.99).add_(o.sum(0), alpha=0.01)
                self.cb.lerp_((o.t() @ f) / (o.sum(0)[:, None] + 1e-5), 0.01)
        return self.h((z + (q - z).detach()).flatten(1))


@correct
class MoEBf16(nn.Module):
    """top-1 experts under autocast"""

    def __init__(self):
        super().__init__()
        self.g = nn.Linear(784, 4)
        self.e = nn.ModuleList(nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)) for _ in range(4))

    def forward(self, x):
        x = x.flatten(1)
        p, i = self.g(x).softmax(-1).max(-1)
        with torch.autocast("cpu", torch.bfloat16):
            y = x.new_zeros(len(x), 10)
            for k, e in enumerate(self.e):
                m = i == k
                if m.any():
                    y[m] = (e(x[m]) * p[m, None]).float()
        return y


@correct
class GumbelRouter(Base):
    def make(self):
        self.g = nn.Linear(16, 3)
        self.e = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
        self.tau = 1.0

    def mid(self, z):
        l = self.g(z)
        w = F.gumbel_softmax(l, self.tau, hard=True) if self.training else F.one_hot(l.argmax(-1), 3).float()
        if self.training:
            self.tau = max(0.5, self.tau * 0.999)
        return sum(w[:, i : i + 1] * e(z) for i, e in enumerate(self.e))


@correct
class HashEmb(nn.Module):
    """64 leaf heads chosen by a fixed random hash of the image (six hyperplanes)"""

    def __init__(self):
        super().__init__()
        self.register_buffer("H", torch.randn(784, 6))
        self.heads = nn.ModuleList(nn.Linear(784, 10) for _ in range(64))

    def forward(self, x):
        x = x.flatten(1)
        k = ((x @ self.H > 0).long() * 2 ** torch.arange(6)).sum(1)
        return torch.stack([self.heads[int(i)](v) for i, v in zip(k, x)])


ARCHITECTURES = correct.nets
