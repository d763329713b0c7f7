"""Requests, records of runs and whole studies, made up, so that a test says only what it is about."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.metadata import ArchitectureMetadata, DatasetMetadata, LayerRow, Timing
from bench.core.records import TARGETS, CurvePoint, RunRecord, Study, TimeToTarget, time_to_target
from bench.core.run import CountedRun, RunRequest
from bench.spec import Architecture, Budget, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

NETS = {
    # name: parameters, MACs, accuracy after 3 epochs, deviation over seeds, images per second
    "bn25k": (25_433, 1_034_000, 0.9898, 0.0006, 4050.0),
    "conv16k": (16_614, 600_000, 0.9889, 0.0015, 5950.0),
    "fc3136": (421_642, 4_240_000, 0.9918, 0.0008, 2320.0),
    "lenet21k": (21_840, 480_500, 0.9907, 0.0009, 7440.0),
}
ENVIRONMENT = {
    "python": "3.11.9",
    "torch": "2.13.0+cpu",
    "cpu": "Example CPU, 2 cores",
    "memory_bytes": 8_000_000_000,
    "commit": "0123456789abcdef",
    "dirty": False,
}


def _build() -> nn.Module:
    raise AssertionError("the store never builds a net")


def make_request(seed: int = 0, *, name: str = "alpha", **changes: Any) -> RunRequest:
    """A request; everything but seed and name can be changed by keyword."""
    fields: dict[str, Any] = {
        "architecture": Architecture(name=name, build=_build),
        "architecture_hash": f"hash of {name}",
        "recipe": Recipe(),
        "budget": Budget(epochs=3),
        "dataset": "mnist5k",
        "data_hash": "data-1",
        "seed": seed,
        "split_seed": seed,
        "device": "cpu",
        "torch_version": "2.13.0",
        "engine_version": 1,
    }
    return RunRequest(**fields | changes)


def counted(record: RunRecord) -> CountedRun:
    """A stored run as a plan knows it."""
    return CountedRun._make(getattr(record, name) for name in CountedRun._fields)


def make_record(net: str = "bn25k", *, seed: int = 0, budget_epochs: int = 3, **fields: Any) -> RunRecord:
    """A run of which no more is known than that it ended well; any other field can be given."""
    name = f"{net}-{budget_epochs}-{seed}"
    known: dict[str, Any] = {
        "run_id": name,
        "request_id": name,
        "cohort": f"{net}-{budget_epochs}",
        "attempt": 1,
        "architecture": net,
        "architecture_hash": f"hash-of-{net}",
        "recipe_name": "shared",
        "recipe": Recipe().to_json(),
        "budget": dataclasses.asdict(Budget(epochs=budget_epochs)),
        "dataset": "mnist",
        "data_hash": "da7a",
        "protocol": "select",
        "seed": seed,
        "split_seed": seed,
        "device": "cpu",
        "torch_version": "2.13.0+cpu",
        "engine_version": 1,
        "status": "ok",
    }
    return RunRecord(**known | fields)


def record_of(request: RunRequest, *, attempt: int = 1, **changes: Any) -> RunRecord:
    """How a request's run ended; every field has a value of its own, none is left at its default."""
    asked = "architecture_hash dataset data_hash protocol split_seed device torch_version engine_version".split()
    fields: dict[str, Any] = {name: getattr(request, name) for name in asked} | {
        "run_id": request.id if attempt == 1 else f"{request.id}-{attempt}",
        "request_id": request.id,
        "cohort": request.cohort,
        "attempt": attempt,
        "recipe": request.recipe.to_json(),
        "budget": dataclasses.asdict(request.budget),
        "error": "a naïve line",
        "traceback": "Traceback:\n  two lines",
        "fault": "machine",
        "params": 21_840,
        "macs": 5_000_000_000,  # more than 32 bits hold
        "epochs": 2.75,
        "epoch_kept": 2,
        "steps": 75,
        "train_loss": 0.1,
        "train_accuracy": 0.97,
        "val_loss": 0.2,
        "val_accuracy": 0.96,
        "test_loss": 1 / 3,  # no short decimal
        "test_accuracy": 0.9893,
        "test_looks": 1,
        "time_to_targets": (
            TimeToTarget(target=0.9, epochs=0.35, images=1_120, seconds=0.5),
            TimeToTarget(target=0.99, epochs=math.inf, images=math.inf, seconds=math.inf),
        ),
        "train_seconds": 3.5,
        "evaluation_seconds": 0.25,
        "wall_seconds": 4.75,
        "train_images_per_second": 2_742.5,
        "threads": 3,
        "jobs": 2,
        "layout": "channels_last",
        "checkpoint": f"checkpoints/{request.id}-{attempt}.pt",
        "checkpoint_bytes": 90_001,
        "checkpoint_hash": "c" * 64,
        "weights_hash": "d" * 64,
        "initial_hash": "here:net",
        "deterministic": False,
        "environment": {"machine": "m1", "cores": 2, "libraries": {"torch": "2.13.0"}, "commit": None},
        "started_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:00:05+00:00",
    }
    return make_record(request.architecture.name, seed=request.seed, **fields | changes)


