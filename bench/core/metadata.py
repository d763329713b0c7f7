"""What is known of architectures, datasets and machines, apart from any run. Needs no torch: reports read it."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer of an architecture's table.

    Attributes:
        name: Path of the module in the net.
        kind: Its class.
        output_shape: Shape of its output for one image, the batch left out.
        params: Parameters of its own.
        macs: Multiply-accumulates for one image.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    params: int
    macs: int


PLAIN = "as printed"
CHANNELS_LAST = "channels_last, ReLU after MaxPool"
BLOCKED = "oneDNN blocked, ReLU after MaxPool"
"""How the engine runs a net: as its source prints it, or in a faster way that was proved to be the same."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proof:
    """What one training step of an architecture showed, beside the same step of the net as printed.

    Attributes:
        layout: How the engine runs the net: `BLOCKED`, `CHANNELS_LAST` or `PLAIN`.
        rejected: Why each faster way was not taken, in words.
        resumable: Whether a run that is cut short can go on from its saved state; otherwise it starts over.
        warnings: What a reader of its numbers must know, one line each.
    """

    layout: str = PLAIN
    rejected: tuple[str, ...] = ()
    resumable: bool = True
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArchitectureFacts:
    """What is exact about an architecture on a dataset: counts and layers.

    Attributes:
        architecture: Its name.
        architecture_hash: Hash of its source.
        summary: Its one sentence.
        source: Where it is from.
        variant_of: The architecture it varies, or None.
        input_shape: Channels, height, width.
        params: All parameters.
        trainable_params: Those that are trained.
        macs: Multiply-accumulates per image, biases not counted; as declared where not all could be counted.
        uncounted_operations: Operations that the MAC count leaves out, by name.
        layers: Leaf layers in order of execution.
        declared_macs: Those of `macs` that were not counted, only declared.
        initial_hash: What `bench.models.build` found; empty where nothing is known.
        proof: What a training step showed; in facts of older versions, nothing.
    """

    architecture: str
    architecture_hash: str
    summary: str
    source: str
    variant_of: str | None
    input_shape: tuple[int, int, int]
    params: int
    trainable_params: int
    macs: int
    uncounted_operations: tuple[str, ...]
    layers: tuple[LayerRow, ...]
    proof: Proof = dataclasses.field(default_factory=Proof)
    declared_macs: int = 0
    initial_hash: str = ""

    @property
    def uncounted_products(self) -> tuple[str, ...]:
        """Those of the operations left out that multiply and accumulate: the MACs are no cost to compare nets by."""
        return find_products(self.uncounted_operations)


class Counted(Protocol):
    """What is exact about a net: facts as they were counted just now, or a run as it was stored."""

    @property
    def params(self) -> int | None:
        """All parameters; None where they were not counted."""

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates per image; None where they were not counted."""

    @property
    def initial_hash(self) -> str:
        """As `ArchitectureFacts`."""


def is_other_net(one: Counted, other: Counted) -> bool:
    """Whether two counts are surely not of the same net; what one of them lacks says nothing."""
    counts = ((one.params, other.params), (one.macs, other.macs))
    if any(None not in pair and pair[0] != pair[1] for pair in counts):
        return True
    return is_other_hash(one.initial_hash, other.initial_hash)


def is_other_hash(one: str, other: str) -> bool:
    """Whether two initial hashes, made where the same net gives the same bits, are of different nets."""
    return one.partition(":")[0] == other.partition(":")[0] and one != other


def are_unlike_places(one: str, other: str) -> bool:
    """Whether two initial hashes were made where the same net may give other bits, so that they tell nothing."""
    return bool(one and other) and one.partition(":")[0] != other.partition(":")[0]


_PRODUCTS = frozenset(
    "mm addmm bmm baddbmm addbmm smm hspmm sspaddmm mv addmv dot vdot addr matmul einsum conv convolution linear "
    "bilinear trilinear rnn lstm gru attention transformer cdist pdist euclidean fft linalg solve inverse pinverse "
    "cholesky lu qr geqrf ormqr orgqr svd".split()
)
"""Words in the names of torch's operations that hold products of matrices or vectors."""
_NO_PRODUCTS = ("upsample_", "linalg_vector_norm", "linalg_cross", "linalg_diagonal", "linalg_check_errors")
"""How names begin that have such a word and no such product."""
_NO_LIBRARIES = ("profiler::", "prim::", "prims::", "debugprims::")
"""How operations begin that are torch's own and no arithmetic of a net."""


