"""Datasets as whole tensors, standardised once and resident on the device."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from bench.core.errors import ClosedTestSetError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from bench.core.metadata import DatasetMetadata
    from bench.data.datasets import Dataset
    from bench.data.splits import Split


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The images that a run may see while it trains; no test images.

    Attributes:
        pool: All images of the training pool (N, C, H, W), float32, standardised; `labels` are their classes (N,).
        train: Indices into the pool that are trained on.
        validation_images: The split's validation images (V, C, H, W), their classes beside them.
        probe_images: The fixed probe of validation images (P, C, H, W), their classes beside them.
        black: A black pixel after standardisation, (1, C, 1, 1).
    """

    pool: Tensor
    labels: Tensor
    train: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    probe_images: Tensor
    probe_labels: Tensor
    black: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceData:
    """A whole dataset on a device, standardised with the pool's own mean and deviation.

    Attributes:
        classes: Classes of the pool (N,), int64, as an array; `pool_labels` are the same on the device.
        pool: Training pool (N, C, H, W), float32.
        black: A black pixel after standardisation, (1, C, 1, 1).
        opened_test: Test images (T, C, H, W), float32, and their classes (T,), int64; None where nobody may look.
    """

    metadata: DatasetMetadata
    classes: NDArray[np.int64]
    pool: Tensor
    pool_labels: Tensor
    black: Tensor
    opened_test: tuple[Tensor, Tensor] | None

    @property
    def test(self) -> tuple[Tensor, Tensor]:
        """Test images and their classes; ClosedTestSetError where nobody may look, as while tuning."""
        if self.opened_test is None:
            raise ClosedTestSetError("A run that never looks at the test set asked for it.")
        return self.opened_test


def to_device(dataset: Dataset, device: torch.device, *, with_test: bool = True) -> DeviceData:
    """Scale pixels to [0, 1], standardise, and move everything to the device once."""
    metadata = dataset.metadata
    mean, deviation = _statistics(metadata)
    test = None
    if with_test:
        labels = torch.from_numpy(dataset.test_labels).to(device)
        test = standardise(dataset.test_images, metadata).to(device), labels
    return DeviceData(
        metadata=metadata,
        classes=dataset.pool_labels,
        pool=standardise(dataset.pool_images, metadata).to(device),
        pool_labels=torch.from_numpy(dataset.pool_labels).to(device),
        black=(-mean / deviation).to(device),
        opened_test=test,
    )


def standardise(images: NDArray[np.uint8], metadata: DatasetMetadata) -> Tensor:
    """Pixels (N, C, H, W) as nets are given them: float32 with the pool's mean and deviation taken out."""
    mean, deviation = _statistics(metadata)
    return torch.from_numpy(images).float().div_(255).sub_(mean).div_(deviation)


def _statistics(metadata: DatasetMetadata) -> tuple[Tensor, Tensor]:
    """Mean and deviation, each (1, C, 1, 1)."""
    return tuple(torch.tensor(values)[None, :, None, None] for values in (metadata.mean, metadata.deviation))  # type: ignore[return-value]


def training_data(data: DeviceData, division: Split, probe: NDArray[np.int64]) -> TrainingData:
    """What a run may see of a dataset: its split of the pool, without the test set."""
    validation = torch.from_numpy(division.validation).to(data.pool.device)
    probed = torch.from_numpy(probe).to(data.pool.device)
    return TrainingData(
        pool=data.pool,
        labels=data.pool_labels,
        train=torch.from_numpy(division.train).to(data.pool.device),
        validation_images=data.pool[validation],
        validation_labels=data.pool_labels[validation],
        probe_images=data.pool[probed],
        probe_labels=data.pool_labels[probed],
        black=data.black,
    )
