"""How long forward passes take, in a process that does nothing else.

Architectures are interleaved in random order within each repeat, and within each turn of single calls, so that a
machine that warms up or slows down treats them alike. A second copy of each net takes part in the repeats like a net of
its own: what the two differ by is noise.
Each net is timed on one thread as its source prints it, which is how people deploy it: what the engine rewrites pays in
training, at batch 1 it would cost some nets more than others.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
import math
import random
import statistics
import time
import uuid
from typing import TYPE_CHECKING

import psutil
import torch
from torch.utils.benchmark import Timer

from bench.core.errors import first_line
from bench.core.metadata import PLAIN, Timing
from bench.execution.profiling.exported import name_runtime, open_exported
from bench.execution.profiling.peak import measure_peak
from bench.models.build import build_model
from bench.models.fingerprint import architecture_hash
from bench.system.device import accelerator_name
from bench.system.environment import describe_environment
from bench.training.clock import synchronise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from bench.core.architecture import Architecture
    from bench.core.recipe import Recipe

    Net = tuple[Callable[[Tensor], object], Tensor]

BATCH_SIZES = (1, 8, 64, 256)
"""Images of the passes whose block means are taken: how speed grows with the batch."""

CALL_SIZES = (1, 256)
"""Those whose single calls are timed too."""

COPIES = 2
"""The net and its twin."""

REPEATS = (6, 10)
"""Blocks of each net: at least so many, the fewest whose range holds the median in 95 % of phases; at most so many."""
SECONDS_PER_BLOCK = 0.02
SECONDS_PER_CASE = 0.2
"""When no further repeat begins, though a median is not known yet; a case is one net at one batch size."""
ENOUGH = 0.02
"""Relative width of a median's 95 % interval from which on a further repeat would tell nothing."""
CALLS = 1_000
"""Separately timed calls that p99 takes: ten lie beyond it."""
CALL_SECONDS = 0.5
"""When no further call of a net is made at a batch size."""
CALL_ROUNDS = 5
"""Turns in which they are made, so that a machine that slows down for a while does so for all nets."""

MAX_FOREIGN_CORES = 0.2
"""Cores that other programs may keep busy before the phase is no longer called quiet."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimingRequest:
    """One architecture to be timed on a kind of device, and, for its memory, trained.

    Attributes:
        initial_hash: Of the net as it was counted (`bench.core.metadata.ArchitectureMetadata`).
        layout: How the engine runs it in training.
        exported: The net as an ONNX file, to be timed beside; or why there is none, empty where none is asked for.
    """

    architecture: Architecture
    device: str
    recipe: Recipe
    initial_hash: str = ""
    layout: str = PLAIN
    exported: bytes | str = ""

    @functools.cached_property
    def architecture_hash(self) -> str:
        """Hash of its source, as that stood when it was asked for first."""
        return architecture_hash(self.architecture)


def measure_speeds(requests: Sequence[TimingRequest], alive: Callable[[], None] = lambda: None) -> list[Timing]:
    """Time all architectures in this process, which from then on computes on one thread; memory is left out.

    `alive` is called before each turn of a net.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    peak = measure_peak(requests[0].device)
    copies = [[_prepare(request) for request in requests] for _ in range(COPIES)]
    most = max(BATCH_SIZES)
    exported = [open_exported(request.exported, request.architecture, most) for request in requests]
    foreign = ForeignLoad()
    shuffled = random.Random(0)  # noqa: S311 - an order, not a secret
    with _without_gradients(requests):
        blocks = _time_blocks([*copies, exported], shuffled, alive)
        calls = _time_all_calls(copies[0], shuffled, alive)
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
            seconds_per_batch={size: blocks[0, index, size] for size in BATCH_SIZES},
            twin_seconds_per_batch={size: blocks[1, index, size] for size in BATCH_SIZES},
            call_seconds={size: calls[index, size] for size in CALL_SIZES},
            calls_interleaved=True,
            initial_hash=request.initial_hash,
            peak_memory_bytes=None,
            base_memory_bytes=None,
            environment=environment,
            measured_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            phase=phase,
            peak_flops=peak,
            onnx_seconds_per_batch={s: blocks[COPIES, index, s] for s in BATCH_SIZES if exported[index]},
            onnx_bytes=len(request.exported) if isinstance(request.exported, bytes) else None,
            onnx_runtime=name_runtime(request.exported),
        )
        for index, request in enumerate(requests)
    ]


def find_unfit(requests: Sequence[TimingRequest]) -> dict[str, str]:
    """What is wrong with each architecture that cannot be timed, by its name."""
    faults = {}
    for request in requests:
        try:
            model, images = _prepare(request)
            with _without_gradients([request]):
                for batch_size in CALL_SIZES:
                    model(images[:batch_size].clone())
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - whatever it does, the others are timed
            faults[request.architecture.name] = first_line(fault)
    return faults


def measure_latency(request: TimingRequest) -> float:
    """Median seconds for one image; for a process that is alone on the machine."""
    torch.set_num_threads(1)
    with _without_gradients([request]):
        return statistics.median(_repeat([_prepare(request)], 1, random.Random(0), lambda: None)[0])  # noqa: S311


