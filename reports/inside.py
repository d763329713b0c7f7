"""What the data looks like and what one fitted net of each architecture makes of it: filters and feature maps."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from reports.document import Cell, Column, Gallery, Prose, Section, Table, Tile
from reports.galleries import pixels_of
from reports.wording import one_line, plural, slugify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bench.facts import ArchitectureFacts, DatasetFacts
    from bench.pictures import DataPictures, Portrait, StageMaps
    from bench.records import RunRecord, Study
    from reports.conditions import Condition
    from reports.document import Block

MOST_PORTRAYED = 8
"""Architectures whose insides are shown, the first by name."""

_MOST_SAMPLES = 60
_MOST_FILTERS = 64
_MOST_STAGES = 12
_MOST_IMAGES = 4
_MOST_CHANNELS = 32
_MOST_VALUES = 1_024
_LINE = 128
"""Grey between feature maps."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Sitter:
    """One fitted net and what is known of it."""

    label: str
    condition: Condition
    run: RunRecord
    portrait: Portrait
    pictures: DataPictures | None
    facts: ArchitectureFacts | None

    @property
    def images(self) -> list[int]:
        """Which of the portrait's images are shown."""
        return list(range(min(_MOST_IMAGES, len(self.portrait.images))))

    def channels(self, layer: str) -> int | None:
        """How many maps or values a layer has, of which the first are kept; None where its facts are not stored."""
        shapes = {row.name: row.output_shape for row in self.facts.layers} if self.facts else {}
        return shapes[layer][0] if shapes.get(layer) else None

    def image_name(self, number: int) -> str:
        """The class of one of the portrait's images and where it stands in the pool, as far as that is known."""
        sample = int(self.portrait.images[number])
        if self.pictures is None or sample >= len(self.pictures.sample_labels):
            return f"sample {sample}"
        names = self.condition.dataset.classes if self.condition.dataset else ()
        return _sample_name(sample, self.pictures, names)


def inside_section(study: Study, conditions: Sequence[Condition]) -> Section | None:
    """The data and the insides of one fitted net of each architecture; None where the store has no pictures.

    Args:
        study: What the store holds.
        conditions: Its conditions; an architecture is shown as trained under the first that has a portrait of it.
    """
    hashes = list(dict.fromkeys(condition.records[0].data_hash for condition in conditions))
    sitters = _find_sitters(study, conditions)
    if not sitters and not any(data_hash in study.pictures for data_hash in hashes):
        return None
    blocks: list[Block] = []
    for number, data_hash in enumerate(hashes, 1):
        facts = study.datasets.get(data_hash)
        if facts is not None:
            blocks.append(_facts_table(facts, study.labels.get(data_hash)))
        if data_hash in study.pictures and len(study.pictures[data_hash].samples):
            blocks.append(_samples(study.pictures[data_hash], facts, slug=f"inside-data-{number}"))
    if len(sitters) > MOST_PORTRAYED:
        text = f"Insides are shown of the first {MOST_PORTRAYED} nets by name, of {len(sitters)}."
        blocks.append(Prose(text=text, tone="warning"))
    for number, sitter in enumerate(sitters[:MOST_PORTRAYED], 1):
        blocks += _inside(sitter, slug=f"inside-{number}-{slugify(sitter.label)}")
    return Section(title="Inside the nets", slug="inside", blocks=tuple(blocks), detail=True)


def _find_sitters(study: Study, conditions: Sequence[Condition]) -> list[_Sitter]:
    """One for each architecture and dataset, by name."""
    portraits = {portrait.run_id: portrait for portrait in study.portraits}
    found: dict[tuple[str, str], _Sitter] = {}
    for condition in conditions:
        for entry in condition.entries:
            for run in entry.records:
                if run.run_id in portraits:
                    sitter = _Sitter(
                        label=entry.label,
                        condition=condition,
                        run=run,
                        portrait=portraits[run.run_id],
                        pictures=study.pictures.get(run.data_hash),
                        facts=study.architectures.get(run.architecture_hash),
                    )
                    found.setdefault((entry.label, run.data_hash), sitter)
    return [found[key] for key in sorted(found)]


