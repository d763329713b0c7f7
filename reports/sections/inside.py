"""What the data looks like and what one fitted net of each architecture makes of it: filters and feature maps."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from bench.system.text import first_ones, four_digits, isolate, listing, one_line, plural, short_number, slugify
from reports.cells import column, table_of, text_column
from reports.document import Cell, Gallery, Prose, Section, Table, Tile, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from bench.analysis.conditions import Condition
    from bench.core.metadata import ArchitectureMetadata, DataPictures, DatasetMetadata, Portrait, StageMaps
    from bench.core.records import RunRecord, Study
    from reports.cells import ColumnOf
    from reports.document import Block

SCALE = 3
"""Screen pixels for one of an image's."""


def pixels_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image (C, H, W) as a tile has it: (H, W), or (H, W, 3) of three channels; of others the first is shown."""
    return np.moveaxis(image, 0, -1) if len(image) == 3 else image[0]


def count_images(shown: int, of: int) -> str:
    """How many images are shown of how many: 24 of 81 images."""
    return plural(of, "image") if shown == of else f"{shown} of {plural(of, 'image')}"


def data_table(metadata: DatasetMetadata, labels: NDArray[np.uint8] | None) -> Table:
    """What is known of a dataset; `labels` (N,) are the true classes of its test images, where they are stored."""
    shape = " × ".join(map(str, metadata.image_shape))
    channels, names = plural(metadata.image_shape[0], "channel"), [isolate(one_line(name)) for name in metadata.classes]
    rows = {
        "Images": f"{metadata.pool_images:,} to train and validate on, {metadata.test_images:,} to test",
        "Size of an image": f"{shape} ({channels}, height, width)",
        "Mean of each channel": f"{four_digits(metadata.mean)} (pixels from 0 to 1, whole training pool)",
        "Deviation of each channel": four_digits(metadata.deviation),
        "Classes": f"{len(metadata.classes)}: {', '.join(first_ones(names))}",
    }
    if labels is not None:
        counts = zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=False)
        rows["Test images of each class"] = ", ".join(first_ones([f"{name}: {count:,}" for name, count in counts]))
    columns: list[ColumnOf[tuple[str, str]]] = [
        text_column("What", lambda row: row[0]),
        column("Value", lambda row: Cell(row[1]), numeric=False),
    ]
    return table_of(one_line(f"The data: {metadata.name}"), rows.items(), columns)


def sample_gallery(pictures: DataPictures, metadata: DatasetMetadata | None, *, slug: str) -> Gallery:
    """The training images that are stored, as many as fit."""
    count = min(60, len(pictures.samples))
    tiles = []
    for sample in range(count):
        name, number = _class_name(sample, pictures, metadata), pictures.sample_indices[sample]
        alt = f"Training image: {name}, number {number} of the pool."
        tiles.append(Tile(pixels=pixels_of(pictures.samples[sample]), caption=name, alt=alt))
    what = f"Images of {metadata.name}" if metadata else "Images"
    cut = f"; {count} of {len(pictures.samples)} are shown" if count < len(pictures.samples) else ""
    return Gallery(slug=slug, title=one_line(f"{what}, the first of each class{cut}"), tiles=tuple(tiles))


def _class_name(sample: int, pictures: DataPictures, metadata: DatasetMetadata | None) -> str:
    label, names = int(pictures.sample_labels[sample]), metadata.classes if metadata else ()
    return isolate(one_line(names[label])) if label < len(names) else str(label)


@dataclasses.dataclass(frozen=True, eq=False)
class FittedNet:
    """One fitted net and what is known of it."""

    label: str
    condition: Condition
    run: RunRecord
    portrait: Portrait  # its insides
    pictures: DataPictures | None  # of its data; None where none are stored
    metadata: ArchitectureMetadata | None  # its layers; None where they are not stored

    def channels(self, layer: str) -> int | None:
        """How many maps or values a layer has, of which the first are kept; None where its metadata is not stored."""
        shapes = {row.name: row.output_shape for row in self.metadata.layers} if self.metadata else {}
        return shapes[layer][0] if shapes.get(layer) else None

    def left_out_after(self, number: int) -> list[str]:
        """Layers that ran between a stage and the next and of which nothing is kept, as far as its metadata is stored.

        Of flat outputs a portrait keeps those of linear layers alone.
        """
        rows = self.metadata.layers if self.metadata else ()
        kept = [stage.layer for stage in self.portrait.stages]
        names = [row.name for row in rows]
        if kept[number] not in names:
            return []
        after = itertools.takewhile(lambda row: row.name not in kept, rows[names.index(kept[number]) + 1 :])
        return [f"{row.name} ({row.kind})" for row in after if len(row.output_shape) == 1]

    def image_name(self, number: int) -> str:
        """The class of one of the portrait's images and where it stands in the pool, as far as that is known."""
        sample = int(self.portrait.images[number])
        if self.pictures is None or sample >= len(self.pictures.sample_labels):
            return f"sample {sample}"
        name = _class_name(sample, self.pictures, self.condition.dataset)
        return f"{name}, number {self.pictures.sample_indices[sample]} of the pool"


