"""A net with the weights of a stored run, and how images become its input."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.core.errors import ArchitectureError, DataError, StoreError, reason
from bench.data.tensors import standardise
from bench.models.build import build_model
from bench.models.fingerprint import architecture_hash
from bench.system.files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor, nn

    from bench.core.architecture import Architecture
    from bench.core.metadata import DatasetMetadata
    from bench.core.records import RunRecord


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What a run left: its net as its source prints it, on the CPU and in eval mode, with the final weights.

    Attributes:
        module: The net; takes (N, C, H, W) float32 as `preprocess` makes it and gives logits (N, classes).
        architecture: What it was built from.
        record: The run.
        dataset: What it was trained on: shape of an image, names of the classes, mean and deviation of its pixels.
    """

    module: nn.Module
    architecture: Architecture
    record: RunRecord
    dataset: DatasetMetadata

    def preprocess(self, images: npt.ArrayLike) -> Tensor:
        """Images as the net was trained on them: scaled to [0, 1], the training pool's mean and deviation taken out.

        Args:
            images: Pixels from 0 to 255, (N, C, H, W); of one channel (N, H, W) too.

        Returns:
            (N, C, H, W) float32.

        Raises:
            DataError: They have another shape, or are no whole numbers from 0 to 255.
        """
        pixels = np.asarray(images)
        channels, height, width = self.dataset.image_shape
        if channels == 1 and pixels.ndim == 3:
            pixels = pixels[:, None]
        if pixels.ndim != 4 or pixels.shape[1:] != self.dataset.image_shape:
            raise DataError(
                f"Images of shape {pixels.shape} are not what {self.architecture.name} was trained on; give "
                f"(N, {channels}, {height}, {width})."
            )
        if pixels.dtype.kind not in "ui" or (pixels.size and not 0 <= pixels.min() <= pixels.max() <= 255):
            raise DataError(f"Images of {pixels.dtype} are no pixels; give whole numbers from 0 to 255.")
        return standardise(np.ascontiguousarray(pixels, dtype=np.uint8), self.dataset)

    @torch.no_grad()
    def predict(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Probability of each class, (N, classes), of images as `preprocess` takes them."""
        probabilities: npt.NDArray[np.float32] = self.module(self.preprocess(images)).softmax(dim=1).numpy()
        return probabilities


def load_weights(record: RunRecord, architecture: Architecture, results: Path) -> nn.Module:
    """The net as its source prints it with the final weights of a run, on the CPU and in eval mode.

    Raises:
        ArchitectureError: The net's file is not the one that was trained.
        StoreError: The weights cannot be read, or are not those of the run.
    """
    if architecture_hash(architecture) != record.architecture_hash:
        raise ArchitectureError(f"The file of '{architecture.name}' was edited since it was trained; run it again.")
    if not record.checkpoint:
        raise StoreError(f"Run '{record.run_id}' has no weights any more; train it again with --fresh.")
    path = results / record.checkpoint
    try:
        content = read_regular(path)
    except OSError as fault:
        raise StoreError(f"Weights '{path}' cannot be read ({reason(fault)}); fix that and run again.") from fault
    if hashlib.sha256(content).hexdigest() != record.checkpoint_hash:
        raise StoreError(f"Weights '{path}' are not those that were stored; train the run again with --fresh.")
    model = build_model(architecture, record.seed).cpu()
    model.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
    model.eval()  # a net's own eval() may return nothing
    return model
