"""Attention, recurrence and what else walks over rows, patches and tokens."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from parts import Zoo

correct = Zoo()


@correct
class ViT(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.p = nn.Linear(49, d)
        self.cls = nn.Parameter(torch.zeros(1, 1, d))
        self.pos = nn.Parameter(torch.zeros(1, 17, d))
        nn.init.trunc_normal_(self.pos, std=0.02)
        nn.init.trunc_normal_(self.cls, std=0.02)
        self.n1 = nn.LayerNorm(d)
        self.at = nn.MultiheadAttention(d, 4, dropout=0.1, batch_first=True)
        self.n2 = nn.LayerNorm(d)
        self.m = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * d, d))
        self.n = nn.LayerNorm(d)
        self.h = nn.Linear(d, 10)
        nn.init.trunc_normal_(self.h.weight, std=0.02)
        nn.init.zeros_(self.h.bias)

    def forward(self, x):
        b = x.shape[0]
        x = x.unfold(2, 7, 7).unfold(3, 7, 7).reshape(b, 16, 49)
        x = torch.cat((self.cls.expand(b, -1, -1), self.p(x)), 1) + self.pos
        y = self.n1(x)
        x = x + self.at(y, y, y, need_weights=False)[0]
        x = x + self.m(self.n2(x))
        return self.h(self.n(x)[:, 0])


@correct
class SwinLike(nn.Module):
    def __init__(self, d=16, w=7):
        super().__init__()
        self.w = w
        self.pe = nn.Conv2d(1, d, 2, 2)
        self.qkv = nn.Linear(d, 3 * d)
        self.o = nn.Linear(d, d)
        self.table = nn.Parameter(torch.zeros((2 * w - 1) ** 2, 2))
        nn.init.trunc_normal_(self.table, std=0.02)
        c = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(w), indexing="ij")).flatten(1)
        r = (c[:, :, None] - c[:, None]).permute(1, 2, 0) + w - 1
        self.register_buffer("idx", r[..., 0] * (2 * w - 1) + r[..., 1], persistent=False)
        self.n = nn.LayerNorm(d)
        self.h = nn.Linear(d, 10)

    def att(self, x, shift):
        b, h, w_, d = x.shape
        w = self.w
        if shift:
            x = torch.roll(x, (-3, -3), (1, 2))
        x = x.view(b, h // w, w, w_ // w, w, d).permute(0, 1, 3, 2, 4, 5).reshape(-1, w * w, d)
        q, k, v = self.qkv(x).view(-1, w * w, 3, 2, d // 2).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-2, -1)) * (d // 2) ** -0.5 + self.table[self.idx.view(-1)].view(w * w, w * w, 2).permute(
            2, 0, 1
        )
        x = (a.softmax(-1) @ v).transpose(1, 2).reshape(-1, w * w, d)
        x = self.o(x).view(b, h // w, w_ // w, w, w, d).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w_, d)
        return torch.roll(x, (3, 3), (1, 2)) if shift else x

    def forward(self, x):
        x = self.pe(x).permute(0, 2, 3, 1)
        for sh in (False, True):
            x = x + self.att(self.n(x), sh)
        return self.h(x.mean((1, 2)))


@correct
class GMLP(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.e = nn.Conv2d(1, d, 7, 7)
        self.n = nn.LayerNorm(d)
        self.i = nn.Linear(d, 2 * d)
        self.sn = nn.LayerNorm(d)
        self.sp = nn.Conv1d(16, 16, 1)
        nn.init.uniform_(self.sp.weight, -1e-3 / 16, 1e-3 / 16)
        nn.init.constant_(self.sp.bias, 1.0)
        self.o = nn.Linear(d, d)
        self.h = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 10))

    def forward(self, x):
        x = self.e(x).flatten(2).transpose(1, 2)
        u, v = F.gelu(self.i(self.n(x))).chunk(2, -1)
        x = x + self.o(u * self.sp(self.sn(v)))
        return self.h(x.mean(1))


@correct
class Perceiver(nn.Module):
    def __init__(self, d=24):
        super().__init__()
        self.lat = nn.Parameter(torch.randn(8, d) * 0.02)
        f = torch.linspace(-1, 1, 28)
        g = torch.stack(torch.meshgrid(f, f, indexing="ij"), -1).reshape(784, 2)
        self.register_buffer(
            "pe",
            torch.cat(
                [torch.sin(g * math.pi * k) for k in (1, 2, 4)] + [torch.cos(g * math.pi * k) for k in (1, 2, 4)], -1
            ),
        )
        self.kv = nn.Linear(13, 2 * d)
        self.q = nn.Linear(d, d)
        self.f = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.GELU(), nn.Linear(d, d))
        self.h = nn.Linear(d, 10)

    def forward(self, x):
        b = len(x)
        t = torch.cat([x.reshape(b, 784, 1), self.pe.expand(b, -1, -1)], -1)
        k, v = self.kv(t).chunk(2, -1)
        l = self.lat.expand(b, -1, -1)
        l = l + F.scaled_dot_product_attention(self.q(l), k, v)
        l = l + self.f(l)
        return self.h(l.mean(1))


@correct
class LSTMseqfirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.LSTM(28, 32, 2, dropout=0.2)
        self.h = nn.Linear(32, 10)

    def forward(self, x):
        o, (h, c) = self.r(x.squeeze(1).permute(1, 0, 2))
        return self.h(h[-1])


@correct
class BiGRUpatches(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.GRU(49, 16, batch_first=True, bidirectional=True)
        self.h0 = nn.Parameter(torch.zeros(2, 1, 16))
        self.h = nn.Linear(32, 10)

    def forward(self, x):
        p = F.unfold(x, 7, stride=7).transpose(1, 2)
        _, h = self.r(p, self.h0.expand(-1, x.size(0), -1).contiguous())
        return self.h(torch.cat((h[0], h[1]), -1))


@correct
class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        wn = torch.nn.utils.weight_norm
        self.c1 = wn(nn.Conv1d(28, 16, 3, padding=2, dilation=1))
        self.c2 = wn(nn.Conv1d(16, 16, 3, padding=4, dilation=2))
        self.d = nn.Conv1d(28, 16, 1)
        self.h = nn.Linear(16, 10)
        self.c1.weight.data.normal_(0, 0.01)

    def forward(self, x):
        x = x[:, 0]
        y = F.relu(self.c1(x)[:, :, :-2])
        y = F.relu(self.c2(y)[:, :, :-4])
        return self.h(F.relu(y + self.d(x))[:, :, -1])


@correct
class FNet(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.e = nn.Conv2d(1, d, 4, 4)
        self.n = nn.LayerNorm(d)
        self.f = nn.Sequential(nn.Linear(d, d * 2), nn.GELU(), nn.Linear(2 * d, d))
        self.h = nn.Linear(d, 10)

    def forward(self, x):
        x = self.e(x).flatten(2).mT
        x = self.n(x + torch.fft.fft2(x).real / 16)
        return self.h((x + self.f(x)).mean(1))


@correct
class Hopfield(nn.Module):
    def __init__(self):
        super().__init__()
        self.m = nn.Parameter(torch.randn(32, 784) * 0.05)
        self.v = nn.Linear(784, 10)
        self.beta = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        x = x.flatten(1)
        return self.v((self.beta * x @ self.m.t()).softmax(-1) @ self.m)


@correct
class MaskedTransformer(nn.Module):
    """blank patches are padding: the encoder's fast path with nested tensors"""

    def __init__(self):
        super().__init__()
        self.e = nn.Linear(16, 16)
        self.pos = nn.Parameter(torch.randn(49, 16) * 0.02)
        self.t = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True), 2)
        self.h = nn.Linear(16, 10)

    def forward(self, x):
        p = F.unfold(x, 4, stride=4).transpose(1, 2)
        pad = p.amax(-1) < 1.0
        pad[:, 0] = False
        z = self.t(self.e(p) + self.pos, src_key_padding_mask=pad)
        return self.h(z.masked_fill(pad[..., None], 0).sum(1) / (~pad).sum(1, keepdim=True))


@correct
class PackedRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.GRU(28, 16, batch_first=True)
        self.h = nn.Linear(16, 10)

    def forward(self, x):
        x = x[:, 0]
        l = (x.amax(-1) > 1.5).sum(1).clamp(min=1)
        _, h = self.r(nn.utils.rnn.pack_padded_sequence(x, l.cpu(), batch_first=True, enforce_sorted=False))
        return self.h(h[0])


@correct
class StochasticLSTMState(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.RNN(28, 16, batch_first=True, nonlinearity="relu")
        nn.init.eye_(self.r.weight_hh_l0)
        self.h = nn.Linear(16, 10)

    def forward(self, x):
        h0 = torch.zeros(1, x.size(0), 16)
        o, _ = self.r(x.view(-1, 28, 28), h0)
        return self.h(o[:, -1, :])


ARCHITECTURES = correct.nets
