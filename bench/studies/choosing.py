"""Which architectures a command trains: those that it chooses and that can be trained on the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.core.errors import ArchitectureError
from bench.models.registry import discover

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bench.core.architecture import Architecture
    from bench.core.metadata import ArchitectureMetadata
    from bench.core.options import StudyOptions
    from bench.data.datasets import Sample
    from bench.models.doctor.trial import Trial


def choose(options: StudyOptions, folder: Path, trial: Trial) -> tuple[list[Architecture], list[str]]:
    """The architectures asked for, and what is wrong with other registered files.

    Raises:
        UnknownNameError: Nothing has a name that is asked for.
        ArchitectureError: A file that is asked for cannot be loaded.
    """
    registry = discover(folder, trial.load)
    if options.patterns:
        return registry.select(options.patterns), []
    return registry.all(variants=options.variants), [str(error) for error in registry.broken.values()]


def check_all(
    nets: Iterable[Architecture],
    sample: Sample,
    *,
    trial: Trial,
    device: str,
    engine: str = "torch",
    folder: Path,
    broken: list[str] | None = None,
) -> dict[str, ArchitectureMetadata]:
    """What was counted of those that can be trained on the dataset, by name.

    Faults join the broken so far; without these the first is raised, and the others are named.

    Raises:
        ArchitectureError: One cannot be trained and none may be left out, or there is none that can.
    """
    metadata: dict[str, ArchitectureMetadata] = {}
    refused: dict[str, ArchitectureError] = {}
    for net in nets:
        try:
            metadata[net.name] = trial.check(net, sample, device=device, engine=engine)
        except ArchitectureError as error:
            refused[net.name] = error
    if broken is not None:
        broken += map(str, refused.values())
    elif refused:
        first, *others = refused
        also = f" Refused as well: {', '.join(others)}." if others else ""
        raise ArchitectureError(f"{refused[first]}{also}") from refused[first].__cause__
    if not metadata:
        raise ArchitectureError(broken[0] if broken else f"No architecture in {folder}; add a file.")
    return metadata
