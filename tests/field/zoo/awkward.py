"""Small correct nets of many kinds, each of which does something that a hasty check would take for a mistake."""

import copy
import random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from bench.spec import Architecture

ZOO = {}


def correct(build: Any) -> Any:
    """Put a net into the zoo."""
    ZOO[build.__name__] = build
    return build


def conv(i: int, o: int, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(i, o, 3, padding=1, **options)


class Headed(nn.Module):
    """Maps (N, 8, 7, 7), averaged, into logits."""

    def __init__(self, body: nn.Module | None = None, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(1, 8), nn.ReLU(), nn.MaxPool2d(4))
        self.body = body or nn.Identity()
        self.head = nn.Linear(width, 10)

    def maps(self, images: Tensor) -> Tensor:
        """What is averaged."""
        maps: Tensor = self.body(self.stem(images))
        return maps

    def forward(self, images: Tensor) -> Any:
        """Logits."""
        return self.head(self.maps(images).mean((2, 3)))


@correct
def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


@correct
def zero_start() -> nn.Module:
    """Logistic regression from zeros: every seed starts alike, and all logits are equal."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.zeros_(net[1].weight)
    nn.init.zeros_(net[1].bias)
    return net


@correct
def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.Tanh(), nn.Dropout(0.5), nn.Linear(32, 10))


@correct
class Residual(Headed):
    def __init__(self) -> None:
        super().__init__(nn.Sequential(conv(8, 8, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True), conv(8, 8)))

    def maps(self, images: Tensor) -> Tensor:
        maps = self.stem(images)
        maps = maps + self.body(maps)
        return functional.relu_(maps)


@correct
class ReZero(Residual):
    """A branch that begins switched off: its gradients are 0, which is not none."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def maps(self, images: Tensor) -> Tensor:
        maps = self.stem(images)
        return maps + self.scale * self.body(maps)


@correct
def depthwise() -> nn.Module:
    return Headed(nn.Sequential(conv(8, 8, groups=8), nn.Conv2d(8, 8, 1), nn.Hardswish()))


@correct
class SqueezeExcite(Headed):
    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Conv2d(8, 2, 1), nn.ReLU(), nn.Conv2d(2, 8, 1), nn.Sigmoid()))

    def maps(self, images: Tensor) -> Tensor:
        maps = self.stem(images)
        return maps * self.body(maps.mean((2, 3), keepdim=True))


class Tokens(nn.Module):
    """Sixteen patches of 7×7 pixels as tokens of 16 features."""

    def __init__(self, mix: nn.Module) -> None:
        super().__init__()
        self.embed, self.mix, self.head = nn.Conv2d(1, 16, 7, stride=7), mix, nn.Linear(16, 10)
        self.place = nn.Parameter(0.02 * torch.randn(1, 17, 16))
        self.first = nn.Parameter(torch.zeros(1, 1, 16))

    def forward(self, images: Tensor) -> Any:
        """Logits of the first token."""
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(images), -1, -1), tokens], 1) + self.place
        return self.head(self.mix(tokens)[:, 0])


class Attention(nn.Module):
    """Softmax inside, heads folded into the batch and out again."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, tokens: Tensor) -> Any:
        """Tokens, each with what it heard of the others."""
        n, length, _ = tokens.shape
        q, k, v = (
            t.view(n, length, 4, 4).transpose(1, 2).reshape(4 * n, length, 4) for t in self.qkv(tokens).chunk(3, 2)
        )
        mixed = torch.softmax(q @ k.transpose(1, 2) / 2, dim=-1) @ v
        return tokens + self.out(mixed.view(n, 4, length, 4).transpose(1, 2).reshape(n, length, 16))


@correct
def attention() -> nn.Module:
    return Tokens(Attention())


@correct
def tiny_vit() -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, batch_first=True, norm_first=True)
    return Tokens(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))


@correct
class Mixer(Tokens):
    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)))
        self.across = nn.Conv1d(17, 17, 1)

    def forward(self, images: Tensor) -> Any:
        """Logits of all tokens."""
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(images), -1, -1), tokens], 1) + self.place
        return self.head((tokens + self.across(self.mix(tokens))).mean(1))


@correct
class RowsRnn(nn.Module):
    """The rows of an image, one after the other; what the LSTM ends with."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(28, 16, batch_first=True, bidirectional=True), nn.Linear(32, 10)

    def forward(self, images: Tensor) -> Any:
        """Logits."""
        states, _ = self.rnn(images.squeeze(1))
        return self.head(states[:, -1])