def find_products(operations: Sequence[str]) -> tuple[str, ...]:
    """The operations that multiply and accumulate, of those that a count left out.

    Element-wise products, normalisation, pooling, interpolation and sums are no MACs here; what a library other than
    torch brings (`its::operation`) may be anything and counts as a product.
    """
    return tuple(name for name in operations if _is_foreign(name) or _has_product(name))


def _is_foreign(operation: str) -> bool:
    return "::" in operation and not operation.startswith(_NO_LIBRARIES)


def _has_product(operation: str) -> bool:
    words = re.split(r"[_\d]+", operation)
    return not operation.lstrip("_").startswith(_NO_PRODUCTS) and not _PRODUCTS.isdisjoint(words)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What is known of a dataset as it was loaded.

    Attributes:
        name: Its name.
        data_hash: Content hash of images and labels.
        pool_images: Images of the training pool.
        test_images: Images of the test set.
        validation_images: Images of the pool that each seed's split sets aside.
        image_shape: Channels, height, width.
        classes: Class names in label order.
        mean: Per channel over the whole pool, pixels in [0, 1].
        deviation: Per channel standard deviation over the whole pool.
        origin: Where it was read from, for people.
        note: What a reader must know (not the published files, embedded stand-in), or empty.
    """

    name: str
    data_hash: str
    pool_images: int
    test_images: int
    validation_images: int
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    origin: str
    note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """Speed and memory of one architecture on one machine, from a quiet phase of its own.

    Attributes:
        architecture: Its name.
        architecture_hash: Hash of its source.
        machine: Hash of hardware and versions: only timings that share it may be compared.
        device: "cpu", "cuda" or "mps".
        threads: Threads used.
        quiet: False when other runs shared the machine; such timings are not compared.
        seconds_per_batch: Raw block means by batch size: seconds for one forward pass, one value a repeat. Older
            versions timed sizes 1 and 256 alone.
        call_seconds: Raw single calls by batch size, 1 and 256, at least 1,000 each.
        peak_memory_bytes: Peak resident memory of a process that trains it, its start-up included.
        base_memory_bytes: Resident memory of that process before the net and data are made.
        environment: Versions and hardware.
        measured_at: ISO time.
        phase: Id of the quiet phase: only what was measured in one, interleaved, is compared.
        memory_batch_size: Images per step while the peak memory was read; None in timings of version 0.1.
        twin_seconds_per_batch: The same as `seconds_per_batch` of a second copy of the net, timed in the same repeats:
            what the two differ by is noise. Empty in timings of older versions.
        base_has_imports: Whether the base was read after everything was imported; in timings of older versions what
            lies above it holds 77 MB of an import, and is not shown.
        initial_hash: Of the net that was timed (`ArchitectureFacts`); empty in timings of older versions.
        calls_interleaved: Whether the single calls of the nets took turns; in timings of older versions each net's were
            made in one go.
    """

    architecture: str
    architecture_hash: str
    machine: str
    device: str
    threads: int
    quiet: bool
    seconds_per_batch: Mapping[int, tuple[float, ...]]
    call_seconds: Mapping[int, tuple[float, ...]]
    peak_memory_bytes: int | None
    base_memory_bytes: int | None
    environment: Mapping[str, Any]
    measured_at: str
    phase: str = ""
    memory_batch_size: int | None = None
    twin_seconds_per_batch: Mapping[int, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    base_has_imports: bool = False
    calls_interleaved: bool = False
    initial_hash: str = ""

    @property
    def measured_together(self) -> str:
        """What timings share that were measured in one phase; version 0.1 gave all of one the same second instead."""
        return self.phase or self.measured_at
