"""Which architectures a command trains: those that it chooses and that can be trained on the dataset."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import ArchitectureError, MisfitError
from bench.models.registry import discover
from bench.system.environment import usable_cores
from bench.system.process import work_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bench.core.architecture import Architecture
    from bench.core.metadata import ArchitectureMetadata
    from bench.core.options import StudyOptions
    from bench.data.datasets import Sample
    from bench.models.doctor.trial import Trial


@dataclasses.dataclass(kw_only=True)
class LeftOut:
    """What a command goes on without, each in one line.

    Attributes:
        broken: Files that cannot be loaded and nets that cannot be trained.
        misfits: Sound nets that cannot take the images of the dataset, which is no fault of anybody.
    """

    broken: list[str] = dataclasses.field(default_factory=list)
    misfits: list[str] = dataclasses.field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """All of them."""
        return self.broken + self.misfits


def choose(options: StudyOptions, folder: Path, trial: Trial) -> tuple[list[Architecture], LeftOut]:
    """The architectures asked for, and what is wrong with other registered files.

    Raises:
        UnknownNameError: Nothing has a name that is asked for.
        ArchitectureError: A file that is asked for cannot be loaded.
    """
    registry = discover(folder, trial.load)
    if options.patterns:
        return registry.select(options.patterns), LeftOut()
    broken = [str(error) for error in registry.broken.values()]
    return registry.all(variants=options.variants), LeftOut(broken=broken)


def fit_all(
    architectures: Iterable[Architecture],
    sample: Sample,
    *,
    trial: Trial,
    device: str,
    engine: str = "torch",
    folder: Path,
    left_out: LeftOut | None = None,
    watch: Callable[[int], None] = lambda _done: None,
) -> tuple[list[Architecture], dict[str, ArchitectureMetadata]]:
    """Those that can be trained on the dataset, fitted to it, and what was counted of each, by name.

    The others join what is left out so far; without that the first is raised, and the others are named. `watch` is told
    how many have been tried.

    Raises:
        ArchitectureError: One cannot be trained and none may be left out, or there is none that can.
    """
    fitted = [architecture.fitted_to(sample.metadata) for architecture in architectures]
    nets: list[Architecture] = []
    metadata: dict[str, ArchitectureMetadata] = {}
    refused: dict[str, ArchitectureError] = {}

    def try_one(net: Architecture) -> _Tried:
        return _try_net(net, sample, trial.twin(), device=device, engine=engine)

    # Who is known to this program alone is tried in it, and by nobody beside.
    at_once = usable_cores() if all(net.can_be_sent for net in fitted) else 1
    for net, tried in zip(fitted, work_at_once(try_one, fitted, at_once=at_once, watch=watch), strict=True):
        trial.notes += tried.notes
        if isinstance(tried.outcome, ArchitectureError):
            refused[net.name] = tried.outcome
        else:
            metadata[net.name] = tried.outcome
            nets.append(net)
    if left_out is not None:
        for refusal in refused.values():
            (left_out.misfits if isinstance(refusal, MisfitError) else left_out.broken).append(str(refusal))
    elif refused:
        first, *others = refused
        also = f" Refused as well: {', '.join(others)}." if others else ""
        raise ArchitectureError(f"{refused[first]}{also}") from refused[first].__cause__
    if not metadata:
        lines = left_out.lines if left_out else []
        raise ArchitectureError(lines[0] if lines else f"No architecture in {folder}; add a file.")
    return nets, metadata


class _Tried(NamedTuple):
    """What came of a net: what was counted of it, or why it cannot be run; and what is noted."""

    outcome: ArchitectureMetadata | ArchitectureError
    notes: list[str]


def _try_net(net: Architecture, sample: Sample, trial: Trial, *, device: str, engine: str) -> _Tried:
    try:
        return _Tried(trial.check(net, sample, device=device, engine=engine), trial.notes)
    except ArchitectureError as error:
        return _Tried(error, trial.notes)
