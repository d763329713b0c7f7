"""Nets with one planted fault each, and beside each the same net without it: `fault` and `fault, mended`."""

import random
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bench.spec import Architecture

ARCHITECTURES = []


def pair(name, faulty, mended, **declared):
    ARCHITECTURES.append(Architecture(name=name, build=faulty, **declared))
    ARCHITECTURES.append(Architecture(name=f"{name}, mended", build=mended, **declared))


def flat(*end, hidden=16, first=784, classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(first, hidden), nn.ReLU(), nn.Linear(hidden, classes), *end)


class Net(nn.Module):
    """Two linear layers, between which something is done."""

    def __init__(self, faulty=True):
        super().__init__()
        self.faulty = faulty
        self.fc1, self.fc2 = nn.Linear(784, 16), nn.Linear(16, 10)
        self.make()

    def make(self):
        pass

    def between(self, x):
        return x

    def forward(self, x):
        return self.fc2(self.between(torch.tanh(self.fc1(x.flatten(1)))))


def both(name, kind, **declared):
    pair(name, kind, lambda: kind(faulty=False), **declared)


# Shapes


class FlattenBug(nn.Module):
    """Of the flatten-bug project as printed: one pool where the view wants two."""

    def __init__(self, faulty=True):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.drop, self.fc1, self.fc2 = nn.Dropout(0.25), nn.Linear(3136, 128), nn.Linear(128, 10)
        self.faulty = faulty

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = x if self.faulty else F.max_pool2d(x, 2)
        x = self.drop(F.max_pool2d(F.relu(self.conv2(x)), 2))
        x = x.view(-1, 64 * 7 * 7)
        return self.fc2(self.drop(F.relu(self.fc1(x))))


both("flatten-bug", FlattenBug)


class FourConv(nn.Module):
    """The 4-conv net with the first linear layer of another one."""

    def __init__(self, faulty=True, soft=False):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.fc1, self.fc2, self.soft = nn.Linear(320 if faulty else 512, 20), nn.Linear(20, 10), soft

    def forward(self, x):
        x = self.fc2(F.relu(self.fc1(torch.flatten(self.features(x), 1))))
        return F.softmax(x, dim=1) if self.soft else x


both("linear-320", FourConv)
pair("softmax-function", lambda: FourConv(faulty=False, soft=True), lambda: FourConv(faulty=False))


class View(FourConv):
    def __init__(self, faulty=True):
        super().__init__(faulty)

    def forward(self, x):
        x = self.features(x).view(-1, self.fc1.in_features)
        return self.fc2(F.relu(self.fc1(x)))


both("view-320", View)


class FlattenAll(Net):
    def forward(self, x):
        return self.fc2(self.fc1(x.flatten() if self.faulty else x.flatten(1)))


both("flatten-0", FlattenAll)


class OneBatch(Net):
    def forward(self, x):
        return self.fc2(self.fc1(x.view(128 if self.faulty else x.shape[0], 784)))


both("batch-128", OneBatch)
pair(
    "channels",
    lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Conv2d(8, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
    ),
    lambda: nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.Conv2d(8, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
    ),
)
pair("three-channels", lambda: nn.Sequential(nn.Conv2d(3, 4, 28), nn.Flatten(), nn.Linear(4, 10)),
     lambda: nn.Sequential(nn.Conv2d(1, 4, 28), nn.Flatten(), nn.Linear(4, 10)))  # fmt: skip
pair("nine-logits", lambda: flat(classes=9), flat)


class Tuple(Net):
    def forward(self, x):
        logits = super().forward(x)
        return (logits, x) if self.training or self.faulty else logits


both("tuple", Tuple)

# Ends

pair("softmax", lambda: flat(nn.Softmax(dim=1)), lambda: nn.Sequential(nn.Flatten(), nn.Softmax(1), nn.Linear(784, 10)))
pair("log-softmax", lambda: flat(nn.LogSoftmax(1)), lambda: flat(nn.LogSigmoid()))
pair(
    "sigmoid",
    lambda: flat(nn.Sigmoid()),
    lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.Sigmoid(), nn.Linear(16, 10)),
)


class LogSoftmaxFunction(Net):
    def forward(self, x):
        return super().forward(x).log_softmax(-1 if self.faulty else 0) if self.faulty else super().forward(x)


both("log-softmax-function", LogSoftmaxFunction)


class Probabilities(Net):
    """By hand, without anything that is called softmax."""

    def forward(self, x):
        x = super().forward(x)
        x = (x - x.amax(1, keepdim=True)).exp() if self.faulty else x
        return x / x.sum(1, keepdim=True) if self.faulty else x


