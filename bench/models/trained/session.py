"""Runs exported nets by onnxruntime, on one thread of the CPU. Needs no torch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bench.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

INPUT, OUTPUT = "images", "logits"
LAYERS_KEY = "layers"
"""Metadata of a file with the layers: JSON, a list of path, class and name of the output."""


class Session:
    """An exported net. Several threads may run it at once.

    Attributes:
        metadata: What its file says of it, by key.
        layers: Path and class of each layer that it gives the output of; none in a file of the net alone.
    """

    def __init__(self, content: bytes, *, name: str) -> None:
        """Load it.

        Args:
            content: Of the file.
            name: What messages call the file.

        Raises:
            StoreError: It is no net that onnxruntime can run.
        """
        import onnxruntime  # noqa: PLC0415 - belongs to an extra

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as fault:  # its kinds of fault have no base of their own
            raise StoreError(f"'{name}' cannot be run by onnxruntime; export it again by --export onnx.") from fault
        self.metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        described = json.loads(self.metadata.get(LAYERS_KEY, "[]"))
        self.layers: list[tuple[str, str]] = [(path, kind) for path, kind, _ in described]
        self._outputs = [OUTPUT, *(output for *_, output in described)]

    def run(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Logits (N, classes) of pixels (N, C, H, W), then what each of `layers` made, (N, C, H, W) or (N, F)."""
        found: list[Any] = self._session.run(self._outputs, {INPUT: images})
        return found