def make_curve(net: str, *, seed: int, epochs: int) -> tuple[CurvePoint, ...]:
    """A curve that rises to the net's accuracy: 20 probes in each of the first two epochs, then epoch ends."""
    _, _, final, deviation, speed = NETS.get(net, NETS["bn25k"])
    noise = np.random.default_rng([seed, len(net), epochs])
    shift = float(noise.normal(0, deviation))
    times = sorted(
        {round(k / 20, 2) for k in range(1, 20 * min(2, epochs) + 1)} | set(map(float, range(1, epochs + 1)))
    )
    points = []
    for epoch in times:
        for probe in (True, False):
            if probe == epoch.is_integer() and (probe or not epoch.is_integer()):
                continue
            gap = 0.9 * math.exp(-epoch * (6 + 4 * final + len(net) / 2)) + 0.028 * math.exp(-1.1 * epoch)
            accuracy = min(0.9999, final + shift - gap + float(noise.normal(0, 0.003 if probe else 0.0004)))
            points.append(make_point(epoch, accuracy=max(accuracy, 0.08), probe=probe, speed=speed))
    return tuple(points)


def make_point(epoch: float, *, accuracy: float, probe: bool, speed: float) -> CurvePoint:
    """An evaluation after so many epochs of 50,000 images, trained at `speed` images a second."""
    images = int(50_000 * epoch)
    return CurvePoint(
        step=images // 128,
        images=images,
        epoch=epoch,
        train_seconds=images / speed,
        evaluation_seconds=0.2 * images / speed,
        probe=probe,
        val_loss=3.2 * (1 - accuracy),
        val_accuracy=accuracy,
        train_loss=None if probe else 3.6 * (1 - accuracy),
        train_accuracy=None if probe else accuracy - 0.004,
    )


def make_run(
    net: str, *, seed: int, epochs: int = 3, status: str = "ok", curve: tuple[CurvePoint, ...] | None = None
) -> tuple[RunRecord, tuple[CurvePoint, ...]]:
    """One run and its curve, drawn unless given; accuracies are given to whole images of 10,000."""
    params, macs, _, _, speed = NETS.get(net, NETS["bn25k"])
    curve = () if status != "ok" else curve or make_curve(net, seed=seed, epochs=epochs)
    record = make_record(
        net, seed=seed, budget_epochs=epochs, status=status, params=params, macs=macs, environment=ENVIRONMENT, jobs=2,
        finished_at=f"2026-01-0{min(epochs, 9)}T00:00:{seed:02}+00:00",
    )  # fmt: skip
    if status != "ok":
        return record, curve
    seconds = epochs * 50_000 / speed
    return dataclasses.replace(
        record,
        epochs=float(epochs),
        steps=epochs * 390,
        train_loss=curve[-1].train_loss,
        train_accuracy=curve[-1].train_accuracy,
        val_loss=curve[-1].val_loss,
        val_accuracy=round(curve[-1].val_accuracy, 4),
        test_loss=0.031,
        test_accuracy=round(curve[-1].val_accuracy + 0.0004, 4),
        test_looks=1,
        time_to_targets=tuple(time_to_target(curve, target) for target in TARGETS),
        train_seconds=seconds,
        evaluation_seconds=0.2 * seconds,
        wall_seconds=1.3 * seconds,
        train_images_per_second=speed,
        checkpoint_bytes=4 * params + 2048,
    ), curve


