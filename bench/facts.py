"""What is known of architectures, datasets and machines, apart from any run. Needs no torch: reports read it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        macs: Multiply-accumulates per image, biases not counted.
        uncounted_operations: Operations that the MAC count leaves out, by name.
        layers: Leaf layers in order of execution.
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

    @property
    def measured_together(self) -> str:
        """What timings share that were measured in one phase; version 0.1 gave all of one the same second instead."""
        return self.phase or self.measured_at
