"""Which architectures a command trains: those that it chooses and that can be trained on the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.core.errors import ArchitectureError
from bench.models.registry import discover

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.core.architecture import Architecture
    from bench.core.metadata import ArchitectureFacts
    from bench.core.options import StudyOptions
    from bench.data.datasets import Sample
    from bench.models.doctor.trial import Trial


def choose(options: StudyOptions, folder: Path, trial: Trial) -> tuple[list[Architecture], list[str]]:
    """The architectures asked for, and what is wrong with files that could not be loaded.

    Args:
        options: Which are asked for.
        folder: Where the registered ones lie.
        trial: Loads the files.

    Raises:
        UnknownNameError: Nothing has a name that is asked for.
        ArchitectureError: A file that is asked for cannot be loaded.
    """
    registry = discover(folder, trial.load)
    if options.patterns:
        return registry.select(options.patterns), []
    return registry.all(variants=options.variants), [str(error) for error in registry.broken.values()]


def check_all(
    nets: Sequence[Architecture],
    sample: Sample,
    *,
    trial: Trial,
    device: str,
    folder: Path,
    broken: list[str] | None = None,
) -> dict[str, ArchitectureFacts]:
    """What was counted of those that can be trained on the dataset, by name.

    Args:
        nets: The architectures.
        sample: Images of the dataset that they shall be trained on.
        trial: Tries them.
        device: Kind of device that they shall be trained on.
        folder: Where the registered ones lie.
        broken: Faults so far, which those of the others join; None to raise the first fault and name the others.

    Raises:
        ArchitectureError: One cannot be trained and none may be left out, or there is none that can.
    """
    facts: dict[str, ArchitectureFacts] = {}
    refused: dict[str, ArchitectureError] = {}
    for net in nets:
        try:
            facts[net.name] = trial.check(net, sample, device=device)
        except ArchitectureError as error:
            refused[net.name] = error
    if refused and broken is None:
        first, *others = refused
        also = f" Refused as well: {', '.join(others)}." if others else ""
        raise ArchitectureError(f"{refused[first]}{also}") from refused[first].__cause__
    faults = [*(broken or []), *map(str, refused.values())]
    if broken is not None:
        broken[:] = faults
    if not facts:
        raise ArchitectureError(faults[0] if faults else f"No architecture in {folder}; add a file.")
    return facts
