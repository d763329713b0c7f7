"""Pictures of test images that tell two nets apart: one gets them right, the other wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.looks import FEWEST_SEEDS
from bench.stats.answers import told_apart
from reports.document import Gallery, Prose, Tile
from reports.galleries import most_said
from reports.tiles import SCALE, count_images, pixels_of
from reports.wording import listing, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.stats.answers import Answers
    from bench.stats.verdicts import PairVerdict
    from reports.galleries import LabelledImages

_MOST_OF_A_PAIR = 12


def apart_blocks(
    pairs: Sequence[PairVerdict], answers: Mapping[str, Answers], test: LabelledImages, *, slug: str, every: int
) -> list[Prose | Gallery]:
    """Images on which pairs differ, and which pairs these are; nothing where none has seeds enough.

    Args:
        pairs: Those to look at closely.
        answers: Of the architectures that are shown.
        test: The test set.
        slug: Start of the galleries' names.
        every: Pairs of the condition in all.
    """
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
    return [Prose(text=text), *(gallery for galleries in found.values() for gallery in galleries)]


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
