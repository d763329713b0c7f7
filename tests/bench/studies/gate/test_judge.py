"""From runs to passed or failed: the two stages, the floors, and counts that changed."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from bench.core.metadata import ArchitectureMetadata
from bench.core.work.gate import Floors, GateOutcome, Judgement, Reference, Stage
from bench.store.codec import from_json, to_json
from bench.studies.gate.judge import find_shortfall, judge_counts, judge_runs
from tests.bench.studies.gate.examples import FIRST, FRESH, gate_runs, make_reference

LIMIT = 0.977
"""0.98 − 1.5 · 0.002."""
AGAIN = "python runner.py --arch bn25k --write-thresholds"
GOOD, BAD = (0.98, 0.979, 0.976), (0.976, 0.9765, 0.978)
"""Means 0.97833 and 0.97683: above and below the limit, each with single runs on the other side."""


def judged(reference: Reference, *stages: tuple[float, ...]) -> Judgement | None:
    return judge_runs(reference, [gate_runs(FIRST if k == 0 else FRESH, of) for k, of in enumerate(stages)])


def test_the_limit_is_one_and_a_half_deviations_below_the_mean() -> None:
    assert make_reference().limit == pytest.approx(LIMIT, abs=1e-12)
    assert make_reference(floors=Floors(accuracy=0.979)).limit == 0.979
    assert make_reference(floors=Floors(accuracy=0.9)).limit == pytest.approx(LIMIT, abs=1e-12)


def test_first_seeds_that_hold_pass_and_no_fresh_ones_are_asked() -> None:
    found = judged(make_reference(), GOOD)
    assert found is not None
    assert (found.passed, found.seeds, len(found.stages)) == (True, FIRST, 1)
    assert found.mean == pytest.approx(0.9783333, abs=1e-6)
    assert found.reference == make_reference()


def test_a_mean_on_the_limit_holds() -> None:
    found = judged(make_reference(mean=0.75, deviation=0.125), (0.5625, 0.5625, 0.5625))  # exact in binary
    assert found is not None
    assert found.passed is True
    assert judged(make_reference(mean=0.75, deviation=0.125), (0.5625, 0.5625, 0.5624)) is None


def test_first_seeds_that_fall_ask_for_fresh_ones() -> None:
    assert judged(make_reference(), BAD) is None


def test_fresh_seeds_decide() -> None:
    saved = judged(make_reference(), BAD, GOOD * 2)
    assert saved is not None
    assert (saved.passed, saved.seeds) == (True, FRESH)
    assert saved.mean == pytest.approx(0.9783333, abs=1e-6)
    assert saved.reason == "The first seeds fell (mean 97.683 % below the limit 97.700 %), 6 fresh ones did not: noise."
    fell = judged(make_reference(), BAD, (0.97,) * 6)
    assert fell is not None
    assert (fell.passed, len(fell.stages)) == (False, 2)
    assert fell.mean == pytest.approx(0.97)
    assert fell.reason == (
        "First seeds: mean 97.683 % below the limit 97.700 %. Fresh seeds: mean 97.000 % below the limit 97.700 %."
    )


def test_a_floor_of_accuracy_counts_in_both_stages() -> None:
    demanding = make_reference(floors=Floors(accuracy=0.979))
    assert judged(demanding, GOOD) is None
    found = judged(demanding, GOOD, GOOD * 2)
    assert found is not None
    assert found.passed is False
    assert "below the floor 97.900 %" in found.reason


@pytest.mark.parametrize(
    ("epochs", "median"),
    [
        ((0.4, 0.2, 9.0), 0.4),
        ((0.9, 0.1, 0.2, 0.3, 0.8, 0.7), 0.7),  # of the two in the middle, 0.3 and 0.7, the later
        ((0.1, 0.2, 0.3, math.inf, math.inf, math.inf), math.inf),
        ((math.inf, 0.1, 0.2), 0.2),
    ],
)
def test_the_median_of_epochs_never_reached_included(epochs: tuple[float, ...], median: float) -> None:
    seeds = tuple(range(len(epochs)))
    assert Stage(seeds=seeds, accuracies=(1.0,) * len(epochs), epochs_to_95=epochs).median_epochs_to_95 == median


def test_a_floor_of_speed_is_held_against_the_median() -> None:
    reference = make_reference(floors=Floors(epochs_to_95=0.5))
    in_time = judge_runs(reference, [gate_runs(FIRST, GOOD, (0.5, 0.1, math.inf))])
    assert in_time is not None
    assert in_time.passed is True
    late = [gate_runs(FIRST, GOOD, (0.51, 0.1, math.inf)), gate_runs(FRESH, GOOD * 2, (0.6,) * 6)]
    assert judge_runs(reference, late[:1]) is None
    found = judge_runs(reference, late)
    assert found is not None
    assert found.passed is False
    assert found.reason == (
        "First seeds: median 0.51 epochs to 95 %, later than 0.5. "
        "Fresh seeds: median 0.60 epochs to 95 %, later than 0.5."
    )


def test_never_reached_is_said_in_words() -> None:
    stage = Stage(seeds=FIRST, accuracies=(0.9,) * 3, epochs_to_95=(math.inf,) * 3)
    said = find_shortfall(make_reference(floors=Floors(epochs_to_95=1.5)), stage)
    assert said == "mean 90.000 % below the limit 97.700 %, the median run never got to 95 %, later than 1.5 epochs"
    assert find_shortfall(make_reference(), dataclasses.replace(stage, accuracies=(0.98,) * 3)) == ""


def test_a_run_that_never_measured_95_counts_as_never_reached() -> None:
    records = [dataclasses.replace(record, time_to_targets=()) for record in gate_runs(FIRST, GOOD)]
    found = judge_runs(make_reference(), [records])
    assert found is not None
    assert found.stages[0].epochs_to_95 == (math.inf,) * 3


def test_another_net_than_the_recorded_one_is_told_by_its_counts() -> None:
    metadata = ArchitectureMetadata(
        architecture="bn25k", architecture_hash="edited", summary="", source="", variant_of=None,
        input_shape=(1, 28, 28), params=25_433, trainable_params=1, macs=1_034_000, uncounted_operations=(), layers=(),
    )  # fmt: skip
    assert judge_counts(make_reference(), metadata, recording=AGAIN) is None
    found = judge_counts(make_reference(), dataclasses.replace(metadata, params=25_434), recording=AGAIN)
    assert found is not None
    assert (found.passed, found.mean, found.seeds) == (False, None, ())
    assert "parameters 25,433 → 25,434." in found.reason
    assert "MACs" not in found.reason
    found = judge_counts(make_reference(), dataclasses.replace(metadata, params=1, macs=1_033_999), recording=AGAIN)
    assert found is not None
    assert f"parameters 25,433 → 1, MACs 1,034,000 → 1,033,999. Re-record if meant: {AGAIN}" in found.reason


@pytest.mark.parametrize(
    ("verdicts", "passed", "regressed"),
    [
        ((), False, False),  # nothing was checked, and that is no pass
        ((True, True), True, False),
        ((True, False), False, True),
        ((True, None), False, False),
        ((None, False), False, True),
    ],
)
def test_a_check_passes_when_all_do_and_regressed_when_one_fell(
    verdicts: tuple[bool | None, ...],
    passed: bool,  # noqa: FBT001
    regressed: bool,  # noqa: FBT001
) -> None:
    judgements = tuple(Judgement(architecture=f"n{k}", passed=of, reason="") for k, of in enumerate(verdicts))
    outcome = GateOutcome(file="f", judgements=judgements, drop=0.002, dataset="mnist", trained="3 epochs, shared")
    assert (outcome.passed, outcome.regressed) == (passed, regressed)
    stored = json.loads(json.dumps(to_json(outcome), allow_nan=False))
    assert from_json(GateOutcome, stored, "an outcome") == outcome
