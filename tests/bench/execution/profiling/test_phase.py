"""The quiet phase: enough repeats, plausible figures, and a sense for company."""

from __future__ import annotations

import dataclasses
import json
import random
import statistics
import subprocess
import sys
import time
import types
from typing import TYPE_CHECKING

import pytest
import torch

from bench.analysis.stats.speeds import compare_speeds
from bench.core.events import TimingFinished, TimingStarted
from bench.core.metadata import LANES, Timing
from bench.core.recipe import Recipe
from bench.execution.profiling import peak, speed
from bench.execution.profiling import phase as profiling_phase
from bench.execution.profiling.speed import TimingRequest
from bench.models.registry import load_file
from bench.store.codec import from_json
from bench.store.store import open_store
from bench.system.environment import describe_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from bench.execution.profiling.speed import Net


NETS = """
from torch import nn
from bench.spec import Architecture

def build(width):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))

ARCHITECTURES = [
    Architecture(name="narrow", build=lambda: build(8)),
    Architecture(name="wide", build=lambda: build(8000)),
]
"""


def measure_shortly(requests: Sequence[TimingRequest], alive: Callable[[], None]) -> list[Timing]:
    """As the process of the phase measures, with short blocks, and few calls of any length; that process ends then."""
    speed.SECONDS_PER_BLOCK, speed.CALLS, speed.CALL_SECONDS = 0.001, 50, 1e6
    return speed.measure_speeds(requests, alive)


def test_a_phase_measures_stores_and_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling_phase, "measure_speeds", measure_shortly)
    (tmp_path / "widths.py").write_text(NETS)
    requests = [
        TimingRequest(architecture=net, device="cpu", recipe=Recipe(batch_size=128))
        for net in load_file(tmp_path / "widths.py")
    ]
    machine = describe_environment()["machine"]
    with open_store(f"sqlite:///{tmp_path}/bench.db") as store:
        events = list(profiling_phase.run_timings(requests, store, estimate_seconds=1.0))
        assert [type(event) for event in events] == [TimingStarted, TimingFinished]
        narrow, wide = (
            store.artifacts.timing(architecture_hash=request.architecture_hash, machine=machine, device="cpu")
            for request in requests
        )
        assert narrow is not None
        assert wide is not None
        assert (narrow.phase, narrow.memory_batch_size) == (wide.phase, 128)
        assert not profiling_phase.lacks_timing(requests, store)
        store.artifacts.add_timing(dataclasses.replace(narrow, phase="another"))
        assert profiling_phase.lacks_timing(requests, store), "phases do not mix"
        for quiet in (False, True):
            store.artifacts.add_timing(dataclasses.replace(narrow, quiet=quiet))
            assert not profiling_phase.lacks_timing(requests[:1], store), "a busy machine would measure for ever"
        own, twin = ({k: of[k] for k in (1, 256)} for of in (narrow.seconds_per_batch, narrow.twin_seconds_per_batch))
        store.artifacts.add_timing(
            dataclasses.replace(narrow, quiet=True, seconds_per_batch=own, twin_seconds_per_batch=twin)
        )
        assert not profiling_phase.lacks_timing(requests[:1], store), (
            "an older version timed fewer sizes, which is no fault"
        )
        store.artifacts.add_timing(dataclasses.replace(narrow, quiet=True, twin_seconds_per_batch={}))
        assert profiling_phase.lacks_timing(requests[:1], store), "without a twin it could not be compared"
        for older in (
            dataclasses.replace(narrow, quiet=True, base_has_trained=False),
            dataclasses.replace(narrow, quiet=True, calls_interleaved=False),
            dataclasses.replace(narrow, quiet=True, peak_flops=None),
            dataclasses.replace(narrow, quiet=True, layout=LANES),
        ):
            store.artifacts.add_timing(older)
            assert profiling_phase.lacks_timing(requests[:1], store), "an older version or another engine: other things"
    for found in (narrow, wide):
        assert found.threads == 1
        assert found.peak_flops is not None
        assert 1e8 < found.peak_flops < 1e13, "operations a second of one thread"
        assert set(found.seconds_per_batch) == set(found.twin_seconds_per_batch) == {1, 8, 64, 256}
        assert set(found.call_seconds) == {1, 256}
        for blocks in (found.seconds_per_batch, found.twin_seconds_per_batch):
            assert all(6 <= len(repeats) <= 10 for repeats in blocks.values())
        assert all(len(calls) == 50 for calls in found.call_seconds.values())
        # Block means and single calls are two clocks on the same thing: a wrong unit or batch would be far off, other
        # work on the machine is not.
        for batch, calls in found.call_seconds.items():
            assert 0.1 < statistics.median(calls) / statistics.median(found.seconds_per_batch[batch]) < 10
    # A thousand times the work: far more than twenty times the time, whatever calling costs, also of the twins.
    assert min(wide.seconds_per_batch[256]) > 20 * min(narrow.seconds_per_batch[256])
    assert min(wide.twin_seconds_per_batch[256]) > 20 * min(narrow.twin_seconds_per_batch[256])
    assert wide.twin_seconds_per_batch[256] != wide.seconds_per_batch[256], "timed, not copied"
    names = {each.architecture: each for each in (narrow, wide)}
    compared = compare_speeds(
        {name: each.seconds_per_batch[256] for name, each in names.items()},
        {name: each.twin_seconds_per_batch[256] for name, each in names.items()},
    )
    assert compared is not None
    assert compared.order == ("narrow", "wide")
    assert compared.ratios["wide"].lowest > 20
    assert narrow.base_memory_bytes is not None
    assert narrow.peak_memory_bytes is not None
    assert wide.peak_memory_bytes is not None
    # 6.4 million weights, their gradients and Adam's two moments: 102 MB more, at least.
    assert wide.peak_memory_bytes - narrow.peak_memory_bytes > 80e6
    assert 50e6 < narrow.base_memory_bytes <= narrow.peak_memory_bytes < 2e9
    # 6,370 weights of 4 bytes, four times over, and activations of a batch: an import of 77 MB is none of it.
    assert narrow.peak_memory_bytes - narrow.base_memory_bytes < 50e6


