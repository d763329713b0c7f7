"""Nets as ONNX, timed beside torch in the quiet phase: exported beforehand, run by onnxruntime on one thread.

Weights do not change how long a pass takes, so a fresh net stands for the trained ones. It takes raw pixels, as what
`--export onnx` writes does: its normalisation is part of the time.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import torch

from bench.core.errors import first_line
from bench.core.metadata import DatasetMetadata
from bench.models.build import build_model
from bench.models.trained.onnx_file import make_onnx
from bench.models.trained.pixels import PixelNet
from bench.models.trained.session import Session
from bench.system.program import EXTRAS, find_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from bench.core.architecture import Architecture


class TimedNet:
    """A net by onnxruntime, timed as one of torch is."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, images: Tensor) -> object:
        """A pass over pixels (N, C, H, W) uint8."""
        return self._session.run(images.numpy())


def can_export(device: str) -> bool:
    """Whether nets are timed as ONNX: on a CPU, where the packages are installed."""
    return device == "cpu" and not find_missing(*EXTRAS["onnx"])


def export_fresh(architecture: Architecture) -> bytes | str:
    """A fresh net as an ONNX file; why not, where that cannot be."""
    channels = architecture.input_shape[0]
    dataset = DatasetMetadata(
        name="", data_hash="", pool_images=0, test_images=0, validation_images=0, image_shape=architecture.input_shape,
        classes=(), mean=(0.5,) * channels, deviation=(0.25,) * channels, origin="",
    )  # fmt: skip
    try:
        model = build_model(architecture, 0)
        model.eval()  # a net's own eval() may return nothing
        return make_onnx(PixelNet(model, dataset), architecture.input_shape, name=architecture.name, metadata={}).net
    except (Exception, SystemExit) as fault:  # noqa: BLE001 - whatever a net does, the others are timed
        return first_line(fault)


def open_exported(
    content: bytes | str, architecture: Architecture, count: int
) -> tuple[Callable[[Tensor], object], Tensor] | None:
    """What an exported file holds and so many images of noise, (N, C, H, W) uint8; None for what is no file."""
    if isinstance(content, str):
        return None
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, *architecture.input_shape), generator=generator, dtype=torch.uint8)
    return TimedNet(Session(content, name=architecture.name)), images


def name_runtime(content: bytes | str) -> str:
    """What runs an exported file, with its version; why there is none, or nothing where none was asked for."""
    if isinstance(content, bytes):
        return f"onnxruntime {version('onnxruntime')}"
    return content and f"not exported: {content}"
