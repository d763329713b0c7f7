"""Datasets on the device that trains: what a run may see of one, and the whole of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from bench.core.errors import ClosedTestSetError
from bench.data.pixels import Pixels, standardise_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from bench.core.metadata import DatasetMetadata
    from bench.data.datasets import Dataset
    from bench.data.splits import Split


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The images that a run may see while it trains: no test images, but where its source watched those.

    Attributes:
        pool: All N images of the training pool; `labels` are their classes (N,).
        train: Indices into the pool that are trained on.
        validation_images: The split's V validation images, their classes (V,) beside them; under the protocol
            "as_claimed" the test images.
        probe_images: The fixed probe of P validation images, their classes (P,) beside them.
        black: A black pixel after standardisation, (1, C, 1, 1).
        white: A white one.
    """

    pool: Pixels
    labels: Tensor
    train: Tensor
    validation_images: Pixels
    validation_labels: Tensor
    probe_images: Pixels
    probe_labels: Tensor
    black: Tensor
    white: Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceData:
    """A whole dataset on a device, given out standardised with the pool's own mean and deviation.

    Attributes:
        classes: Classes of the pool (N,), int64, as an array; `pool_labels` are the same on the device.
        groups: Numbers of the groups that stay on one side of a split, (N,); None without.
        validation: Which images of the pool every seed validates on, (N,) bool; None for splits of the seeds' own.
        pool: The N images of the training pool.
        black: A black pixel after standardisation, (1, C, 1, 1).
        white: A white one.
        opened_test: The T test images and their classes (T,), int64; None where nobody may look.
    """

    metadata: DatasetMetadata
    classes: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    validation: NDArray[np.bool_] | None
    pool: Pixels
    pool_labels: Tensor
    black: Tensor
    white: Tensor
    opened_test: tuple[Pixels, Tensor] | None

    @property
    def test(self) -> tuple[Pixels, Tensor]:
        """Test images and their classes; ClosedTestSetError where nobody may look, as while tuning."""
        if self.opened_test is None:
            raise ClosedTestSetError("A run that never looks at the test set asked for it.")
        return self.opened_test


def to_device(dataset: Dataset, device: torch.device, *, with_test: bool = True) -> DeviceData:
    """Move everything to the device once: as bytes, which stay where they are, on a CPU, standardised on another."""
    metadata = dataset.metadata
    mean, deviation = _statistics(metadata)
    test = None
    if with_test:
        labels = torch.from_numpy(dataset.test_labels).to(device)
        test = _pixels(dataset.test_images, metadata, device), labels
    return DeviceData(
        metadata=metadata,
        classes=dataset.pool_labels,
        groups=dataset.pool_groups,
        validation=dataset.pool_validation,
        pool=_pixels(dataset.pool_images, metadata, device),
        pool_labels=torch.from_numpy(dataset.pool_labels).to(device),
        black=(-mean / deviation).to(device),
        white=((1 - mean) / deviation).to(device),
        opened_test=test,
    )


def _pixels(images: NDArray[np.uint8], metadata: DatasetMetadata, device: torch.device) -> Pixels:
    if device.type == "cpu":
        return Pixels(torch.from_numpy(images), scale=_statistics(metadata))
    return Pixels(standardise(images, metadata).to(device))


def standardise(images: NDArray[np.uint8], metadata: DatasetMetadata) -> Tensor:
    """Pixels (N, C, H, W) as nets are given them: float32 with the pool's mean and deviation taken out."""
    return standardise_bytes(torch.from_numpy(images), _statistics(metadata))


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
        validation_images=data.pool.choose(validation),
        validation_labels=data.pool_labels[validation],
        probe_images=data.pool.choose(probed),
        probe_labels=data.pool_labels[probed],
        black=data.black,
        white=data.white,
    )


def claimed_data(data: DeviceData, probe: NDArray[np.int64]) -> TrainingData:
    """What a run of a claim sees: the whole pool to train on, and the test set, with its probe, to watch."""
    device = data.pool.device
    images, labels = data.test
    probed = torch.from_numpy(probe).to(device)
    return TrainingData(
        pool=data.pool,
        labels=data.pool_labels,
        train=torch.arange(len(data.pool), device=device),
        validation_images=images,
        validation_labels=labels,
        probe_images=images.choose(probed),
        probe_labels=labels[probed],
        black=data.black,
        white=data.white,
    )
