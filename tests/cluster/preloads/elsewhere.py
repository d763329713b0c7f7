"""Preloaded by a worker that shall be on another host: another name, and nothing to see of the client's results."""

from __future__ import annotations

import socket
from pathlib import Path


def _hide(is_file: object = Path.is_file) -> None:
    def sees(path: Path) -> bool:
        return not path.name.startswith(".cluster-") and is_file(path)  # type: ignore[operator]

    Path.is_file = sees  # type: ignore[method-assign,assignment]


_hide()
socket.gethostname = lambda: "elsewhere"
