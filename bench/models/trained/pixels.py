"""Images as people hold them, PIL, numpy or torch, one or many, bytes or fractions: as what a net takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import nn

from bench.core.errors import DataError, first_line
from bench.data.given.prepare import Preparer

if TYPE_CHECKING:
    from torch import Tensor

    from bench.core.metadata import DatasetMetadata

    Shape = tuple[int, int, int]


class PixelNet(nn.Module):
    """A net with its normalisation inside: takes pixels, gives logits.

    Attributes:
        net: The net; takes (N, C, H, W) float32 with the training pool's mean and deviation taken out.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, net: nn.Module, dataset: DatasetMetadata) -> None:
        super().__init__()
        self.net = net
        for name, values in (("mean", dataset.mean), ("deviation", dataset.deviation)):
            self.register_buffer(name, torch.tensor(values)[None, :, None, None])  # (1, C, 1, 1)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of pixels (N, C, H, W): uint8, or float32 from 0 to 1."""
        return self.net(self.normalise(images))  # type: ignore[no-any-return]

    def normalise(self, images: Tensor) -> Tensor:
        """What the net itself takes: in the order of operations of training, so that the bits are the same."""
        fractions = images if images.is_floating_point() else images.float() / 255
        return (fractions - self.mean) / self.deviation


def read_pixels(images: object, dataset: DatasetMetadata) -> Tensor:
    """Images in whatever form, one or many, as pixels.

    Args:
        images: A PIL picture, which is prepared as `--predict` prepares a file: a drawing is brought to the form of the
            dataset's characters, another is scaled. Or an array or a tensor of just the dataset's size, (C, H, W),
            (H, W, C) or with one channel (H, W), or N of these: whole numbers from 0 to 255, booleans, or floats from 0
            to 1. Or several of them.
        dataset: What the net was trained on.

    Returns:
        (N, C, H, W), uint8 or float32 from 0 to 1.

    Raises:
        DataError: They have another shape, are no pixels, or nothing is drawn on a picture.
    """
    if isinstance(images, Image.Image):
        try:
            return torch.from_numpy(Preparer(dataset).prepare_image(images).pixels[None])
        except DataError as fault:
            raise DataError(f"The picture cannot be used: {fault}.") from fault
    if isinstance(images, list | tuple) and images and not _is_numbers(images):
        parts = [read_pixels(each, dataset) for each in images]  # each by itself: they may be of unlike kinds
        if any(part.is_floating_point() for part in parts):
            parts = [part if part.is_floating_point() else part.float() / 255 for part in parts]
        return torch.cat(parts)
    values = _to_tensor(images)
    ordered = _put_in_order(values, dataset.image_shape)
    if ordered is None:
        channels, height, width = dataset.image_shape
        raise DataError(
            f"Images of shape {tuple(values.shape)} are not what the net was trained on; give "
            f"(N, {channels}, {height}, {width}), one image alone, or a PIL picture of any size."
        )
    return _check_range(ordered).contiguous()


def _to_tensor(images: object) -> Tensor:
    """A tensor or an array as a tensor of a type that torch can compare."""
    try:
        if isinstance(images, torch.Tensor):
            values = images.detach().cpu().to_dense()
            if values.dtype in {torch.bool, torch.uint8} or values.is_complex():
                return values
            return values.float() if values.is_floating_point() else values.to(torch.int64)
        array = np.asarray(images)
        if array.dtype.kind in "ui" and array.dtype != np.uint8:
            array = array.astype(np.int64)
        return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), requirements=["C", "W"]))
    except (TypeError, ValueError, RuntimeError) as fault:
        raise DataError(
            f"Images of type {type(images).__name__} cannot be read ({first_line(fault)}); give a PIL picture, an "
            "array or a tensor."
        ) from fault


def _is_numbers(values: list[object] | tuple[object, ...]) -> bool:
    """Whether nested lists hold plain numbers or rows of them, and no pictures or images."""
    first: object = values
    while isinstance(first, list | tuple) and first:
        first = first[0]
    is_row = isinstance(first, np.ndarray | torch.Tensor) and first.ndim < 2
    return is_row or isinstance(first, bool | int | float)


def _put_in_order(values: Tensor, shape: Shape) -> Tensor | None:
    """The same as (N, C, H, W); None where the shape is another one. Channels first where both would do."""
    channels, height, width = shape
    first, last, size = shape, (height, width, channels), tuple(values.shape)
    if len(size) == 4:
        return values if size[1:] == first else values.permute(0, 3, 1, 2) if size[1:] == last else None
    if channels == 1 and size[-2:] == (height, width) and len(size) in (2, 3):
        return values.reshape(-1, 1, height, width)
    if len(size) == 3:
        return values[None] if size == first else values.permute(2, 0, 1)[None] if size == last else None
    return None


def _check_range(values: Tensor) -> Tensor:
    """As uint8 or float32; DataError where they are no pixels."""
    if values.dtype == torch.uint8:
        return values
    if values.dtype == torch.bool:
        return values.to(torch.uint8) * 255
    what = str(values.dtype).removeprefix("torch.")
    if values.is_complex():
        raise DataError(f"Images of {what} are no pixels; give whole numbers from 0 to 255, or floats from 0 to 1.")
    low, high = (values.min().item(), values.max().item()) if values.numel() else (0, 0)
    if values.is_floating_point():
        if not 0 <= low <= high <= 1:  # false for NaN
            raise DataError(
                f"Floats from {low:g} to {high:g} are no pixels; give 0 to 1, or whole numbers from 0 to 255."
            )
        return values.float()
    if not 0 <= low <= high <= 255:
        raise DataError(f"Whole numbers from {low} to {high} are no pixels; give 0 to 255, or floats from 0 to 1.")
    return values.to(torch.uint8)
