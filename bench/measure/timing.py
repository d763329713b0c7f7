"""Inference speed, latency and memory, in a quiet phase of its own after all training.

Architectures are interleaved in random order within each repeat, so that a machine that warms up or slows down treats
them alike. Each net is timed on one thread as its source prints it, which is how people deploy it: what the engine
rewrites pays in training, at batch 1 it would cost some nets more than others.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import multiprocessing
import os
import random
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import psutil
import torch
from torch.utils.benchmark import Timer

from bench.device import accelerator_name
from bench.environment import describe_environment
from bench.events import Note, TimingFinished, TimingStarted
from bench.facts import Timing
from bench.measure.memory import measure_memory
from bench.nets.fingerprint import architecture_hash
from bench.training.clock import synchronise
from bench.training.loop import build_model
from bench.workers import WORKER_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn

    from bench.events import Event
    from bench.recipe import Recipe
    from bench.spec import Architecture
    from bench.store.store import Store

BATCH_SIZES = (1, 256)
REPEATS = 5
SECONDS_PER_BLOCK = 0.2
CALLS = 1_000
"""Separately timed calls behind the tails p90 and p99."""

SECONDS_PER_ARCHITECTURE = 20.0
"""What the phase takes for a net of this size on one machine; for plans."""

MAX_FOREIGN_CORES = 0.2
"""Cores that other programs may keep busy before the phase is no longer called quiet."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimingRequest:
    """One architecture to be timed.

    Attributes:
        architecture: The net.
        architecture_hash: Hash of its source.
        device: Kind of device.
        recipe: How it is trained while memory is measured.
    """

    architecture: Architecture
    architecture_hash: str
    device: str
    recipe: Recipe

    @classmethod
    def of(cls, architecture: Architecture, *, device: str, recipe: Recipe) -> Self:
        """The request for an architecture as its source stands now."""
        return cls(
            architecture=architecture,
            architecture_hash=architecture_hash(architecture),
            device=device,
            recipe=recipe,
        )


def run_timings(requests: Sequence[TimingRequest], store: Store) -> Iterator[Event]:
    """Measure and store what lacks a quiet timing on this machine, all of it together so that it can be compared.

    Args:
        requests: The architectures.
        store: Where timings are kept.

    Yields:
        The start and the end of the phase; nothing when every timing is stored.
    """
    if not lacks_timing(requests, store):
        return
    yield TimingStarted(architectures=len(requests))
    started = time.perf_counter()
    try:
        timings = measure_timings(requests)
    except Exception as fault:  # noqa: BLE001 - the runs are stored; a net that cannot be timed must not hide them
        yield Note(
            text=f"Speed and memory could not be measured ({type(fault).__name__}: {fault}); the runs are stored."
        )
        return
    for timing in timings:
        store.add_timing(timing)
    yield TimingFinished(
        architectures=len(requests),
        quiet=all(timing.quiet for timing in timings),
        seconds=time.perf_counter() - started,
    )


def lacks_timing(requests: Sequence[TimingRequest], store: Store) -> bool:
    """Whether any of these lacks a quiet timing on this machine, or they were measured in different phases."""
    if not requests:
        return False
    machine = str(describe_environment(accelerator=accelerator_name(requests[0].device))["machine"])
    stored = [store.timing(architecture_hash=r.architecture_hash, machine=machine, device=r.device) for r in requests]
    phases = {timing.phase for timing in stored if timing is not None and timing.quiet}
    return len(phases) > 1 or not all(timing is not None and timing.quiet for timing in stored)