def _facts_table(facts: DatasetFacts, labels: NDArray[np.uint8] | None) -> Table:
    shape = " × ".join(map(str, facts.image_shape))
    channels = plural(facts.image_shape[0], "channel")
    rows = [
        ("Images", f"{facts.pool_images:,} to train and validate on, {facts.test_images:,} to test"),
        ("Size of an image", f"{shape} ({channels}, height, width)"),
        ("Mean of each channel", f"{_numbers(facts.mean)} (pixels from 0 to 1, whole training pool)"),
        ("Deviation of each channel", _numbers(facts.deviation)),
        ("Classes", f"{len(facts.classes)}: {', '.join(facts.classes)}"),
    ]
    if labels is not None:
        counts = np.bincount(labels, minlength=len(facts.classes)).tolist()
        listed = ", ".join(f"{name}: {count:,}" for name, count in zip(facts.classes, counts, strict=False))
        rows.append(("Test images of each class", listed))
    return Table(
        caption=one_line(f"The data: {facts.name}"),
        columns=(Column(name="What", numeric=False), Column(name="Value", numeric=False)),
        rows=tuple((Cell(text=what), Cell(text=one_line(value))) for what, value in rows),
    )


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)


def _samples(pictures: DataPictures, facts: DatasetFacts | None, *, slug: str) -> Gallery:
    names = facts.classes if facts else ()
    shown = range(min(_MOST_SAMPLES, len(pictures.samples)))
    tiles = tuple(
        Tile(
            pixels=pixels_of(pictures.samples[sample]),
            caption=_class_name(int(pictures.sample_labels[sample]), names),
            alt=f"Training image: {_sample_name(sample, pictures, names)}.",
        )
        for sample in shown
    )
    title = one_line(f"Images of {facts.name}, the first of each class" if facts else "Images, the first of each class")
    return Gallery(slug=slug, title=title, tiles=tiles)


def _class_name(label: int, names: Sequence[str]) -> str:
    return one_line(names[label]) if label < len(names) else str(label)


def _sample_name(sample: int, pictures: DataPictures, names: Sequence[str]) -> str:
    name = _class_name(int(pictures.sample_labels[sample]), names)
    return f"{name}, number {pictures.sample_indices[sample]} of the pool"


def _inside(sitter: _Sitter, *, slug: str) -> list[Block]:
    """Words, filters of the first convolution, and what each stage makes of some images."""
    portrait, label = sitter.portrait, sitter.label
    shown = (
        f"{label}, seed {sitter.run.seed} ({sitter.condition.title}): one fitted net; other seeds find other filters."
    )
    blocks: list[Block] = [Prose(text=shown)]
    filters = _filters(portrait.filters, label, slug=f"{slug}-filters")
    blocks.append(filters or Prose(text=f"{label} has no convolution whose filters could be shown as images."))
    stages = _chosen_stages(portrait)
    if not stages or not sitter.images:
        return blocks
    text = (
        "Feature maps: black is the lowest value that an image gives in a stage and white the highest, as written "
        "below each; maps of one stage share that scale. Of large stages the first maps or values are shown."
    )
    if len(stages) < len(portrait.stages):
        text += f" {len(stages)} of {len(portrait.stages)} stages are shown, evenly spaced."
    blocks.append(Prose(text=text))
    if sitter.pictures is not None and len(sitter.pictures.samples) > int(portrait.images.max(initial=-1)):
        blocks.append(_inputs(sitter, sitter.pictures, slug=f"{slug}-input"))
    return [*blocks, *(_stage(sitter, number, slug=f"{slug}-stage-{number + 1}") for number in stages)]


