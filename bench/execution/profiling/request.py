"""What is to be timed."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from bench.core.metadata import PLAIN
from bench.models.fingerprint import architecture_hash

if TYPE_CHECKING:
    from bench.core.architecture import Architecture
    from bench.core.recipe import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimingRequest:
    """One architecture to be timed.

    Attributes:
        architecture: The net.
        device: Kind of device.
        recipe: How it is trained while memory is measured.
        initial_hash: Of the net as it was counted (`bench.core.metadata.ArchitectureFacts`).
        layout: How the engine runs it in training.
    """

    architecture: Architecture
    device: str
    recipe: Recipe
    initial_hash: str = ""
    layout: str = PLAIN

    @functools.cached_property
    def architecture_hash(self) -> str:
        """Hash of its source, as that stood when it was asked for first."""
        return architecture_hash(self.architecture)
