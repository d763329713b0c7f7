"""More nets of many kinds, after those of kinds.py: what they do to tensors and gradients, and to all of a process."""

import copy

import torch
from headed import Headed, conv, pools
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from bench.spec import Architecture

KINDS = {}


def kind(build):
    KINDS[build.__name__] = build
    return build


@kind
class Checkpointed(Headed):
    def maps(self, x):
        return checkpoint(self.body, x, use_reentrant=False)


@kind
class Fourier(Headed):
    def __init__(self):
        super().__init__(width=16 * 7 * 4)
        self.filter = nn.Parameter(torch.randn(16, 7, 4, dtype=torch.complex64) * 0.1 + 1)

    def maps(self, x):
        return (torch.fft.rfft2(self.body(x)) * self.filter).abs()


@kind
class Volumes(Headed):
    def __init__(self):
        super().__init__(
            nn.Sequential(nn.Conv3d(1, 16, (1, 3, 3), padding=(0, 1, 1)), nn.ReLU(), nn.MaxPool3d((1, 4, 4)))
        )

    def maps(self, x):
        return self.body(x.unsqueeze(2))


@kind
class TransposedLogits(Headed):
    def forward(self, x):
        return (self.head.weight @ self.maps(x).flatten(1).t()).t()


@kind
class Expanded(Headed):
    def __init__(self):
        super().__init__(pools(), 10)
        self.last = nn.Conv2d(16, 1, 7)

    def maps(self, x):
        return self.last(self.body(x)).expand(-1, 10, -1, -1)


@kind
class ChannelShuffle(Headed):
    def __init__(self):
        super().__init__()
        self.group = nn.Conv2d(16, 16, 1, groups=4)

    def maps(self, x):
        h = self.body[2](self.body[1](self.body[0](x)))
        h = self.group(h.view(len(h), 4, 4, 14, 14).transpose(1, 2).contiguous().view(len(h), 16, 14, 14))
        return F.max_pool2d(h, 2)


@kind
class StopGradient(Headed):
    def maps(self, x):
        h = self.body(x)
        return h + (h.detach().sign() - h.tanh()).detach() + h.tanh()


@kind
class IdentityBetween(Headed):
    def __init__(self):
        super().__init__(pools(middle=(nn.Identity(),)))


@kind
def shared_relu_and_pool():
    relu, pool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
    body = [conv(1, 16), relu, pool, conv(16, 16), relu, pool]
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(784, 20), relu, nn.Linear(20, 10))


@kind
class Unpooled(Headed):
    def __init__(self):
        super().__init__(nn.Sequential(conv(1, 16), nn.ReLU()), 16 * 784)
        self.pool, self.back = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

    def maps(self, x):
        return self.back(*self.pool(self.body(x)))


@kind
def dropouts_in_place():
    stages = [conv(1, 16), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.2, inplace=True)]
    stages += [conv(16, 16), nn.Dropout(0.3, inplace=True), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    return nn.Sequential(*stages, nn.Flatten(), nn.Linear(784, 10))


@kind
def normed_in_place():
    return nn.Sequential(pools(inplace=True, norm=True), nn.Flatten(), nn.Linear(784, 10))


@kind
class AsksForStrides(Headed):
    """Does one thing where memory lies as printed and another where it does not."""

    def __init__(self):
        super().__init__(conv(1, 8))
        self.head = nn.Linear(8 * 784, 10)

    def maps(self, x):
        h = self.body(x)
        return h if h.is_contiguous() else h * 2


@kind
class CopiesAndSlices(Headed):
    def maps(self, x):
        return (
            copy.deepcopy(self.body)(x).detach() * 0.1
            + self.body[:3](x)[:, :, ::2, ::2]
            + self.body[3:](self.body[:3](x))
        )


@kind
class KeepsItsLastBatch(Headed):
    """What it keeps of the batch before takes part in the next one."""

    def __init__(self):
        super().__init__()
        self.last = None

    def maps(self, x):
        before = x if self.last is None or len(self.last) != len(x) else self.last
        if self.training:
            self.last = x
        return self.body(x + 0.1 * before)


@kind
class UnderAutocast(Headed):
    def maps(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.body(x).float()


@kind
class WeightsByView(Headed):
    """Weight standardisation, whose mean is taken over a view of the kernels."""

    def __init__(self):
        super().__init__(nn.Sequential(conv(1, 16), conv(16, 16)))

    def maps(self, x):
        for layer in self.body:
            flat = layer.weight.view(16, -1)
            weight = (flat - flat.mean(1, keepdim=True)).view_as(layer.weight)
            x = F.max_pool2d(F.relu(F.conv2d(x, weight, layer.bias, padding=1)), 2)
        return x


@kind
class SpatialTransformer(Headed):
    def __init__(self):
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(1, 8, 7), nn.MaxPool2d(2), nn.ReLU(True), nn.Conv2d(8, 10, 5), nn.MaxPool2d(2), nn.ReLU(True)
        )
        self.place = nn.Sequential(nn.Linear(90, 32), nn.ReLU(True), nn.Linear(32, 6))
        self.place[2].weight.data.zero_()
        self.place[2].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))

    def maps(self, x):
        theta = self.place(self.local(x).view(-1, 10 * 3 * 3)).view(-1, 2, 3)
        return self.body(F.grid_sample(x, F.affine_grid(theta, x.size(), align_corners=False), align_corners=False))


@kind
class SpaceToDepth(Headed):
    def __init__(self):
        super().__init__(conv(1, 4))
        self.head = nn.Linear(4 * 784, 10)

    def maps(self, x):
        h = self.body(x)
        return h.view(-1, 4, 14, 2, 14, 2).permute(0, 1, 3, 5, 2, 4).reshape(len(h), 16, 14, 14)


@kind
class TensorHook(Headed):
    def maps(self, x):
        h = self.body(x)
        if h.requires_grad:
            h.register_hook(lambda grad: grad.clamp(-1e-3, 1e-3))
        return h


@kind
class DoubleBackward(Headed):
    def maps(self, x):
        h = self.body(x)
        if not self.training:
            return h
        (grad,) = torch.autograd.grad(h.sum(), self.body[0].weight, create_graph=True)
        return h + grad.square().mean()


@kind
class FunctionalCall(Headed):
    def maps(self, x):
        values = {name: value * 1.1 for name, value in self.body.named_parameters()}
        return torch.func.functional_call(self.body, values, (x,))


@kind
class UnderVmap(Headed):
    def maps(self, x):
        return torch.func.vmap(self.body)(torch.stack([x, -x])).sum(0)


@kind
class SetsWhatHoldsForAll(Headed):
    """Changes settings of the whole process and never puts them back."""

    def forward(self, x):
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        return super().forward(x)


@kind
def data_parallel():
    return nn.DataParallel(nn.Sequential(pools(), nn.Flatten(), nn.Linear(784, 10)))


@kind
class TiedWeights(Headed):
    def __init__(self):
        super().__init__(nn.Sequential(conv(1, 16), nn.MaxPool2d(2), conv(16, 16), nn.ReLU(), nn.MaxPool2d(2)))
        self.again = conv(16, 16)
        self.again.weight = self.body[2].weight

    def maps(self, x):
        return self.again(self.body(x))


@kind
class FrozenNorm(Headed):
    def __init__(self):
        super().__init__(pools(norm=True))

    def train(self, mode=True):
        super().train(mode)
        self.body[1].eval()
        return self


ARCHITECTURES = [Architecture(name=name, build=build) for name, build in KINDS.items()]