both("softmax-by-hand", Probabilities)


class NotFinite(Net):
    def between(self, x):
        return (x.relu() if self.faulty else x.exp()).log()


both("log-of-zero", NotFinite)


class BadGradient(Net):
    """A root whose slope at 0 has no end, of values that are 0."""

    def between(self, x):
        return (x - x.detach() + (0.0 if self.faulty else 1.0)).sqrt() + x


both("root-of-zero", BadGradient)

# Gradients


class Unused(Net):
    def make(self):
        self.spare = nn.Linear(16, 16)


class Used(Unused):
    def between(self, x):
        return self.spare(x)


pair("unused", Unused, Used)


class Detached(Net):
    def make(self):
        self.side = nn.Linear(16, 16)

    def between(self, x):
        return x + (self.side(x).detach() if self.faulty else self.side(x.detach()))


both("detached", Detached)


class Data(Net):
    def make(self):
        self.scale = nn.Parameter(torch.ones(16))

    def between(self, x):
        return x * (self.scale.data if self.faulty else self.scale)


both("data", Data)


class NoGrad(Net):
    def make(self):
        self.side = nn.Linear(16, 16)
        self.side.requires_grad_(self.faulty)  # declared frozen, it is no mistake

    def between(self, x):
        with torch.no_grad():
            y = self.side(x)
        return x + y


both("no-grad", NoGrad)


class AllNoGrad(Net):
    def forward(self, x):
        with torch.set_grad_enabled(not self.faulty and torch.is_grad_enabled()):
            return super().forward(x)


both("all-no-grad", AllNoGrad)


class MadeInForward(Net):
    def make(self):
        self.side = None if self.faulty else nn.Linear(16, 16)

    def between(self, x):
        if self.side is None:
            self.side = nn.Linear(16, 16)
        return self.side(x)


both("registered-in-forward", MadeInForward)


class LostInForward(Net):
    def make(self):
        self.side = nn.Linear(16, 16) if not self.faulty else None

    def between(self, x):
        return (self.side or nn.Linear(16, 16))(x)


both("made-in-forward", LostInForward)


class Listed(Net):
    def make(self):
        layers = [nn.Linear(16, 16), nn.Linear(16, 16)]
        self.layers = layers if self.faulty else nn.ModuleList(layers)

    def between(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x


both("plain-list", Listed)


class InDict(Net):
    def make(self):
        self.side = nn.Linear(16, 16)
        self.layers = {"a": nn.Linear(16, 16) if self.faulty else self.side}  # a second name for what is registered

    def between(self, x):
        return self.layers["a"](x) + self.side(x)


both("plain-dict", InDict)

# Eval mode


class Leaking(Net):
    def between(self, x):
        return x - x.mean(0 if self.faulty else 1, keepdim=True)


both("batch-mean", Leaking)


class BatchStatistics(Net):
    def make(self):
        self.norm = nn.BatchNorm2d(1, track_running_stats=not self.faulty)

    def forward(self, x):
        return super().forward(self.norm(x))


both("batch-statistics", BatchStatistics)


class OverTheBatch(nn.Module):
    """An LSTM that takes the batch for time."""

    def __init__(self, faulty=True):
        super().__init__()
        self.rnn, self.out = nn.LSTM(784 if faulty else 28, 16, batch_first=not faulty), nn.Linear(16, 10)
        self.faulty = faulty

    def forward(self, x):
        if self.faulty:
            return self.out(self.rnn(x.flatten(1))[0])
        return self.out(self.rnn(x.squeeze(1))[0][:, -1])


both("rnn-over-batch", OverTheBatch)


class PerBatch(Net):
    def between(self, x):
        return x / (len(x) if self.faulty else x.shape[1])


both("divided-by-batch", PerBatch)


class Squeezed(Net):
    def forward(self, x):
        x = super().forward(x)
        return x.squeeze() if self.faulty else x


both("squeeze", Squeezed)


class Pairs(Net):
    def forward(self, x):
        if self.faulty and len(x) > 2:
            x = torch.cat(x.view(2, len(x) // 2, 1, 28, 28).unbind(0)) if len(x) % 2 == 0 else x.view(len(x) // 2, -1)
        return super().forward(x)


both("even-batches", Pairs)


class Running(Net):
    def make(self):
        self.register_buffer("mean", torch.zeros(16))

    def between(self, x):
        if self.faulty or self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return x * (1 + self.mean)


both("running-in-eval", Running)


class Dropping(Net):
    def between(self, x):
        return F.dropout(x, 0.5, training=self.faulty or self.training)


both("dropout-in-eval", Dropping)


class Noisy(Net):
    def between(self, x):
        return x + 0.1 * torch.randn_like(x) * (self.faulty or self.training)


both("noise-in-eval", Noisy)


class Python(Net):
    def between(self, x):
        return x * (random.random() if self.faulty or self.training else 0.5)


both("python-random", Python)


class Counting(Net):
    def make(self):
        self.calls = 0

    def between(self, x):
        self.calls += 1
        return x / (self.calls if self.faulty else 1)


both("counts-calls", Counting)


class Remembering(Net):
    def make(self):
        self.last = None

    def between(self, x):
        before, self.last = self.last, x.detach()
        if not self.faulty or before is None or before.shape != x.shape:
            return x
        return x + 0.5 * before


both("remembers", Remembering)


class Clocked(Net):
    def between(self, x):
        return x * (int(time.time() / 3600) % 24 + 1 if self.faulty else 2)


both("clock", Clocked)

# State


class InPlace(Net):
    def forward(self, x):
        x = x.mul_(2) if self.faulty else x * 2
        return super().forward(x)


both("input-in-place", InPlace)


class Unseeded(Net):
    def make(self):
        chance = np.random.default_rng() if self.faulty else np.random
        self.fc1.weight.data += torch.from_numpy(chance.normal(size=(16, 784))).float()


both("unseeded", Unseeded)


class Reseeded(Net):
    def __init__(self, faulty=True):
        if faulty:
            torch.manual_seed(0)
        super().__init__(faulty)


both("reseeded", Reseeded)
SHARED = nn.Linear(16, 10)
RELU = nn.ReLU()
pair("shared", lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 16), SHARED),
     lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 16), RELU, nn.Linear(16, 10)))  # fmt: skip


