"""Studies of nets on made-up classes of any number, size and name, whose answers are planted class by class."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from bench.core.records import Margins
from tests.factories import MNIST, make_run, study_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bench.core.records import Study

HEBREW = ("כלב", "חתול", "קיפוד ים")
CHINESE = ("猫", "中文的类名" * 12)
LONG = (
    "a genus of small orchids that grow on trees, the first of two",
    "a genus of small orchids that grow on trees, the second of two",
)


def answers(images: Sequence[int], right: Sequence[int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """True and given classes (N,): of each class so many are right, and the others are given the next class."""
    labels = np.repeat(np.arange(len(images)), images)
    given = np.concatenate(
        [np.where(np.arange(count) < kept, at, (at + 1) % len(images)) for at, (count, kept) in planted(images, right)]
    )
    return labels.astype(np.uint8), given.astype(np.uint8)


def planted(images: Sequence[int], right: Sequence[int]) -> list[tuple[int, tuple[int, int]]]:
    """Class, its images and how many of them are right."""
    return list(enumerate(zip(images, right, strict=True)))


def class_study(
    images: Sequence[int],
    right: Mapping[str, Sequence[Sequence[int]]],
    *,
    names: Sequence[str] | None = None,
    metric: str = "accuracy",
) -> Study:
    """A study whose runs get so many images of each class right, by net and then by seed."""
    runs, predicted = [], {}
    for net, by_seed in right.items():
        for seed, of_classes in enumerate(by_seed):
            record, curve = make_run(net, seed=seed)
            _, predicted[record.run_id] = answers(images, of_classes)
            record = dataclasses.replace(record, test_accuracy=sum(of_classes) / sum(images))
            runs.append((record, curve))
    classes = tuple(names or (f"class {at}" for at in range(len(images))))
    labels, _ = answers(images, images)
    return dataclasses.replace(
        study_of(*runs),
        predicted=predicted,
        labels={"da7a": labels},
        datasets={"da7a": dataclasses.replace(MNIST, classes=classes, test_images=sum(images))},
        margins=Margins(metric=metric),
    )


def lopsided(metric: str = "accuracy") -> Study:
    """900 images of one class and 100 of another: `bn25k` is better by accuracy, `conv16k` by balanced accuracy."""
    return class_study(
        (900, 100),
        {"bn25k": [(890 - s, 20 + s) for s in range(6)], "conv16k": [(800 + s, 90 - s) for s in range(6)]},
        names=("common", "rare"),
        metric=metric,
    )


def hundred(names: Sequence[str] = ()) -> Study:
    """A hundred classes of ten images, the first few by name: of each class one or two are taken for the next."""
    every = [*names, *(f"class {at}" for at in range(len(names), 100))]
    right = {net: [[8 + (at + seed) % 2 for at in range(100)] for seed in range(6)] for net in ("bn25k", "conv16k")}
    return class_study([10] * 100, right, names=every)
