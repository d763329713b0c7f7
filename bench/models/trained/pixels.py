"""Images as people hold them, PIL, numpy or torch, one or many, bytes or fractions: as what a net takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import nn

from bench.core.errors import DataError
from bench.data.own.fitting import fit_picture
from bench.data.own.pictures import flatten_picture

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


def read_pixels(images: object, shape: Shape) -> Tensor:
    """Images in whatever form, one or many, as pixels.

    Args:
        images: A PIL picture or several; an array or a tensor, (C, H, W), (H, W, C), with one channel (H, W), or N of
            these; whole numbers from 0 to 255, booleans, or floats from 0 to 1. A PIL picture of another size is scaled
            until it covers the net's and cut, as `--image-size` does it; of arrays the size must be right.
        shape: Channels, height and width of what the net takes.

    Returns:
        (N, C, H, W), uint8 or float32 from 0 to 1.

    Raises:
        DataError: They have another shape, or are no pixels.
    """
    values = _to_tensor(images, shape)
    ordered = _put_in_order(values, shape)
    if ordered is None:
        channels, height, width = shape
        raise DataError(
            f"Images of shape {tuple(values.shape)} are not what the net was trained on; give "
            f"(N, {channels}, {height}, {width}), or one image alone."
        )
    return _check_range(ordered).contiguous()


def _to_tensor(images: object, shape: Shape) -> Tensor:
    if isinstance(images, torch.Tensor):
        return images.detach().cpu()
    if isinstance(images, Image.Image):
        return _read_picture(images, shape)
    if isinstance(images, list | tuple) and images:
        parts = [_to_tensor(each, shape) for each in images] if not _is_numbers(images) else []
        if parts and any(part.shape != parts[0].shape for part in parts):
            sizes = " and ".join(sorted({str(tuple(part.shape)) for part in parts})[:2])
            raise DataError(f"Images of unlike shapes ({sizes}) cannot be taken together; give them one by one.")
        if parts:
            return torch.stack(parts)
    try:
        array = np.asarray(images)
        if array.dtype.kind in "ui" and array.dtype != np.uint8:
            array = array.astype(np.int64)
        return torch.from_numpy(np.require(array, requirements=["C", "W"]))
    except (TypeError, ValueError) as fault:
        raise DataError(
            f"Images of type {type(images).__name__} cannot be read; give a PIL picture, an array or a tensor."
        ) from fault


def _is_numbers(values: list[object] | tuple[object, ...]) -> bool:
    """Whether nested lists hold plain numbers and no pictures or arrays."""
    first: object = values
    while isinstance(first, list | tuple) and first:
        first = first[0]
    return isinstance(first, bool | int | float)


def _read_picture(picture: Image.Image, shape: Shape) -> Tensor:
    """A PIL picture as (C, H, W) uint8."""
    channels, height, width = shape
    plain = flatten_picture(picture, "L" if channels == 1 else "RGB")
    fitted = plain if plain.size == (width, height) else fit_picture(plain, (height, width), "crop")
    pixels = torch.from_numpy(np.array(fitted))  # (H, W) or (H, W, 3)
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


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