def find_fitted_nets(study: Study, conditions: Sequence[Condition]) -> list[FittedNet]:
    """One for each architecture and dataset, by name: of the first condition that has an undamaged portrait, if any."""
    portraits = {portrait.run_id: portrait for portrait in study.portraits}
    found: dict[tuple[str, str], FittedNet] = {}
    for condition in conditions:
        for entry in condition.entries:
            for run in entry.records:
                key = (entry.label, run.data_hash)
                if run.run_id in portraits and (key not in found or found[key].portrait.damaged):
                    pictures = study.pictures.get(run.data_hash)
                    metadata = study.architectures.get(run.architecture_hash)
                    found[key] = FittedNet(entry.label, condition, run, portraits[run.run_id], pictures, metadata)
    return [found[key] for key in sorted(found)]


_MOST_FILTERS = 64
_SCALES = {
    1: "grey is 0, white and black ± its largest weight",
    3: "red, green and blue are the weights of its three channels: half is 0, full and none ± its largest weight",
}
"""What the pixels of a filter mean, by its channels."""


def filter_gallery(weights: NDArray[np.float32], label: str, *, slug: str) -> Gallery | None:
    """Filters, each scaled by its own largest weight, with zero half way; None unless they have 1 or 3 channels."""
    if len(weights) == 0 or weights.shape[1] not in _SCALES:
        return None
    finite = np.nan_to_num(weights[:_MOST_FILTERS].astype(np.float64))
    largest = np.abs(finite).max(axis=(1, 2, 3))
    scaled = finite / np.where(largest > 0, largest, 1.0)[:, None, None, None]
    pixels = np.rint(127.5 + 127.5 * scaled).astype(np.uint8)
    size = "×".join(map(str, weights.shape[2:]))
    more = f", the first {_MOST_FILTERS} of {len(weights)}" if len(weights) > _MOST_FILTERS else ""
    tiles = []
    for number, most in enumerate(map(short_number, largest.tolist()), 1):
        alt = f"Filter {number} of the first convolution of {label}, weights up to {most} in size."
        tiles.append(Tile(pixels=pixels_of(pixels[number - 1]), caption=f"{number}: ±{most}", alt=alt))
    title = f"{label}: filters of the first convolution, {size}{more}; {_SCALES[weights.shape[1]]}"
    return Gallery(slug=slug, title=title, tiles=tuple(tiles), scale=max(1, 48 // max(weights.shape[2:])))


def input_gallery(net: FittedNet, pictures: DataPictures, *, slug: str) -> Gallery:
    """The images that the net was shown."""
    tiles = []
    for number, image in enumerate(net.portrait.images.tolist()):
        name = net.image_name(number)
        alt = f"Training image shown to {net.label}: {name}."
        tiles.append(Tile(pixels=pixels_of(pictures.samples[image]), caption=name, alt=alt))
    return Gallery(slug=slug, title=f"{net.label}: what the net was shown", tiles=tuple(tiles), scale=SCALE)


def stage_gallery(net: FittedNet, number: int, *, slug: str) -> Gallery:
    """One tile an image: the maps of a stage side by side."""
    stage = net.portrait.stages[number]
    name = one_line(f"{stage.layer} ({stage.kind})")
    what = _stage_size(stage, net.channels(stage.layer))
    tiles = []
    for image in range(len(net.portrait.images)):
        span = f"{short_number(float(stage.lows[image]))} to {short_number(float(stage.highs[image]))}"
        alt = f"{name} of {net.label} for {net.image_name(image)}: {what}, values {span}."
        tiles.append(Tile(pixels=compose_maps(stage.maps[image]), caption=span, alt=alt))
    width = max(tile.pixels.shape[1] for tile in tiles)
    title = f"{net.label}, stage {number + 1}: {name}, {what}"
    if left_out := net.left_out_after(number):
        title += one_line(f"; next, flat and not shown: {listing(left_out)}")
    return Gallery(slug=slug, title=title, tiles=tuple(tiles), scale=max(1, min(12, 240 // width)))


def _stage_size(stage: StageMaps, channels: int | None) -> str:
    """How much of a stage is shown, of how much, as far as that is known."""
    _, kept, height, width = stage.maps.shape
    flat = height == width == 1
    of = f"{kept} of {channels:,} " if channels and channels > kept else f"{kept} "
    noun = "value" if flat else "map"
    return f"{of}{noun}{'' if of == '1 ' else 's'}{'' if flat else f' of {height} × {width}'}"


def compose_maps(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Maps (C, H, W) side by side in one grey picture, with a line between them; single values without one.

    Returns:
        As square a grid as can be; values up to 16 stand in one row.
    """
    flat = maps.shape[1:] == (1, 1)
    gap = 0 if flat else 1
    columns = len(maps) if flat and len(maps) <= 16 else math.ceil(math.sqrt(len(maps)))
    height, width = (size + gap for size in maps.shape[1:])
    rows = -(-len(maps) // columns)
    picture = np.full((rows * height - gap, columns * width - gap), 128, np.uint8)  # grey between the maps
    for place, one in enumerate(maps):
        row, column = divmod(place, columns)
        picture[row * height :, column * width :][: one.shape[0], : one.shape[1]] = one
    return picture


MOST_PORTRAYED = 8
"""Architectures whose insides are shown, the first by name."""


def inside_section(study: Study, conditions: Sequence[Condition]) -> Section | None:
    """The data and the insides of one fitted net of each architecture; None where the store has no pictures."""
    hashes = list(dict.fromkeys(condition.records[0].data_hash for condition in conditions))
    nets = find_fitted_nets(study, conditions)
    if not nets and not any(data_hash in study.pictures for data_hash in hashes):
        return None
    gist = "What the first layer looks for in an image, and what each layer makes of one."
    blocks = tuple(_blocks(study, hashes, nets))
    return Section(title="Inside the nets", slug="inside", blocks=blocks, detail=True, gist=gist)


def _blocks(study: Study, hashes: Sequence[str], nets: Sequence[FittedNet]) -> Iterator[Block]:
    for number, data_hash in enumerate(hashes, 1):
        metadata, pictures = study.datasets.get(data_hash), study.pictures.get(data_hash)
        if metadata is not None:
            yield data_table(metadata, study.labels.get(data_hash))
        if pictures is not None and pictures.damaged:
            yield _damaged(f"the pictures of {one_line(metadata.name) if metadata else 'the data'}")
        elif pictures is not None and len(pictures.samples):
            yield sample_gallery(pictures, metadata, slug=f"inside-data-{number}")
    if len(nets) > MOST_PORTRAYED:
        yield warning(f"Insides are shown of the first {MOST_PORTRAYED} nets by name, of {len(nets)}.")
    for number, net in enumerate(nets[:MOST_PORTRAYED], 1):
        yield from _inside(net, slug=f"inside-{number}-{slugify(net.label)}")


def _damaged(what: str) -> Prose:
    return warning(
        f"Damaged in the store, and so left out: {what}. Run the training command again to have them anew; it trains "
        "nothing that is stored."
    )


def _inside(net: FittedNet, *, slug: str) -> Iterator[Block]:
    """Words, filters of the first convolution, and what each stage makes of some images."""
    portrait, label = net.portrait, net.label
    which = f"{label}, seed {net.run.seed} ({net.condition.title})"
    if portrait.damaged:
        yield _damaged(f"the insides of {which}")
        return
    yield Prose(f"{which}: one fitted net; other seeds find other filters.")
    filters = filter_gallery(portrait.filters, label, slug=f"{slug}-filters")
    yield filters or Prose(f"{label} has no convolution whose filters could be shown as images.")
    count = len(portrait.stages)  # all, or so many evenly spaced with the first and the last
    stages = sorted({round(place) for place in np.linspace(0, count - 1, min(count, 12)).tolist()})
    if not stages or not len(portrait.images):
        return
    text = (
        "Feature maps: of large stages the first maps or values are kept. Black is the lowest value of the maps kept "
        "of a stage for one image and white the highest, as written below; all maps of one picture share that scale."
    )
    if len(stages) < count:
        text += f" {len(stages)} of {count} stages are shown, evenly spaced."
    yield Prose(text)
    if net.pictures is not None and len(net.pictures.samples) > int(portrait.images.max(initial=-1)):
        yield input_gallery(net, net.pictures, slug=f"{slug}-input")
    for number in stages:
        yield stage_gallery(net, number, slug=f"{slug}-stage-{number + 1}")
