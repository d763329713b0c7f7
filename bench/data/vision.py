"""Imports torchvision, beside a torch build that it was not compiled for as well."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

MISSING_OPERATOR = "operator torchvision::nms does not exist"
"""What torch says where torchvision's compiled operators do not load."""
_MISSING_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision(submodule: str = "") -> ModuleType:
    """Import torchvision, or one of its submodules.

    The wheel in the package registry is compiled for CUDA. Beside a CPU build of torch its compiled operators do not
    load, and the import fails where Python code refers to two of them. Declaring their schemas is enough for datasets,
    transforms and models, which never call them. On a matching installation nothing is touched.

    Args:
        submodule: Dotted path below torchvision (`transforms.v2`); the package itself when empty.

    Raises:
        RuntimeError: The import fails for another reason.
    """
    name = f"torchvision.{submodule}" if submodule else "torchvision"
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if MISSING_OPERATOR not in str(error):
            raise
    import torch.library  # noqa: PLC0415 - only this rare path needs it

    for operator in _MISSING_OPERATORS:
        torch.library.define(f"torchvision::{operator}", _SCHEMA)
    return importlib.import_module(name)