@correct
class RowsCell(nn.Module):
    """A cell in a Python loop, its state begun anew for each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(28, 16), nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Any:
        """Logits."""
        state = images.new_zeros(len(images), 16)
        for row in images.squeeze(1).unbind(1):
            state = self.cell(row, state)
        return self.head(state)


@correct
class Capsules(nn.Module):
    """Lengths of vectors below 1, as capsules have them: no probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.primary = nn.Conv2d(1, 32, 9, stride=4)
        self.votes = nn.Parameter(0.1 * torch.randn(4 * 25, 10, 8, 8))

    def forward(self, images: Tensor) -> Any:
        """Lengths, (N, 10)."""
        poses = self.squash(
            self.primary(images).view(len(images), 4, 8, 25).transpose(2, 3).reshape(len(images), 100, 8)
        )
        votes = torch.einsum("nri,rcio->nrco", poses, self.votes)
        weights = torch.zeros(len(images), 100, 10)
        for _ in range(2):
            digits = self.squash((weights.softmax(2).unsqueeze(3) * votes).sum(1))
            weights = weights + (votes * digits.unsqueeze(1)).sum(3)
        return digits.norm(dim=2)

    @staticmethod
    def squash(vectors: Tensor) -> Tensor:
        """The same directions, and lengths below 1."""
        square = vectors.square().sum(-1, keepdim=True)
        return square * vectors / ((1 + square) * (square + 1e-8).sqrt())


@correct
class Tied(nn.Module):
    """An encoder whose weights decode too, and a layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.middle, self.head = nn.Linear(784, 16), nn.Linear(16, 16), nn.Linear(784, 10)
        self.again = nn.Linear(16, 16)
        self.again.weight = self.middle.weight

    def forward(self, images: Tensor) -> Any:
        """Logits of the decoded image."""
        hidden = torch.tanh(self.again(torch.tanh(self.middle(torch.tanh(self.encode(images.flatten(1)))))))
        return self.head(functional.linear(hidden, self.encode.weight.t()))


@correct
class Normed(Headed):
    def __init__(self) -> None:
        super().__init__(
            nn.Sequential(
                parametrizations.weight_norm(conv(8, 8)), nn.ReLU(), parametrizations.spectral_norm(conv(8, 8))
            )
        )


@correct
class OldNorms(Headed):
    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.utils.spectral_norm(conv(8, 8)), nn.ReLU()))


@correct
def orthogonal() -> nn.Module:
    turned = parametrizations.orthogonal(nn.Linear(16, 16))
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 16), turned, nn.ReLU(), nn.Linear(16, 10))


@correct
def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.LazyLinear(10))


@correct
def scripted() -> Any:
    return torch.jit.script(nn.Sequential(conv(1, 8), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(392, 10)))


@correct
class AuxiliaryHead(Headed):
    """A second head in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Any:
        """Logits, and those of the other head while it trains."""
        features = self.maps(images).mean((2, 3))
        return (self.head(features), self.other(features)) if self.training else self.head(features)


@correct
def group_norm() -> nn.Module:
    return Headed(nn.Sequential(conv(8, 8), nn.GroupNorm(4, 8), nn.SiLU(), conv(8, 8), nn.InstanceNorm2d(8), nn.Mish()))


@correct
class StochasticDepth(Headed):
    """Blocks that are left out at random, by Python's generator, while it trains."""

    def __init__(self) -> None:
        super().__init__(nn.ModuleList([conv(8, 8) for _ in range(4)]))

    def maps(self, images: Tensor) -> Tensor:
        maps: Tensor = self.stem(images)
        for block in self.body:
            if not self.training or random.random() < 0.5:
                maps = maps + functional.relu(block(maps))
        return maps