def _filters(weights: NDArray[np.float32], label: str, *, slug: str) -> Gallery | None:
    """Filters with zero in mid-grey, each scaled by its own largest weight; None unless they have 1 or 3 channels."""
    if len(weights) == 0 or weights.shape[1] not in (1, 3):
        return None
    finite = np.nan_to_num(weights[:_MOST_FILTERS].astype(np.float64))
    largest = np.abs(finite).max(axis=(1, 2, 3))
    scaled = finite / np.where(largest > 0, largest, 1.0)[:, None, None, None]
    pixels = np.rint(127.5 + 127.5 * scaled).astype(np.uint8)
    size = "×".join(map(str, weights.shape[2:]))
    more = f", the first {_MOST_FILTERS} of {len(weights)}" if len(weights) > _MOST_FILTERS else ""
    tiles = tuple(
        Tile(
            pixels=pixels_of(pixels[number]),
            caption=f"{number + 1}: ±{_short(most)}",
            alt=f"Filter {number + 1} of the first convolution of {label}, weights up to {_short(most)} in size.",
        )
        for number, most in enumerate(largest.tolist())
    )
    title = f"{label}: filters of the first convolution, {size}{more}; grey is 0, white and black ± its largest weight"
    return Gallery(slug=slug, title=title, tiles=tiles, scale=max(1, 48 // max(weights.shape[2:])))


def _chosen_stages(portrait: Portrait) -> list[int]:
    """All stages, or so many evenly spaced with the first and the last."""
    count = len(portrait.stages)
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, _MOST_STAGES)).tolist()})


def _inputs(sitter: _Sitter, pictures: DataPictures, *, slug: str) -> Gallery:
    tiles = tuple(
        Tile(
            pixels=pixels_of(pictures.samples[int(sitter.portrait.images[number])]),
            caption=sitter.image_name(number),
            alt=f"Training image shown to {sitter.label}: {sitter.image_name(number)}.",
        )
        for number in sitter.images
    )
    return Gallery(slug=slug, title=f"{sitter.label}: what the net was shown", tiles=tiles, scale=3)


def _stage(sitter: _Sitter, number: int, *, slug: str) -> Gallery:
    """One tile an image: the maps of a stage side by side."""
    stage = sitter.portrait.stages[number]
    name = one_line(f"{stage.layer} ({stage.kind})")
    what = _stage_size(stage, sitter.channels(stage.layer))
    tiles = []
    for image in sitter.images:
        span = f"{_short(float(stage.lows[image]))} to {_short(float(stage.highs[image]))}"
        tiles.append(
            Tile(
                pixels=compose_maps(stage.maps[image]),
                caption=span,
                alt=f"{name} of {sitter.label} for {sitter.image_name(image)}: {what}, values {span}.",
            )
        )
    width = max(tile.pixels.shape[1] for tile in tiles)
    title = f"{sitter.label}, stage {number + 1}: {name}, {what}"
    return Gallery(slug=slug, title=title, tiles=tuple(tiles), scale=max(1, min(12, 240 // width)))


def _stage_size(stage: StageMaps, channels: int | None) -> str:
    """How much of a stage is shown, of how much, as far as that is known."""
    _, kept, height, width = stage.maps.shape
    flat = height == width == 1
    shown = min(kept, _MOST_VALUES if flat else _MOST_CHANNELS)
    of = f"{shown} of {channels:,} " if channels and channels > shown else f"{shown} "
    noun = "value" if flat else "map"
    return f"{of}{noun}{'' if of == '1 ' else 's'}{'' if flat else f' of {height} × {width}'}"


def compose_maps(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Maps (C, H, W) side by side in one grey picture, with a line between them; single values without one.

    Returns:
        As square a grid as can be; values up to 16 stand in one row.
    """
    flat = maps.shape[1:] == (1, 1)
    shown = maps[: _MOST_VALUES if flat else _MOST_CHANNELS]
    gap = 0 if flat else 1
    columns = len(shown) if flat and len(shown) <= 16 else math.ceil(math.sqrt(len(shown)))
    height, width = (size + gap for size in maps.shape[1:])
    rows = -(-len(shown) // columns)
    picture = np.full((rows * height - gap, columns * width - gap), _LINE, np.uint8)
    for place, one in enumerate(shown):
        row, column = divmod(place, columns)
        picture[row * height :, column * width :][: one.shape[0], : one.shape[1]] = one
    return picture


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
