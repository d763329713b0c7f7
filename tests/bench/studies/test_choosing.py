"""Which nets a command goes on without: broken ones, and sound ones that cannot take the images."""

from __future__ import annotations

import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.core.errors import ArchitectureError, MisfitError
from bench.spec import Architecture
from bench.studies.choosing import LeftOut, fit_all
from tests.factories import MNIST

if TYPE_CHECKING:
    from bench.core.metadata import ArchitectureMetadata


class Faults:
    """A trial that finds in each net what its name says."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def twin(self) -> Faults:
        """Another one."""
        return Faults()

    def check(self, net: Architecture, *_: object, **__: object) -> str:
        """What a net's name says."""
        if "misfit" in net.name:
            raise MisfitError(f"{net.name} is too large.")
        if "broken" in net.name:
            raise ArchitectureError(f"{net.name} is broken.")
        self.notes.append(f"a note of {net.name}")
        return f"counts of {net.name}"


def checked(*names: str, left_out: LeftOut | None = None) -> dict[str, ArchitectureMetadata]:
    nets = [Architecture(name=name, build=dict) for name in names]  # type: ignore[arg-type]
    trial: Any = Faults()
    sample: Any = types.SimpleNamespace(metadata=MNIST)
    fitted, metadata = fit_all(nets, sample, trial=trial, device="cpu", folder=Path("nets"), left_out=left_out)
    assert [net.name for net in fitted] == list(metadata)
    assert [note for note in trial.notes if note.rpartition(" ")[2] in metadata] == [
        f"a note of {name}" for name in metadata
    ]
    return metadata


def test_what_is_broken_and_what_does_not_fit_are_told_apart() -> None:
    left_out = LeftOut(broken=["a file"])
    assert list(checked("one", "misfit", "broken", "two", left_out=left_out)) == ["one", "two"]
    assert left_out == LeftOut(broken=["a file", "broken is broken."], misfits=["misfit is too large."])
    assert left_out.lines == ["a file", "broken is broken.", "misfit is too large."]


def test_asked_for_by_name_the_first_is_refused_and_the_others_named() -> None:
    with pytest.raises(ArchitectureError, match=r"^misfit is too large\. Refused as well: broken\.$"):
        checked("one", "misfit", "broken")


def test_where_none_is_left_the_first_says_why() -> None:
    with pytest.raises(ArchitectureError, match=r"^misfit is too large\.$"):
        checked("misfit", "other misfit", left_out=LeftOut())
    with pytest.raises(ArchitectureError, match=r"^No architecture in nets; add a file\.$"):
        checked(left_out=LeftOut())
