"""Runs of the gate without a value: whether the net is at fault, or the machine and nobody can say.

Runs say whose fault it was; those of schema 6 and before have a traceback alone.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures.process import BrokenProcessPool

import pytest
import torch

from bench.core.errors import DataError, UnfitError, WorkerFaultError, blames_machine
from bench.studies.gate.judge import is_machines_fault, judge_runs
from bench.training.run import is_out_of_memory
from tests.bench.studies.gate.examples import FIRST, FRESH, gate_run, gate_runs, make_reference

GOOD, BAD = (0.98, 0.979, 0.976), (0.976, 0.9765, 0.978)
"""Means 0.97833 and 0.97683: above and below the limit, each with single runs on the other side."""


def trace(last: str) -> str:
    return f'Traceback (most recent call last):\n  File "nets/a.py", line 3, in forward\n    x = 1 / 0\n{last}\n'


def test_divergence_fails_at_once_and_asks_no_fresh_seeds() -> None:
    records = [*gate_runs(FIRST[:2], GOOD[:2]), gate_run(FIRST[2], None, status="diverged", error="loss became NaN")]
    found = judge_runs(make_reference(), [records])
    assert found is not None
    assert (found.passed, found.stages, found.mean, found.seeds) == (False, (), None, ())
    assert found.reason == "Seed 20002 diverged: loss became NaN"


def test_divergence_on_a_fresh_seed_fails_and_the_first_stage_stays_to_be_seen() -> None:
    fresh = [*gate_runs(FRESH[:5], (0.99,) * 5), gate_run(FRESH[5], None, status="diverged", error="NaN")]
    found = judge_runs(make_reference(), [gate_runs(FIRST, BAD), fresh])
    assert found is not None
    assert (found.passed, found.seeds, found.reason) == (False, FIRST, "Seed 40001 diverged: NaN")


@pytest.mark.parametrize(
    ("error", "last"),
    [
        ("RuntimeError: mat1 and mat2 shapes cannot be multiplied", "RuntimeError: mat1 and mat2 shapes cannot be"),
        ("ZeroDivisionError: division by zero", "ZeroDivisionError: division by zero"),
        ("KeyError: 'x'", "KeyError: 'x'"),
        ("SystemExit: 3", "SystemExit: 3"),
        ("NotImplementedError", "NotImplementedError"),
        ("MyError: mine", "net_0123_a.MyError: mine"),
        ("ArchitectureError: wrong", "nets.bench.errors.ArchitectureError: wrong"),  # somebody's own of that name
        ("ValueError: shapes\nOSError: quoted", "ValueError: shapes\nOSError: quoted"),
        ("ValueError: out of memory", "ValueError: out of memory"),
    ],
)
def test_what_the_net_raised_is_the_nets_fault(error: str, last: str) -> None:
    record = gate_run(FIRST[0], None, status="failed", error=error.splitlines()[0], traceback=trace(last))
    assert not is_machines_fault(record)
    found = judge_runs(make_reference(), [[record, *gate_runs(FIRST[1:], GOOD[1:])]])
    assert found is not None
    assert (found.passed, found.detail) == (False, trace(last))
    assert found.reason == f"Seed 20000 failed: {error.splitlines()[0]}"


@pytest.mark.parametrize(
    ("error", "traceback"),
    [
        ("Out of memory (CUDA out of memory); try a smaller --batch-size.", trace("torch.OutOfMemoryError: CUDA out")),
        ("Out of memory (MemoryError); try a smaller --batch-size.", trace("MemoryError")),
        ("Its worker process died", ""),
        (
            "No MNIST in 'data'; give --data-dir.",
            trace("bench.core.errors.DataError: No MNIST in 'data'; give --data-dir."),
        ),
        ("Disk full", trace("bench.core.errors.StoreError: Disk full")),
        ("OSError: [Errno 28] No space left", trace("OSError: [Errno 28] No space left on device")),
        ("PermissionError: [Errno 13]", trace("PermissionError: [Errno 13] Permission denied: 'x'")),
        ("ConnectionResetError", trace("ConnectionResetError")),
        ("OSError: first line", trace("OSError: first line\n  and a second: one")),
        ("CommClosedError: in <TCP>", trace("distributed.comm.core.CommClosedError: in <TCP>")),
        ("BrokenProcessPool: died", trace("concurrent.futures.process.BrokenProcessPool: died")),
    ],
)
def test_what_the_machine_lacked_leaves_the_question_open(error: str, traceback: str) -> None:
    record = gate_run(FIRST[0], None, status="failed", error=error, traceback=traceback)
    assert is_machines_fault(record)
    found = judge_runs(make_reference(), [[record, *gate_runs(FIRST[1:], GOOD[1:])]])
    assert found is not None
    assert found.passed is None
    assert found.reason == f"Not judged, the machine is at fault: seed 20000 failed: {error}"


def test_a_cause_that_was_the_machines_does_not_excuse_what_the_net_made_of_it() -> None:
    chained = trace("OSError: no file") + "\nThe above exception was the direct cause of it:\n\n" + trace("KeyError: 1")
    assert not is_machines_fault(gate_run(0, None, status="failed", error="KeyError: 1", traceback=chained))
    turned = trace("KeyError: 1") + "\nDuring handling of the above, another occurred:\n\n" + trace("OSError: no file")
    assert is_machines_fault(gate_run(0, None, status="failed", error="OSError: no file", traceback=turned))


def test_a_run_that_was_cut_short_says_nothing_of_its_net() -> None:
    record = gate_run(FIRST[0], None, status="interrupted", error="stopped by Ctrl-C")
    found = judge_runs(make_reference(), [[record]])
    assert found is not None
    assert found.passed is None


def test_a_net_that_diverged_has_failed_though_another_run_lacked_memory() -> None:
    lacked = gate_run(FIRST[0], None, status="failed", error="Out of memory (x)", traceback=trace("MemoryError"))
    diverged = gate_run(FIRST[1], None, status="diverged", error="loss became NaN")
    records = [lacked, diverged, gate_run(FIRST[2], 0.98)]
    for order in (records, records[::-1]):
        found = judge_runs(make_reference(), [order])
        assert found is not None
        assert (found.passed, found.reason) == (False, "Seed 20001 diverged: loss became NaN")


def test_memory_that_torch_lacks_on_a_cpu_is_told_by_its_words() -> None:
    said = (
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4503599627370496 bytes. Error code 12 (Cannot allocate memory)"
    )
    assert is_out_of_memory(RuntimeError(said))
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator") as caught:
        torch.empty(2**50)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


class OfItsOwnError(OSError):
    """An error that a net defines."""


@pytest.mark.parametrize(
    ("error", "machine"),
    [
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (KeyError("x"), False),
        (SystemExit(3), False),
        (OfItsOwnError("mine"), False),
        (UnfitError("it has made parameters"), False),
        (OSError(28, "No space left on device"), True),
        (ConnectionResetError(), True),
        (MemoryError(), True),
        (DataError("No MNIST in 'data'."), True),
        (WorkerFaultError("KeyError: 1"), True),
        (BrokenProcessPool("died"), True),
    ],
)
def test_an_error_says_itself_whose_fault_it_is(error: BaseException, *, machine: bool) -> None:
    assert blames_machine(error) == machine


@pytest.mark.parametrize(("fault", "passed"), [("net", False), ("machine", None)])
def test_what_a_run_says_counts_and_its_traceback_does_not(fault: str, *, passed: bool | None) -> None:
    """As after a rename: nothing in the text tells whose it was."""
    text = trace("OSError: quoted") if fault == "net" else trace("suite.errors.DataError: No MNIST")
    record = dataclasses.replace(
        gate_run(FIRST[0], None, status="failed", error="It failed.", traceback=text), fault=fault
    )
    found = judge_runs(make_reference(), [[record, *gate_runs(FIRST[1:], GOOD[1:])]])
    assert found is not None
    assert found.passed is passed
