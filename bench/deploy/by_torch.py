"""A trained net that is asked by torch."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import torch

from bench.deploy.running import Layer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.data.arrays import Images
    from bench.models.trained.model import TrainedModel


def limit_threads(count: int | None) -> None:
    """Let torch compute on so many threads; None for as many as it has."""
    if count is not None:
        torch.set_num_threads(count)


class TorchNet:
    """A net by torch: one call at a time, as nets may keep values of a pass."""

    def __init__(self, model: TrainedModel) -> None:
        self._model, self._lock = model, threading.Lock()

    def run(self, images: Images) -> NDArray[np.float32]:
        """As `bench.deploy.running.Runner`."""
        with self._lock:
            found: NDArray[np.float32] = self._model(images).float().numpy()
        return found

    def look(self, image: Images) -> list[Layer]:
        """As `bench.deploy.running.Runner`."""
        with self._lock:
            made = self._model.feature_maps(image)
        kinds = {name: type(module).__name__ for name, module in self._model.module.named_modules()}
        return [Layer(path, kinds[path], values[0].float().numpy()) for path, values in made.items()]
