"""What nets take for what: heat maps of confusions, the pairs by name, and the images of one net, of all, of two."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.analysis.errors import hardest_images, most_confused, pool_answers, told_apart
from bench.analysis.verdicts import DECIDED
from bench.core.seeds import FEWEST_SEEDS
from bench.system.text import listing, percent, plural, signed, slugify
from reports.cells import MISSING, column, number_column, table_of, text_column
from reports.document import Cell, Figure, Gallery, Heatmap, Prose, Table, Tile
from reports.sections.inside import SCALE, count_images, pixels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bench.analysis.errors import Answers, ConfusedPair
    from bench.analysis.verdicts import PairVerdict
    from reports.cells import ColumnOf
    from reports.document import Block


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelledImages:
    """The test set, for people."""

    labels: NDArray[np.uint8]  # (N,) true classes
    classes: tuple[str, ...]  # names in label order, on one line each
    images: NDArray[np.uint8] | None  # (N, C, H, W); None where none are stored
    damaged: bool = False  # there are none because what was stored is damaged

    def true(self, image: int) -> str:
        """Name of an image's class."""
        return self.classes[int(self.labels[image])]


_MOST_CONFUSED = 5
_MOST_TIED = 5
"""Pairs beyond these that are shown because they tie with the last."""


def confusion_figure(label: str, rates: NDArray[np.float64], images: LabelledImages, *, slug: str) -> Figure:
    """One architecture's confusions, rates (classes, classes) by true class, as a heat map and a table."""
    highest = _highest(np.nan_to_num(rates), images)
    alt = f"{label} is always right."
    if highest:
        alt = f"Heat map of the answers of {label} by true class. Most often: {highest}."
    return _heatmap(slug, f"What {label} takes for what", alt, label, rates, images)


def difference_figure(
    pair: PairVerdict, rates: Mapping[str, NDArray[np.float64]], images: LabelledImages, *, slug: str, every: int
) -> list[Block]:
    """Where two architectures err differently.

    Args:
        pair: The two; one without a verdict only where no pair of the architectures shown has one.
        rates: Confusions of each architecture that is shown.
        images: The test set.
        slug: Name of the figure.
        every: Architectures in all: pairs with those that are not shown may have a verdict.
    """
    apart = rates[pair.a] - rates[pair.b]
    label, title = f"{pair.a} − {pair.b}", f"Where {pair.a} and {pair.b} err differently"
    more = [
        f"{who} more often takes {found}"
        for who, found in ((pair.a, _highest(apart, images)), (pair.b, _highest(-apart, images)))
        if found
    ]
    alt = f"Heat map of the answers of {pair.a} less those of {pair.b}. {'; '.join(more) or 'They do not differ'}."
    figure = _heatmap(slug, title, alt, label, apart, images, kind="diverging")
    why = f"The verdict on {pair.a} and {pair.b} stands above; here is where they differ."
    if pair.verdict not in DECIDED:
        among = f"of the {len(rates)} architectures shown" if every > len(rates) else "here"
        why = (
            f"No pair {among} has a verdict. {pair.a} and {pair.b} have the highest means"
            f"{' of them' if every > len(rates) else ''}, which does not make them best."
        )
    text = f"{why} A cell above zero is what {pair.a} says more often; single cells are not tested."
    return [Prose(text), figure]


def _heatmap(
    slug: str,
    title: str,
    alt: str,
    label: str,
    rates: NDArray[np.float64],
    images: LabelledImages,
    *,
    kind: Literal["sequential", "diverging"] = "sequential",
) -> Figure:
    """Rates by true class and class said, or differences of rates: of 10,000 images, none coloured on the diagonal."""
    numbers = range(len(images.classes))
    values = [[None if math.isnan(rate) else 10_000 * rate for rate in row] for row in rates.tolist()]

    def text(value: float | None) -> str:
        return "" if value is None else signed(value, 0) if kind == "diverging" else f"{value:,.0f}"

    panel = Heatmap(
        title=label,
        x_label="Said",
        y_label="True",
        rows=images.classes,
        columns=images.classes,
        values=tuple(tuple(None if true == said else values[true][said] for said in numbers) for true in numbers),
        texts=tuple(tuple(map(text, row)) for row in values),
        kind=kind,
        value_label="of 10,000 images of the class" if kind == "sequential" else "difference, of 10,000 images",
    )

    def said(answer: int) -> ColumnOf[int]:
        return column(
            f"Said {images.classes[answer]}",
            lambda true: Cell(text(values[true][answer]) or MISSING, values[true][answer]),
        )

    table = table_of(
        f"{title}, of 10,000 images of the true class",
        numbers,
        [text_column("True class", lambda true: images.classes[true]), *map(said, numbers)],
    )
    return Figure(slug=slug, title=title, alt=alt, panels=(panel,), table=table)


def _highest(rates: NDArray[np.float64], images: LabelledImages, most: int = 3) -> str:
    """The highest rates off the diagonal in words: 4 for 9 (95 of 10,000), 7 for 2 (31 of 10,000) and 2 more as often.

    Classes of different sizes and differences of rates tie but for the last digits, hence the rounding.
    """
    off = np.where(np.eye(len(rates), dtype=bool), 0.0, np.nan_to_num(rates)).round(12)
    cells = [divmod(int(cell), len(off)) for cell in np.argsort(-off, axis=None, kind="stable")[:most]]
    words = ", ".join(
        f"{images.classes[true]} for {images.classes[said]} ({10_000 * off[true, said]:,.0f} of 10,000)"
        for true, said in cells
        if off[true, said] > 0
    )
    lowest = off[cells[-1]]
    tied = int((off == lowest).sum()) - sum(off[cell] == lowest for cell in cells) if lowest > 0 else 0
    return f"{words} and {tied} more as often as the last" if tied else words


def confused_table(answers: Mapping[str, Answers], images: LabelledImages) -> Table:
    """The most confused pairs of each architecture, with intervals over seeds and images."""
    labels, classes = images.labels, images.classes
    rows = [
        (label, pair)
        for label, of in answers.items()
        for pair in most_confused(of, labels, classes=len(classes), most=_MOST_CONFUSED, tied=_MOST_TIED)
    ]
    return table_of(
        f"Most confused: the {_MOST_CONFUSED} highest rates of each architecture and those that tie with the "
        f"last, {_MOST_CONFUSED + _MOST_TIED} at most. Intervals are descriptive: "
        "they draw seeds and images again, are too narrow under ten seeds, with one seed speak of that model alone, "
        "and do not cover the luck of being among the highest",
        rows,
        [
            text_column("Architecture", lambda row: row[0]),
            text_column("True → said", lambda row: f"{classes[row[1].true]} → {classes[row[1].said]}"),
            column("Of the true class (%)", lambda row: _rate_cell(row[1])),
            text_column("95 % interval (%)", lambda row: f"{percent(row[1].low, 1)} to {percent(row[1].high, 1)}"),
            number_column("Images a seed", lambda row: row[1].rate * int((labels == row[1].true).sum()), 1),
            number_column("Seeds", lambda row: len(answers[row[0]].seeds)),
        ],
    )


def _rate_cell(pair: ConfusedPair) -> Cell:
    return Cell(percent(pair.rate), 100 * pair.rate, (100 * pair.low, 100 * pair.high))


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
