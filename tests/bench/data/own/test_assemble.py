"""Images of one's own put in order: the same images make the same dataset, and nothing is on both sides unsaid."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.core.reading import ReadingOptions
from bench.data.own.assemble import assemble
from bench.data.own.parts import Part, Parts, order_classes
from bench.data.splits import split

if TYPE_CHECKING:
    from pathlib import Path

    from bench.data.arrays import Dataset

CLASSES = ("cat", "dog", "owl")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


def part(count: int, *, seed: int = 0, groups: int = 0) -> Part:
    """Images of noise (N, 1, 4, 5), of all classes in turn; groups in turn, three images of each class in each."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, 1, 4, 5), dtype=np.uint8)
    names = [f"g{index // 9 % groups}" for index in range(count)] if groups else None
    return Part(images=images, labels=np.arange(count) % 3, groups=names)


def shuffled(given: Part, seed: int) -> Part:
    order = np.random.default_rng(seed).permutation(len(given.labels))
    groups = None if given.groups is None else [given.groups[index] for index in order]
    return Part(images=given.images[order], labels=given.labels[order], groups=groups)


def make(parts: Parts, **reading: Any) -> Dataset:
    return assemble(parts, name="pets", origin="there", reading=ReadingOptions(**reading))


def pairs(images: Any, labels: Any) -> list[tuple[bytes, int]]:
    return sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))


def test_the_order_of_files_and_the_names_of_classes_and_groups_do_not_matter() -> None:
    pool, test = part(90, groups=5), part(30, seed=1, groups=2)
    one = make(Parts(pool=pool, test=test, classes=CLASSES))
    renamed = [f"patient-{name}" for name in pool.groups or ()]
    pool = dataclasses.replace(pool, groups=renamed)
    other = make(Parts(pool=shuffled(pool, 3), test=shuffled(test, 4), classes=("a", "b", "c")))
    assert one.metadata.data_hash == other.metadata.data_hash
    for name, array in one.by_name().items():
        assert np.array_equal(array, other.by_name()[name]), name
    assert pairs(one.pool_images, one.pool_labels) == pairs(pool.images, pool.labels)
    assert pairs(one.test_images, one.test_labels) == pairs(test.images, test.labels)


def test_other_groups_and_another_validation_set_are_another_dataset() -> None:
    pool, test = part(90), part(30, seed=1)
    hashes = {
        make(parts).metadata.data_hash
        for parts in (
            Parts(pool=pool, test=test, classes=CLASSES),
            Parts(pool=part(90, groups=5), test=test, classes=CLASSES),
            Parts(pool=part(90, groups=4), test=test, classes=CLASSES),
            Parts(pool=pool, validation=part(9, seed=2), test=test, classes=CLASSES),
            Parts(pool=pool, classes=CLASSES),
        )
    }
    assert len(hashes) == 5


def test_without_a_test_set_a_stratified_fifth_is_set_aside_and_said() -> None:
    pool = part(90)
    found = make(Parts(pool=pool, classes=CLASSES))
    assert np.bincount(found.test_labels).tolist() == [6, 6, 6]
    assert len(found.pool_labels) == 72
    assert pairs([*found.pool_images, *found.test_images], [*found.pool_labels, *found.test_labels]) == pairs(
        pool.images, pool.labels
    )
    assert "There is no test set: a stratified fifth, 18 images, is set aside as one." in found.metadata.note


def test_groups_stay_on_one_side_of_the_test_set() -> None:
    pool = part(270, groups=10)
    found = make(Parts(pool=pool, classes=CLASSES))
    assert found.pool_groups is not None
    group_of = {image.tobytes(): name for image, name in zip(pool.images, pool.groups or (), strict=True)}
    in_pool, in_test = (
        {group_of[image.tobytes()] for image in images} for images in (found.pool_images, found.test_images)
    )
    assert not in_pool & in_test
    assert len(in_pool) == 8
    names = [group_of[image.tobytes()] for image in found.pool_images]
    assert len(set(zip(found.pool_groups, names, strict=True))) == 8, "a number a group"
    assert "There is no test set: 54 of 270 images, whole groups, are set aside as one." in found.metadata.note
    parts = split(
        found.pool_labels, validation_images=found.metadata.validation_images, split_seed=0, groups=found.pool_groups
    )
    assert len(parts.validation) == found.metadata.validation_images


