"""Nets of maps, as papers on them have them."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from parts import Zoo, cbr

correct = Zoo()


@correct
class DenseBlock(nn.Module):
    def __init__(self, growth=6):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, 2, 1, bias=False)
        self.ls = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(8 + i * growth),
                nn.ReLU(inplace=True),
                nn.Conv2d(8 + i * growth, growth, 3, padding=1, bias=False),
            )
            for i in range(3)
        )
        self.n = nn.BatchNorm2d(26)
        self.fc = nn.Linear(26, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
            elif isinstance(m, nn.Linear):
                nn.init.constant_(m.bias, 0)

    def forward(self, x):
        f = [self.stem(x)]
        for l in self.ls:
            f.append(l(torch.cat(f, 1)))
        return self.fc(F.adaptive_avg_pool2d(F.relu(self.n(torch.cat(f, 1)), inplace=True), 1).flatten(1))


@correct
class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = cbr(1, 8, 3, 2)
        self.b1 = cbr(8, 4, 1)
        self.b2 = nn.Sequential(cbr(8, 4, 1), cbr(4, 8))
        self.b3 = nn.Sequential(cbr(8, 2, 1), cbr(2, 4, 5))
        self.b4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), cbr(8, 4, 1))
        self.fc = nn.Linear(20, 10)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat([self.b1(x), self.b2(x), self.b3(x), self.b4(x)], 1)
        return self.fc(x.mean([-1, -2]))


@correct
class ShuffleV2(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = cbr(1, 16, 3, 2)
        self.br = nn.Sequential(
            cbr(8, 8, 1), nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8), cbr(8, 8, 1)
        )
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(x)
        a, b = x.chunk(2, 1)
        x = torch.cat((a, self.br(b)), 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
        return self.fc(x.mean((2, 3)))


@correct
class MobileV3(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = cbr(1, 8, 3, 2, act=nn.Hardswish)
        self.exp = cbr(8, 24, 1, act=nn.Hardswish)
        self.dw = cbr(24, 24, 5, 2, 24, act=nn.Hardswish)
        self.se = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 8, 1), nn.ReLU(), nn.Conv2d(8, 24, 1), nn.Hardsigmoid()
        )
        self.pw = nn.Sequential(nn.Conv2d(24, 16, 1, bias=False), nn.BatchNorm2d(16))
        self.cl = nn.Sequential(nn.Linear(16, 32), nn.Hardswish(), nn.Dropout(0.2, inplace=True), nn.Linear(32, 10))

    def forward(self, x):
        x = self.dw(self.exp(self.stem(x)))
        x = self.pw(x * self.se(x))
        return self.cl(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


@correct
class MobileV2ZeroGamma(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = cbr(1, 8, 3, 2, act=nn.ReLU6)
        self.b = nn.Sequential(
            cbr(8, 32, 1, act=nn.ReLU6),
            cbr(32, 32, 3, 1, 32, act=nn.ReLU6),
            nn.Conv2d(32, 8, 1, bias=False),
            nn.BatchNorm2d(8),
        )
        nn.init.zeros_(self.b[-1].weight)
        self.fc = nn.Linear(8, 10)
        nn.init.normal_(self.fc.weight, 0, 0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        x = self.stem(x)
        return self.fc((x + self.b(x)).mean((2, 3)))


@correct
class CBAM(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU())
        self.mlp = nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 16))
        self.sp = nn.Conv2d(2, 1, 7, padding=3)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(x)
        g = torch.sigmoid(self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3))))
        x = x * g[..., None, None]
        m = torch.cat([x.mean(1, True), x.max(1, keepdim=True)[0]], 1)
        return self.fc((x * self.sp(m).sigmoid()).mean((2, 3)))


@correct
class ECA(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = cbr(1, 16, 3, 2)
        self.c = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(x)
        y = self.c(x.mean((2, 3)).unsqueeze(1)).squeeze(1).sigmoid()
        return self.fc((x * y[:, :, None, None]).mean((2, 3)))


class LN2d(nn.LayerNorm):
    def forward(self, x):
        return F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps).permute(
            0, 3, 1, 2
        )


@correct
class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 4, 4), LN2d(16, eps=1e-6))
        self.dw = nn.Conv2d(16, 16, 7, padding=3, groups=16)
        self.n = nn.LayerNorm(16, 1e-6)
        self.p1 = nn.Linear(16, 64)
        self.p2 = nn.Linear(64, 16)
        self.gamma = nn.Parameter(1e-6 * torch.ones(16))
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 10)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(m.weight, std=0.02)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = self.stem(x)
        y = self.p2(F.gelu(self.p1(self.n(self.dw(x).permute(0, 2, 3, 1))))) * self.gamma
        x = x + y.permute(0, 3, 1, 2)
        return self.head(self.norm(x.mean([-2, -1])))


@correct
class Haar(nn.Module):
    def __init__(self):
        super().__init__()
        h = (
            torch.tensor([[[1, 1], [1, 1]], [[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]).float()[
                :, None
            ]
            / 2
        )
        self.register_buffer("k", h)
        self.h = nn.Linear(784, 10)

    def forward(self, x):
        return self.h(F.conv2d(x, self.k, stride=2).flatten(1))


@correct
class Gabor(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 8, 7, padding=3, bias=False)
        y, x = torch.meshgrid(torch.arange(-3, 4.0), torch.arange(-3, 4.0), indexing="ij")
        for i in range(8):
            t = math.pi * i / 8
            self.c.weight.data[i, 0] = torch.exp(-(x**2 + y**2) / 8) * torch.cos(
                2 * math.pi * (x * math.cos(t) + y * math.sin(t)) / 4
            )
        self.c.weight.requires_grad = False
        self.fc = nn.Linear(8 * 49, 10)

    def forward(self, x):
        return self.fc(F.avg_pool2d(F.relu(self.c(x)), 4).flatten(1))


class WSConv(nn.Conv2d):
    def forward(self, x):
        w = self.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / (w.std((1, 2, 3), keepdim=True) + 1e-5)
        return self._conv_forward(x, w, self.bias)


@correct
class WeightStd(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = nn.Sequential(
            WSConv(1, 16, 3, 2),
            nn.GroupNorm(4, 16),
            nn.ReLU(),
            WSConv(16, 16, 3, 2),
            nn.GroupNorm(4, 16),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, 10),
        )

    def forward(self, x):
        return self.n(x)


@correct
class GeM(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = cbr(1, 16, 3, 2)
        self.p = nn.Parameter(torch.ones(1) * 3)
        self.h = nn.Linear(16, 10)

    def forward(self, x):
        return self.h(F.avg_pool2d(self.c(x).clamp(min=1e-6).pow(self.p), 14).pow(1.0 / self.p).flatten(1))


@correct
class BlurPoolNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = cbr(1, 8)
        a = torch.tensor([1.0, 2, 1])
        self.register_buffer("k", (a[:, None] * a / 16)[None, None].repeat(8, 1, 1, 1))
        self.h = nn.Linear(8 * 196, 10)

    def forward(self, x):
        return self.h(F.conv2d(F.pad(self.c(x), (1, 1, 1, 1), mode="reflect"), self.k, stride=2, groups=8).flatten(1))


@correct
class SPPCoord(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(3, 8, 3, 2)
        self.h = nn.Linear(8 * 21, 10)

    def forward(self, x):
        n, _, h, w = x.shape
        y = torch.linspace(-1, 1, h).view(1, 1, h, 1).expand(n, 1, h, w)
        xx = torch.linspace(-1, 1, w).view(1, 1, 1, w).expand(n, 1, h, w)
        x = F.elu(self.c(torch.cat([x, y, xx], 1)))
        return self.h(torch.cat([F.adaptive_max_pool2d(x, k).flatten(1) for k in (1, 2, 4)], 1))


@correct
def bn_momentum_none():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, bias=False),
        nn.BatchNorm2d(8, momentum=None),
        nn.PReLU(8),
        nn.Conv2d(8, 16, 3, 2, bias=False),
        nn.SyncBatchNorm(16),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(16 * 36, 10),
    )


@correct
def in_tracked():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2),
        nn.InstanceNorm2d(8, affine=True, track_running_stats=True),
        nn.GLU(1),
        nn.Flatten(),
        nn.LayerNorm(4 * 169),
        nn.Linear(4 * 169, 10),
    )


@correct
def ln_chw_rms():
    return nn.Sequential(
        nn.LayerNorm([1, 28, 28]),
        nn.Conv2d(1, 4, 3, 2),
        nn.LayerNorm([4, 13, 13]),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(676, 32),
        nn.RMSNorm(32),
        nn.Hardtanh(),
        nn.Linear(32, 10),
    )


@correct
class ChannelsLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = nn.Sequential(cbr(1, 8, 3, 2), nn.Conv2d(8, 8, 3, 2))
        self.h = nn.Linear(8 * 36, 10)

    def forward(self, x):
        self.to(memory_format=torch.channels_last)
        return self.h(self.n(x.to(memory_format=torch.channels_last)).flatten(1))


@correct
class FrozenBNBias(nn.Module):
    """conv with bias, batch norm held in eval: the bias is not taken out"""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 8, 3, 2)
        self.bn = nn.BatchNorm2d(8).eval()
        self.h = nn.Linear(8 * 169, 10)

    def train(self, m=True):
        super().train(m)
        self.bn.eval()
        return self

    def forward(self, x):
        return self.h(F.relu(self.bn(self.c(x))).flatten(1))


@correct
class ConvSkipBN(nn.Module):
    """the conv's output goes on beside the norm: its bias counts"""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 8, 3, 2)
        self.bn = nn.BatchNorm2d(8)
        self.h = nn.Linear(8 * 169, 10)

    def forward(self, x):
        y = self.c(x)
        return self.h(torch.relu(y + self.bn(y)).flatten(1))


