"""Scores by class beside scikit-learn's, and by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from bench.analysis.stats.classwise import are_uneven, count_images, effective_images, score_classes, score_runs
from tests.factories import make_run, study_of


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.choice(5, 300, p=[0.5, 0.3, 0.1, 0.06, 0.04]).astype(np.uint8)
    predicted = np.where(generator.random(300) < 0.7, labels, generator.integers(0, 5, 300)).astype(np.uint8)
    found = score_classes(labels, predicted, classes=5)
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted), abs=1e-12)
    assert found.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro", zero_division=0), abs=1e-12)


def test_who_always_says_the_largest_class_is_found_out() -> None:
    labels = np.array([0] * 9 + [1], dtype=np.uint8)
    found = score_classes(labels, np.zeros(10, dtype=np.uint8), classes=2)
    assert found.balanced_accuracy == 0.5  # recalls 1 and 0, where 90 % are right
    assert found.macro_f1 == pytest.approx((18 / 19 + 0) / 2)  # precision 0.9 and recall 1; nothing said of the other
    assert found.recalls == (1.0, 0.0)


def test_a_class_without_images_counts_for_nothing() -> None:
    labels = np.array([0, 0, 2], dtype=np.uint8)
    found = score_classes(labels, labels, classes=4)
    assert (found.balanced_accuracy, found.macro_f1) == (1.0, 1.0)
    assert math.isnan(found.recalls[1])
    assert math.isnan(found.recalls[3])


def test_a_class_beyond_those_that_are_known_is_scored_too() -> None:
    labels, predicted = np.array([0, 1, 1], dtype=np.uint8), np.array([0, 1, 5], dtype=np.uint8)
    found = score_classes(labels, predicted, classes=2)
    assert found.balanced_accuracy == 0.75  # recalls 1 and ½; nothing is of the other four
    assert found.macro_f1 == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert len(found.recalls) == 6


def test_all_256_classes_that_a_byte_holds() -> None:
    labels = np.arange(256, dtype=np.uint8)
    found = score_classes(labels, np.full(256, 255, dtype=np.uint8), classes=256)
    assert found.balanced_accuracy == 1 / 256
    assert found.macro_f1 == pytest.approx((2 / 257) / 256)


def test_classes_are_uneven_from_more_than_twice_the_images_on() -> None:
    assert not are_uneven((10, 0, 20))
    assert are_uneven((10, 0, 21))
    assert not are_uneven(())


def test_effective_images_are_those_of_a_simulated_variance() -> None:
    images, right = (400, 25, 10), 0.8
    assert effective_images((50, 50)) == pytest.approx(100)
    assert effective_images((400, 0, 25, 10)) == effective_images(images)
    generator = np.random.default_rng(0)
    recalls = [generator.binomial(count, right, 200_000) / count for count in images]
    variance = np.mean(recalls, axis=0).var()
    assert effective_images(images) == pytest.approx(right * (1 - right) / variance, rel=0.02)


def test_runs_without_stored_answers_have_no_scores() -> None:
    runs = [make_run("bn25k", seed=seed) for seed in range(2)]
    labels = np.array([0, 0, 0, 7], dtype=np.uint8)
    study = dataclasses.replace(
        study_of(*runs), predicted={"bn25k-3-0": np.array([0, 0, 7, 7], dtype=np.uint8)}, labels={"da7a": labels}
    )
    assert {run_id: found.balanced_accuracy for run_id, found in score_runs(study).items()} == {
        "bn25k-3-0": pytest.approx(5 / 6)
    }
    assert count_images(study, "da7a") == (3, 0, 0, 0, 0, 0, 0, 1, 0, 0)
    assert count_images(dataclasses.replace(study, datasets={}), "da7a") == (3, 0, 0, 0, 0, 0, 0, 1)
    assert len(score_runs(dataclasses.replace(study, datasets={}))["bn25k-3-0"].recalls) == 8
    assert count_images(study, "other") == ()
    assert score_runs(dataclasses.replace(study, labels={})) == {}
