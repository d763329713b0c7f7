"""What verdicts are on, from what a user asks to what a stored study gives."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

import bench
from bench.analysis.conditions import find_conditions
from bench.core.errors import UnknownNameError, UsageError
from bench.core.options import StudyOptions
from bench.core.records import Margins, Predictions, ShownVerdict
from bench.store.store import open_store
from bench.studies.api import _find_options
from bench.studies.load import keep_verdicts, load_study
from tests.bench.store.examples import make_architecture_metadata, make_dataset_metadata
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from pathlib import Path

LABELS = np.repeat(np.arange(2, dtype=np.uint8), (90, 10))


def said(wrong_of_large: int, wrong_of_small: int) -> Predictions:
    """Answers to 90 images of one class and 10 of the other."""
    wrong = np.zeros(100, dtype=np.bool_)
    wrong[:wrong_of_large] = wrong[90 : 90 + wrong_of_small] = True
    return Predictions(
        split="test",
        images=np.arange(100, dtype=np.int32),
        labels=LABELS,
        predicted=np.where(wrong, 1 - LABELS, LABELS).astype(np.uint8),
        confidence=np.full(100, 0.5, dtype=np.float32),
        true_probability=np.full(100, 0.5, dtype=np.float32),
    )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A study of two nets: `alpha` is 10 pp ahead by accuracy, `beta` far ahead by balanced accuracy."""
    with open_store(f"sqlite:///{tmp_path}/bench.db") as store:
        requests = [make_request(seed, name=name) for name in ("alpha", "beta") for seed in range(6)]
        for request in requests:
            store.artifacts.add_architecture(
                dataclasses.replace(
                    make_architecture_metadata(),
                    architecture=request.architecture.name,
                    architecture_hash=request.architecture_hash,
                )
            )
            store.artifacts.add_dataset(dataclasses.replace(make_dataset_metadata(), data_hash=request.data_hash))
            alpha = request.architecture.name == "alpha"
            answers = said(0, 8) if alpha else said(17 + request.seed % 2, 1)
            right = float((answers.predicted == LABELS).mean())
            store.runs.add(record_of(request, test_accuracy=right), predictions=[answers])
        store.studies.plan(
            "main", command="c", requests=requests, role="compare", margins={"margin": 0.02}, seed_plan="6"
        )
    return tmp_path


def options_for(results: Path, **changes: float | str) -> StudyOptions:
    return StudyOptions(
        results=results, store_url=f"sqlite:///{results}/bench.db", data_dir=results, margin_changes=changes
    )


def test_a_report_judges_stored_runs_by_what_is_asked_for_and_keeps_the_margin(results: Path) -> None:
    plain, balanced = (load_study(options_for(results, **changes)) for changes in ({}, {"metric": "balanced_accuracy"}))
    assert plain.margins == Margins(margin=0.02)
    assert balanced.margins == Margins(margin=0.02, metric="balanced_accuracy")
    for study, verdict in ((plain, "a better"), (balanced, "b better")):
        (condition,) = find_conditions(study)
        assert [pair.verdict.value for pair in condition.accuracy.pairs] == [verdict]
    assert load_study(options_for(results)).margins == Margins(margin=0.02), "a report alone changes nothing"


def test_verdicts_that_were_shown_by_the_stored_metric_are_kept_by_it(results: Path) -> None:
    with open_store(f"sqlite:///{results}/bench.db") as store:
        store.studies.plan(
            "main", command="c", requests=[make_request(0, name="alpha")], role="compare", seed_plan="6",
            margins={"metric": "balanced_accuracy"},
        )  # fmt: skip
        keep_verdicts(store, store.studies.load("main", with_details=False))
        shown = store.studies.load("main").shown
    assert [(one.metric, one.verdict) for one in shown if one.metric != "epochs_to_95"] == [
        ("balanced_accuracy", "b better")
    ]
    assert all(isinstance(one, ShownVerdict) for one in shown)


def test_a_notebook_gets_the_scores_of_each_run(results: Path) -> None:
    runs = bench.load_runs(results).set_index(["architecture", "seed"])
    assert runs.test_balanced_accuracy["alpha", 0] == pytest.approx((1 + 0.2) / 2)
    assert runs.test_balanced_accuracy["beta", 1] == pytest.approx((72 / 90 + 9 / 10) / 2)
    assert str(runs.test_macro_f1.dtype) == "Float64"


def test_a_script_asks_by_a_word() -> None:
    options = _find_options(["bn25k"], {"metric": "balanced_accuracy"})
    assert options.margin_changes == {"metric": "balanced_accuracy"}
    assert _find_options(["bn25k"], {"margin": 0.01, "metric": None}).margin_changes == {"margin": 0.01}
    with pytest.raises(UnknownNameError, match="No metric 'f1'"):
        _find_options(["bn25k"], {"metric": "f1"})
    with pytest.raises(UsageError, match=r"margin 0\.7: a share of accuracy"):
        _find_options(["bn25k"], {"margin": 0.7})