def test_images_that_are_there_twice_stay_on_one_side_of_a_test_set_that_is_set_aside() -> None:
    once = part(60)
    pool = Part(images=np.concatenate([once.images] * 2), labels=np.concatenate([once.labels] * 2))
    found = make(Parts(pool=pool, classes=CLASSES))
    trained, tested = ({image.tobytes() for image in images} for images in (found.pool_images, found.test_images))
    assert not trained & tested
    assert 20 <= len(found.test_labels) <= 28
    note = found.metadata.note
    assert "48 training images are copies of another training image, so that seeds validate on some that" in note
    assert "12 test images are copies of another test image, which count as often" in note
    dropped = make(Parts(pool=pool, classes=CLASSES), drop_duplicates=True)
    assert dropped.metadata.note.startswith("60 images left out that are there twice.")
    assert "cop" not in dropped.metadata.note


def test_copies_are_counted_on_each_side() -> None:
    def torn(seed: int, copies: int) -> Part:
        once = part(30, seed=seed)
        images, labels = once.images, once.labels
        return Part(images=np.append(images, images[:copies], 0), labels=np.append(labels, labels[:copies]))

    parts = Parts(pool=torn(0, 3), validation=torn(1, 1), test=torn(2, 2), classes=CLASSES)
    assert make(parts).metadata.note == (
        "2 test images are copies of another test image, which count as often: --drop-duplicates keeps each image "
        "once. 1 validation image is a copy of another validation image, which count as often: --drop-duplicates keeps "
        "each image once. 3 training images are copies of another training image: --drop-duplicates keeps each image "
        "once."
    )
    assert make(parts, drop_duplicates=True).metadata.note == "6 images left out that are there twice."


def test_equal_images_of_several_classes_are_said_and_none_of_them_is_kept_when_asked_to() -> None:
    pool = part(90)
    images = np.concatenate([pool.images, pool.images[:2]])
    given = Part(images=images, labels=np.concatenate([pool.labels, [1, 2]]))  # the first two are of classes 0 and 1
    found = make(Parts(pool=given, test=part(30, seed=1), classes=CLASSES))
    assert "4 images are equal, pixel by pixel, to images of other classes." in found.metadata.note
    dropped = make(Parts(pool=given, test=part(30, seed=1), classes=CLASSES), drop_duplicates=True)
    assert dropped.metadata.note.startswith("4 images left out whose equals are of other classes.")
    assert dropped.metadata.pool_images == 88


def test_a_class_that_dropping_leaves_without_an_image_is_refused() -> None:
    images = part(6).images
    given = Part(images=np.concatenate([images, images]), labels=np.repeat([0, 1], 6))
    with pytest.raises(DataError, match="'there' has images of one class only"):
        make(Parts(pool=given, test=part(30, seed=1), classes=("cat", "dog")), drop_duplicates=True)


def test_a_class_that_is_in_the_validation_set_alone_is_refused() -> None:
    pool = part(90)
    some = pool.labels < 2
    parts = Parts(
        pool=Part(images=pool.images[some], labels=pool.labels[some]),
        validation=part(12, seed=2),
        test=part(30, seed=1),
        classes=CLASSES,
    )
    with pytest.raises(DataError, match="no training image is of class owl, though others are"):
        make(parts)


def test_a_validation_set_may_lack_a_class_and_be_smaller_than_their_number() -> None:
    validation = part(2, seed=2)
    found = make(Parts(pool=part(90), validation=validation, test=part(30, seed=1), classes=CLASSES))
    assert found.metadata.validation_images == 2
    assert "No validation image is of class owl." in found.metadata.note