class NotInDict(Net):
    """Random features: as a plain tensor they are lost, as a buffer they are kept."""

    def make(self):
        turn = torch.randn(16, 16)
        if self.faulty:
            self.turn = turn
        else:
            self.register_buffer("turn", turn)

    def between(self, x):
        return x @ self.turn


both("plain-tensor", NotInDict)


class PlainCounter(Net):
    def make(self):
        self.steps = 0 if self.faulty else None
        self.register_buffer("count", torch.zeros(()))

    def between(self, x):
        if self.training:
            self.count += 1
            self.steps = None if self.steps is None else self.steps + 1
        return x * (1 + 0.1 * (self.count if self.steps is None else self.steps))


both("plain-counter", PlainCounter)

# Types, devices, counts

pair(
    "double",
    lambda: nn.Sequential(Cast(torch.float64), flat().double()),
    lambda: nn.Sequential(Cast(torch.float32), flat()),
)
pair("bfloat16", lambda: nn.Sequential(Cast(torch.bfloat16), flat().bfloat16()), lambda: Table())


class Cast(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        return x.to(self.dtype)


class Table(Net):
    """A table in half precision that is not trained."""

    def make(self):
        self.register_buffer("table", torch.ones(16, dtype=torch.bfloat16))

    def between(self, x):
        return x * self.table.float()


class Stray(Net):
    def make(self):
        self.register_buffer("unit", torch.ones(16, device="meta" if self.faulty else "cpu"))

    def between(self, x):
        return x if self.faulty else x * self.unit


both("stray-buffer", Stray)
ARCHITECTURES.append(Architecture(name="declared", build=flat, params=12_731, macs=12_704))
ARCHITECTURES.append(Architecture(name="declared, mended", build=flat, params=12_730, macs=12_704))
ARCHITECTURES.append(Architecture(name="declared-macs", build=flat, macs=12_705))
ARCHITECTURES.append(Architecture(name="declared-macs, mended", build=flat, macs=12_704))

# What only runs in part


class Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, faulty):
        ctx.faulty = faulty
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        if ctx.faulty:
            raise ValueError("no way back")
        return grad, None


class RaisesBackward(Net):
    def between(self, x):
        return Backward.apply(x, self.faulty)


both("raises-backward", RaisesBackward)


class RaisesTraining(Net):
    def between(self, x):
        if self.faulty and self.training:
            raise ValueError("not while it trains")
        return x


both("raises-training", RaisesTraining)


class Exits(Net):
    def between(self, x):
        if self.faulty:
            exit()
        return x


both("exits", Exits)