def _prepare(request: TimingRequest) -> Net:
    """The net in eval mode and random images for the largest batch (N, C, H, W), both on the device."""
    model = build_model(request.architecture, 0).to(request.device)
    model.eval()  # a net's own eval() may return nothing
    shape, generator = request.architecture.input_shape, torch.Generator().manual_seed(0)
    return model, torch.randn(max(BATCH_SIZES), *shape, generator=generator).to(request.device)


def _without_gradients(requests: Sequence[TimingRequest]) -> AbstractContextManager[None]:
    """Inference mode; where a net takes gradients within its forward, which fails there, `no_grad` for all of them."""
    try:
        with torch.inference_mode():
            for model, images in map(_prepare, requests):  # of their own: they may keep what they made here
                model(images[:1].clone())
    except RuntimeError:
        return torch.no_grad()
    return torch.inference_mode()


def _time_blocks(
    copies: Sequence[Sequence[Net | None]], shuffled: random.Random, alive: Callable[[], None]
) -> dict[tuple[int, int, int], tuple[float, ...]]:
    """Block means by copy, index of the net and batch size, in the order of the repeats; a copy may lack nets."""
    there = {(copy, at): net for copy, nets in enumerate(copies) for at, net in enumerate(nets) if net is not None}
    cases, nets = list(there), list(there.values())
    blocks: dict[tuple[int, int, int], tuple[float, ...]] = {}
    for batch_size in shuffled.sample(BATCH_SIZES, len(BATCH_SIZES)):
        found = _repeat(nets, batch_size, shuffled, alive)
        blocks |= {(*case, batch_size): tuple(seconds) for case, seconds in zip(cases, found, strict=True)}
    return blocks


def _repeat(
    nets: Sequence[Net], batch_size: int, shuffled: random.Random, alive: Callable[[], None]
) -> list[list[float]]:
    """Block means of each net, as many of each, until all medians are known well enough or the time is up."""
    fewest, most = REPEATS
    blocks: list[list[float]] = [[] for _ in nets]
    for model, images in nets:  # a library makes its code for this size at the first pass
        alive()
        model(images[:batch_size].clone())
    ends = time.perf_counter() + SECONDS_PER_CASE * len(nets)
    for repeat in range(most):
        if repeat >= fewest and (time.perf_counter() > ends or all(map(_is_known, blocks))):
            break
        for index in shuffled.sample(range(len(nets)), len(nets)):
            alive()
            blocks[index].append(_time_block(*nets[index], batch_size))
    return blocks


def _is_known(seconds: Sequence[float]) -> bool:
    """Whether the 95 % interval of the median, between two of the sorted values, is narrow enough."""
    ordered, outside, beyond = sorted(seconds), 0.0, 0
    while (outside := outside + 2 * math.comb(len(ordered), beyond) / 2 ** len(ordered)) <= 0.05:
        beyond += 1  # so many at each end lie outside of an interval that is still wide enough
    if not beyond:
        return False
    return ordered[-beyond] - ordered[beyond - 1] <= ENOUGH * statistics.median(ordered)


def _time_block(model: Callable[[Tensor], object], images: Tensor, batch_size: int) -> float:
    """Mean seconds of a forward pass over one block of calls (`torch.utils.benchmark`, synchronised by it).

    A net whose pass fills a block by itself is timed once, by the clock: the library would add two passes to warm up.
    """
    own = images[:batch_size].clone()  # a net may change its input
    once = _time_once(model, own)
    if once >= SECONDS_PER_BLOCK:
        return once
    timer = Timer(stmt="model(images)", globals={"model": model, "images": own})
    return float(timer.timeit(max(1, round(SECONDS_PER_BLOCK / once))).mean)


def _time_once(model: Callable[[Tensor], object], batch: Tensor) -> float:
    """Seconds of one forward pass of these images."""
    started = time.perf_counter()
    model(batch)
    synchronise(batch.device)
    return time.perf_counter() - started


def _time_all_calls(
    nets: Sequence[Net], shuffled: random.Random, alive: Callable[[], None]
) -> dict[tuple[int, int], tuple[float, ...]]:
    """Single calls by index of the net and batch size; twins would double the longest part and tell nothing new."""
    cases = list(itertools.product(range(len(nets)), CALL_SIZES))
    calls: dict[tuple[int, int], tuple[float, ...]] = dict.fromkeys(cases, ())
    for _ in range(CALL_ROUNDS):
        for index, batch_size in shuffled.sample(cases, len(cases)):
            alive()
            calls[index, batch_size] += _time_calls(*nets[index], batch_size)
    return calls


def _time_calls(model: Callable[[Tensor], object], images: Tensor, batch_size: int) -> tuple[float, ...]:
    """Seconds of each single forward pass of one turn, after one that finds the caches full of another net's data."""
    batch, seconds = images[:batch_size].clone(), list[float]()
    model(batch)
    synchronise(images.device)
    ends = time.perf_counter() + CALL_SECONDS / CALL_ROUNDS
    while len(seconds) < CALLS // CALL_ROUNDS:
        if seconds and time.perf_counter() > ends:
            break
        seconds.append(_time_once(model, batch))
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
