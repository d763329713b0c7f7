"""The images that nets get wrong: those of one net, of all, and those that tell two apart."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.analysis.errors import hardest_images, pool_answers, told_apart
from bench.core.seeds import FEWEST_SEEDS
from bench.system.text import isolate, listing, percent, plural, slugify
from reports.document import Gallery, Prose, Tile
from reports.sections.inside import SCALE, count_images, pixels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bench.analysis.errors import Answers
    from bench.analysis.verdicts import PairVerdict


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelledImages:
    """The test set, for people."""

    labels: NDArray[np.uint8]  # (N,) true classes
    classes: tuple[str, ...]  # names in label order, on one line each
    images: NDArray[np.uint8] | None  # (N, C, H, W); None where none are stored
    damaged: bool = False  # there are none because what was stored is damaged

    def named(self, label: int) -> str:
        """Name of a class for the middle of a sentence."""
        return isolate(self.classes[label])

    def true(self, image: int) -> str:
        """Name of an image's class, likewise."""
        return self.named(int(self.labels[image]))


ORDER = (
    "Next, the images that are wrong: most seeds wrong first and, of equal ones, the surest wrong answers first. The "
    "confidence shown is the mean over all wrong answers, whatever they said; behind it stands how many gave the "
    "commonest of them, each of several that are as common."
)
"""How the galleries are to be read."""


def error_galleries(
    answers: Mapping[str, Answers], every: Mapping[str, Answers], test: LabelledImages, *, slug: str
) -> Iterator[Gallery]:
    """What each architecture gets wrong, and the hardest images of all; nothing where everybody is always right."""
    for number, (label, of) in enumerate(answers.items(), 1):
        title = f"Wrong by {label}, with most seeds first"
        yield from _wrong(of, test, slug=f"{slug}-of-{number}-{slugify(label)}", title=title, unit="seed", who=label)
    if len(every) > 1:
        pooled = pool_answers(list(every.values()))
        title = f"Hardest images, over {plural(len(pooled.seeds), 'run')} of {len(every)} architectures"
        yield from _wrong(pooled, test, slug=f"{slug}-hardest", title=title, unit="run", who="all architectures")


def _wrong(of: Answers, test: LabelledImages, *, slug: str, title: str, unit: str, who: str) -> Iterator[Gallery]:
    wrong = hardest_images(of, test.labels)
    confidence = of.wrong_confidence(test.labels)

    def captions(image: int) -> tuple[str, str]:
        errors, sure = int((of.predicted[:, image] != test.labels[image]).sum()), ""
        if confidence is not None:  # no net is 100 % sure
            share = float(confidence[image])
            sure = ", over 99 % sure" if share > 0.99 else f", {percent(share, 0)} % sure"
        counted, said = f"{errors} of {plural(len(of.predicted), unit)}", _most_said(of, image, test)
        return f"{counted} wrong{sure}; {said}", f"{counted} of {who} wrong{sure}; {said}"

    yield from _gallery(wrong, 24, test, captions, slug=slug, title=title)


def _gallery(
    images: Sequence[int],
    most: int,
    test: LabelledImages,
    captions: Callable[[int], tuple[str, str]],
    *,
    slug: str,
    title: str,
) -> Iterator[Gallery]:
    """The first images with what `captions` says below each and to those who cannot see it; nothing without one."""
    assert test.images is not None  # noqa: S101 - galleries are made of stored images only
    tiles = []
    for image in images[:most]:
        true, (caption, alt) = test.true(image), captions(image)
        told = f"Test image {image}, true class {true}: {alt}."
        tiles.append(Tile(pixels=pixels_of(test.images[image]), caption=f"true {true}; {caption}", alt=told))
    if tiles:
        title = f"{title}: {count_images(len(tiles), len(images))}"
        yield Gallery(slug=slug, title=title, tiles=tuple(tiles), scale=SCALE)


def _most_said(of: Answers, image: int, test: LabelledImages) -> str:
    """The wrong classes that most runs gave an image, of equally frequent ones the surest first: 2 said 3, 2 said 8."""
    count, classes = of.commonest_mistakes(image, int(test.labels[image]))
    words = ", ".join(f"{count} said {test.named(said)}" for said in classes[:3])
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
    found: list[Gallery] = []
    for way, (right, wrong) in enumerate(((a, b), (b, a)), 1):

        def captions(image: int, right: str = right, wrong: str = wrong) -> tuple[str, str]:
            correct = [answers[net].predicted[:, image] == test.labels[image] for net in (right, wrong)]
            one, other = (f"{int(said_true.sum())} of {len(said_true)}" for said_true in correct)
            said = _most_said(answers[wrong], image, test)
            told = f"right with {one} seeds of {right} and {other} of {wrong}; {said}"
            return f"seeds right: {one} against {other}; {said}", told

        apart, title = told_apart(answers[right], answers[wrong], test.labels), f"{right} right, {wrong} wrong"
        found += _gallery(apart, _MOST_OF_A_PAIR, test, captions, slug=f"{slug}-{way}", title=title)
    return found
