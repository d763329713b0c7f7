"""Kernels of a cluster's workers: all train by the same ones, or the study by torch; who joins later needs them too."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from bench.core.errors import UsageError
from bench.execution.cluster import survey, worker
from bench.execution.cluster.survey import ProcessDescription, find_kernels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.run import Cluster

MISSING = ("", "no C++ compiler was found")
ONE, OTHER = ("lanes8-one", ""), ("lanes16-other", "")
LIKE = "give all of them one compiler, as by pip install -e '.[fast]', and start them again"
UNLIKE, WHICH = "workers have unlike kernels", "which give other results under the same seed"
HERE = ProcessDescription(versions={"torch": "1"}, host="h", machine="m", instruction_set="AVX2", has_gpu=False)


def survey_of(monkeypatch: pytest.MonkeyPatch, *kernels: Any, engine: str = "auto", here: str = "") -> Cluster:
    """What is found of workers with these kernels, by a client that has none for the reason `here`."""
    workers = [f"tcp://10.0.0.{number}:1" for number in range(len(kernels))]

    class Client:
        def run(self, function: object, *_: object, **__: object) -> dict[str, Any]:
            if function is find_kernels:
                assert engine != "torch", "nobody asks: it compiles"
                return dict(zip(workers, kernels, strict=True))
            return dict.fromkeys(workers, HERE)

    @contextlib.contextmanager
    def connect(_address: str) -> Iterator[Client]:
        yield Client()

    monkeypatch.setattr(survey, "connect", connect)
    monkeypatch.setattr(survey, "_require_members", lambda *_: workers)
    monkeypatch.setattr(survey, "describe_process", lambda _: HERE)
    monkeypatch.setattr(survey, "why_no_kernels", lambda: here)
    return survey.survey("tcp://10.0.0.9:8786", "cpu", engine=engine)


@pytest.mark.parametrize("engine", ["auto", "lanes"])
def test_workers_with_the_same_kernels_train_by_them(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = survey_of(monkeypatch, ONE, ONE, engine=engine)
    assert (found.engine, found.kernels, found.without_kernels) == ("lanes", "lanes8-one", "")


def test_torch_asks_for_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    found = survey_of(monkeypatch, ONE, MISSING, engine="torch")
    assert (found.engine, found.kernels, found.without_kernels) == ("torch", "", "")


@pytest.mark.parametrize(
    ("kernels", "here", "why"),
    [
        ((ONE, MISSING), "", "worker tcp://10.0.0.1:1: no C++ compiler was found"),
        ((OSError("gone"), ONE), "", "worker tcp://10.0.0.0:1: OSError: gone"),
        (
            (ONE, OTHER, ONE),
            "",
            f"{UNLIKE} (lanes16-other of tcp://10.0.0.1:1, lanes8-one of tcp://10.0.0.2:1), {WHICH}; {LIKE}",
        ),
        ((ONE, ONE), "no compiler", "this machine, which tries the nets: no compiler"),
    ],
)
def test_without_common_kernels_auto_is_torch_and_lanes_is_refused_by_name(
    kernels: tuple[Any, ...], here: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = survey_of(monkeypatch, *kernels, here=here)
    assert (found.engine, found.kernels, found.without_kernels) == ("torch", "", why)
    with pytest.raises(UsageError) as refusal:
        survey_of(monkeypatch, *kernels, engine="lanes", here=here)
    assert str(refusal.value) == f"--engine lanes: {why}; or choose --engine torch."


def test_a_worker_that_came_later_without_these_kernels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [MISSING]
    monkeypatch.setattr(worker, "find_kernels", lambda: there[0])
    said = worker._find_other_kernels("lanes", "lanes8-one")
    assert said.startswith("it has no kernels (no C++ compiler was found); stop it, or give it the compiler")
    there[0] = OTHER
    said = worker._find_other_kernels("lanes", "lanes8-one")
    assert said.startswith("it has the kernels lanes16-other, others lanes8-one; stop it")
    there[0] = ONE
    assert worker._find_other_kernels("lanes", "lanes8-one") == ""
    monkeypatch.setattr(worker, "find_kernels", lambda: pytest.fail("torch needs none"))
    assert worker._find_other_kernels("torch", "") == ""