def test_the_peak_is_the_best_of_many_products_and_an_accelerator_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # The end is set at 0; products of 10, 2 and 4 ms follow, and at 0.4 the time is up.
    ticks = iter([0.0, *(0.0, 0.0, 0.01), *(0.1, 0.1, 0.102), *(0.2, 0.2, 0.204), 0.4])
    monkeypatch.setattr(peak, "time", types.SimpleNamespace(perf_counter=lambda: next(ticks)))
    assert peak.measure_peak("cpu") == pytest.approx(2 * 512**3 / 0.002)
    assert peak.measure_peak("cuda") is None


def test_the_twin_is_a_net_of_its_own_timed_in_every_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "widths.py").write_text(NETS.replace("8000", "16"))
    requests = [
        TimingRequest(architecture=net, device="cpu", recipe=Recipe()) for net in load_file(tmp_path / "widths.py")
    ]
    blocks: list[tuple[nn.Module, Tensor, int]] = []
    called: list[tuple[nn.Module, int]] = []

    def time_block(model: nn.Module, images: Tensor, batch_size: int) -> float:
        blocks.append((model, images, batch_size))
        return float(len(blocks))

    def time_calls(model: nn.Module, _images: Tensor, batch_size: int) -> tuple[float, ...]:
        called.append((model, batch_size))
        return (float(len(called)),)

    for setting in ("set_num_threads", "set_flush_denormal"):  # would outlive the test in this process
        monkeypatch.setattr(torch, setting, lambda _: None)
    monkeypatch.setattr(speed, "_time_block", time_block)
    monkeypatch.setattr(speed, "_time_calls", time_calls)
    narrow, wide = speed.measure_speeds(requests)
    # 2 nets × 2 copies take turns, ten at each of 4 batch sizes, as no median of this fake clock is known sooner: of a
    # size's 40 blocks the clock tells the repeat, 4 in each.
    cases = {(id(model), id(images), size) for model, images, size in blocks}
    assert (len(blocks), len(cases)) == (160, 16)
    for found in (narrow, wide):
        for seconds in (*found.seconds_per_batch.values(), *found.twin_seconds_per_batch.values()):
            assert [int(value - 1) % 40 // 4 for value in seconds] == list(range(10))
    # Each value lies with the net that was timed then; the twin has the same weights in memory of its own.
    for found, width in ((narrow, 8), (wide, 16)):
        own, twin = (blocks[int(of[256][0]) - 1] for of in (found.seconds_per_batch, found.twin_seconds_per_batch))
        weights = [next(model.parameters()) for model in (own[0], twin[0])]
        assert [weight.shape[0] for weight in weights] == [width, width]
        assert torch.equal(*weights)
        assert weights[0].data_ptr() != weights[1].data_ptr()
        assert own[1].data_ptr() != twin[1].data_ptr()
        assert {size for model, size in called if model is own[0]} == {1, 256}
        assert all(model is not twin[0] for model, _ in called)
        # 2 nets × 2 sizes are 4 cases a turn: each net has one of each size in every turn, as blocks have.
        for seconds in found.call_seconds.values():
            assert [int(value - 1) // 4 for value in seconds] == list(range(5))
            assert all(called[int(value) - 1][0] is own[0] for value in seconds)
    orders = {tuple((id(model), size) for model, size in called[at : at + 4]) for at in range(0, 20, 4)}
    assert len(orders) > 1, "turns have orders of their own"


def test_repeats_end_when_every_median_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    steady, wavering = [1.0] * 10, [1.0, 1.03, *[1.0] * 8]
    nets: list[Net] = [(torch.nn.Flatten(), torch.zeros(256, 1, 2, 2)) for _ in range(2)]

    def repeats(*clocks: list[float]) -> list[int]:
        ticks = {id(model): iter(clock) for (model, _), clock in zip(nets, clocks, strict=False)}
        monkeypatch.setattr(speed, "_time_block", lambda model, _images, _size: next(ticks[id(model)]))
        found = speed._repeat(nets[: len(clocks)], 8, random.Random(0), lambda: None)  # noqa: S311 - an order
        return [len(blocks) for blocks in found]

    monkeypatch.setattr(speed, "SECONDS_PER_CASE", 1e6)
    assert repeats(steady) == [6], "of six blocks the range holds the median in 97 % of phases"
    assert repeats(wavering) == [9], "of nine the second and the eighth do in 96 %, of eight only the ends"
    assert repeats(steady, wavering) == [9, 9], "as many of each: blocks of one repeat are compared"
    monkeypatch.setattr(speed, "SECONDS_PER_CASE", 0.0)
    assert repeats(wavering) == [6], "the time is up"


def test_calls_end_when_their_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10_000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(speed, "CALL_SECONDS", 100.0)
    calls = speed._time_calls(torch.nn.Flatten(), torch.zeros(8, 1, 2, 2), 3)
    assert len(calls) == 7, "a turn has twenty seconds: one for the first call, three for each further one"
    monkeypatch.setattr(speed, "CALL_SECONDS", 0.0)
    assert len(speed._time_calls(torch.nn.Flatten(), torch.zeros(8, 1, 2, 2), 3)) == 1, "one is made whatever it takes"


def test_a_thousand_single_calls_are_behind_the_tails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "CALL_SECONDS", 1e6)
    images = torch.zeros(256, 1, 2, 2)
    nets, turns = [(torch.nn.Flatten(), images), (torch.nn.Flatten(), images)], []
    calls = speed._time_all_calls(nets, random.Random(0), lambda: turns.append(1))  # noqa: S311 - an order
    assert len(turns) == 5 * 4, "each turn of a net is waited for anew"
    assert {case: len(seconds) for case, seconds in calls.items()} == {
        (0, 1): 1_000, (0, 256): 1_000, (1, 1): 1_000, (1, 256): 1_000,
    }  # fmt: skip
    assert min(min(seconds) for seconds in calls.values()) > 0


def test_the_first_call_of_a_turn_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10_000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(speed, "CALL_SECONDS", 1e6)
    seen: list[Tensor] = []
    seconds = speed._time_calls(seen.append, torch.zeros(8, 1, 2, 2), 3)
    assert len(seen) == len(seconds) + 1 == 201
    assert {len(batch) for batch in seen} == {3}
    assert set(seconds) == {1.0}


def test_timings_without_twins_still_load() -> None:
    stored = {
        "architecture": "old", "architecture_hash": "0", "machine": "m", "device": "cpu", "threads": 1, "quiet": True,
        "seconds_per_batch": {"1": [0.5]}, "call_seconds": {"1": []}, "peak_memory_bytes": 2, "base_memory_bytes": 1,
        "environment": {}, "measured_at": "2026-01-01",
    }  # fmt: skip
    old = from_json(Timing, stored, "a timing")
    assert old.seconds_per_batch == {1: (0.5,)}
    assert old.twin_seconds_per_batch == {}
    assert not old.base_has_trained
    assert not old.calls_interleaved
    new = dataclasses.replace(old, twin_seconds_per_batch={1: (0.1, 1 / 3), 256: (2.0,)})
    assert from_json(Timing, json.loads(json.dumps(dataclasses.asdict(new))), "a timing") == new


def test_company_on_the_machine_is_noticed() -> None:
    foreign = speed.ForeignLoad()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            time.sleep(1.0)
            cores = foreign.cores()
        finally:
            busy.kill()
    assert cores > speed.MAX_FOREIGN_CORES


def test_its_own_work_is_no_company(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, own, now = [50.0], [5.0], [100.0]
    monkeypatch.setattr(speed, "_busy_seconds", lambda: busy[0])
    monkeypatch.setattr(time, "process_time", lambda: own[0])
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    foreign = speed.ForeignLoad()
    busy[0], own[0], now[0] = 62.0, 15.0, 110.0
    # In 10 s the machine was busy for 12, of which 10 were ours.
    assert foreign.cores() == pytest.approx(0.2)
