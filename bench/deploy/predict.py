"""What trained nets say of pictures. Needs no torch where the nets were exported and onnxruntime is installed."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import StoreError
from bench.data.given.prepare import Preparer
from bench.data.own.pictures import quietly
from bench.deploy.chosen import choose_runs
from bench.deploy.images.familiar import FEWEST_IMAGES, Familiarity
from bench.deploy.images.given import read_given
from bench.deploy.nets import open_nets
from bench.store.store import store_to_read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from bench.core.options import StudyOptions, UseOptions
    from bench.deploy.chosen import Chosen
    from bench.deploy.images.given import GivenImage
    from bench.deploy.nets import UsableNet
    from bench.store.store import Store

_BATCH = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """What one net says of one image.

    Attributes:
        image: As it was named.
        label: Name of the most probable class.
        confidence: Its probability.
        is_far: Whether the image is unlike those of the data (`images/familiar.py`); None where that is not told.
        said: What was done to the image before the net saw it.
    """

    image: str
    architecture: str
    seed: int
    label: str
    confidence: float
    is_far: bool | None
    said: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """An image or a net that could not be used: one line."""

    text: str


def find_familiarity(store: Store, chosen: Chosen) -> Familiarity | None:
    """What tells images that are far from the data of some runs; None where the store keeps too few of its images."""
    pictures = store.artifacts.pictures(chosen.dataset.data_hash)
    if pictures is None or len(pictures.test) < FEWEST_IMAGES:
        return None
    return Familiarity(pictures.test)


def predict_given(
    options: StudyOptions, use: UseOptions, *, stdin: BinaryIO | None = None
) -> Iterator[str | Fault | Prediction]:
    """What the nets of a study say of what a user names.

    Yields:
        Notes first, then image by image the predictions of all nets, or why there are none.

    Raises:
        BenchError: There is no net to ask.
    """
    with store_to_read(options.store_url, whole=True) as store:
        chosen = choose_runs(store, options, use)
        familiarity = find_familiarity(store, chosen)
    yield from chosen.notes
    nets, faults = open_nets(chosen.runs, options.results, [*options.patterns, *chosen.net_files])
    yield from (Fault(text=text) for text in faults)
    if not nets:
        raise StoreError(f"No net of study {chosen.study} can be loaded: {faults[0]}")
    with quietly():
        given = read_given(use.images, Preparer(chosen.dataset), stdin=stdin)
        while batch := list(itertools.islice(given, _BATCH)):
            yield from _predict(batch, nets, familiarity)


def _predict(
    batch: Sequence[GivenImage], nets: Sequence[UsableNet], familiarity: Familiarity | None
) -> Iterator[Fault | Prediction]:
    """Predictions and faults of some images, in their order."""
    ready = [each.prepared for each in batch if each.prepared is not None]
    images = np.stack([picture.pixels for picture in ready]) if ready else None
    probabilities = [] if images is None else [net.predict(images) for net in nets]
    likeness = None if familiarity is None else familiarity.judge(ready)
    place = 0
    for each in batch:
        if each.prepared is None:
            yield Fault(text=each.fault)
            continue
        for net, found in zip(nets, probabilities, strict=True):
            label = int(found[place].argmax())
            yield Prediction(
                image=each.name,
                architecture=net.run.name,
                seed=net.run.record.seed,
                label=net.run.dataset.classes[label],
                confidence=float(found[place, label]),
                is_far=None if likeness is None else likeness[place].is_far,
                said="; ".join(each.prepared.said),
            )
        place += 1


def _row(prediction: Prediction) -> dict[str, Any]:
    """A row for programs: `image, architecture, label, confidence` first."""
    return {
        "image": prediction.image,
        "architecture": prediction.architecture,
        "label": prediction.label,
        "confidence": round(prediction.confidence, 6),
        "far": prediction.is_far,
        "seed": prediction.seed,
        "prepared": prediction.said,
    }


def write_csv(predictions: Sequence[Prediction]) -> str:
    """One row an image and architecture, with a header."""
    text = io.StringIO()
    columns = ["image", "architecture", "label", "confidence", "far", "seed", "prepared"]
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    words = {True: "yes", False: "no", None: ""}
    writer.writerows(row | {"far": words[row["far"]]} for row in map(_row, predictions))
    return text.getvalue()


def write_json(predictions: Sequence[Prediction]) -> str:
    """The same as a list of objects."""
    return json.dumps([_row(prediction) for prediction in predictions], indent=1, ensure_ascii=False) + "\n"