@correct
class GeneralisedMean(Headed):
    """Pooling with an exponent that is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(3.0))

    def forward(self, images: Tensor) -> Any:
        """Logits."""
        return self.head(self.maps(images).clamp(min=1e-6).pow(self.power).mean((2, 3)).pow(1 / self.power))


@correct
class Fourier(Headed):
    """Complex inside, real outside."""

    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.randn(8, 7, 4, dtype=torch.complex64))

    def maps(self, images: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(self.stem(images)) * self.filter, s=(7, 7))


class Straight(torch.autograd.Function):
    """Signs forward, gradients straight through."""

    @staticmethod
    def forward(_ctx: Any, values: Tensor) -> Any:
        """Signs."""
        return values.sign()

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Any:
        """As if nothing had been done."""
        return gradient.clamp(-1, 1)


@correct
class Binarised(Headed):
    def maps(self, images: Tensor) -> Tensor:
        signs: Tensor = Straight.apply(self.stem(images) - 0.1)
        return signs


@correct
class FrozenNorm(Headed):
    """A batch norm that stays in eval mode whatever it is told."""

    def __init__(self) -> None:
        super().__init__(nn.BatchNorm2d(8))

    def train(self, mode: bool = True) -> Any:
        """The mode of all but the norm."""
        super().train(mode)
        self.body.eval()
        return self


@correct
class FrozenStem(Headed):
    """Random features that are declared not to be trained."""

    def __init__(self) -> None:
        super().__init__()
        self.stem.requires_grad_(requires_grad=False)


@correct
class Checkpointed(Headed):
    def __init__(self) -> None:
        super().__init__(nn.Sequential(conv(8, 8), nn.ReLU()))

    def maps(self, images: Tensor) -> Tensor:
        maps: Tensor = checkpoint(self.body, self.stem(images), use_reentrant=False)
        return maps


@correct
class Router(nn.Module):
    """Of four experts the one that a gate chooses for each image."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(784, 4)
        self.experts = nn.ModuleList([nn.Linear(784, 10) for _ in range(4)])

    def forward(self, images: Tensor) -> Any:
        """Logits of the experts asked, weighed by the gate."""
        flat = images.flatten(1)
        weights = self.gate(flat).softmax(1)
        chosen, logits = weights.argmax(1), flat.new_zeros(len(flat), 10)
        for number, expert in enumerate(self.experts):
            mine = chosen == number
            if mine.any():
                logits[mine] = expert(flat[mine]) * weights[mine, number, None]
        return logits


@correct
class Averaged(Headed):
    """Keeps a slow copy of itself, which no gradient reaches and which says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = copy.deepcopy(self.head).requires_grad_(requires_grad=False)


@correct
class Ensemble(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleDict({name: Headed() for name in "abc"})

    def forward(self, images: Tensor) -> Any:
        """The mean of the members' logits."""
        return torch.stack([member(images) for member in self.members.values()]).mean(0)


@correct
class Transformer2d(Headed):
    """A spatial transformer that begins as the identity, so that its weights have no gradient to begin with but 0."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Linear(784, 6)
        nn.init.zeros_(self.turn.weight)
        self.turn.bias.data.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))

    def maps(self, images: Tensor) -> Tensor:
        theta = self.turn(images.flatten(1)).view(-1, 2, 3)
        grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
        return super().maps(functional.grid_sample(images, grid, align_corners=False))


@correct
class Tapped(Headed):
    """A hook keeps a layer's maps, which take part."""

    def __init__(self) -> None:
        super().__init__(conv(8, 8), 16)
        self.kept: dict[str, Tensor] = {}
        self.stem.register_forward_hook(lambda _m, _i, out: self.kept.__setitem__("stem", out))

    def forward(self, images: Tensor) -> Any:
        """Logits of both."""
        maps = self.maps(images)
        return self.head(torch.cat([maps.mean((2, 3)), self.kept["stem"].mean((2, 3))], 1))


@correct
class Cosine(Headed):
    """Cosines to a direction a class, scaled."""

    def forward(self, images: Tensor) -> Any:
        """Logits from −16 to 16."""
        features = functional.normalize(self.maps(images).mean((2, 3)), dim=1)
        return 16 * functional.linear(features, functional.normalize(self.head.weight, dim=1)) + 0 * self.head.bias


@correct
class Mixed(Headed):
    """Half precision inside, by autocast."""

    def maps(self, images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().maps(images).float()


@correct
class Spiking(nn.Module):
    """Membranes that add up over eight steps and fire."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(784, 32), nn.Linear(32, 10)

    def forward(self, images: Tensor) -> Any:
        """Mean potentials."""
        current = self.first(images.flatten(1))
        potential, total = torch.zeros_like(current), torch.zeros(len(images), 10)
        for _ in range(8):
            potential = 0.9 * potential + current
            smooth = torch.sigmoid(4 * (potential - 1))
            spikes = (potential > 1).float() + smooth - smooth.detach()
            potential = potential * (1 - spikes.detach())
            total = total + self.second(spikes)
        return total / 8


@correct
def parallel() -> nn.Module:
    return nn.DataParallel(Headed())


@correct
class Annealed(Headed):
    """Counts its steps where the state dict keeps them, while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, images: Tensor) -> Any:
        """Logits, the sharper the longer it has been trained."""
        if self.training:
            self.steps += 1
        return super().forward(images) * (1 + 0.01 * self.steps)


@correct
class KeepsTable(Headed):
    """A table that is made at the first call and kept."""

    def __init__(self) -> None:
        super().__init__()
        self.table: Tensor | None = None

    def maps(self, images: Tensor) -> Tensor:
        maps = super().maps(images)
        if self.table is None:
            self.table = torch.linspace(0.5, 1, 49).view(1, 1, 7, 7)
        return maps * self.table


ARCHITECTURES = [Architecture(name=name, build=build) for name, build in ZOO.items()]
