"""What is known of architectures, datasets and machines, apart from any run. Needs no torch: reports read it."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer of an architecture's table."""

    name: str  # path of the module in the net
    kind: str  # its class
    output_shape: tuple[int, ...]  # for one image, the batch left out
    params: int  # of its own
    macs: int  # multiply-accumulates for one image


PLAIN = "as printed"
CHANNELS_LAST = "channels_last, ReLU after MaxPool"
BLOCKED = "oneDNN blocked, ReLU after MaxPool"
LANES = "images in lanes"
"""How the engine runs a net: as its source prints it, or in a faster way that was proved to be the same."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proof:
    """What one training step of an architecture showed, beside the same step of the net as printed."""

    layout: str = PLAIN  # how the engine runs the net: `LANES`, `BLOCKED`, `CHANNELS_LAST` or `PLAIN`
    rejected: tuple[str, ...] = ()  # why each faster way was not taken, in words
    resumable: bool = True  # whether a run that is cut short can go on from its saved state; otherwise it starts over
    warnings: tuple[str, ...] = ()  # what a reader of its numbers must know, one line each
    # Of an image in one training step of few, on one thread of this machine, for forecasts; None where nobody knows.
    step_seconds: float | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArchitectureMetadata:
    """What is exact about an architecture on a dataset: counts and layers."""

    architecture: str
    architecture_hash: str
    summary: str
    source: str
    variant_of: str | None
    input_shape: tuple[int, int, int]  # channels, height, width
    params: int
    trainable_params: int
    macs: int  # multiply-accumulates per image, biases not counted; as declared where not all could be counted
    uncounted_operations: tuple[str, ...]  # that the MAC count leaves out, by name
    layers: tuple[LayerRow, ...]  # leaf layers in order of execution
    proof: Proof = dataclasses.field(default_factory=Proof)  # in metadata of older versions, nothing
    declared_macs: int = 0  # those of `macs` that were not counted, only declared
    initial_hash: str = ""  # what `bench.models.build` found; empty where nothing is known

    @property
    def uncounted_products(self) -> tuple[str, ...]:
        """Those of the operations left out that multiply and accumulate: the MACs are no cost to compare nets by."""
        return find_products(self.uncounted_operations)


CHECKS: Mapping[str, str] = {
    "loads": "its file can be imported and declares it",
    "runs": "it is built and runs forward and backward in both modes, in time and memory, and ends no process",
    "shapes": "each layer gets what it expects, and n images stay n rows from end to end",
    "logits": "it gives logits (N, classes) as one tensor",
    "probabilities": "its outputs are logits, no probabilities",
    "finite": "outputs, loss and gradients are finite at the start",
    "unused-parameters": "every trainable parameter gets a gradient",
    "new-layers": "no layer is made in forward",
    "unregistered-layers": "every layer that takes part is registered",
    "leak": "what it says of an image depends on no other image of the batch",
    "batch-size": "in eval mode it takes batches of any size",
    "eval-state": "nothing of it changes in eval mode",
    "eval-random": "in eval mode it draws no random numbers that matter",
    "call-order": "its outputs depend neither on earlier calls nor on the clock",
    "input": "the images that it is given stay as they are",
    "seed": "a seed decides it, and another seed gives another start",
    "shared-weights": "two builds share nothing that training changes",
    "state-dict": "a fresh net with its state dict is the same net",
    "precision": "what is trained is float32",
    "devices": "parameters and buffers lie on one device",
    "counts": "declared parameters and MACs are those that are counted",
    "settings": "it replaces nothing of torch that holds for every net",
}
"""What the doctor finds errors in: the name of each check, and what holds of a net that passes it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """What the doctor found in a net: an error, for which it is not trained, or advice.

    Attributes:
        level: "error" or "advice".
        check: What found it; of an error one of `CHECKS`.
        layer: Path of the module in the net, `features.0`; empty for the whole.
        message: What is wrong, with numbers, and the fix: one line.
        place: Where it stands, `my_net.py:12`; empty where nobody knows.
    """

    level: str
    check: str
    message: str
    layer: str = ""
    place: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What the doctor found in one architecture on the images of a dataset."""

    architecture: str
    dataset: str = ""
    data_hash: str = ""  # of its images
    architecture_hash: str = ""  # of the source that was examined; empty in older results
    findings: tuple[Finding, ...] = ()  # errors first
    seconds: float = dataclasses.field(default=0.0, compare=False)  # that it took, imports apart

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What it is not trained for."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def advice(self) -> tuple[Finding, ...]:
        """What is only said."""
        return tuple(finding for finding in self.findings if finding.level != "error")


class _Counted(Protocol):
    """What is exact about a net, None where it was not counted: as counted just now, or of a run as it was stored."""

    @property
    def params(self) -> int | None: ...
    @property
    def macs(self) -> int | None: ...
    @property
    def initial_hash(self) -> str: ...


def is_other_net(one: _Counted, other: _Counted) -> bool:
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

    def has_product(operation: str) -> bool:
        if "::" in operation and not operation.startswith(_NO_LIBRARIES):
            return True
        words = re.split(r"[_\d]+", operation)
        return not operation.lstrip("_").startswith(_NO_PRODUCTS) and not _PRODUCTS.isdisjoint(words)

    return tuple(filter(has_product, operations))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetMetadata:
    """What is known of a dataset as it was loaded."""

    name: str
    data_hash: str  # of images and labels
    pool_images: int  # images of the training pool
    test_images: int
    validation_images: int  # of the pool, that each seed's split sets aside
    image_shape: tuple[int, int, int]  # channels, height, width
    classes: tuple[str, ...]  # names in label order
    mean: tuple[float, ...]  # per channel over the whole pool, pixels in [0, 1]
    deviation: tuple[float, ...]  # standard deviation, likewise
    origin: str  # where it was read from, for people
    note: str = ""  # what a reader must know (not the published files, embedded stand-in), or empty


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """Speed and memory of one architecture on one machine, from a quiet phase of its own.

    Older versions gave no initial hash and no twins, timed sizes 1 and 256 alone, made each net's single calls in one
    go, and read the base before all imports, later ones before anything had been trained: what lies above it then holds
    an import, or code that every net runs, and is not shown.
    """

    architecture: str
    architecture_hash: str
    machine: str  # hash of hardware and versions: only timings that share it may be compared
    device: str
    threads: int
    quiet: bool  # False when other runs shared the machine; such timings are not compared
    seconds_per_batch: Mapping[int, tuple[float, ...]]  # by batch size, of one forward pass: a block's mean each repeat
    call_seconds: Mapping[int, tuple[float, ...]]  # raw single calls by batch size, 1 and 256, as many as time allowed
    peak_memory_bytes: int | None  # resident memory of a process that trains it, its start-up included
    base_memory_bytes: int | None  # of that process once it has trained a smallest net, before this one is made
    environment: Mapping[str, Any]
    measured_at: str
    phase: str = ""  # id of the quiet phase: only what was measured in one, interleaved, is compared
    memory_batch_size: int | None = None  # images per step while the peak memory was read; None in version 0.1
    layout: str = ""  # how the engine ran the net meanwhile; empty in older versions
    # Of a second copy of the net, timed in the same repeats: what the two differ by is noise.
    twin_seconds_per_batch: Mapping[int, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    base_has_imports: bool = False  # in older versions: whether the base was read after everything was imported
    base_has_trained: bool = False  # whether it was read after a smallest net had been trained
    calls_interleaved: bool = False  # whether the single calls of the nets took turns
    initial_hash: str = ""  # of the net that was timed (`ArchitectureMetadata`)
    peak_flops: float | None = None  # of one thread in the phase: float32 operations a second of a matrix product
    # Of the net exported to ONNX, which takes raw pixels, by onnxruntime on one thread, in the same repeats.
    onnx_seconds_per_batch: Mapping[int, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    onnx_bytes: int | None = None  # of the exported file
    onnx_runtime: str = ""  # what ran it, "onnxruntime 1.24.0", or why it could not; empty where none is installed

    @property
    def measured_together(self) -> str:
        """What timings share that were measured in one phase; version 0.1 gave all of one the same second instead."""
        return self.phase or self.measured_at
