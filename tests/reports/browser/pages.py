"""Documents to be shown by a browser, a small one, a long one and one whose words try to act, and a page of them."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.build import build_document
from reports.document import (
    Cell,
    Column,
    Document,
    Drawing,
    Figure,
    Gallery,
    Panel,
    Point,
    Prose,
    Section,
    Series,
    Table,
    Tile,
)
from tests.factories import MNIST, make_run, make_study, study_of

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from reports.document import Block

HOSTILE = "<img src=x onerror=document.title='hacked'>"
GREYS = [40 * number for number in range(6)] * 5


def small_document() -> Document:
    """One of every block, with numbers and pictures that are known."""
    cells = [
        ("b", Cell(text="2.0", value=2.0, interval=(1.0, 3.0))),
        ("never", Cell(text="never", value=math.inf)),
        ("c", Cell(text="10.0", value=10.0)),
        ("none", Cell(text="—")),
        ("a", Cell(text="2.0 again", value=2.0)),
    ]
    table = Table(
        caption="Known order",
        columns=(Column(name="Net", numeric=False), Column(name="Epochs")),
        rows=tuple((Cell(text=name), cell) for name, cell in cells),
        total=(Cell(text="Total"), Cell(text="1.0", value=1.0)),
    )
    series = tuple(
        Series(label=label, style=style, points=(Point(x=1, y=style, low=style - 1, high=style + 1), Point(x=2, y=3)))
        for style, label in enumerate(("one", HOSTILE))
    )
    panel = Panel(title="Panel", x_label="Epochs", y_label="Accuracy", series=series)
    figures = tuple(
        Figure(slug=slug, title=f"Figure {slug}", alt=f"What {slug} shows.", panels=(panel,), table=table)
        for slug in ("first", "second")
    )
    tiles = tuple(
        Tile(pixels=np.full((10, 8), grey, dtype=np.uint8), caption=f"tile {at}", alt=f"grey {grey} {HOSTILE}")
        for at, grey in enumerate(GREYS)
    )
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 99 40"><text x="9" y="20">28 × 28</text></svg>'
    pictures: tuple[Block, ...] = (
        Gallery(slug="tiles", title="Grey tiles", tiles=tiles, scale=3),
        Drawing(slug="drawn", title="A drawing", alt="Sizes.", svg=svg),
    )
    sections = (
        Section(title="Result", slug="result", blocks=(table, *figures)),
        Section(title="Pictures", slug="pictures", blocks=pictures),
    )
    return Document(title="A report", lead=(Prose(text="The answer in words."),), sections=sections)


def long_document() -> Document:
    """The usual study, with words that no line has room for."""
    study = make_study()
    environment = {**study.records[0].environment, "flags": "-march=native" * 20}
    study = dataclasses.replace(
        study,
        command=f"{study.command} --results /{'long' * 60}",
        datasets={"da7a": dataclasses.replace(MNIST, data_hash="0123456789abcdef" * 4)},
        records=tuple(dataclasses.replace(record, environment=environment) for record in study.records),
    )
    return build_document(study)


def hostile_document() -> Document:
    """A study whose names and errors try to act."""
    record, curve = make_run("bn25k", seed=0)
    failed, _ = make_run("bn25k", seed=1, status="failed")
    runs = [
        (dataclasses.replace(record, architecture=HOSTILE), curve),
        (dataclasses.replace(failed, architecture=HOSTILE, error=f"RuntimeError: </script>{HOSTILE}"), ()),
    ]
    return build_document(study_of(*runs, name=f"</title>{HOSTILE}"))


class Opened:
    """A page, everything it complained of and everything it asked for."""

    def __init__(self, browser: Browser, file: Path, **options: Any) -> None:
        """Open it.

        Args:
            browser: In this one.
            file: The page.
            **options: Of the browser's context, such as its viewport.
        """
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())


DOCUMENTS = {"small": small_document, "long": long_document, "hostile": hostile_document}
