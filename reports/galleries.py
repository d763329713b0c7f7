"""Pictures of test images that nets get wrong: of one net, of all, and those that tell two apart."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from bench.stats.answers import hardest_images, pool_answers, told_apart
from reports.document import Gallery, Tile
from reports.wording import percent, plural, slugify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bench.stats.answers import Answers

MOST_TILES = 24
"""Pictures of one gallery."""

_MOST_OF_A_PAIR = 12
_SCALE = 3


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelledImages:
    """The test set, for people.

    Attributes:
        labels: True class of each image (N,).
        classes: Names of the classes, in label order, on one line each.
        images: Pixels (N, C, H, W); None where none are stored.
        damaged: Whether there are none because what was stored is damaged.
    """

    labels: NDArray[np.uint8]
    classes: tuple[str, ...]
    images: NDArray[np.uint8] | None
    damaged: bool = False

    def true(self, image: int) -> str:
        """Name of an image's class."""
        return self.classes[int(self.labels[image])]


def pixels_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image (C, H, W) as a tile has it: (H, W), or (H, W, 3) of three channels; of others the first is shown."""
    return np.moveaxis(image, 0, -1) if len(image) == 3 else image[0]


def error_galleries(
    answers: Mapping[str, Answers], every: Mapping[str, Answers], test: LabelledImages, *, slug: str
) -> list[Gallery]:
    """What each architecture gets wrong, and the hardest images of all.

    Args:
        answers: Of the architectures that have a gallery of their own.
        every: Of all.
        test: The test set.
        slug: Start of the galleries' names.
    """
    found = []
    for number, (label, of) in enumerate(answers.items(), 1):
        name, title = f"{slug}-of-{number}-{slugify(label)}", f"Wrong by {label}, with most seeds first"
        found += _wrong_gallery(of, test, slug=name, title=title, unit="seed", who=label)
    if len(every) > 1:
        pooled = pool_answers(list(every.values()))
        title = f"Hardest images, over {plural(len(pooled.seeds), 'run')} of {len(every)} architectures"
        found += _wrong_gallery(pooled, test, slug=f"{slug}-hardest", title=title, unit="run", who="all architectures")
    return found


def _wrong_gallery(of: Answers, test: LabelledImages, *, slug: str, title: str, unit: str, who: str) -> list[Gallery]:
    """One gallery; none where everybody is always right."""
    chosen = hardest_images(of, test.labels, most=MOST_TILES)
    tiles = tuple(_wrong_tile(image, of, test, unit=unit, who=who) for image in chosen)
    return [Gallery(slug=slug, title=title, tiles=tiles, scale=_SCALE)] if tiles else []


def _wrong_tile(image: int, of: Answers, test: LabelledImages, *, unit: str, who: str) -> Tile:
    assert test.images is not None  # noqa: S101 - galleries are made of stored images only
    said, true = of.predicted[:, image], test.true(image)
    taken = most_said(of, image, test)
    wrong, runs = int((said != test.labels[image]).sum()), plural(len(said), unit)
    sure = ""
    if of.confidence is not None:
        mean = float(of.confidence[said == taken, image].mean(dtype=np.float64))
        sure = ", over 99 % sure" if mean > 0.99 else f", {percent(mean, 0)} % sure"  # no net is 100 % sure
    name = test.classes[taken]
    return Tile(
        pixels=pixels_of(test.images[image]),
        caption=f"true {true}, said {name}{sure}, wrong with {wrong} of {runs}",
        alt=f"Test image {image}, true class {true}: {wrong} of {runs} of {who} wrong, most often {name}{sure}.",
    )


def most_said(of: Answers, image: int, test: LabelledImages) -> int:
    """The wrong class that most runs give an image; of equally frequent ones the first."""
    said = of.predicted[:, image]
    return int(np.bincount(said[said != test.labels[image]]).argmax())


def pair_galleries(a: str, b: str, answers: Mapping[str, Answers], test: LabelledImages, *, slug: str) -> list[Gallery]:
    """Images that one of two architectures gets right and the other wrong, both ways; none where no image does."""
    found = []
    for way, (right, wrong) in enumerate(((a, b), (b, a)), 1):
        chosen = told_apart(answers[right], answers[wrong], test.labels, most=_MOST_OF_A_PAIR)
        tiles = tuple(_apart_tile(image, right, wrong, answers, test) for image in chosen)
        if tiles:
            title = f"{right} right, {wrong} wrong: the clearest"
            found.append(Gallery(slug=f"{slug}-{way}", title=title, tiles=tiles, scale=_SCALE))
    return found


def _apart_tile(image: int, right: str, wrong: str, answers: Mapping[str, Answers], test: LabelledImages) -> Tile:
    assert test.images is not None  # noqa: S101
    true, said = test.true(image), test.classes[most_said(answers[wrong], image, test)]
    counts = []
    for of in (answers[right], answers[wrong]):
        said_true = of.predicted[:, image] == test.labels[image]
        counts.append(f"{int(said_true.sum())} of {len(said_true)}")
    return Tile(
        pixels=pixels_of(test.images[image]),
        caption=f"true {true}, said {said}; seeds right: {counts[0]} against {counts[1]}",
        alt=f"Test image {image}, true class {true}: right with {counts[0]} seeds of {right} and {counts[1]} of "
        f"{wrong}, which most often says {said}.",
    )
