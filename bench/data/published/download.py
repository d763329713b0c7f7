"""Downloads a dataset with torchvision into the cache: timed out, checked against its MD5, landed whole or not at all.

torchvision's downloader waits for ever, so it runs in a process of its own, which a silent server ends at the socket's
time-out, and a server that sends a byte now and then when the process is killed.

`$BENCH_DATA_MIRROR` replaces the addresses that torchvision knows: the address of a copy of torchvision's data
directory, so that `$BENCH_DATA_MIRROR/MNIST/raw/train-images-idx3-ubyte.gz`, `$BENCH_DATA_MIRROR/EMNIST/raw/gzip.zip`,
`$BENCH_DATA_MIRROR/cifar-10-python.tar.gz` and `$BENCH_DATA_MIRROR/usps.bz2` are there. It serves people behind a
firewall, and our tests.
"""

from __future__ import annotations

import importlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import DownloadError, reason
from bench.data.catalogue import DATASETS
from bench.system.environment import PROJECT
from bench.system.python_file import import_file

if TYPE_CHECKING:
    from types import ModuleType

    from bench.data.catalogue import CatalogueEntry

_MISSING_OPERATOR = "operator torchvision::nms does not exist"
"""What torch says where torchvision's compiled operators do not load."""


def import_torchvision(submodule: str = "") -> ModuleType:
    """Import torchvision, or one of its submodules (`transforms.v2`).

    The wheel in the package registry is compiled for CUDA. Beside a CPU build of torch its compiled operators do not
    load, and the import fails where Python code refers to two of them. Declaring their schemas is enough for datasets,
    transforms and models, which never call them. On a matching installation nothing is touched.
    """
    name = f"torchvision.{submodule}" if submodule else "torchvision"
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
    import torch.library  # noqa: PLC0415 - only this rare path needs it

    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module(name)


def import_with_torchvision(path: Path, *, prefix: str) -> ModuleType:
    """Run a file as `import_file` does, where torchvision's operators do not load too.

    A file that imports torchvision itself then fails, and is run once more with what `import_torchvision` does.
    """
    try:
        return import_file(path, prefix=prefix)
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
    import_torchvision()
    return import_file(path, prefix=prefix)


STALL_SECONDS = 15.0
"""A server that is silent for so long is given up."""


def download(
    entry: CatalogueEntry, directory: Path, *, stall_seconds: float = STALL_SECONDS, limit_seconds: float | None = None
) -> None:
    """Download a dataset into a directory, which is made when missing, in torchvision's layout.

    Args:
        entry: The dataset.
        directory: Where its folder is to appear.
        stall_seconds: The longest silence of the server.
        limit_seconds: The longest download of all; the catalogue's when None.

    Raises:
        DownloadError: It could not be fetched, what came is not what was published, or the directory cannot be written.
            Nothing is left behind.
    """
    limit = entry.download_seconds if limit_seconds is None else limit_seconds
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix=".download-") as half:
            _run_fetch(entry, Path(half), stall_seconds=stall_seconds, limit_seconds=limit)
            _land(Path(half), directory)
    except OSError as error:
        raise DownloadError(
            f"the cache '{directory}' cannot be written ({reason(error)}); BENCH_CACHE_DIR names another"
        ) from None


def _run_fetch(entry: CatalogueEntry, target: Path, *, stall_seconds: float, limit_seconds: float) -> None:
    words = ["-m", "bench.data.published.download", entry.name, str(target.resolve()), str(stall_seconds)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, *words],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=limit_seconds,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DownloadError(f"it was not finished after {limit_seconds:g} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise DownloadError(lines[-1] if lines else f"the download ended with code {done.returncode}")


def _land(half: Path, directory: Path) -> None:
    """Move the folder that was fetched into place; a rename, so that it is there whole or not at all."""
    for folder in (path for path in half.iterdir() if path.is_dir()):
        try:
            folder.rename(directory / folder.name)
        except OSError:
            if not (directory / folder.name).is_dir():  # else another process was faster, with the same files
                raise


def fetch(name: str, target: Path) -> None:
    """Download by torchvision's class into an existing directory, in this process and without a limit."""
    entry = DATASETS[name]
    published: Any = getattr(import_torchvision("datasets"), entry.torchvision_class)
    dataset = _redirect(published, os.environ.get("BENCH_DATA_MIRROR", ""))
    # torchvision puts their files beside the folders of other datasets, and only a folder is landed.
    root = target / dataset.__name__ if entry.source in ("usps", "svhn") else target
    root.mkdir(exist_ok=True)
    for part in _list_parts(entry):
        dataset(root, **part, download=True)
    for pattern in _NOT_READ.get(entry.source, ()):
        for path in target.glob(pattern):
            _remove(path)


_NOT_READ = {
    "emnist": ("EMNIST/raw/gzip*", "EMNIST/raw/emnist-by*", "EMNIST/raw/emnist-mnist-*"),
    "stl10": ("stl10_binary/unlabeled_X.bin",),
}
"""What is fetched with a dataset and takes gigabytes, by its source."""


def _list_parts(entry: CatalogueEntry) -> list[dict[str, object]]:
    """What torchvision's class takes for each part that has to be fetched."""
    if entry.source in ("svhn", "stl10"):
        return [{"split": "train"}, {"split": "test"}]
    of_set = {"split": entry.name.removeprefix("emnist-")} if entry.source == "emnist" else {}
    return [{**of_set, "train": train} for train in (True, False)]  # QMNIST fetches one part at a time


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _redirect(dataset: Any, mirror: str) -> Any:
    """The class with its addresses replaced, in a subclass of the same name, for the name is that of its folder."""
    if not mirror:
        return dataset
    mirror = mirror.rstrip("/")
    raw = f"{mirror}/{dataset.__name__}/raw/"
    archive = getattr(dataset, "filename", "")
    changes: dict[str, Any] = {"mirrors": [raw], "url": f"{mirror}/{archive}" if archive else f"{raw}gzip.zip"}
    if hasattr(dataset, "split_list"):
        changes["split_list"] = {
            part: [f"{mirror}/{filename}", filename, md5] for part, (_, filename, md5) in dataset.split_list.items()
        }
    if isinstance(parts := getattr(dataset, "resources", None), dict):
        moved = {part: [(raw + url.rpartition("/")[2], md5) for url, md5 in files] for part, files in parts.items()}
        changes["resources"] = moved
    return type(dataset.__name__, (dataset,), changes)


def main(arguments: list[str]) -> int:
    """Fetch in a process of its own: name, target, seconds of silence. The last line of stderr says what went wrong."""
    name, target, stall_seconds = arguments
    socket.setdefaulttimeout(float(stall_seconds))
    try:
        fetch(name, Path(target))
    except TimeoutError:
        sys.stderr.write(f"\nthe server was silent for {float(stall_seconds):g} s\n")
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent reports it in one line
        sys.stderr.write(f"\n{' '.join(str(error).split()) or type(error).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
