"""Each piece of advice: a net that deserves it, and its neighbour that does not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench import check_architecture
from bench.core.architecture import Architecture

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.core.metadata import Finding


class Then(nn.Module):
    """A function behind a module."""

    def __init__(self, net: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.function = net, function

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 10)."""
        return self.function(self.net(images))


def rows(*end: nn.Module, start: Callable[[nn.Linear], object] = str) -> nn.Module:
    first = nn.Linear(784, 32)
    start(first)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(32, 10), *end)


def convolved(*, bias: bool, norm: bool = True, training: bool = True) -> nn.Module:
    norms = [nn.BatchNorm2d(4)] if norm else []
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=bias), *norms, nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(144, 10)
    )
    if not training:
        norms[0].train = lambda *_: nn.Module.train(norms[0], mode=False)  # type: ignore[method-assign]
    return net


def large(layer: nn.Linear) -> None:
    nn.init.normal_(layer.weight, std=3.0)


def dead(layer: nn.Linear) -> None:
    nn.init.constant_(layer.bias, -100.0)


def pooled(side: int) -> nn.Module:
    flat = 16 * (28 // side) ** 2
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(side), nn.Flatten(), nn.Linear(flat, 64),
        nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


class Cosine(nn.Module):
    """Cosines of features and of prototypes, times a scale that may be learned."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.body, self.prototypes, self.scale = nn.Linear(784, 32), nn.Parameter(torch.randn(10, 32)), scale

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 10)."""
        features = functional.normalize(self.body(images.flatten(1)), dim=1)
        return self.scale * features @ functional.normalize(self.prototypes, dim=1).T


class Heads(nn.Module):
    """Auxiliary heads while it trains, within a list or not."""

    def __init__(self, *, auxiliary: bool) -> None:
        super().__init__()
        self.body, self.head, self.other = nn.Linear(784, 16), nn.Linear(16, 10), nn.Linear(16, 10)
        self.auxiliary = auxiliary

    def forward(self, images: Tensor) -> Any:
        """Logits (N, 10), and behind them others."""
        features = torch.tanh(self.body(images.flatten(1)))
        if self.auxiliary:
            return (self.head(features), [self.other(features)]) if self.training else self.head(features)
        return self.head(features) + self.other(features)


class Fixed(nn.Module):
    """All seeds start from the same weights, without setting a seed."""

    def __init__(self, *, drawn: bool) -> None:
        super().__init__()
        self.fc = nn.Linear(784, 10)
        if not drawn:
            nn.init.constant_(self.fc.weight, 0.01)
            nn.init.zeros_(self.fc.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 10)."""
        logits: Tensor = self.fc(images.flatten(1))
        return logits


def saying(*, says: bool) -> nn.Module:
    return Then(rows(), lambda logits: logits.softmax(1) if says and not torch.is_grad_enabled() else logits)


ADVICE: dict[str, tuple[str, Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "a bias before a batch norm": ("bias-before-norm", lambda: convolved(bias=True), lambda: convolved(bias=False)),
    "a bias before no norm": (
        "bias-before-norm", lambda: convolved(bias=True), lambda: convolved(bias=True, norm=False),
    ),
    "a bias before a fixed norm": (
        "bias-before-norm", lambda: convolved(bias=True), lambda: convolved(bias=True, training=False),
    ),
    "dead units": ("dead-relus", lambda: rows(start=dead), rows),
    "a large first loss": ("initial-loss", lambda: Then(rows(), lambda logits: 100 * logits), rows),
    "gradients that end": (
        "overfit", lambda: Then(rows(), lambda logits: logits.mean(1, keepdim=True) + 0 * logits), rows,
    ),
    "values that grow": ("signal", lambda: rows(start=large), rows),
    "a tanh at the end": ("last-layer", lambda: rows(nn.Tanh()), rows),
    "a ReLU at the end": ("last-layer", lambda: rows(nn.ReLU()), rows),
    "cosines": ("last-layer", lambda: rows(nn.Tanh()), lambda: Cosine(16.0)),
    "a norm at the end": ("norm-at-end", lambda: rows(nn.BatchNorm1d(10)), lambda: rows(nn.Linear(10, 10))),
    "a layer that has it all": ("one-layer", lambda: pooled(2), lambda: pooled(28)),
    "rows have no maps to pool": ("one-layer", lambda: pooled(2), rows),
    "auxiliary heads": ("auxiliary-heads", lambda: Heads(auxiliary=True), lambda: Heads(auxiliary=False)),
    "one start": ("same-start", lambda: Fixed(drawn=False), lambda: Fixed(drawn=True)),
    "probabilities in eval mode alone": (
        "probabilities-in-eval", lambda: saying(says=True), lambda: saying(says=False),
    ),
}  # fmt: skip


def findings(build: Callable[[], nn.Module], name: str = "net") -> tuple[Finding, ...]:
    return check_architecture(Architecture(name=name, build=build))


@pytest.mark.parametrize("case", ADVICE)
def test_a_net_is_advised_and_its_neighbour_is_not(case: str) -> None:
    check, advised, neighbour = ADVICE[case]
    found = [finding for finding in findings(advised) if finding.check == check]
    assert [finding.level for finding in found] == ["advice"], findings(advised)
    assert check not in {finding.check for finding in findings(neighbour)}
    assert not [finding for finding in (*findings(advised), *findings(neighbour)) if finding.check == "unchecked"]


def test_who_walks_for_long_is_not_tried() -> None:
    def walking(steps: int) -> nn.Module:
        def walk(logits: Tensor) -> Tensor:
            for _ in range(steps):
                logits = logits * 0
            return logits

        return Then(rows(), walk)

    assert "overfit" in {finding.check for finding in findings(lambda: walking(400))}
    assert "overfit" not in {finding.check for finding in findings(lambda: walking(500))}


def test_a_size_that_is_promised_and_not_kept() -> None:
    """The BatchNorm project's net of "25K" parameters has 105,962."""

    def described() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(1568, 64), nn.Dropout(0.25), nn.Linear(64, 10),
        )  # fmt: skip

    (found,) = [finding for finding in findings(described, "bn25k") if finding.check == "promised-size"]
    assert found.message == (
        "its name promises 25k parameters, and it has 105,962: give it another name, or other widths"
    )
    for name in ("bn106k", "bn", "v2", "mobilenet-1.0"):
        assert "promised-size" not in {finding.check for finding in findings(described, name)}


def test_the_first_loss_is_told_beside_that_of_guessing() -> None:
    (found,) = [f for f in findings(lambda: Then(rows(), lambda z: 100 * z)) if f.check == "initial-loss"]
    assert f"where guessing has ln(10) = {math.log(10):.2f}" in found.message
