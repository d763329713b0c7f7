"""Real tasks on the embedded data, what of their stored runs must be equal, and images of noise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from bench.core.metadata import LANES, PLAIN, Proof
from bench.core.run import RunRequest, Task, Workplace
from bench.data.datasets import Sample, find_dataset
from bench.models.fingerprint import architecture_hash
from bench.spec import Architecture, Budget, Recipe
from bench.store.store import open_store
from bench.training.loop import ENGINE_VERSION

if TYPE_CHECKING:
    from bench.core.metadata import DatasetMetadata
    from bench.core.records import CurvePoint


def build_tiny() -> nn.Module:
    """A linear net with dropout."""
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(784, 10))


TINY = Architecture(name="tiny", build=build_tiny)
NOWHERE = Path()


def make_task(
    architecture: Architecture = TINY,
    *,
    epochs: int = 3,
    seed: int = 0,
    recipe: Recipe | None = None,
    engine: str = "torch",
) -> Task:
    """A task on `mnist5k`: of the torch engine as printed, of that with lanes by the kernels."""
    dataset = find_dataset("mnist5k", NOWHERE).metadata
    request = RunRequest(
        architecture=architecture,
        architecture_hash=architecture_hash(architecture),
        recipe=recipe or Recipe(),
        budget=Budget(epochs=epochs),
        dataset=dataset.name,
        data_hash=dataset.data_hash,
        seed=seed,
        split_seed=seed,
        device="cpu",
        torch_version=torch.__version__,
        engine_version=ENGINE_VERSION,
        engine=engine,
    )
    proof = Proof(layout=LANES if engine == "lanes" else PLAIN)
    return Task(
        request=request, attempt=1, recipe_name="shared", params=1, macs=1, timeout_seconds=3_600.0, proof=proof
    )


def make_workplace(results: Path, *, jobs: int = 1) -> Workplace:
    """A results directory with a store of its own."""
    return Workplace(results=results, store_url=f"sqlite:///{results}/bench.db", data_dir=NOWHERE, jobs=jobs)


def stored_bits(workplace: Workplace, run_id: str) -> list[Any]:
    """Everything of a stored run that must come out the same however often it was cut short."""
    with open_store(workplace.store_url) as store:
        record = store.runs.find(run_id)
        assert record is not None
        predictions = [store.runs.predictions(run_id, split) for split in ("validation", "test")]
        curve = [without_seconds(point) for point in store.runs.curve(run_id)]
    arrays = [getattr(p, f.name) for p in predictions for f in dataclasses.fields(p) if f.name != "split"]
    return [
        record.status,
        record.weights_hash,
        record.checkpoint_hash,
        (record.test_accuracy, record.test_loss, record.val_loss, record.train_loss, record.steps, record.epoch_kept),
        curve,
        [array.tobytes() for array in arrays],
    ]


def without_seconds(point: CurvePoint) -> CurvePoint:
    """A curve point without its clocks, which no two runs share."""
    return dataclasses.replace(point, train_seconds=0.0, evaluation_seconds=0.0)


def noise(metadata: DatasetMetadata) -> Sample:
    """32 images of uniform noise in random classes, the same each time."""
    generator = np.random.default_rng(0)
    return Sample(
        metadata=metadata,
        images=generator.integers(0, 256, (32, *metadata.image_shape), dtype=np.uint8),
        labels=generator.integers(0, len(metadata.classes), 32, dtype=np.int64),
    )
