"""Splits and probes: sizes, strata, seeds, and pools that cannot be split."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import StratifiedShuffleSplit

from bench.core.errors import DataError
from bench.data.splits import Split, cut, probe_of, split

LABELS = np.repeat(np.arange(10), [590, 680, 600, 610, 580, 540, 590, 630, 585, 595])
"""6,000 labels with about MNIST's shares."""


def test_both_parts_together_are_the_pool_and_have_its_shares() -> None:
    parts = split(LABELS, validation_images=1_000, split_seed=0)
    assert (len(parts.train), len(parts.validation)) == (5_000, 1_000)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(6_000))
    expected = np.bincount(LABELS) / 6
    assert np.abs(np.bincount(LABELS[parts.validation]) - expected).max() <= 1


def test_the_split_is_scikit_learns_under_the_split_streams_seed() -> None:
    state = np.random.SeedSequence(7, spawn_key=(0, 0, 0)).generate_state(1, np.uint64)[0]
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=1_000, random_state=int(state >> 1) % 2**32)
    train, validation = next(splitter.split(LABELS, LABELS))
    parts = split(LABELS, validation_images=1_000, split_seed=7)
    assert parts.train.tolist() == sorted(train.tolist())
    assert parts.validation.tolist() == sorted(validation.tolist())


