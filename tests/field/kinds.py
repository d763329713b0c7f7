"""Nets of many kinds: each does one thing that a faster way of running it, or a second run, could upset."""

import torch
from headed import Headed, conv, pools
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from bench.spec import Architecture

KINDS = {}


def kind(build):
    KINDS[build.__name__] = build
    return build


@kind
class InPlaceResidual(Headed):
    """A ReLU in place on what a Sequential gave, and one on the sum; run behind the pool, the first is an error."""

    def __init__(self):
        super().__init__(
            nn.Sequential(nn.MaxPool2d(2), conv(1, 16), nn.BatchNorm2d(16), nn.ReLU(True), nn.MaxPool2d(2))
        )
        self.block = nn.Sequential(nn.ReLU(inplace=True), conv(16, 16), nn.BatchNorm2d(16))

    def maps(self, x):
        h = self.body(x)
        y = self.block(h)
        y += h
        return F.relu_(y)


@kind
class PoolOfReluInPlaceTwice(Headed):
    """Two branches from one map; the first one's ReLU in place changes what the second sees."""

    def __init__(self):
        super().__init__(nn.Sequential(conv(1, 16), nn.MaxPool2d(2)))
        self.a = nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.b = nn.Sequential(nn.MaxPool2d(2), conv(16, 16))

    def maps(self, x):
        h = self.body(x)
        return self.a(h) + self.b(h)


@kind
class TapBeforeReluInPlace(Headed):
    """A hook keeps what a convolution gave, and the ReLU behind it changes that in place."""

    def __init__(self):
        super().__init__(pools(inplace=True), 16 * 49 + 16)
        self.body[0].register_forward_hook(lambda _m, _i, out: setattr(self, "tap", out))

    def forward(self, x):
        maps = self.maps(x)
        return self.head(torch.cat([maps.flatten(1), self.tap.mean((2, 3))], 1))


@kind
class AsStrided(Headed):
    def maps(self, x):
        h = self.body(x)
        return h.as_strided((len(h), 16, 49), (16 * 49, 49, 1)) * 1.0


@kind
class Einsum(Headed):
    def __init__(self):
        super().__init__(width=256)

    def maps(self, x):
        h = self.body(x)
        return torch.einsum("nchw,ndhw->ncd", h, h) / 49


@kind
class GramByView(Einsum):
    def maps(self, x):
        h = F.max_pool2d(F.relu(self.body[0](x)), 4)
        flat = h.view(len(h), 16, 49)
        return flat @ flat.transpose(1, 2) / 49


@kind
class FunctionalPools(Headed):
    def __init__(self):
        super().__init__(conv(1, 16))

    def maps(self, x):
        return F.adaptive_max_pool2d(F.relu(self.body(x)), 7) + F.adaptive_avg_pool2d(x, 7)


class Loud(nn.Sequential):
    def forward(self, x):
        return super().forward(x) + 1


@kind
class NestedSubclass(Headed):
    def __init__(self):
        super().__init__(
            nn.Sequential(
                Loud(conv(1, 16), nn.ReLU(), nn.MaxPool2d(2)), nn.Sequential(conv(16, 16), nn.ReLU(), nn.MaxPool2d(2))
            )
        )


@kind
class ModuleListLoop(Headed):
    def __init__(self):
        super().__init__(nn.ModuleList([conv(1, 16), nn.ReLU(), nn.MaxPool2d(2), conv(16, 16), nn.MaxPool2d(2)]))

    def maps(self, x):
        for layer in self.body:
            x = layer(x)
        return x


@kind
class AsksForItsClass(Headed):
    def __init__(self):
        super().__init__(nn.Sequential(pools()))

    def maps(self, x):
        for block in self.body:
            x = block(x) if type(block) is nn.Sequential else -block(x)
        return x


@kind
class HooksEverywhere(Headed):
    """Every module is listened to, forward and backward."""

    def __init__(self):
        super().__init__(pools(norm=True))
        self.seen = 0.0
        for module in self.body:
            module.register_forward_pre_hook(lambda _m, inputs: (inputs[0] * 1.01,))
            module.register_forward_hook(lambda _m, _i, out: out * 0.99)
            module.register_full_backward_pre_hook(lambda _m, grads: (grads[0] * 1.5,))
            module.register_full_backward_hook(
                lambda _m, grads, _o: (grads[0] * 0.5,) if grads[0] is not None else None
            )


@kind
class HookOnPool(Headed):
    def __init__(self):
        super().__init__()
        self.body[2].register_forward_pre_hook(lambda _m, inputs: (inputs[0] - 0.1,))


@kind
class ReluOfItsOwn(Headed):
    """A ReLU whose forward was replaced by another function, which no longer commutes with the pool."""

    def __init__(self):
        super().__init__()
        self.body[1].forward = lambda x: (x - 0.2) ** 2


@kind
class Parametrised(Headed):
    def __init__(self):
        super().__init__()
        parametrizations.weight_norm(self.body[0])
        parametrizations.spectral_norm(self.body[3])
        self.turn = parametrizations.orthogonal(nn.Linear(10, 10))

    def forward(self, x):
        return self.turn(super().forward(x))


@kind
class OldSpectralNorm(Headed):
    def __init__(self):
        super().__init__()
        nn.utils.spectral_norm(self.body[3])


@kind
class Pruned(Headed):
    def __init__(self):
        super().__init__()
        prune.l1_unstructured(self.body[3], "weight", amount=0.5)
        prune.random_unstructured(self.head, "weight", amount=0.2)


@kind
def scripted():
    return torch.jit.script(nn.Sequential(pools(), nn.Flatten(), nn.Linear(16 * 49, 10)))


@kind
class ScriptedPart(Headed):
    def __init__(self):
        super().__init__(nn.Sequential(torch.jit.script(pools()), nn.Identity()))


class Clipped(torch.autograd.Function):
    """Insists on the memory that NCHW has, as functions through NumPy do."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.from_numpy(x.detach().numpy().ravel(order="K").reshape(x.shape).clip(0, 2))

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * ((x > 0) & (x < 2))


@kind
class CustomFunction(Headed):
    def __init__(self):
        super().__init__(nn.Sequential(conv(1, 16)))

    def maps(self, x):
        return F.max_pool2d(Clipped.apply(self.body(x)), 4)


ARCHITECTURES = [Architecture(name=name, build=build) for name, build in KINDS.items()]
