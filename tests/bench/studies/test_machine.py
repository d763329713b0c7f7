"""What trains on this machine, as the options say and the machine allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import UsageError
from bench.core.options import StudyOptions
from bench.studies import machine
from bench.studies.machine import Hardware


def find(engine: str, device: str = "cpu") -> Hardware:
    options = StudyOptions(
        results=Path("r"), store_url="sqlite://", data_dir=Path("d"), device=device, engine=engine, jobs=2
    )
    return Hardware.find(options)


def test_a_machine_with_kernels_trains_by_them_unless_torch_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "why_no_kernels", lambda: "")
    found = {asked: find(asked) for asked in ("auto", "lanes", "torch")}
    assert {asked: of.engine for asked, of in found.items()} == {"auto": "lanes", "lanes": "lanes", "torch": "torch"}
    assert {of.without_kernels for of in found.values()} == {""}


def test_a_machine_without_kernels_says_why_and_refuses_to_be_asked_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "why_no_kernels", lambda: "no compiler")
    assert (find("auto").engine, find("auto").without_kernels) == ("torch", "no compiler")
    assert (find("torch").engine, find("torch").without_kernels) == ("torch", "")
    with pytest.raises(UsageError, match="--engine lanes: no compiler; or choose --engine torch"):
        find("lanes")
