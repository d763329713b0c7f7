"""Preloaded by a worker that shall have another version of torch."""

from __future__ import annotations

import torch

torch.__version__ = "2.12.0"  # type: ignore[assignment]
