"""How a command that trains or examines begins: it finds images, and says which they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from bench.data.datasets import find_dataset, take_sample
from reports.console.lists import show_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from bench.core.reading import ReadingOptions
    from bench.data.datasets import Sample
    from reports.console.live import Waiting


def find_images(name: str, reading: ReadingOptions, *, data_dir: Path, console: Console, waiting: Waiting) -> Sample:
    """Some images of a dataset, which is said in the first lines; reading pictures shows how far it is."""
    dataset = find_dataset(
        name,
        data_dir,
        reading=reading,
        announce=lambda line: console.print(escape(line)),
        watch=lambda done, of: waiting.say(f"Reading pictures: {done:,} of {of:,}"),
    )
    show_dataset(dataset.metadata, console)
    return take_sample(dataset)
