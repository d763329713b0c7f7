"""Pictures of test images that nets get wrong: of one net, of all, and those that tell two nets apart."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.analysis.errors import hardest_images, pool_answers, told_apart
from bench.core.seeds import FEWEST_SEEDS
from bench.system.text import listing, percent, plural, slugify
from reports.document import Gallery, Prose, Tile
from reports.sections.inside import SCALE, count_images, pixels_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bench.analysis.errors import Answers
    from bench.analysis.verdicts import PairVerdict


ORDER = (
    "Next, the images that are wrong: most seeds wrong first and, of equal ones, the surest wrong answers first. The "
    "confidence shown is the mean over all wrong answers, whatever they said; behind it stands how many gave the "
    "commonest of them, each of several that are as common."
)
"""How the galleries are to be read."""


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
    """What each architecture gets wrong, and the hardest images of all."""
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
        for image in wrong[:24]
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
    words = ", ".join(f"{count} said {test.classes[said]}" for said in classes[:3])
    return f"{words}, and others as often" if len(classes) > 3 else words


_MOST_OF_A_PAIR = 12


def apart_blocks(
    pairs: Sequence[PairVerdict], answers: Mapping[str, Answers], test: LabelledImages, *, slug: str, every: int
) -> list[Prose | Gallery]:
    """Images on which pairs differ, and which pairs these are; nothing where none has seeds enough."""
    enough = [pair for pair in pairs if pair.n >= FEWEST_SEEDS]  # of one seed each, every disagreement is whole
    if not enough:
        return []
    found: dict[str, list[Gallery]] = {
        f"{pair.a} with {pair.b}": _pair_galleries(pair.a, pair.b, answers, test, slug=f"{slug}-{number}")
        for number, pair in enumerate(enough, 1)
    }
    chosen = f"{len(found)} of {plural(every, 'pair')}"
    text = (
        "Next, images that tell two apart: the share of seeds that are right is higher with one than with the other by "
        f"half or more. Looked at: {chosen} ({listing(list(found))}). Pairs with a verdict of better come first, by "
        "difference, then equivalent ones, then those with the highest means; a pair takes "
        f"{FEWEST_SEEDS} shared seeds. The largest differences stand first, {_MOST_OF_A_PAIR} images at most each way. "
        "They were picked for being extreme among all, and nothing is tested."
    )
    if none := [names for names, galleries in found.items() if not galleries]:
        text += f" No image tells these apart: {listing(none)}."
    return [Prose(text), *(gallery for galleries in found.values() for gallery in galleries)]


def _pair_galleries(
    a: str, b: str, answers: Mapping[str, Answers], test: LabelledImages, *, slug: str
) -> list[Gallery]:
    """Images that one of two architectures gets right and the other wrong, both ways; none where no image does."""
    found = []
    for way, (right, wrong) in enumerate(((a, b), (b, a)), 1):
        apart = told_apart(answers[right], answers[wrong], test.labels)
        tiles = tuple(_tile(image, right, wrong, answers, test) for image in apart[:_MOST_OF_A_PAIR])
        if tiles:
            title = f"{right} right, {wrong} wrong: {count_images(len(tiles), len(apart))}"
            found.append(Gallery(slug=f"{slug}-{way}", title=title, tiles=tiles, scale=SCALE))
    return found


def _tile(image: int, right: str, wrong: str, answers: Mapping[str, Answers], test: LabelledImages) -> Tile:
    assert test.images is not None  # noqa: S101 - galleries are made of stored images only
    true, said = test.true(image), most_said(answers[wrong], image, test)
    counts = []
    for of in (answers[right], answers[wrong]):
        said_true = of.predicted[:, image] == test.labels[image]
        counts.append(f"{int(said_true.sum())} of {len(said_true)}")
    return Tile(
        pixels=pixels_of(test.images[image]),
        caption=f"true {true}; seeds right: {counts[0]} against {counts[1]}; {said}",
        alt=f"Test image {image}, true class {true}: right with {counts[0]} seeds of {right} and {counts[1]} of "
        f"{wrong}; {said}.",
    )
