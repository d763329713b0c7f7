"""Writes trained nets as ONNX, each held against torch on the whole test set before it is kept. Never trains."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import ArchitectureError, BenchError
from bench.data.datasets import load_decoded
from bench.deploy.chosen import choose_runs
from bench.deploy.load import NetFinder, load_run
from bench.deploy.nets import FOLDER, RUN_KEY, WEIGHTS_KEY, onnx_file, softmax
from bench.models.trained.onnx_file import make_onnx
from bench.models.trained.session import Session
from bench.store.store import store_to_read
from bench.system.environment import project_version
from bench.system.files import write_atomically, writing
from bench.system.program import require_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.core.options import StudyOptions, UseOptions
    from bench.data.arrays import Images, Labels
    from bench.deploy.chosen import Chosen, ChosenRun
    from bench.models.trained.model import TrainedModel
    from bench.store.store import Store

TOLERANCE = 1e-3
"""Difference of a probability beyond which an exported net is not the one that was trained."""
_BATCH = 250


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parity:
    """How an exported net answers beside the same net by torch.

    Attributes:
        images: How many were shown: the whole test set.
        logits: Largest difference of a logit.
        probabilities: Largest difference of a probability.
        other_labels: Images that the two put into different classes.
        accuracy: Of the exported net, a fraction.
    """

    images: int
    logits: float
    probabilities: float
    other_labels: int
    accuracy: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportedNet:
    """A net that was written."""

    run: ChosenRun
    path: Path
    file_bytes: int
    parity: Parity


@dataclasses.dataclass(frozen=True, kw_only=True)
class KnownImages:
    """What nets are held against: images (N, C, H, W) uint8 and their classes (N,)."""

    images: Images
    labels: Labels


def export_nets(options: StudyOptions, use: UseOptions) -> Iterator[str | ExportedNet | BenchError]:
    """Write the nets of a study to `onnx/` in its results directory.

    Args:
        options: Which study, and which architectures of it.
        use: Which runs stand for them.

    Yields:
        Notes, then each net that was written, or why it was not.

    Raises:
        BenchError: Nothing can be exported.
    """
    require_extra("onnx", what="--export onnx")
    with store_to_read(options.store_url, whole=True) as store:
        chosen = choose_runs(store, options, use)
        yield from chosen.notes
        test = read_test_set(store, chosen, options.data_dir)
    finder = NetFinder([*options.patterns, *chosen.net_files])
    written: list[ExportedNet] = []
    for run in chosen.runs:
        try:
            net = export_net(run, load_run(run, options.results, finder), test, options.results)
        except BenchError as fault:
            yield fault
        else:
            written.append(net)
            yield net
    if written:
        _write_table(written, options.results)


def read_test_set(store: Store, chosen: Chosen, data_dir: Path) -> KnownImages:
    """The test set that the runs were trained beside: as the store keeps it, else from where it was read.

    Raises:
        DataError: It is not stored and cannot be had.
    """
    dataset = chosen.dataset
    pictures = store.artifacts.pictures(dataset.data_hash)
    if pictures is not None and len(pictures.test):
        said = store.runs.predictions(chosen.runs[0].record.run_id, "test")
        labels = np.zeros(len(pictures.test), dtype=np.int64)
        labels[said.images] = said.labels
        return KnownImages(images=pictures.test, labels=labels)
    found = load_decoded(dataset.name, data_dir, expected_hash=dataset.data_hash)
    return KnownImages(images=found.test_images, labels=found.test_labels)


def export_net(run: ChosenRun, model: TrainedModel, test: KnownImages, results: Path) -> ExportedNet:
    """Export one net, hold it against torch and write it.

    Raises:
        ArchitectureError: torch cannot export it, or it answers differently.
        StoreError: The results directory cannot be written.
    """
    shape = run.dataset.image_shape
    files = make_onnx(model.pixel_net, shape, name=run.name, metadata=describe(run))
    path = onnx_file(results, run.name)
    parity = measure_parity(model, Session(files.net, name=str(path)), test)
    if not parity.probabilities <= TOLERANCE:  # NaN is no parity
        raise ArchitectureError(
            f"{run.name} was not exported: as ONNX it answers differently, by up to {parity.probabilities:.2g} of a "
            f"probability on {parity.images:,} test images; a net that draws at random in eval mode cannot be exported."
        )
    with writing(results):
        write_atomically(path, files.net)
        write_atomically(path.with_suffix(".layers"), files.layers)
    return ExportedNet(run=run, path=path, file_bytes=len(files.net), parity=parity)


def describe(run: ChosenRun) -> dict[str, str]:
    """What an exported file says of its net."""
    record, dataset = run.record, run.dataset
    channels, height, width = dataset.image_shape
    accuracy = run.accuracy
    facts: dict[str, object] = {
        "architecture": run.name,
        "classes": json.dumps(list(dataset.classes), ensure_ascii=False),
        "input": f"images: uint8, N×{channels}×{height}×{width}, pixels from 0 to 255; the normalisation is inside",
        "output": f"logits: float32, N×{len(dataset.classes)}, in the order of the classes",
        "dataset": dataset.name,
        "data_hash": dataset.data_hash,
        "test_images": dataset.test_images,
        "test_accuracy": record.test_accuracy,
        "test_accuracy_low": accuracy and f"{accuracy[1]:.6f}",
        "test_accuracy_high": accuracy and f"{accuracy[2]:.6f}",
        "test_accuracy_interval": "95 %, Wilson's, over the test images",
        "val_accuracy": record.val_accuracy,
        "seed": record.seed,
        "chosen": run.how,
        RUN_KEY: record.run_id,
        WEIGHTS_KEY: record.checkpoint_hash,
        "params": record.params,
        "macs": record.macs,
        "commit": record.environment.get("commit"),
        "torch": record.torch_version,
        "suite": project_version(),
    }
    return {name: str(value) for name, value in facts.items() if value not in {None, ""}}


def measure_parity(model: TrainedModel, session: Session, test: KnownImages) -> Parity:
    """Show every test image to both, many at once, and the first alone too: the batch is free."""
    chunks = [slice(start, start + _BATCH) for start in range(0, len(test.images), _BATCH)]
    images = [np.ascontiguousarray(test.images[chunk]) for chunk in (slice(0, 1), *chunks)]
    ours = [model(batch).float().numpy() for batch in images]
    theirs = [session.run(batch)[0] for batch in images]
    pairs = list(zip(ours, theirs, strict=True))
    logits = float(np.max([np.abs(a - b).max() for a, b in pairs]))  # NaN where there is one, as Python's max is not
    probabilities = float(np.max([np.abs(softmax(a) - softmax(b)).max() for a, b in pairs]))
    own, other = (np.concatenate([part.argmax(axis=1) for part in parts[1:]]) for parts in (ours, theirs))
    return Parity(
        images=len(test.images),
        logits=logits,
        probabilities=probabilities,
        other_labels=int((own != other).sum()),
        accuracy=float((other == test.labels).mean()),
    )


def _write_table(nets: Sequence[ExportedNet], results: Path) -> None:
    """What the folder holds, for programs: `onnx/export.csv`, a row for each net that was written now or before."""
    path = results / FOLDER / "export.csv"
    rows = {
        net.path.name: {
            "architecture": net.run.name,
            "file": net.path.name,
            "file_bytes": net.file_bytes,
            "seed": net.run.record.seed,
            "chosen": net.run.how,
            "test_accuracy": net.parity.accuracy,
            "images": net.parity.images,
            "largest_logit_difference": net.parity.logits,
            "largest_probability_difference": net.parity.probabilities,
            "other_labels": net.parity.other_labels,
            "run_id": net.run.record.run_id,
        }
        for net in nets
    }
    columns = list(next(iter(rows.values())))
    before = {row["file"]: row for row in _read_table(path, columns) if (path.parent / row["file"]).is_file()}
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for _, row in sorted((before | rows).items()))
    with writing(results):
        write_atomically(path, text.getvalue().encode())


def _read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Its rows so far; none where it is not there or not ours."""
    try:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
        whole = [row for row in rows if None not in row and None not in row.values()]
        return whole if rows.fieldnames == list(columns) else []
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
