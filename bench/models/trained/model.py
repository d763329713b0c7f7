"""A net with the weights of a stored run, which takes images as people hold them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.core.errors import ArchitectureError, DataError, StoreError, reason
from bench.data.given.prepare import Prepared, Preparer
from bench.models.build import build_model
from bench.models.fingerprint import architecture_hash
from bench.models.trained.layers import WatchedNet
from bench.models.trained.pixels import PixelNet, read_pixels
from bench.system.files import read_regular

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image
    from torch import Tensor, nn

    from bench.core.architecture import Architecture
    from bench.core.metadata import DatasetMetadata
    from bench.core.records import RunRecord


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What a run left: its net as its source prints it, on the CPU and in eval mode, with the final weights.

    Wherever it takes images they are what `bench.models.trained.pixels.read_pixels` reads: PIL pictures of any size,
    prepared as by `--predict`; arrays or tensors, one image or many, whole numbers from 0 to 255 or floats from 0 to 1.

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

    @functools.cached_property
    def pixel_net(self) -> PixelNet:
        """The net with its normalisation inside: (N, C, H, W) uint8, or float32 from 0 to 1, to logits (N, classes)."""
        return PixelNet(self.module, self.dataset)

    def prepare(self, picture: Image.Image | str | Path) -> Prepared:
        """A PIL picture or a picture's file as `--predict` prepares it: its `pixels`, and what was `said` of it.

        Raises:
            DataError: It cannot be read, or nothing is drawn on it.
        """
        preparer = Preparer(self.dataset)
        try:
            if isinstance(picture, str | Path):
                return preparer.prepare_picture(Path(picture))
            return preparer.prepare_image(picture)
        except DataError as fault:
            raise DataError(f"The picture cannot be used: {str(fault).rstrip('.')}.") from fault

    def to_pixels(self, images: object) -> Tensor:
        """What the net is shown: (N, C, H, W), uint8 or float32 from 0 to 1; DataError where these are no images."""
        return read_pixels(images, self.dataset)

    def preprocess(self, images: object) -> Tensor:
        """Images as the net was trained on them: the training pool's mean and deviation taken out of pixels in [0, 1].

        Returns:
            (N, C, H, W) float32.

        Raises:
            DataError: They have another shape, or are no pixels.
        """
        return self.pixel_net.normalise(self.to_pixels(images))

    @torch.no_grad()
    def __call__(self, images: object) -> Tensor:
        """Logits (N, classes); DataError where these are no images for it."""
        return self.pixel_net(self.to_pixels(images))  # type: ignore[no-any-return]

    def predict(self, images: object) -> npt.NDArray[np.float32]:
        """Probability of each class, (N, classes); DataError where these are no images for it."""
        probabilities: npt.NDArray[np.float32] = self(images).float().softmax(dim=1).numpy()
        return probabilities

    def classify(self, images: object) -> list[str]:
        """Name of the most probable class of each image; DataError where these are no images for it."""
        return [self.dataset.classes[label] for label in self.predict(images).argmax(axis=1)]

    @torch.no_grad()
    def feature_maps(self, images: object) -> dict[str, Tensor]:
        """What the layers make of images: by path of the layer, in order, (N, C, H, W), or (N, F) of a linear one.

        Dropout, flattening and what is called as a function have none, as in reports.
        """
        watched = WatchedNet(self.pixel_net, self.dataset.image_shape)
        try:
            _, *made = watched(self.to_pixels(images))
        finally:
            watched.release()
        return dict(zip(watched.kinds, made, strict=True))


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
