"""The quiet phase: enough repeats, plausible figures, and a sense for company."""

from __future__ import annotations

import dataclasses
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bench.environment import describe_environment
from bench.events import TimingFinished, TimingStarted
from bench.measure import timing
from bench.nets.registry import load_file
from bench.recipe import Recipe
from bench.store.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

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


def test_a_phase_measures_stores_and_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "widths.py").write_text(NETS)
    requests = [
        timing.TimingRequest.of(net, device="cpu", recipe=Recipe(batch_size=128))
        for net in load_file(tmp_path / "widths.py")
    ]
    machine = describe_environment()["machine"]
    with open_store(f"sqlite:///{tmp_path}/bench.db") as store:
        events = list(timing.run_timings(requests, store))
        assert [type(event) for event in events] == [TimingStarted, TimingFinished]
        narrow, wide = (
            store.timing(architecture_hash=request.architecture_hash, machine=machine, device="cpu")
            for request in requests
        )
        assert narrow is not None
        assert wide is not None
        assert (narrow.phase, narrow.memory_batch_size) == (wide.phase, 128)
        for request, found in zip(requests, (narrow, wide), strict=True):
            store.add_timing(dataclasses.replace(found, quiet=True))
            assert timing.lacks_timing(requests, store) is (request is requests[0] and not wide.quiet)
        assert list(timing.run_timings(requests, store)) == []
        store.add_timing(dataclasses.replace(narrow, quiet=True, phase="another"))
        assert timing.lacks_timing(requests, store), "phases do not mix"
        store.add_timing(dataclasses.replace(narrow, quiet=False))
        assert timing.lacks_timing(requests[:1], store)
    for found in (narrow, wide):
        assert found.threads == 1
        assert set(found.seconds_per_batch) == set(found.call_seconds) == {1, 256}
        assert all(len(repeats) == 5 for repeats in found.seconds_per_batch.values())
        assert all(len(calls) == 1_000 for calls in found.call_seconds.values())
        # Block means and single calls are two clocks on the same thing.
        for batch, calls in found.call_seconds.items():
            assert statistics.median(calls) == pytest.approx(statistics.median(found.seconds_per_batch[batch]), rel=0.8)
    # A thousand times the work: far more than twenty times the time, whatever calling costs.
    assert min(wide.seconds_per_batch[256]) > 20 * min(narrow.seconds_per_batch[256])
    assert narrow.base_memory_bytes is not None
    assert narrow.peak_memory_bytes is not None
    assert wide.peak_memory_bytes is not None
    # 6.4 million weights, their gradients and Adam's two moments: 102 MB more, at least.
    assert wide.peak_memory_bytes - narrow.peak_memory_bytes > 80e6
    assert 50e6 < narrow.base_memory_bytes <= narrow.peak_memory_bytes < 2e9


def test_company_on_the_machine_is_noticed() -> None:
    foreign = timing.ForeignLoad()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            time.sleep(1.0)
            cores = foreign.cores()
        finally:
            busy.kill()
    assert cores > timing.MAX_FOREIGN_CORES


def test_its_own_work_is_no_company(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, own, now = [50.0], [5.0], [100.0]
    monkeypatch.setattr(timing, "_busy_seconds", lambda: busy[0])
    monkeypatch.setattr(time, "process_time", lambda: own[0])
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    foreign = timing.ForeignLoad()
    busy[0], own[0], now[0] = 62.0, 15.0, 110.0
    # In 10 s the machine was busy for 12, of which 10 were ours.
    assert foreign.cores() == pytest.approx(0.2)
