"""What using trained nets says: exported files with their parity, predictions side by side, where is served."""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from bench.system.text import listing, percent, plural, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from bench.deploy.chosen import ChosenRun
    from bench.deploy.export import ExportedNet
    from bench.deploy.predict import Prediction


_MOST_SAID = 10
"""Images of which is told in the terminal what was done to them."""


def show_exported(net: ExportedNet, console: Console) -> None:
    """Print one line of a net that was written: which run, its accuracy, and how it answers beside torch."""
    parity = net.parity
    labels = "none" if not parity.other_labels else plural(parity.other_labels, "label")
    console.print(
        f"{net.path}: {net.run.name}, seed {net.run.record.seed} ({net.run.how}), {net.file_bytes / 1000:,.1f} kB, "
        f"test accuracy {_accuracy(net.run)}; beside torch on {parity.images:,} test images {labels} "
        f"differ{'s' if parity.other_labels == 1 else ''}, probabilities by at most {parity.probabilities:.1e}.",
        markup=False,
        soft_wrap=True,
    )


def _accuracy(run: ChosenRun) -> str:
    accuracy = run.accuracy
    return "unknown" if accuracy is None else f"{percent(accuracy[0])} % ({span(accuracy[1], accuracy[2])})"


def show_predictions(predictions: Sequence[Prediction], console: Console) -> None:
    """Print a row an image and a column an architecture: label and confidence, and what was done to the images."""
    names = list(dict.fromkeys(each.architecture for each in predictions))
    images: dict[str, dict[str, Prediction]] = {}
    for each in predictions:
        images.setdefault(each.image, {})[each.architecture] = each
    short = _without_common_folder(list(images))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("image", overflow="fold", min_width=min(24, max(map(len, short.values()), default=0)))
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("", overflow="fold")
    for image, found in images.items():
        cells = [_cell(found[name], list(found.values())) if name in found else Text("") for name in names]
        table.add_row(
            Text(short[image]), *cells, Text("far from the data" if next(iter(found.values())).is_far else "")
        )
    if predictions:
        console.print(table)
    said = {image: first.said for image, found in images.items() if (first := next(iter(found.values()))).said}
    for image, text in list(said.items())[:_MOST_SAID]:
        console.print(f"{short[image]}: {text}.", markup=False, soft_wrap=True)
    if len(said) > _MOST_SAID:
        console.print(f"… and {len(said) - _MOST_SAID} more that were prepared; --format csv has all.", soft_wrap=True)
    far = [image for image, found in images.items() if next(iter(found.values())).is_far]
    if far:
        console.print(
            f"Far from the data that the nets were trained on: {plural(len(far), 'image')}; what is said of "
            f"{'it' if len(far) == 1 else 'them'} means little.",
            soft_wrap=True,
        )


def _without_common_folder(names: Sequence[str]) -> dict[str, str]:
    """What each image is called where all of them lie in one folder: its name from there on."""
    folders = {name.rpartition("/")[0] for name in names}
    common = os.path.commonpath(folders) if len(names) > 1 and all(folders) else ""
    return {name: name.removeprefix(f"{common}/") if common else name for name in names}


def _cell(prediction: Prediction, beside: Sequence[Prediction]) -> Text:
    """Label and confidence; bold where the nets do not agree."""
    agree = len({each.label for each in beside}) == 1
    return Text(f"{prediction.label}  {percent(prediction.confidence, 1)} %", style="" if agree else "bold")


def show_serving(
    runs: Sequence[tuple[ChosenRun, str]], faults: Sequence[str], *, address: str, alone: bool, console: Console
) -> None:
    """Print what is served, by what, and where; a warning where others can reach it."""
    for fault in faults:
        console.print(fault, markup=False, soft_wrap=True)
    for run, runtime in runs:
        console.print(
            f"{run.name}: seed {run.record.seed} ({run.how}), test accuracy {_accuracy(run)}, by {runtime}",
            markup=False,
            soft_wrap=True,
        )
    by_torch = [run.name for run, runtime in runs if runtime == "torch"]
    if by_torch:
        console.print(
            f"{listing(by_torch)}: --export onnx makes them start faster and answer without torch.", markup=False
        )
    if not alone:
        console.print(
            "Warning: whoever reaches this machine can use the playground and read the report; there is no password.",
            style="bold",
        )
    console.print(f"Playground: {address}  Report: {address}/report  (Ctrl-C ends it)", markup=False, soft_wrap=True)
