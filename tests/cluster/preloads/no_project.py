"""Preloaded by a worker that shall not have this project at all."""

from __future__ import annotations

import sys

sys.modules["bench"] = None  # type: ignore[assignment]
