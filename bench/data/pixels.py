"""Images of a dataset on a device, given out in batches as nets are given them: standardised, float32.

On a CPU they stay bytes, a quarter of the memory and to be shared by processes (`bench.data.kept.decoded`), and are
standardised as they are given out; on an accelerator all are standardised beforehand. The floats have the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


class Pixels:
    """Images (N, C, H, W). Whatever is given out is memory of its own: a net may change it or keep it."""

    def __init__(
        self, images: Tensor, *, scale: tuple[Tensor, Tensor] | None = None, places: Tensor | None = None
    ) -> None:
        """Make it.

        Args:
            images: Standardised float32, or bytes with their `scale`.
            scale: Mean and deviation of each channel, (1, C, 1, 1) each; None where images are standardised.
            places: Which of the images it consists of, (N,); None for all.
        """
        self._images, self._scale, self._places = images, scale, places

    def __len__(self) -> int:
        return len(self._images if self._places is None else self._places)

    @property
    def device(self) -> torch.device:
        """Where the images are, and where they are given out."""
        return self._images.device

    def gather(self, indices: Tensor) -> Tensor:
        """The images at indices (B,), standardised: (B, C, H, W) float32."""
        chosen = self._images.index_select(0, self._at(indices))
        return chosen if self._scale is None else standardise_bytes(chosen, self._scale)

    def choose(self, indices: Tensor) -> Pixels:
        """Those at indices (M,) alone; their memory is shared."""
        return Pixels(self._images, scale=self._scale, places=self._at(indices))

    def batches(self, size: int) -> Iterator[Tensor]:
        """All of them in order, so many at a time, as `gather` gives them."""
        for start in range(0, len(self), size):
            yield self.gather(torch.arange(start, min(start + size, len(self)), device=self.device))

    def _at(self, indices: Tensor) -> Tensor:
        return indices if self._places is None else self._places.index_select(0, indices)


def standardise_bytes(images: Tensor, scale: tuple[Tensor, Tensor]) -> Tensor:
    """Images (N, C, H, W) uint8 scaled to [0, 1], mean and deviation (1, C, 1, 1) taken out: float32.

    One operation after the other: a table of the 256 values, or factors worked out beforehand, would be slower or give
    other bits.
    """
    mean, deviation = scale
    return images.float().div_(255).sub_(mean).div_(deviation)
