"""How much memory the weights of a net take, found without allocating any."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from bench.spec import Architecture


def count_weight_bytes(architecture: Architecture) -> int | None:
    """Bytes of a net's parameters, built on the device `meta`, where tensors have shapes and no memory.

    Returns:
        None for a net that cannot be built there; it may be a good one all the same.
    """
    try:
        with torch.device("meta"):
            model: object = architecture.build()
        if not isinstance(model, nn.Module):
            return None
        made = [parameter for parameter in model.parameters() if not nn.parameter.is_lazy(parameter)]
        return sum(int(parameter.numel()) * parameter.element_size() for parameter in made)
    except BaseException:  # noqa: BLE001 - what a net raises is said when it is built in earnest
        return None
