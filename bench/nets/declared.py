"""What a net file declares, as another process has read it: the net itself is made only where it is built."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

from bench.nets.registry import load_architecture, load_file
from bench.spec import Architecture

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn


@dataclasses.dataclass(frozen=True)
class FileBuild:
    """Builds a net by loading its file; until then nothing of the file has run here.

    Attributes:
        file: The file that declares it.
        name: Its name there.
        defaults: Values that its `build` has for its knobs.
    """

    file: Path
    name: str
    defaults: tuple[tuple[str, Any], ...] = ()

    def __call__(self, **values: Any) -> nn.Module:
        """The net, with other values of its knobs where some are given.

        Raises:
            ArchitectureError: The file cannot be loaded.
        """
        return load_architecture(self.file, self.name).build(**values)

    @property
    def __signature__(self) -> inspect.Signature:
        """What `inspect.signature` says of it: its knobs and their values as declared."""
        keyword = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature([inspect.Parameter(name, keyword, default=value) for name, value in self.defaults])


def describe_file(path: Path) -> list[dict[str, Any]]:
    """Load a net file here and describe what it declares, without the nets, as plain values.

    Raises:
        ArchitectureError: The file cannot be loaded.
    """
    return [_describe(architecture) for architecture in load_file(path)]


def _describe(architecture: Architecture) -> dict[str, Any]:
    fields = {field.name: getattr(architecture, field.name) for field in dataclasses.fields(architecture)}
    plain = (bool, int, float, str, type(None))
    values = {name: value for name, value in architecture.declared_values.items() if type(value) in plain}
    return fields | {"knobs": dict(architecture.knobs), "build": tuple(values.items())}


def from_description(description: Mapping[str, Any]) -> Architecture:
    """The architecture that `describe_file` described in another process."""
    file, name, defaults = (description[key] for key in ("file", "name", "build"))
    return Architecture(**{**description, "build": FileBuild(file, name, defaults)})
