"""The value of a run that a verdict speaks of, for every way in which runs end."""

from __future__ import annotations

import math

import pytest

from bench.analysis.metrics import accuracy_metric, epochs_metric, find_metric, restricted_time
from bench.core.records import Margins, TimeToTarget
from tests.factories import make_record


def _reaching(epochs: float) -> TimeToTarget:
    return TimeToTarget(target=0.95, epochs=epochs, images=1.0, seconds=1.0)


def test_margins_are_those_of_the_method() -> None:
    accuracy, epochs = accuracy_metric(), epochs_metric()
    assert accuracy.margin * accuracy.scale == pytest.approx(0.10), "percentage points"
    assert (accuracy.unit, accuracy.higher_is_better) == ("pp", True)
    assert epochs.margin * epochs.scale == 0.05
    assert (epochs.unit, epochs.higher_is_better) == ("epochs", False)


def test_a_run_that_diverged_counts_as_guessing() -> None:
    assert accuracy_metric(chance=0.1).value(make_record(test_accuracy=0.99, status="diverged")) == 0.1
    assert accuracy_metric().value(make_record(status="diverged")) == 0.0, "where the number of classes is unknown"


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_only_a_run_that_ended_well_has_an_accuracy(status: str) -> None:
    assert accuracy_metric().value(make_record(test_accuracy=0.99)) == 0.99
    assert math.isnan(accuracy_metric().value(make_record(test_accuracy=0.99, status=status)))
    assert math.isnan(accuracy_metric().value(make_record()))


@pytest.mark.parametrize(
    ("status", "epochs", "value"),
    [("ok", 0.4, 0.4), ("ok", 3.0, 3.0), ("ok", math.inf, 3.0), ("diverged", 0.4, 3.0), ("diverged", math.inf, 3.0)],
)
def test_times_are_cut_at_the_budget(status: str, epochs: float, value: float) -> None:
    assert epochs_metric().value(make_record(status=status, time_to_targets=(_reaching(epochs),))) == value


def test_a_run_without_stored_times_never_got_there() -> None:
    assert epochs_metric().value(make_record()) == 3.0


def test_a_time_is_unknown_where_the_run_failed_or_has_no_horizon() -> None:
    for status in ("failed", "interrupted"):
        assert math.isnan(epochs_metric().value(make_record(status=status, time_to_targets=(_reaching(0.4),))))
    assert math.isnan(restricted_time(make_record(budget={"epochs": None, "seconds": 60.0}), 0.4))


def test_runs_that_were_cut_short_are_missing_and_those_that_failed_have_no_value() -> None:
    records = [
        make_record(seed=3, test_accuracy=0.98),
        make_record(seed=1, status="failed"),
        make_record(seed=2, status="interrupted"),
        make_record(seed=0, status="diverged", test_accuracy=0.1),
    ]
    values = accuracy_metric(chance=0.1).values(records)
    assert sorted(values) == [0, 1, 3]
    assert (values[3], values[0]) == (0.98, 0.1)
    assert math.isnan(values[1])
    assert epochs_metric().values(records)[0] == 3.0


def test_a_net_that_always_says_the_largest_class_got_nowhere() -> None:
    def nothing_limit(*class_images: int, metric: str = "accuracy") -> float:
        return find_metric(Margins(metric=metric), {}, chance=0.5, class_images=class_images).nothing_limit

    # 5 % of the way from 1/2 to 1, or what the largest class makes of all test images.
    assert nothing_limit() == nothing_limit(0, 0) == nothing_limit(52, 48) == pytest.approx(0.525)
    assert nothing_limit(90, 10) == 0.9
    assert nothing_limit(90, 10, metric="balanced_accuracy") == pytest.approx(0.525)
    metric = find_metric(Margins(), {}, chance=0.5, class_images=(90, 10))
    assert (metric.is_nothing(0.9), metric.is_nothing(0.91)) == (True, False)
