"""What a CPU computes with changes the bits of a run, so it is part of what is asked for."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

from bench.core.errors import ClusterError
from bench.execution.cluster import survey, worker
from bench.execution.cluster.survey import ProcessDescription
from bench.system.device import instruction_set
from bench.system.environment import describe_environment
from bench.training.result import Outcome, make_record
from tests.bench.runs import make_task

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = torch.backends.cpu.get_cpu_capability()


def test_it_is_what_torch_uses_and_what_the_environment_forbids(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR"):
        monkeypatch.delenv(name, raising=False)
    assert instruction_set("cpu") == HERE
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert instruction_set("cpu") == f"{HERE} ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE"
    assert instruction_set("cuda") == ""


def describe(**environment: str) -> dict[str, Any]:
    """What a process says under an environment: instruction set, machine, and the id of a request of this command."""
    code = (
        "import json; from pathlib import Path; from bench.cli.arguments import parse_arguments; "
        "from bench.studies.machine import Hardware; from bench.studies.planning import make_requests; "
        "from bench.data.datasets import find_dataset; from bench.spec import Architecture, Budget, Recipe; "
        "hardware = Hardware.find(parse_arguments(['--arch', 'x']).options, 'cpu'); "
        "net = Architecture(name='x', build=dict); "
        "metadata = find_dataset('mnist5k', Path()).metadata; training = {'x': [(Recipe(), Budget(epochs=1))]}; "
        "(request,) = make_requests([net], training=training, dataset=metadata, seeds=[0], hardware=hardware); "
        "print(json.dumps([hardware.instruction_set, hardware.machine, request.id, request.cohort]))"
    )
    clean = {name: value for name, value in os.environ.items() if name != "ATEN_CPU_CAPABILITY"}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )
    names = ("instruction_set", "machine", "id", "cohort")
    return dict(zip(names, json.loads(answer.stdout.splitlines()[-1]), strict=True))


def test_fewer_instructions_are_another_request_on_another_machine() -> None:
    usual, again, fewer = describe(), describe(), describe(ATEN_CPU_CAPABILITY="default")
    assert usual == again
    assert usual["instruction_set"] == HERE
    assert fewer["instruction_set"] == "DEFAULT"
    assert all(usual[name] != fewer[name] for name in usual)


def test_the_machine_keeps_its_name_where_nothing_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    here = describe_environment()["machine"]
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "")
    assert describe_environment()["machine"] == here
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert describe_environment()["machine"] != here


def test_a_request_that_does_not_know_it_keeps_its_id_and_a_run_says_what_it_was_asked_for() -> None:
    task = make_task()
    known = dataclasses.replace(task.request, instruction_set="AVX2")
    other = dataclasses.replace(task.request, instruction_set="AVX512")
    assert len({request.id for request in (task.request, known, other)}) == 3
    assert "instruction_set" not in task.request._identity()
    for request, environment in (
        (task.request, {"machine": "m", "engine": "torch"}),
        (known, {"machine": "m", "instruction_set": "AVX2", "engine": "torch"}),
    ):
        record = make_record(
            dataclasses.replace(task, request=request), Outcome(), jobs=1, environment={"machine": "m"}
        )
        assert record.environment == environment


def make_metadata(instructions: str) -> ProcessDescription:
    return ProcessDescription(
        versions={"torch": "1"}, host="h", machine=f"m-{instructions}", instruction_set=instructions, has_gpu=False
    )


def survey_of(monkeypatch: pytest.MonkeyPatch, *sets: str) -> Any:
    """What is found of workers with these instruction sets."""
    found = {f"tcp://10.0.0.{number}:1": make_metadata(each) for number, each in enumerate(sets)}

    class Client:
        def run(self, *_: object, **__: object) -> dict[str, ProcessDescription]:
            return found

    @contextlib.contextmanager
    def connect(_address: str) -> Iterator[Client]:
        yield Client()

    monkeypatch.setattr(survey, "connect", connect)
    monkeypatch.setattr(survey, "_require_members", lambda *_: list(found))
    monkeypatch.setattr(survey, "describe_process", lambda _: make_metadata("AVX512"))
    return survey.survey("tcp://10.0.0.9:8786", "cpu")


def test_workers_of_a_cluster_that_compute_alike_give_their_requests_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert survey_of(monkeypatch, "AVX2", "AVX2").instruction_set == "AVX2"  # the client's own is another


def test_workers_of_a_cluster_that_compute_unlike_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match=r"unlike instructions \(AVX2, AVX512\), .* by ATEN_CPU_CAPABILITY=avx2\."):
        survey_of(monkeypatch, "AVX512", "AVX2", "AVX512")


def test_a_worker_that_came_later_and_computes_unlike_the_others_is_refused() -> None:
    client = make_metadata("AVX512")
    said = worker._find_other(make_metadata("AVX2"), client, "AVX512")
    assert said.startswith("it computes with AVX2, others with AVX512; stop it, or start all with the least of them")
    assert worker._find_other(make_metadata("AVX2"), client, "AVX2") == ""
    assert worker._find_other(make_metadata("AVX2"), client, "") == "", "a request that does not know it"