@correct
class RepVGG(nn.Module):
    """fuses its branches when eval() is called"""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3, padding=1)
        self.b = nn.Conv2d(1, 8, 1)
        self.h = nn.Linear(8 * 49, 10)
        self.k = None

    def train(self, m=True):
        super().train(m)
        if not m:
            self.k = ((self.a.weight + F.pad(self.b.weight, [1] * 4)).detach(), (self.a.bias + self.b.bias).detach())
        else:
            self.k = None
        return self

    def forward(self, x):
        y = self.a(x) + self.b(x) if self.k is None else F.conv2d(x, *self.k, padding=1)
        return self.h(F.max_pool2d(F.relu(y), 4).flatten(1))


@correct
def p4m_cnn():
    return nn.Sequential(cbr(1, 8, 3, 2), nn.AdaptiveMaxPool2d(4), nn.Flatten(), nn.Linear(128, 10))


class ConvStem3(nn.Module):
    def __init__(self, in_ch=3):
        super().__init__()
        self.n = nn.Sequential(cbr(in_ch, 8, 3, 2), cbr(8, 16, 3, 2))
        self.h = nn.Linear(16, 10)

    def forward(self, x):
        return self.h(self.n(x).mean((2, 3)))


correct.add("three_channels", ConvStem3, input_shape=(3, 32, 32))


ARCHITECTURES = correct.nets