def make_metadata(net: str) -> ArchitectureMetadata:
    """Counts and layers; those of lenet21k are the source's own (SOURCES.md, B1)."""
    params, macs, *_ = NETS.get(net, NETS["bn25k"])
    layers: tuple[LayerRow, ...] = (
        LayerRow(name="features.0", kind="Conv2d", output_shape=(8, 26, 26), params=params, macs=macs),
    )
    if net == "lenet21k":
        layers = (
            LayerRow(name="conv1", kind="Conv2d", output_shape=(10, 24, 24), params=260, macs=144_000),
            LayerRow(name="conv2", kind="Conv2d", output_shape=(20, 8, 8), params=5_020, macs=320_000),
            LayerRow(name="fc1", kind="Linear", output_shape=(50,), params=16_050, macs=16_000),
            LayerRow(name="fc2", kind="Linear", output_shape=(10,), params=510, macs=500),
        )
    return ArchitectureMetadata(
        architecture=net,
        architecture_hash=f"hash-of-{net}",
        summary=f"The idea of {net}.",
        source="a source project",
        variant_of=None,
        input_shape=(1, 28, 28),
        params=params,
        trainable_params=params,
        macs=macs,
        uncounted_operations=("aten.max_pool2d",),
        layers=layers,
    )


def make_timing(
    net: str, *, quiet: bool = True, machine: str = "machine-1", slower: float = 1.0, twin: float | None = 1.01
) -> Timing:
    """A timing whose quantiles are known: calls of 1, 2, … 1,000 ms at batch 1.

    Args:
        net: Its architecture.
        quiet: Whether it was alone on the machine.
        machine: Hash of the machine.
        slower: Factor on the time of every block.
        twin: Factor between the net's blocks and those of its second copy; None for one that an older version stored.
    """
    known = {1: (0.004, 0.005, 0.008), 256: (0.05, 0.064, 0.08)}
    blocks = {batch: tuple(slower * s for s in seconds) for batch, seconds in known.items()}
    twins = {} if twin is None else {batch: tuple(twin * s for s in seconds) for batch, seconds in blocks.items()}
    return Timing(
        architecture=net,
        architecture_hash=f"hash-of-{net}",
        machine=machine,
        device="cpu",
        threads=1,
        quiet=quiet,
        seconds_per_batch=blocks,
        twin_seconds_per_batch=twins,
        call_seconds={1: tuple(k / 1000 for k in range(1, 1001))},
        peak_memory_bytes=400_000_000,
        base_memory_bytes=150_000_000,
        base_has_trained=True,
        calls_interleaved=True,
        environment=ENVIRONMENT,
        measured_at="2026-01-05T00:00:00+00:00",
        phase="phase-1",
    )


MNIST = DatasetMetadata(
    name="mnist",
    data_hash="da7a",
    pool_images=60_000,
    test_images=10_000,
    validation_images=10_000,
    image_shape=(1, 28, 28),
    classes=tuple("0123456789"),
    mean=(0.1307,),
    deviation=(0.3081,),
    origin="the data directory",
)


def study_of(*runs: tuple[RunRecord, tuple[CurvePoint, ...]], name: str = "nightly") -> Study:
    """A study of these runs, with the metadata of every net in it."""
    return Study(
        name=name,
        command="python runner.py --all --seeds 6",
        records=tuple(record for record, _ in runs),
        roles={record.run_id: "compare" for record, _ in runs},
        curves={record.run_id: curve for record, curve in runs},
        architectures={f"hash-of-{net}": make_metadata(net) for net in sorted({r.architecture for r, _ in runs})},
        datasets={"da7a": MNIST},
        timings=tuple(make_timing(net) for net in sorted({r.architecture for r, _ in runs})),
    )


def make_study() -> Study:
    """Four nets × six seeds for 3 epochs and two nets × three seeds for 1, one run failed and one diverged."""
    three = [make_run(net, seed=seed) for net in NETS for seed in range(6)]
    failed, _ = make_run("fc3136", seed=5, status="failed")
    diverged, _ = make_run("conv16k", seed=4, status="diverged")
    three = [run for run in three if run[0].run_id not in {failed.run_id, diverged.run_id}]
    bad = [
        (dataclasses.replace(failed, error="RuntimeError: not enough memory for a batch of 128"), ()),
        (dataclasses.replace(diverged, error="the training loss became NaN in epoch 2"), ()),
    ]
    one = [make_run(net, seed=seed, epochs=1) for net in ("bn25k", "conv16k") for seed in range(3)]
    return study_of(*three, *bad, *one)


def by_seed(values: Mapping[str, Sequence[float]]) -> dict[str, dict[int, float]]:
    """The values of each architecture as those of the seeds from 0 on."""
    return {name: dict(enumerate(of)) for name, of in values.items()}