def measure_timings(requests: Sequence[TimingRequest]) -> list[Timing]:
    """Time all architectures together in one fresh worker process, and the memory of each in one of its own.

    Args:
        requests: The architectures; only those measured together may be compared.

    Returns:
        One timing for each, in order.
    """
    with fresh_process() as pool:
        speeds = pool.submit(_measure_speeds, list(requests)).result()
    timings = []
    for request, timing in zip(requests, speeds, strict=True):
        with fresh_process() as pool:
            base, peak = pool.submit(
                measure_memory, request.architecture, device=request.device, recipe=request.recipe
            ).result()
        timings.append(
            dataclasses.replace(
                timing,
                base_memory_bytes=base,
                peak_memory_bytes=peak,
                memory_batch_size=request.recipe.batch_size,
            )
        )
    return timings


def _measure_speeds(requests: Sequence[TimingRequest]) -> list[Timing]:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    nets = [_prepare(request) for request in requests]
    blocks: dict[tuple[int, int], list[float]] = {}
    calls: dict[tuple[int, int], tuple[float, ...]] = {}
    foreign = ForeignLoad()
    shuffled = random.Random(0)  # noqa: S311 - an order, not a secret
    cases = [(index, batch_size) for index in range(len(nets)) for batch_size in BATCH_SIZES]
    with torch.inference_mode():
        for _ in range(REPEATS):
            for index, batch_size in shuffled.sample(cases, len(cases)):
                blocks.setdefault((index, batch_size), []).append(_time_block(*nets[index], batch_size))
        for index, batch_size in shuffled.sample(cases, len(cases)):
            calls[index, batch_size] = _time_calls(*nets[index], batch_size)
    quiet = foreign.cores() <= MAX_FOREIGN_CORES
    environment = describe_environment(accelerator=accelerator_name(requests[0].device))
    phase = uuid.uuid4().hex[:12]
    return [
        Timing(
            architecture=request.architecture.name,
            architecture_hash=request.architecture_hash,
            machine=str(environment["machine"]),
            device=request.device,
            threads=torch.get_num_threads(),
            quiet=quiet,
            seconds_per_batch={size: tuple(blocks[index, size]) for size in BATCH_SIZES},
            call_seconds={size: calls[index, size] for size in BATCH_SIZES},
            peak_memory_bytes=None,
            base_memory_bytes=None,
            environment=environment,
            measured_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            phase=phase,
        )
        for index, request in enumerate(requests)
    ]


def _prepare(request: TimingRequest) -> tuple[nn.Module, Tensor]:
    """The net in eval mode and random images for the largest batch (N, C, H, W), both on the device."""
    model = build_model(request.architecture, 0).eval().to(request.device)
    images = torch.randn(
        max(BATCH_SIZES), *request.architecture.input_shape, generator=torch.Generator().manual_seed(0)
    )
    return model, images.to(request.device)


def _time_block(model: nn.Module, images: Tensor, batch_size: int) -> float:
    """Mean seconds of a forward pass over one block of calls (`torch.utils.benchmark`, synchronised by it)."""
    timer = Timer(stmt="model(images)", globals={"model": model, "images": images[:batch_size]})
    return float(timer.blocked_autorange(min_run_time=SECONDS_PER_BLOCK).mean)


def _time_calls(model: nn.Module, images: Tensor, batch_size: int) -> tuple[float, ...]:
    """Seconds of each of `CALLS` single forward passes."""
    batch, seconds = images[:batch_size], []
    for _ in range(CALLS):
        started = time.perf_counter()
        model(batch)
        synchronise(images.device)
        seconds.append(time.perf_counter() - started)
    return tuple(seconds)


class ForeignLoad:
    """Cores kept busy by other programs since it was made."""

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.perf_counter(), _busy_seconds(), time.process_time()

    def cores(self) -> float:
        """Mean number of cores, the calling process's own work not counted."""
        elapsed = time.perf_counter() - self._started
        return (_busy_seconds() - self._busy - (time.process_time() - self._own)) / elapsed


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


@contextmanager
def fresh_process() -> Iterator[ProcessPoolExecutor]:
    """A new process with the environment of a worker."""
    before = dict(os.environ)
    os.environ.update(WORKER_ENVIRONMENT)
    try:
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield pool
    finally:
        os.environ.clear()
        os.environ.update(before)
