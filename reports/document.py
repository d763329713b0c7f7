"""The nouns of a report: a document of sections that hold prose, commands, tables, charts and pictures.

A chart is data, so that every writer may draw it in its own way from the same numbers.

Every number is worded once, here, as text: the writers (HTML, Markdown, terminal) lay the same document out and so
cannot disagree. Nothing in a document is markup; each writer escapes what it prints.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """A point of a chart with the ends of the band or the whiskers around it; None without one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
    """What is drawn of one architecture."""

    label: str
    style: int  # of colour and marker, the same in every figure of a document
    points: tuple[Point, ...]  # in order of x when they are joined
    stepped: bool = False  # a line in steps, without markers, among the separate points of other series
    hollow: bool = False  # hollow markers, for what counts less


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes; their labels have the unit."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...] = ()
    joined: bool = True  # lines with bands; else separate points with whiskers
    whiskers: bool = False  # of joined points, instead of a band
    log_x: bool = False
    log_y: bool = False
    x_ticks: tuple[float, ...] = ()  # where x is marked; chosen by the scale when empty
    target: float | None = None  # height of a reference line
    floor: float | None = None  # where y begins, lower points being cut off; None to show all
    named: bool = False  # names stand beside their points, so that no legend repeats them
    filled_means: str = ""  # what a filled marker says beside hollow ones; empty where it says nothing
    hollow_means: str = ""


MOST_LETTERED = 26
"""Rows or columns of a heat map whose cells have room for words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heatmap(Panel):
    """A panel of coloured cells instead of series.

    Every cell is lettered, so that colour is never the only meaning. Of more rows or columns than `MOST_LETTERED` none
    is, and the table behind the figure has the largest values in words.

    Raises:
        ValueError: Values or texts have another shape than rows × columns.
    """

    rows: tuple[str, ...]  # names from top to bottom; `y_label` says what they are
    columns: tuple[str, ...]  # from left to right; `x_label` says what they are
    values: tuple[tuple[float | None, ...], ...]  # colours; without a value hatched, or empty when there is no text
    texts: tuple[tuple[str, ...], ...]  # may have several lines
    kind: Literal["sequential", "diverging"] = "sequential"  # from nothing to much, or with zero in the middle
    value_label: str = ""  # what the colours mean, with the unit

    @property
    def lettered(self) -> bool:
        """Whether there is room for words in its cells."""
        return max(len(self.rows), len(self.columns)) <= MOST_LETTERED

    def __post_init__(self) -> None:
        expected = [len(self.columns)] * len(self.rows)
        for what, cells in (("values", self.values), ("texts", self.texts)):
            if [len(row) for row in cells] != expected:
                size = f"{len(self.rows)} × {len(self.columns)}"
                raise ValueError(f"Heat map '{self.title}': {what} are not {size}.")


Tone: TypeAlias = Literal["plain", "answer", "undecided", "advice", "data", "warning", "failure"]
"""What a paragraph is: running text, the answer itself, what one may do next and what changed, or a note on what is
open, on the data, on a pitfall, on a failure."""

LABELS: dict[Tone, str] = {
    "undecided": "Undecided",
    "data": "About the data",
    "warning": "Note",
    "failure": "Failed",
}
"""What a note of each kind is called where it is set apart."""


@dataclasses.dataclass(frozen=True)
class Prose:
    """One paragraph of plain text, and a command line to copy below it where it speaks of one."""

    text: str
    tone: Tone = "plain"
    command: str = ""


def warning(text: str) -> Prose:
    """A paragraph that a reader must not miss."""
    return Prose(text, tone="warning")


def failure(text: str) -> Prose:
    """A paragraph about what went wrong."""
    return Prose(text, tone="failure")


@dataclasses.dataclass(frozen=True)
class Code:
    """A command line to copy, or other text whose lines stay as they are."""

    text: str
    language: Literal["sh", "text"] = "sh"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table."""

    name: str  # with the unit
    numeric: bool = True  # its cells stand to the right
    essential: bool = True  # it stays where there is no room for all


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell: what is read, and the number behind it."""

    text: str
    value: float | None = None  # to sort by; never reached is `math.inf`
    interval: tuple[float, float] | None = None  # around `value`, in its unit: a bar in the cell where there is room


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table; the first column names the row.

    Raises:
        ValueError: A row has more or fewer cells than there are columns.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None  # what the rows add up to; stays below them however they are sorted
    rules: tuple[int, ...] = ()  # numbers of the rows above which a line is drawn, from 0, as between groups

    def __post_init__(self) -> None:
        for row in self.all_rows:
            if len(row) != len(self.columns):
                raise ValueError(f"Table '{self.caption}': a row of {len(row)} cells, {len(self.columns)} columns.")

    @property
    def all_rows(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows, and the total as the last one where there is one."""
        return self.rows if self.total is None else (*self.rows, self.total)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture, in words, as a chart and as a table."""

    slug: str  # name of its file, without ending; unique in a document
    title: str
    alt: str  # what a reader who cannot see it should know
    panels: tuple[Panel, ...]
    table: Table  # the numbers behind it
    of: int = 1  # panels that stand beside each other, where this is one of several

    @property
    def parts(self) -> tuple[Figure, ...]:
        """Its panels as pictures of their own, which stand below each other where there is no room beside."""
        if len(self.panels) < 2:
            return (self,)
        return tuple(
            dataclasses.replace(
                self,
                slug=f"{self.slug}-{number}",
                title=f"{self.title}: {panel.title}",
                panels=(panel,),
                of=len(self.panels),
            )
            for number, panel in enumerate(self.panels, 1)
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tile:
    """One picture of a gallery."""

    pixels: NDArray[np.uint8]  # (H, W) grey or (H, W, 3) red, green, blue
    caption: str  # one short line
    alt: str

    def __eq__(self, other: object) -> bool:
        """Pixel by pixel, as arrays do not say whether all of them are equal."""
        if not isinstance(other, Tile):
            return NotImplemented
        return (self.caption, self.alt) == (other.caption, other.alt) and np.array_equal(self.pixels, other.pixels)

    def __hash__(self) -> int:
        return hash((self.caption, self.alt, self.pixels.tobytes()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gallery:
    """Small pictures side by side. Writers put them into one image file (a sprite) of the name `slug`, not thousands.

    Raises:
        ValueError: There is no tile, or one of another height, width or type than the first.
    """

    slug: str
    title: str
    tiles: tuple[Tile, ...]
    scale: int = 2  # screen pixels for one of the picture's

    def __post_init__(self) -> None:
        kinds = {(tile.pixels.shape[:2], tile.pixels.dtype.name) for tile in self.tiles}
        if len(kinds) != 1 or kinds.pop()[1] != "uint8":
            raise ValueError(f"Gallery '{self.title}': its tiles must be uint8 and of one size, and there must be one.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """A drawing made of our own SVG, such as the layers of a net: `slug`, `title` and `alt` as a figure's."""

    slug: str
    title: str
    alt: str
    svg: str  # the whole document; whoever makes it escapes what it holds
    table: Table | None = None  # None where another table of the section has the numbers behind it