def test_the_same_seed_repeats_and_another_differs() -> None:
    first, again, other = (split(LABELS, validation_images=1_000, split_seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.validation, again.validation)
    assert not np.array_equal(first.validation, other.validation)


def test_the_probe_is_a_stratified_thousand_of_the_validation_images() -> None:
    parts = split(LABELS, validation_images=3_000, split_seed=3)
    probe = probe_of(parts, LABELS, 3)
    assert len(set(probe.tolist())) == 1_000
    assert set(probe.tolist()) <= set(parts.validation.tolist())
    assert np.abs(np.bincount(LABELS[probe]) - np.bincount(LABELS) / 6).max() <= 2
    assert np.array_equal(probe, probe_of(parts, LABELS, 3))
    assert not np.array_equal(probe, probe_of(parts, LABELS, 4))


def test_the_probe_of_few_validation_images_is_all_of_them() -> None:
    parts = split(LABELS, validation_images=800, split_seed=0)
    assert probe_of(parts, LABELS, 0).tolist() == parts.validation.tolist()


@pytest.mark.parametrize(
    ("labels", "validation_images", "said"),
    [
        ([0, 0, 0, 1, 1, 1, 7], 3, "Class 7 has 1 image of 7"),
        ([0, 0, 0, 1, 1, 1], 1, "6 images of 2 classes cannot be split 5 to 1"),
        ([0, 0, 0, 1, 1, 1], 5, "6 images of 2 classes cannot be split 1 to 5"),
        ([0, 0, 0, 1, 1, 1], 0, "cannot be split 6 to 0"),
        ([0, 0], 9, "cannot be split -7 to 9"),
        ([], 2, "cannot be split -2 to 2"),
    ],
)
def test_a_pool_that_cannot_be_split_is_one_line(labels: list[int], validation_images: int, said: str) -> None:
    with pytest.raises(DataError, match=said):
        split(np.array(labels, dtype=np.int64), validation_images=validation_images, split_seed=0)


def test_the_smallest_pool_that_can_be_split_is_split() -> None:
    parts = split(np.array([0, 0, 1, 1]), validation_images=2, split_seed=0)
    assert [len(part) for part in parts] == [2, 2]


def test_the_only_validation_image_of_a_class_is_in_the_probe() -> None:
    labels = np.repeat([0, 1, 2], [1_200, 1, 800])
    parts = Split(train=np.arange(0), validation=np.arange(2_001))
    for seed in range(5):
        probe = probe_of(parts, labels, seed)
        assert np.bincount(labels[probe]).tolist() == [599, 1, 400], "999 of 2,000 by their shares, and the one"
        assert probe.tolist() == sorted(set(probe.tolist()))


@pytest.mark.parametrize("images", [1_001, 1_005, 1_009])
def test_a_few_more_validation_images_than_a_probe_has(images: int) -> None:
    labels = np.arange(images) % 10
    parts = Split(train=np.arange(0), validation=np.arange(images))
    probe = probe_of(parts, labels, 0)
    assert len(probe) == images - 10, "what is left must have an image of each class"
    assert set(labels[probe].tolist()) == set(range(10))


def grouped(seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Labels and groups of 1,200 images: 60 groups of unlike size, three classes, most groups of one of them."""
    generator = np.random.default_rng(seed)
    groups = generator.choice(60, 1_200, p=generator.dirichlet(np.full(60, 2.0)))
    main = generator.integers(0, 3, 60)
    labels = np.where(generator.random(1_200) < 0.8, main[groups], generator.integers(0, 3, 1_200))
    return labels, groups


@pytest.mark.parametrize("seed", range(8))
def test_groups_stay_on_one_side_and_the_parts_have_about_the_sizes_and_shares(seed: int) -> None:
    labels, groups = grouped(seed)
    parts = split(labels, validation_images=240, split_seed=seed, groups=groups)
    assert sorted([*parts.train, *parts.validation]) == list(range(1_200))
    assert not set(groups[parts.train]) & set(groups[parts.validation])
    assert abs(len(parts.validation) - 240) < 20
    wanted = np.bincount(labels) / 5
    assert np.abs(np.bincount(labels[parts.validation], minlength=3) / wanted - 1).max() < 0.3
    again, other = (split(labels, validation_images=240, split_seed=s, groups=groups) for s in (seed, seed + 1))
    assert np.array_equal(again.validation, parts.validation)
    assert not np.array_equal(other.validation, parts.validation)


def test_a_few_large_groups_beside_many_small_ones_do_not_make_a_part_half_of_all() -> None:
    labels = np.repeat([0, 1], 500)
    groups = np.concatenate([np.repeat([0, 1], [20, 20]), np.arange(2, 462), np.full(20, 500), np.arange(501, 981)])
    for seed in range(5):
        parts = split(labels, validation_images=200, split_seed=seed, groups=groups)
        assert abs(len(parts.validation) - 200) <= 20


def brute_force(labels: list[int], groups: list[int]) -> bool:
    """Whether some division of the groups has every class on both sides."""
    names, pairs = sorted(set(groups)), set(zip(labels, groups, strict=True))
    for side in itertools.product((False, True), repeat=len(names)):
        of = dict(zip(names, side, strict=True))
        if all({of[group] for label, group in pairs if label == one} == {False, True} for one in set(labels)):
            return True
    return False


@pytest.mark.parametrize("seed", range(40))
def test_small_pools_are_cut_where_any_cut_exists_and_refused_where_none_does(seed: int) -> None:
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, 5, 14)
    labels = generator.integers(0, 3, 14)
    if brute_force(labels.tolist(), groups.tolist()):
        first, second = cut(labels, second=4, split_seed=seed, groups=groups)
        assert not set(groups[first]) & set(groups[second])
        assert set(labels[first]) == set(labels[second]) == set(labels)
    else:
        with pytest.raises(DataError, match=r"[Gg]roup"):
            cut(labels, second=4, split_seed=seed, groups=groups)


def test_a_class_of_one_group_is_refused_by_its_name() -> None:
    labels, groups = np.array([0, 0, 1, 1]), np.array([0, 1, 2, 2])
    with pytest.raises(DataError, match="Class 'dog' has images of one group only"):
        cut(labels, second=2, split_seed=0, groups=groups, names=["cat", "dog"])


def test_a_validation_set_that_is_given_is_that_of_every_seed() -> None:
    chosen = np.zeros(6_000, dtype=bool)
    chosen[::7] = True
    for seed in (0, 1):
        parts = split(LABELS, validation_images=3, split_seed=seed, validation=chosen)
        assert np.array_equal(parts.validation, np.arange(0, 6_000, 7))
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(6_000))
