"""From made-up runs to judged claims: which values are read, what a look decides, and how it is said."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from bench.core.records import TimeToTarget
from bench.core.work.claims.claim import Arm, AskedClaim, Case
from bench.core.work.claims.quantity import Quantity
from bench.studies.claims.judge import judge_claims
from bench.studies.claims.quantities import find_runs
from tests.bench.studies.claims.made import (
    BEST,
    NET,
    OTHER,
    answered,
    by_epoch,
    make_asked,
    make_claim,
    make_runs,
    make_study,
)

NEAR = [round(0.99 + k * 1e-4, 4) for k in (-4, -3, -2, -1, 0, 0, 1, 2, 3, 4)]
"""Mean 99.00 %; deviation √(60 / 9) = 2.58 images, 0.0258 pp."""


def test_what_is_read_of_a_run() -> None:
    study = make_study(runs=make_runs(NET, by_epoch(NEAR)))
    runs = find_runs(study, NET, make_asked(make_claim()), range(10))
    read = {
        name: runs.values(Quantity.parse(name))[0]
        for name in (
            "test_accuracy", "test_accuracy@1", "test_accuracy@3", "last_test_accuracy", "best_epoch", "epochs",
            "train_accuracy", "train_loss@2", "batch_loss@1", "batch_loss@101", "epochs_to_95", "seconds_to_95",
        )
    }  # fmt: skip
    assert read == pytest.approx({
        "test_accuracy": 0.9896, "test_accuracy@1": 0.9796, "test_accuracy@3": 0.9891, "last_test_accuracy": 0.9891,
        "best_epoch": 2.0, "epochs": 3.0, "train_accuracy": 0.9791, "train_loss@2": 0.1, "batch_loss@1": 2.3,
        "batch_loss@101": 0.5, "epochs_to_95": 3.0, "seconds_to_95": 7.0,  # never: the budget, and its seconds
    })  # fmt: skip
    assert math.isnan(runs.values(Quantity.parse("test_accuracy@4"))[0])
    assert math.isnan(runs.values(Quantity.parse("batch_loss@201"))[0])
    assert runs.last() == pytest.approx({seed: value - 0.0005 for seed, value in enumerate(NEAR)})


def test_runs_of_another_net_recipe_budget_protocol_seed_or_dataset_are_none_of_it() -> None:
    same = make_runs(NET, by_epoch(NEAR))
    for arm, protocol, seeds, data_hash in (
        (dataclasses.replace(NET, net="bn25k"), "as_claimed", range(10), "da7a"),
        (dataclasses.replace(NET, epochs=4), "as_claimed", range(10), "da7a"),
        (dataclasses.replace(NET, recipe=dataclasses.replace(BEST, lr=2e-3)), "as_claimed", range(10), "da7a"),
        (NET, "select", range(10), "da7a"),
        (NET, "as_claimed", range(10, 20), "da7a"),
        (NET, "as_claimed", range(10), "0ther"),
    ):
        asked = AskedClaim(claim=make_claim(protocol=protocol, quantity="train_accuracy"), data_hash=data_hash)
        assert not find_runs(make_study(runs=same), arm, asked, seeds).records


def test_a_diverged_run_guesses_and_a_failed_one_is_missing() -> None:
    study = make_study(
        runs=[
            *make_runs(NET, by_epoch(NEAR[:8])),
            *make_runs(NET, by_epoch(NEAR[8:9]), first=8, status="diverged", test_accuracy=None),
            *make_runs(NET, by_epoch(NEAR[9:]), first=9, status="failed", test_accuracy=None),
        ]
    )
    runs = find_runs(study, NET, make_asked(make_claim()), range(10))
    assert (runs.values(Quantity.parse("test_accuracy"))[8], set(runs.failed)) == (0.1, {9})
    assert runs.values(Quantity.parse("epochs_to_95"))[8] == 3.0
    (judged,) = judge_claims(dataclasses.replace(study, claims=(make_asked(make_claim()),)))
    assert (judged.verdict, judged.n, judged.why) == ("undecided", 9, "9 of 10 seeds have ended; 1 run failed")


def test_the_peeked_value_stands_beside_that_of_the_last_epoch() -> None:
    (judged,) = judge_claims(make_study(make_claim(), runs=make_runs(NET, by_epoch(NEAR))))
    assert (judged.verdict, judged.n) == ("reproduced", 10)
    assert judged.measured == "99.00 %, s = 0.03 pp (selected on test; last epoch 98.95 %)"
    assert judged.why == "95 % prediction interval ± 0.07 pp"
    assert judged.cases[0].last[0] == pytest.approx(0.9891)


def test_a_number_that_no_completion_gives() -> None:
    other = Case(label="the other net", arm=OTHER)
    claim = make_claim(claimed=("98.00 %",), cases=(make_claim().cases[0], other))
    both = [*make_runs(NET, by_epoch(NEAR)), *make_runs(OTHER, by_epoch([v - 0.002 for v in NEAR]))]
    (judged,) = judge_claims(make_study(claim, runs=both))
    assert judged.verdict == "not reproduced"
    assert judged.why == (
        "measured higher than claimed; 95 % prediction interval ± 0.07 pp; so under each of 2 completions"
    )
    within = dataclasses.replace(claim, claimed=("98.80 %",))
    (judged,) = judge_claims(make_study(within, runs=both))
    assert (judged.verdict, judged.why) == (
        "undecided",
        "95 % prediction interval ± 0.07 pp; within it under: the other net",
    )


def test_too_few_seeds_decide_nothing() -> None:
    (judged,) = judge_claims(make_study(make_claim(), runs=make_runs(NET, by_epoch(NEAR[:9])), seed_plan="9"))
    assert (judged.verdict, judged.why) == ("undecided", "9 of 10 seeds have ended")
    (nothing,) = judge_claims(make_study(make_claim(), runs=[]))
    assert (nothing.verdict, nothing.measured) == ("undecided", "nothing yet")


def test_what_the_first_look_decided_stands() -> None:
    far = [v - 0.02 for v in NEAR]
    runs = make_runs(NET, by_epoch([*NEAR, *far]))
    (judged,) = judge_claims(make_study(make_claim(), runs=runs, seed_plan="10:20"))
    assert (judged.verdict, judged.n) == ("reproduced", 10), "the later ten would not have"
    open_claim = make_claim(claimed=("99.08 %",))  # 0.08 pp: between the 95 % interval (0.067) and that of 99 % (0.093)
    (first,) = judge_claims(make_study(open_claim, runs=runs[:10], seed_plan="10:20"))
    assert (first.verdict, first.n) == ("undecided", 10)
    (second,) = judge_claims(make_study(open_claim, runs=runs, seed_plan="10:20"))
    assert second.n == 20, "more seeds were there, and are judged"


def test_a_series_a_trend_and_a_direction() -> None:
    series = make_claim(
        id="X2", rule="series", quantity="test_accuracy", at=(1, 2, 3), claimed=("98.00 %", "99.00 %", "98.95 %")
    )
    falls = make_claim(id="X3", rule="falls", claimed=(), at=(2, 3))
    rises = make_claim(id="X4", rule="rises", claimed=(), at=(2, 3))
    case = Case(label="one against the other", arm=NET, against=OTHER)
    better = make_claim(id="X5", rule="better", claimed=(), cases=(case,))
    noisy = [v - 0.003 + 1e-4 * (k % 3) for k, v in enumerate(NEAR)]
    runs = [
        *make_runs(NET, [[v - 0.01, v, v - 0.0015 - 1e-4 * (k % 3)] for k, v in enumerate(NEAR)]),
        *make_runs(OTHER, by_epoch(noisy)),
    ]
    found = {of.claim.id: of for of in judge_claims(make_study(series, falls, rises, better, runs=runs))}
    assert found["X2"].verdict == "undecided", "the last member is 0.11 pp off"
    assert (found["X3"].verdict, found["X4"].verdict) == ("reproduced", "not reproduced")
    assert found["X3"].measured.startswith("−0.16 pp (−0.17 to −0.15)")
    assert found["X5"].verdict == "reproduced"
    assert found["X5"].measured.startswith("+0.29 pp (+0.2")
    assert found["X5"].cases[0].low == pytest.approx(0.0029, abs=2e-4)


def test_fewer_epochs_are_better() -> None:
    slow = Arm(net="bn25k", recipe=BEST, epochs=3)
    case = Case(label="fewer epochs", arm=NET, against=slow)
    claim = make_claim(rule="better", claimed=(), quantity="epochs", cases=(case,))
    runs = [*make_runs(NET, [[0.9, 0.95]] * 10), *make_runs(slow, [[0.9, 0.95, 0.96]] * 10)]
    (judged,) = judge_claims(make_study(claim, runs=runs))
    assert (judged.verdict, judged.measured.split(",")[0]) == ("reproduced", "−1.00 epochs (−1.00 to −1.00)")


def test_what_never_gets_there_has_its_whole_budget_at_its_own_pace() -> None:
    case = Case(label="seconds", arm=NET, against=OTHER)
    claim = make_claim(rule="better", claimed=(), quantity="seconds_to_95", cases=(case,))
    quick = make_runs(NET, [[0.5]] * 10, status="diverged", test_accuracy=None, train_seconds=0.5, epochs=0.1)
    slow = [
        (dataclasses.replace(record, time_to_targets=(reached,)), curve)
        for number, (record, curve) in enumerate(make_runs(OTHER, [[0.9, 0.96, 0.97]] * 10))
        for reached in [TimeToTarget(target=0.95, epochs=2.0, images=2, seconds=5.0 + 0.01 * number)]
    ]
    (judged,) = judge_claims(make_study(claim, runs=[*quick, *slow]))
    assert judged.cases[0].values[0] == pytest.approx(15.0), "0.5 s took it through a tenth of an epoch of three"
    assert (judged.verdict, judged.cases[0].outcome) == ("not reproduced", "worse")
    assert judged.measured.endswith("(cpu, 1 thread a run, 1 run at a time)")
    unlike = [(dataclasses.replace(record, jobs=2), curve) for record, curve in slow]
    (judged,) = judge_claims(make_study(claim, runs=[*quick, *unlike]))
    assert (judged.verdict, judged.why) == (
        "undecided", "timed on unlike machines, or beside unlike numbers of other runs",
    )  # fmt: skip


def test_a_failed_run_takes_its_seed_out_and_not_the_claim() -> None:
    case = Case(label="one against the other", arm=NET, against=OTHER)
    better = make_claim(rule="better", claimed=(), cases=(case,))
    worse = [value - 0.05 for value in NEAR]
    runs = [
        *make_runs(NET, by_epoch([*NEAR, *NEAR])),
        *make_runs(OTHER, by_epoch([*worse, *worse[:9]])),
        *make_runs(OTHER, by_epoch(worse[9:]), first=19, status="failed", test_accuracy=None),
    ]
    (judged,) = judge_claims(make_study(better, runs=runs, seed_plan="20"))
    assert (judged.verdict, judged.n, judged.why) == ("reproduced", 19, "better; 1 run failed")


def test_of_several_looks_what_is_shown_is_what_was_judged() -> None:
    cases = (Case(label="first", arm=NET, against=OTHER), Case(label="second", arm=OTHER, against=NET))
    claim = make_claim(rule="better", claimed=(), cases=cases[:1])
    runs = [
        *make_runs(NET, by_epoch([*NEAR, *[value - 0.02 for value in NEAR]])),
        *make_runs(OTHER, by_epoch([value - 0.01 for value in (*NEAR, *NEAR)])),
    ]
    (judged,) = judge_claims(make_study(claim, runs=runs, seed_plan="10:20"))
    assert (judged.verdict, judged.n, len(judged.cases[0].values)) == ("reproduced", 10, 10)
    (judged,) = judge_claims(make_study(claim, runs=runs[:30], seed_plan="10:20"))
    assert judged.n == 10
    none = make_study(claim, runs=runs[:20], seed_plan="10:20")
    assert (judge_claims(none)[0].n, judge_claims(none)[0].why) == (0, "0 of 10 seeds have ended")


def test_claims_on_two_datasets_have_runs_of_their_own() -> None:
    on_digits = [
        (dataclasses.replace(record, run_id=f"d{record.seed}", dataset="digits", data_hash="d1g1"), curve)
        for record, curve in make_runs(NET, by_epoch([value - 0.3 for value in NEAR]))
    ]
    study = make_study(runs=[*make_runs(NET, by_epoch(NEAR)), *on_digits])
    asked = (
        make_asked(make_claim()),
        AskedClaim(claim=make_claim(id="X2", dataset="digits"), dataset="digits", data_hash="d1g1"),
    )
    first, second = judge_claims(dataclasses.replace(study, claims=asked))
    assert (first.verdict, second.verdict) == ("reproduced", "not reproduced")
    assert (first.measured[:7], second.measured[:7]) == ("99.00 %", "69.00 %")


def test_a_slight_trend_is_not_refuted_by_equivalence_and_every_completion_counts() -> None:
    falls = make_claim(rule="falls", claimed=(), at=(2, 3))
    slight = make_runs(NET, [[0.98, v, v - 1e-4 + 1e-4 * (k % 3)] for k, v in enumerate(NEAR)])
    (judged,) = judge_claims(make_study(falls, runs=slight))
    assert (judged.verdict, judged.why) == ("undecided", "equivalent within the margin")
    cases = (Case(label="one", arm=NET), Case(label="other", arm=OTHER))
    up = make_runs(NET, [[0.98, v, v + 2e-3 + 1e-4 * (k % 3)] for k, v in enumerate(NEAR)])
    down = make_runs(OTHER, [[0.98, v, v - 2e-3 - 1e-4 * (k % 3)] for k, v in enumerate(NEAR)])
    (judged,) = judge_claims(make_study(dataclasses.replace(falls, cases=cases), runs=[*up, *down]))
    assert (judged.verdict, judged.why) == ("undecided", "one: it rises; other: it falls")
    (judged,) = judge_claims(make_study(dataclasses.replace(falls, cases=cases[:1]), runs=up))
    assert (judged.verdict, judged.why) == ("not reproduced", "it rises")


def test_a_series_names_its_worst_member() -> None:
    claim = make_claim(rule="series", at=(1, 2, 3), claimed=("98.00 %", "99.00 %", "98.80 %"))
    (judged,) = judge_claims(make_study(claim, runs=make_runs(NET, by_epoch(NEAR))))
    assert judged.why == "measured higher than claimed; 95 % prediction interval ± 0.07 pp at epoch 3, the worst"
    within = dataclasses.replace(claim, claimed=("98.00 %", "99.0 %", "98.95 %"))
    (judged,) = judge_claims(make_study(within, runs=make_runs(NET, by_epoch(NEAR))))
    assert judged.why == "widest 95 % prediction interval ± 0.11 pp (epoch 2)"


def test_confusions_are_read_by_the_names_of_classes() -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), 50)
    wrong = labels.copy()
    wrong[200:215] = 9  # fifteen fours taken for nines
    runs = make_runs(NET, by_epoch(NEAR))
    study = make_study(
        make_claim(rule="confusions", claimed=("4>9",)), make_claim(id="X2", rule="confusions", claimed=("9>4",)),
        make_claim(id="X3", rule="confusions", claimed=("4>nine",)), runs=runs,
    )  # fmt: skip
    judged = judge_claims(answered(study, labels, {record.run_id: wrong for record, _ in runs}))
    assert [of.verdict for of in judged] == ["reproduced", "not reproduced", "undecided"]
    assert judged[0].measured == "4→9 in 100 % of resamples and 100 % of runs; the top pairs are 4→9"
    assert "there is no such class among 0, 1" in judged[2].why


def test_counts_defects_and_what_could_not_be_run() -> None:
    case = (Case(label="64", arm=NET), Case(label="128", arm=OTHER))
    count = make_claim(rule="count", quantity="parameters", claimed=("about 25K",), cases=case, protocol="select")
    defect = make_claim(id="X2", rule="defect", cases=(), defect="Net", claimed=("512 and 320",))
    asked = (
        AskedClaim(claim=count, exact={"64": (105_962.0,), "128": (25_433.0,)}),
        AskedClaim(claim=defect, caught="mat1 and mat2: 64x512 and 320x20"),
        AskedClaim(claim=defect, caught=""),
        AskedClaim(claim=make_claim(id="X3"), trouble="No architecture 'x'."),
    )
    judged = judge_claims(dataclasses.replace(make_study(runs=[]), claims=asked))
    assert [of.verdict for of in judged] == ["depends", "reproduced", "not reproduced", "undecided"]
    assert judged[0].measured == "64: 105,962; 128: 25,433"
    assert (judged[2].measured, judged[3].why) == ("nothing failed", "No architecture 'x'.")