Block: TypeAlias = Prose | Code | Table | Figure | Gallery | Drawing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a document under a heading."""

    title: str
    slug: str  # anchor; unique in a document
    blocks: tuple[Block, ...]
    level: Literal[2, 3] = 2  # 3 for a part of the section before it
    detail: bool = False  # left out of a summary, such as the terminal's
    gist: str = ""  # what one would learn there, in one line: it is folded behind that; empty for an open section


def detail(title: str, slug: str, *blocks: Block, gist: str = "") -> Section:
    """A part of the section before it that summaries leave out."""
    return Section(title=title, slug=slug, blocks=blocks, level=3, detail=True, gist=gist)


Some = TypeVar("Some")


def those(*found: Some | None) -> tuple[Some, ...]:
    """What is there of blocks or sections that a study may not have."""
    return tuple(each for each in found if each is not None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report; every writer shows its lead first.

    Raises:
        ValueError: Two sections, or two pictures, have one slug: links would lead to the first and files overwrite
            each other.
    """

    title: str
    lead: tuple[Prose, ...]
    sections: tuple[Section, ...]

    def __post_init__(self) -> None:
        others = [block.slug for block in self.blocks if isinstance(block, Gallery | Drawing)]
        pictures = [*(part.slug for part in self.pictures), *others]
        for what, slugs in (("sections", [section.slug for section in self.sections]), ("pictures", pictures)):
            if shared := sorted(slug for slug, count in collections.Counter(slugs).items() if count > 1):
                raise ValueError(f"Document '{self.title}': several {what} have the slug {', '.join(shared)}.")

    @property
    def folds(self) -> tuple[tuple[Section, ...], ...]:
        """Every section, in order, each with those behind it that are folded away together with it.

        These are the parts of a folded section that have no fold of their own.
        """
        found: list[list[Section]] = []
        for section in self.sections:
            if found and found[-1][0].gist and section.level > found[-1][0].level and not section.gist:
                found[-1].append(section)
            else:
                found.append([section])
        return tuple(map(tuple, found))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Every block, in order."""
        return tuple(block for section in self.sections for block in section.blocks)

    def having(self, kind: type[Some]) -> tuple[Some, ...]:
        """Every block of a kind, in order."""
        return tuple(block for block in self.blocks if isinstance(block, kind))

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure, in order."""
        return self.having(Figure)

    @property
    def pictures(self) -> tuple[Figure, ...]:
        """Every picture that is drawn of a figure, in order: one of each panel."""
        return tuple(part for figure in self.figures for part in figure.parts)
