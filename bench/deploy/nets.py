"""Trained nets ready to be asked: by onnxruntime where they were exported and it is installed, else by torch.

Neither needs the suite's own kernels. torch is imported only where a net needs it.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.core.errors import BenchError, StoreError, reason
from bench.deploy.running import Layer
from bench.models.trained.session import Session
from bench.system.files import read_regular
from bench.system.program import find_missing
from bench.system.text import slugify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bench.data.arrays import Images
    from bench.deploy.chosen import ChosenRun
    from bench.deploy.running import Runner

FOLDER = "onnx"
"""Within a results directory, for exported nets."""
ONNX, TORCH = "onnxruntime", "torch"
RUN_KEY, WEIGHTS_KEY = "run_id", "weights"
"""Metadata of an exported file by which it is known to be of a run."""


class UsableNet(NamedTuple):
    """A trained net that can be asked.

    Attributes:
        run: Whose weights it has.
        runtime: What runs it, `ONNX` or `TORCH`.
        runner: The same as an object.
    """

    run: ChosenRun
    runtime: str
    runner: Runner

    def predict(self, images: Images) -> NDArray[np.float64]:
        """Probability of each class (N, classes) of pixels (N, C, H, W) uint8."""
        return softmax(self.runner.run(images))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities of logits, (N, classes) each."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def onnx_file(results: Path, name: str) -> Path:
    """Where the exported net of an architecture lies; the one with its layers beside it ends in `.layers`."""
    stem = name if re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII) else slugify(name)
    return results / FOLDER / f"{stem}.onnx"


def open_nets(
    runs: Sequence[ChosenRun], results: Path, files: Sequence[str] = (), *, threads: int | None = None
) -> tuple[list[UsableNet], list[str]]:
    """Nets that can be asked, and what is wrong with each of the others, a line each.

    Args:
        runs: Whose weights they have.
        results: Where these lie.
        files: Files that may declare nets which the project's folder does not.
        threads: Of torch, where it is needed; as they are when None.
    """
    nets, faults = [], []
    has_onnx = not find_missing("onnxruntime")
    by_torch: list[ChosenRun] = []
    for run in runs:
        exported = _open_exported(run, results) if has_onnx else None
        if exported is None:
            by_torch.append(run)
        else:
            nets.append(UsableNet(run, ONNX, exported))
    if by_torch:
        from bench.deploy.by_torch import TorchNet, limit_threads  # noqa: PLC0415 - seconds, and not always needed
        from bench.deploy.load import NetFinder, load_run  # noqa: PLC0415

        limit_threads(threads)
        finder = NetFinder(files)
        for run in by_torch:
            try:
                nets.append(UsableNet(run, TORCH, TorchNet(load_run(run, results, finder))))
            except BenchError as fault:
                faults.append(f"{run.name}: {fault}")
    order = [run.name for run in runs]
    return sorted(nets, key=lambda net: order.index(net.run.name)), faults


def _open_exported(run: ChosenRun, results: Path) -> OnnxNet | None:
    """The exported net of a run; None where there is none, or the file is of another run."""
    path = onnx_file(results, run.name)
    try:
        net = OnnxNet(path)
    except StoreError:
        return None
    metadata = net.metadata
    same = metadata.get(RUN_KEY) == run.record.run_id and metadata.get(WEIGHTS_KEY) == run.record.checkpoint_hash
    return net if same else None


class OnnxNet:
    """An exported net.

    Attributes:
        metadata: What its file says of it.
    """

    def __init__(self, path: Path) -> None:
        """Load it; StoreError where the file cannot be read or run."""
        self._path, self._lock = path, threading.Lock()
        self._layers: Session | None = None
        self._session = _open(path)
        self.metadata = self._session.metadata

    def run(self, images: Images) -> NDArray[np.float32]:
        """As `bench.deploy.running.Runner`."""
        return self._session.run(images)[0]

    def look(self, image: Images) -> list[Layer]:
        """As `bench.deploy.running.Runner`; of a net whose second file is not there any more, nothing."""
        with self._lock:
            if self._layers is None:
                self._layers = self._open_layers()
            session = self._layers
        _, *made = session.run(image[None])
        return [Layer(path, kind, values[0]) for (path, kind), values in zip(session.layers, made, strict=True)]

    def _open_layers(self) -> Session:
        try:
            found = _open(self._path.with_suffix(".layers"))
        except StoreError:
            return self._session
        same = all(found.metadata.get(key) == self.metadata.get(key) for key in (RUN_KEY, WEIGHTS_KEY))
        return found if same else self._session


def _open(path: Path) -> Session:
    try:
        content = read_regular(path)
    except OSError as fault:
        raise StoreError(f"'{path}' cannot be read ({reason(fault)}); export it by --export onnx.") from fault
    return Session(content, name=str(path))
