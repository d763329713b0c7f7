"""Weights on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from typing import TYPE_CHECKING

import torch

from bench.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """Final weights as they lie on disk; all empty when there are none.

    Attributes:
        path: Relative to the results directory.
        size_bytes: Size of the file.
        file_hash: SHA-256 of the file.
        values_hash: SHA-256 over names and values, to compare runs bit for bit.
    """

    path: str = ""
    size_bytes: int | None = None
    file_hash: str = ""
    values_hash: str = ""


def keep_weights(model: nn.Module, results: Path, path: str) -> Weights:
    """Write a net's weights under their plain names and dense layout, so that the printed net can load them.

    Args:
        model: The net.
        results: The results directory.
        path: Where the file shall stand, relative to it.

    Raises:
        OSError: The file cannot be written.
    """
    values = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    stream = io.BytesIO()
    torch.save(values, stream)
    content = stream.getvalue()
    write_atomically(results / path, content)
    digest = hashlib.sha256()
    for name in sorted(values):
        digest.update(name.encode() + values[name].numpy().tobytes())
    return Weights(
        path=path,
        size_bytes=len(content),
        file_hash=hashlib.sha256(content).hexdigest(),
        values_hash=digest.hexdigest(),
    )