def test_groups_of_the_validation_set_are_not_set_aside_to_test_with_and_what_is_shared_is_said() -> None:
    pool = part(270, groups=10)
    in_both = dataclasses.replace(part(27, seed=2), groups=["g0"] * 27)
    found = make(Parts(pool=pool, validation=in_both, classes=CLASSES))
    assert "1 group of the validation set is in training too." in found.metadata.note
    assert "of the test set" not in found.metadata.note
    tested = {image.tobytes() for image in found.test_images}
    assert not tested & {
        image.tobytes() for image, name in zip(pool.images, pool.groups or (), strict=True) if name == "g0"
    }
    test = dataclasses.replace(part(30, seed=1), groups=["g1"] * 30)
    found = make(Parts(pool=pool, test=test, classes=CLASSES))
    assert "1 group of the test set is in training too." in found.metadata.note


def test_a_class_with_images_of_one_group_is_refused_by_name_before_anything_trains() -> None:
    pool = dataclasses.replace(part(90), groups=["a", "b", "owls"] * 30)
    with pytest.raises(DataError, match="'there': Class 'cat' has images of one group only"):
        make(Parts(pool=pool, test=part(30, seed=1), classes=CLASSES))


def test_a_validation_set_is_that_of_every_seed() -> None:
    validation = part(12, seed=2)
    found = make(Parts(pool=part(90), validation=validation, test=part(30, seed=1), classes=CLASSES))
    assert found.pool_validation is not None
    chosen = found.pool_validation
    assert pairs(found.pool_images[chosen], found.pool_labels[chosen]) == pairs(validation.images, validation.labels)
    assert found.metadata.validation_images == 12
    assert found.metadata.pool_images == 102


def test_images_that_are_in_both_are_counted_and_dropped_when_asked_to() -> None:
    pool, test = part(90), part(30, seed=1)
    images = test.images.copy()
    images[:4] = pool.images[[0, 1, 2, 0]]  # four test images, three of the pool
    test = Part(images=images, labels=np.array([0, 1, 2, 0, *test.labels[4:]]))
    found = make(Parts(pool=pool, test=test, classes=CLASSES))
    assert found.metadata.note.startswith("4 test images are among the training images too, pixel by pixel")
    dropped = make(Parts(pool=pool, test=test, classes=CLASSES), drop_duplicates=True)
    assert dropped.metadata.note.startswith("4 images left out that are there twice.")  # three of the pool, one of test
    assert (dropped.metadata.pool_images, dropped.metadata.test_images) == (87, 29)
    everything = pairs([*dropped.pool_images, *dropped.test_images], [*dropped.pool_labels, *dropped.test_labels])
    assert len({image for image, _ in everything}) == len(everything) == 116


@pytest.mark.parametrize(("count", "validation"), [(100, 20), (9_999, 1_999), (15_000, 2_000), (40_000, 4_000)])
def test_the_share_to_validate_on_follows_from_the_pool(count: int, validation: int) -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, 1, 4, 5), dtype=np.uint8)
    pool = Part(images=images, labels=np.arange(count) % 3)
    found = make(Parts(pool=pool, test=part(30, seed=1), classes=CLASSES))
    assert found.metadata.validation_images == validation


@pytest.mark.parametrize(
    ("labels", "tested", "message"),
    [
        ([0] * 9, [0] * 3, r"'there' has images of one class only \(cat\) to train on; a net needs two"),
        ([0, 1] * 9, [0, 2], "'there': no training image is of class owl, though others are"),
        ([0, 0, 0, 1, 2, 2], [0, 1], "Class 'dog' has 1 image of 6"),
    ],
)
def test_too_few_images_of_a_class_are_refused_by_name(labels: list[int], tested: list[int], message: str) -> None:
    pool, test = part(len(labels)), part(len(tested), seed=1)
    parts = Parts(
        pool=dataclasses.replace(pool, labels=np.array(labels)),
        test=dataclasses.replace(test, labels=np.array(tested)),
        classes=CLASSES,
    )
    with pytest.raises(DataError, match=message):
        make(parts)


def test_classes_are_ordered_as_people_count() -> None:
    assert order_classes(["10", "9", "1", "10"]) == ("1", "9", "10")
    assert order_classes(["10", "9", "b"]) == ("10", "9", "b")
