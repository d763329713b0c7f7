"""Which nets a command goes on without: broken ones, and sound ones that cannot take the images."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import ArchitectureError, MisfitError
from bench.core.metadata import Diagnosis, Finding
from bench.spec import Architecture
from bench.studies.choosing import Fitted, LeftOut, fit_all
from tests.factories import MNIST


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

    def refuse(self, net: Architecture, _sample: object, refusal: ArchitectureError) -> Diagnosis:
        """In the words of the refusal."""
        return Diagnosis(architecture=net.name, findings=(Finding(level="error", check="runs", message=str(refusal)),))

    def examine(self, net: Architecture, _sample: object, *, was_checked: bool = False) -> Diagnosis:
        """An error where the name says so, and one of those that were not tried before."""
        names = [name for name, is_found in (("leak", "ill" in net.name), ("runs", not was_checked)) if is_found]
        findings = tuple(Finding(level="error", check=name, message=f"{net.name}: {name}") for name in names)
        return Diagnosis(architecture=net.name, findings=findings)


def fit(*names: str, left_out: LeftOut | None = None, examines: bool = False) -> Fitted:
    nets = [Architecture(name=name, build=dict) for name in names]  # type: ignore[arg-type]
    trial: Any = Faults()
    hardware: Any = types.SimpleNamespace(device="cpu", engine="torch")
    sample: Any = types.SimpleNamespace(metadata=MNIST)
    fitted = fit_all(
        nets, sample, trial=trial, hardware=hardware, folder=Path("nets"), left_out=left_out, examines=examines
    )
    assert [net.name for net in fitted.nets] == list(fitted.metadata)
    assert [note for note in trial.notes if note.rpartition(" ")[2] in fitted.metadata] == [
        f"a note of {name}" for name in fitted.metadata
    ]
    return fitted


def checked(*names: str, left_out: LeftOut | None = None) -> list[str]:
    return list(fit(*names, left_out=left_out).metadata)


def test_what_is_broken_and_what_does_not_fit_are_told_apart() -> None:
    left_out = LeftOut(broken=["a file"])
    assert checked("one", "misfit", "broken", "two", left_out=left_out) == ["one", "two"]
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


def test_what_the_doctor_finds_an_error_in_is_left_out_and_no_fault_of_the_command() -> None:
    found = fit("one", "ill", "two", examines=True)
    assert list(found.metadata) == ["one", "two"]
    assert [(each.architecture, len(each.errors)) for each in found.diagnoses] == [("one", 0), ("ill", 1), ("two", 0)]
    assert checked("ill", "one") == ["ill", "one"], "nobody asked the doctor"


def test_where_the_doctor_leaves_none_there_is_none() -> None:
    found = fit("ill", examines=True)
    assert found.nets == []
    assert [error.message for error in found.diagnoses[0].errors] == ["ill: leak"]


@pytest.mark.parametrize("left_out", [None, LeftOut()])
def test_beside_others_a_net_that_cannot_be_run_is_a_diagnosis_too(left_out: LeftOut | None) -> None:
    found = fit("one", "broken", "ill", left_out=left_out, examines=True)
    assert list(found.metadata) == ["one"]
    errors = {each.architecture: [error.message for error in each.errors] for each in found.diagnoses}
    assert errors == {"one": [], "broken": ["broken: runs"], "ill": ["ill: leak"]}
    assert left_out is None or left_out.lines == []


def test_where_none_can_be_run_the_first_is_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"^broken is broken\. Refused as well: more broken\.$"):
        fit("broken", "more broken", examines=True)


def test_who_cannot_take_the_images_is_refused_whatever_the_doctor_says() -> None:
    with pytest.raises(ArchitectureError, match=r"^misfit is too large\. Refused as well: broken\.$"):
        fit("one", "broken", "misfit", examines=True)
