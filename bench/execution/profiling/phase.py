"""Inference speed, latency and memory, in a quiet phase of its own after all training."""

from __future__ import annotations

import dataclasses
import faulthandler
import functools
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.core.errors import ArchitectureError, first_line
from bench.core.events import Note, TimingFinished, TimingStarted
from bench.core.metadata import is_other_hash
from bench.execution.profiling.exported import can_export, export_fresh
from bench.execution.profiling.memory import measure_memory
from bench.execution.profiling.speed import find_unfit, measure_latency, measure_speeds
from bench.system.child import hear_own_signals
from bench.system.device import accelerator_name
from bench.system.environment import describe_environment
from bench.system.process import clean_context, prepare
from bench.system.worker_environment import environment_of_workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.core.events import Event
    from bench.core.metadata import Timing
    from bench.execution.profiling.speed import TimingRequest
    from bench.store.store import Store

_START_SECONDS, _SECONDS_PER_NET, _SECONDS_PER_MAC = 1.8, 3.2, 2.5e-7
"""What the phase takes on one machine, fitted to the repository's nets and a ResNet-18; for plans."""
_EXPORT_SECONDS = 4.0
"""Likewise to bring a net to ONNX, where the packages are installed; a fifth is the tracer's own import."""
_MOST_EXPORT_SECONDS = 180.0
"""When bringing a net to ONNX counts as hung."""
_TURN_SECONDS = 1_200.0
"""What one turn of a net may take (a pass of 256 images, ten steps of training) before it counts as hung."""
_MEMORY_PROCESSES = 2
"""Nets whose memory is measured at once: bytes do not mind company."""


def estimate_timings(macs: Iterable[int]) -> float:
    """About how many seconds the phase takes for nets of so many MACs an image."""
    each = _SECONDS_PER_NET + (_EXPORT_SECONDS if can_export("cpu") else 0.0)
    return _START_SECONDS + sum(each + _SECONDS_PER_MAC * count for count in macs)


def run_timings(requests: Sequence[TimingRequest], store: Store, *, estimate_seconds: float) -> Iterator[Event]:
    """Measure and store speed and memory of nets, all of them together so that they can be compared."""
    yield TimingStarted(architectures=len(requests), estimate_seconds=estimate_seconds)
    started = time.perf_counter()
    faults: dict[str, str] = {}
    try:
        timings = measure_timings(requests, faults)
    except Exception as fault:  # noqa: BLE001 - the runs are stored; a net that cannot be timed must not hide them
        yield Note(text=f"Speed and memory could not be measured ({_reason(fault)}); the runs are stored.")
        return
    for name, why in faults.items():
        yield Note(text=f"{name}: its {why}; its runs are stored.")
    for timing in timings:
        store.artifacts.add_timing(timing)
    quiet = all(timing.quiet for timing in timings)
    yield TimingFinished(architectures=len(timings), quiet=quiet, seconds=time.perf_counter() - started)


def lacks_timing(requests: Sequence[TimingRequest], store: Store) -> bool:
    """Whether any of these lacks a timing on this machine, or they were measured in different phases.

    One of a version that measured something else counts as lacking: without a twin its noise is unknown, its memory
    held what every net runs, its single calls were made in one go, of the processor's peak nothing is known. So does
    one without the net as ONNX, once the packages for it are installed, and one of another net of the same source, or
    of the same net as another engine ran it, which needs other memory. One that has fewer batch sizes does not: it has
    fewer points in a picture, and all that tables and verdicts use. Nor does one that other work disturbed, which is
    marked: on a machine that is always busy it would be measured for ever.
    """
    if not requests:
        return False
    machine = str(describe_environment(accelerator=accelerator_name(requests[0].device))["machine"])
    phases = set()
    for request in requests:
        source = request.architecture_hash
        timing = store.artifacts.timing(architecture_hash=source, machine=machine, device=request.device)
        if timing is None or is_other_hash(timing.initial_hash, request.initial_hash):
            return True
        if not (timing.twin_seconds_per_batch and timing.base_has_trained and timing.calls_interleaved):
            return True
        if timing.layout != request.layout or (request.device == "cpu" and timing.peak_flops is None):
            return True
        if can_export(request.device) and not timing.onnx_runtime:
            return True
        phases.add(timing.phase)
    return len(phases) > 1


