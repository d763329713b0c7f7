"""Which engine trains: what is asked for and what the machine has; and what it makes of a request."""

from __future__ import annotations

import dataclasses

import pytest

from bench.core.errors import UsageError
from bench.training import engine
from bench.training.engine import choose_engine, describe_surroundings
from tests.bench.runs import make_task

WHY = "no C++ compiler was found; pip install -e '.[fast]' brings one"


def nobody() -> str:
    raise AssertionError("nobody may ask for kernels: it compiles them")


def test_torch_and_other_devices_need_no_kernels() -> None:
    assert choose_engine("torch", "cpu", nobody) == ("torch", "")
    assert choose_engine("auto", "cuda", nobody) == ("torch", "")
    assert choose_engine("torch", "mps", nobody) == ("torch", "")


def test_auto_takes_the_kernels_where_there_are_some_and_else_says_why_not() -> None:
    assert choose_engine("auto", "cpu", lambda: "") == ("lanes", "")
    assert choose_engine("lanes", "cpu", lambda: "") == ("lanes", "")
    assert choose_engine("auto", "cpu", lambda: f"{WHY}.") == ("torch", WHY)


def test_kernels_that_are_asked_for_and_not_there_are_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError) as refusal:
        choose_engine("lanes", "cpu", lambda: f"{WHY}.")
    assert str(refusal.value) == f"--engine lanes: {WHY}; or choose --engine torch."
    with pytest.raises(UsageError, match="are for CPUs, not for cuda; choose --device cpu, or --engine torch"):
        choose_engine("lanes", "cuda", nobody)


def test_the_engine_is_part_of_a_request_and_torch_leaves_its_id_what_it_was() -> None:
    request = make_task().request
    other = dataclasses.replace(request, engine="lanes", kernels_version=1)
    assert not {"engine", "kernels_version"} & request._identity().keys()
    assert other._identity()["engine"] == "lanes"
    newer = dataclasses.replace(other, kernels_version=2)
    assert len({request.id, other.id, newer.id}) == len({request.cohort, other.cohort, newer.cohort}) == 3


def test_surroundings_name_the_kernels_of_the_engine_that_has_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "kernels_name", lambda: "lanes8-1")
    assert describe_surroundings("cpu", "lanes")["kernels"] == "lanes8-1"
    monkeypatch.setattr(engine, "kernels_name", nobody)
    assert "kernels" not in describe_surroundings("cpu", "torch")
