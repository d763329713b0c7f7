"""Nets that are hard to watch, data whose test set cannot be looked at, and runs whose weights are on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bench.core.metadata import DatasetMetadata
from bench.data.datasets import Dataset
from bench.models.build import build_model
from bench.spec import Architecture
from bench.training.checkpoint import keep_weights
from bench.training.result import Outcome, make_record
from tests.bench.runs import make_task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from bench.core.records import RunRecord

MEAN, DEVIATION = 0.25, 0.5
CLASSES = 10


class ClosedTestSet:
    """Raises at whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"the test set was looked at: {name}")

    def __len__(self) -> int:
        raise AssertionError("the test set was counted")

    def __getitem__(self, key: object) -> Any:
        raise AssertionError(f"a test image was taken: {key}")


def make_dataset(labels: Sequence[int] = tuple(range(CLASSES)) * 4) -> Dataset:
    """Random 8×8 images whose test set cannot be looked at."""
    images = np.random.default_rng(5).integers(256, size=(len(labels), 1, 8, 8)).astype(np.uint8)
    metadata = DatasetMetadata(
        name="tiny",
        data_hash="data",
        pool_images=len(labels),
        test_images=7,
        validation_images=10,
        image_shape=(1, 8, 8),
        classes=tuple(map(str, range(CLASSES))),
        mean=(MEAN,),
        deviation=(DEVIATION,),
        origin="here",
    )
    closed: Any = ClosedTestSet()
    return Dataset(
        metadata=metadata,
        pool_images=images,
        pool_labels=np.array(labels, dtype=np.int64),
        test_images=closed,
        test_labels=closed,
    )


def make_usual() -> nn.Sequential:
    """Every kind of layer that is kept, and those that are not."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Identity(),
        nn.Flatten(),
        nn.Linear(36, 6),
        nn.ReLU(),
        nn.Linear(6, CLASSES),
    )


class Unruly(nn.Module):
    """Declares its layers in another order than it runs them, one not at all and one twice."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(40 * 64, CLASSES)
        self.never = nn.Conv2d(1, 2, 1)
        self.second = nn.Conv2d(40, 40, 3, padding=1)
        self.activation = nn.ReLU()
        self.first = nn.Conv2d(1, 40, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        features = self.activation(self.first(images))
        logits: Tensor = self.last(self.activation(self.second(features)).flatten(1))
        return logits


class Shy(nn.Module):
    """Does not run when somebody watches its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 8)
        self.last = nn.Linear(2, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        features = self.conv(images)
        if self.last._forward_hooks:
            raise RuntimeError("no hooks here\nplease")
        logits: Tensor = self.last(features.flatten(1))
        return logits


class Bare(nn.Module):
    """Computes by functions alone."""

    def __init__(self, pixels: int = 64) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(CLASSES, pixels))

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return functional.linear(images.flatten(1), self.weights)


class Judging(nn.Module):
    """Has a layer whose output is a single number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 8)
        self.loss = nn.MSELoss()
        self.last = nn.Linear(2, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        features = self.conv(images).flatten(1)
        logits: Tensor = self.last(features) + self.loss(features, features)
        return logits


class Noisy(nn.Module):
    """Draws in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 8)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.conv(images + torch.randn_like(images)).flatten(1)
        return logits


def fit(
    build: Any, results: Path, *, seed: int = 0, changes: Any = None, name: str = "net"
) -> tuple[RunRecord, Architecture, nn.Module]:
    """A run that has ended and whose weights are on disk; `changes` is done to its net before."""
    architecture = Architecture(name=name, build=build)
    task = make_task(architecture, seed=seed)
    model = build_model(architecture, seed)
    if changes is not None:
        with torch.no_grad():
            changes(model)
    outcome = Outcome(weights=keep_weights(model, results, task.weights))
    return make_record(task, outcome, jobs=1, environment={}), architecture, model.eval()