def measure_timings(requests: Sequence[TimingRequest], faults: dict[str, str]) -> list[Timing]:
    """Time all architectures together in one fresh worker process, and the memory of each in one of its own.

    Only those measured together may be compared. What is wrong with each that cannot be timed is added to `faults`, by
    its name; the others are measured and given in order.
    """
    with fresh_process(limit_seconds=_TURN_SECONDS) as pool:
        unfit = pool.submit(find_unfit, list(requests)).result()
        faults |= {name: f"speed and memory could not be measured ({why})" for name, why in unfit.items()}
        fit = [request for request in requests if request.architecture.name not in faults]
        fit = [dataclasses.replace(request, exported=_export_apart(request)) for request in fit]
        speeds = pool.submit(measure_speeds, fit, _allow_turn).result() if fit else []
    with ThreadPoolExecutor(_MEMORY_PROCESSES) as threads, environment_of_workers():
        memory = threads.map(functools.partial(_measure_memory_of, faults=faults), fit)
        return [
            dataclasses.replace(
                timing, base_memory_bytes=base, peak_memory_bytes=peak, base_has_trained=True,
                memory_batch_size=request.recipe.batch_size, layout=request.layout,
            )
            for request, timing, (base, peak) in zip(fit, speeds, memory, strict=True)
        ]  # fmt: skip


def _measure_memory_of(request: TimingRequest, faults: dict[str, str]) -> tuple[int | None, int | None]:
    """Bytes before the net is built and at the peak; None for both, and why added to `faults`, when it fails."""
    try:
        with fresh_process(limit_seconds=_TURN_SECONDS) as pool:
            return pool.submit(measure_memory, request).result()
    except Exception as fault:  # noqa: BLE001 - whatever a net does, the others are measured
        faults[request.architecture.name] = f"memory could not be measured ({_reason(fault)})"
        return None, None


def _export_apart(request: TimingRequest) -> bytes | str:
    """The net as ONNX, made in a process of its own, which tracing it may end; else why not."""
    if not can_export(request.device):
        return ""
    try:
        with fresh_process(limit_seconds=_MOST_EXPORT_SECONDS) as pool:
            return pool.submit(export_fresh, request.architecture).result()
    except Exception as fault:  # noqa: BLE001 - whatever a net does, the others are timed
        ended = isinstance(fault, BrokenProcessPool)
        return "its tracing ended the process, or took too long" if ended else first_line(fault)


def _reason(fault: Exception) -> str:
    if isinstance(fault, BrokenProcessPool):
        return f"a net ended the process, or took longer than {_TURN_SECONDS:,.0f} s for one turn"
    return first_line(fault)


def time_one_image(request: TimingRequest) -> float:
    """Median seconds for one image of one architecture, measured in a fresh worker process."""
    try:
        with fresh_process(limit_seconds=_TURN_SECONDS) as pool:
            return pool.submit(measure_latency, request).result()
    except BrokenProcessPool as fault:
        raise ArchitectureError(f"{request.architecture.name}: {_reason(fault)}, while it was timed.") from fault


@contextmanager
def fresh_process(*, limit_seconds: float) -> Iterator[ProcessPoolExecutor]:
    """A new process with the environment of a worker; what nets print in it goes nowhere.

    It ends itself after so long, since a net hangs: what is waited for then raises BrokenProcessPool.
    """
    prepare(to_train=True)
    with (
        environment_of_workers(),
        ProcessPoolExecutor(
            1, mp_context=clean_context(), initializer=_begin_process, initargs=(limit_seconds,)
        ) as pool,
    ):
        yield pool


def _begin_process(limit_seconds: float) -> None:
    hear_own_signals()
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
    faulthandler.dump_traceback_later(limit_seconds, exit=True)


def _allow_turn() -> None:
    """In a fresh process: begin to wait anew."""
    faulthandler.dump_traceback_later(_TURN_SECONDS, exit=True)
