"""Pictures of test images that nets get wrong: of one net and of all."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.stats.answers import hardest_images, pool_answers
from reports.document import Gallery, Tile
from reports.tiles import SCALE, count_images, pixels_of
from reports.wording import percent, plural, slugify

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from bench.stats.answers import Answers

MOST_TILES = 24
"""Pictures of one gallery."""

ORDER = (
    "Next, the images that are wrong: most seeds wrong first and, of equal ones, the surest wrong answers first. The "
    "confidence shown is the mean over all wrong answers, whatever they said; behind it stands how many gave the "
    "commonest of them, each of several that are as common."
)
"""How the galleries are to be read."""

_MOST_SAID = 3


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
        name = f"{slug}-of-{number}-{slugify(label)}"
        found += _wrong_gallery(
            of, test, slug=name, title=f"Wrong by {label}, with most seeds first", unit="seed", who=label
        )
    if len(every) > 1:
        pooled = pool_answers(list(every.values()))
        title = f"Hardest images, over {plural(len(pooled.seeds), 'run')} of {len(every)} architectures"
        found += _wrong_gallery(pooled, test, slug=f"{slug}-hardest", title=title, unit="run", who="all architectures")
    return found


def _wrong_gallery(of: Answers, test: LabelledImages, *, slug: str, title: str, unit: str, who: str) -> list[Gallery]:
    """One gallery; none where everybody is always right."""
    wrong = hardest_images(of, test.labels)
    sure = of.wrong_confidence(test.labels)
    tiles = tuple(
        _wrong_tile(image, of, test, sure=None if sure is None else float(sure[image]), unit=unit, who=who)
        for image in wrong[:MOST_TILES]
    )
    title = f"{title}: {count_images(len(tiles), len(wrong))}"
    return [Gallery(slug=slug, title=title, tiles=tiles, scale=SCALE)] if tiles else []


def _wrong_tile(image: int, of: Answers, test: LabelledImages, *, sure: float | None, unit: str, who: str) -> Tile:
    assert test.images is not None  # noqa: S101 - galleries are made of stored images only
    wrong, true = int((of.predicted[:, image] != test.labels[image]).sum()), test.true(image)
    counted, how_sure = f"{wrong} of {plural(len(of.predicted), unit)}", ""
    if sure is not None:
        how_sure = ", over 99 % sure" if sure > 0.99 else f", {percent(sure, 0)} % sure"  # no net is 100 % sure
    said = most_said(of, image, test)
    return Tile(
        pixels=pixels_of(test.images[image]),
        caption=f"true {true}; {counted} wrong{how_sure}; {said}",
        alt=f"Test image {image}, true class {true}: {counted} of {who} wrong{how_sure}; {said}.",
    )


def most_said(of: Answers, image: int, test: LabelledImages) -> str:
    """The wrong classes that most runs gave an image, of equally frequent ones the surest first: 2 said 3, 2 said 8."""
    count, classes = of.commonest_mistakes(image, int(test.labels[image]))
    words = ", ".join(f"{count} said {test.classes[said]}" for said in classes[:_MOST_SAID])
    return f"{words}, and others as often" if len(classes) > _MOST_SAID else words
