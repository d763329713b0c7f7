"""What the report says of verdicts: worded from planted values, so that nobody can misread it."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.analysis.comparison import Comparison, compare
from bench.analysis.conditions import find_conditions
from bench.analysis.metrics import accuracy_metric, epochs_metric
from bench.analysis.stats.paired import pair_differences
from bench.analysis.verdicts import PairVerdict, Verdict
from bench.core.seeds import ONE_LOOK
from bench.system.text import signed
from reports.build import build_document
from reports.cells import difference_cell, difference_interval, p_cell
from reports.document import Cell, Table
from reports.exports import verdicts_csv
from reports.sections.verdicts.pairs import pair_table, verdict_sentences, why_text
from tests.factories import MNIST, make_run, make_timing, study_of
from tests.reports.document_reading import words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.records import RunRecord, Study

NOISE = (-0.0003, -0.0002, -0.0001, 0.0, 0.0001, 0.0002, 0.0003, 0.0)


def accuracies(**means: float) -> Comparison:
    """Eight seeds each; the noise of each net is the other's in another order."""
    values = {
        name: {seed: mean + NOISE[(seed * (at + 1)) % 8] for seed in range(8)}
        for at, (name, mean) in enumerate(means.items())
    }
    return compare(values, accuracy_metric(), looks=ONE_LOOK)


def words(comparison: Comparison) -> str:
    return " ".join(prose.text for prose in verdict_sentences(comparison))


def test_better_is_said_with_the_amount_the_interval_and_the_seeds() -> None:
    text = words(accuracies(good=0.99, bad=0.98))
    assert text.startswith("good is better than bad by 1.00 percentage points (between 0.9")
    assert text.endswith("from 8 seeds; matters).")


def test_a_lead_within_the_margin_is_called_too_small_to_matter() -> None:
    values = {"a": {s: 0.9805 + NOISE[s] for s in range(8)}, "b": {s: 0.98 + NOISE[s] + NOISE[s] / 5 for s in range(8)}}
    assert "; too small to matter)" in words(compare(values, accuracy_metric(), looks=ONE_LOOK))


def test_undecided_never_reads_as_equal() -> None:
    rng = np.random.default_rng(1)
    values = {name: dict(enumerate(rng.normal(0.98, 0.002, 8).tolist())) for name in "ab"}
    text = words(compare(values, accuracy_metric(), looks=ONE_LOOK))
    assert text.startswith("Undecided, which does not mean equal: a against b (")
    assert "more seed" in text


def test_equivalent_names_the_margin() -> None:
    text = words(accuracies(one=0.98, other=0.98))
    assert text == "Equivalent, confidently less than 0.10 percentage points apart: one with other."


def test_three_seeds_say_how_many_it_takes() -> None:
    values = {name: {0: 0.9, 1: 0.91, 2: 0.92} for name in "ab"}
    text = words(compare(values, accuracy_metric(), looks=ONE_LOOK))
    assert text.startswith("Too few seeds for a verdict (a against b, 3 shared seeds): 6 seeds that ended")


def test_of_too_few_seeds_nothing_else_is_said() -> None:
    values = {name: {0: 0.1, 1: 0.1} for name in "ab"}
    comparison = compare(values, accuracy_metric(chance=0.1), looks=ONE_LOOK)
    assert comparison.pairs[0].never, "both guessed on both seeds"
    assert words(comparison).startswith("Too few seeds for a verdict (a against b, 2 shared seeds)")


def test_many_nets_name_the_seeds_that_so_many_pairs_need() -> None:
    # 45 pairs: 45 × 2 / C(12, 6) = 0.097, 45 × 2 / C(14, 7) = 0.026
    values = {name: {seed: at + seed / 100 for seed in range(6)} for at, name in enumerate("abcdefghij")}
    text = words(compare(values, epochs_metric(), looks=ONE_LOOK))
    assert "so many pairs at once take 7 seeds." in text


def test_undecided_says_what_the_seeds_find_and_what_more_would() -> None:
    values = {name: {seed: 0.98 + 0.002 * (seed * (at + 1) % 8) for seed in range(8)} for at, name in enumerate("ab")}
    text = words(compare(values, accuracy_metric(), looks=ONE_LOOK))
    assert re.search(r"a against b \(\d+ more seeds would find a true difference of 0\.10 pp\)\.", text)
    assert re.search(r"With the seeds so far, a true difference of \d\.\d\d pp is found in 80 % of studies", text)


def why(a: Sequence[float], b: Sequence[float], *others: Sequence[float]) -> str:
    """Why the pair of a and b is judged as it is, beside other nets."""
    values = {name: dict(enumerate(of)) for name, of in zip("abcdef", (a, b, *others), strict=False)}
    pair, *_ = compare(values, accuracy_metric(chance=0.1), looks=ONE_LOOK).pairs
    return why_text(pair, accuracy_metric())


def test_one_seed_that_went_the_other_way_is_said_with_the_p_that_it_costs() -> None:
    a = (0.991, 0.992, 0.993, 0.994, 0.995, 0.996)
    # five leads of 0.5 to 0.1 pp and one loss of 0.2: of 64 sign flips 6 reach the mean lead of 0.217 pp to either side
    b = (0.986, 0.988, 0.990, 0.992, 0.994, 0.998)
    found = pair_differences(a, b, margin=0.001)
    sums = [
        sum(s * d for s, d in zip(signs, found.values, strict=True)) for signs in itertools.product((1, -1), repeat=6)
    ]
    p = sum(abs(each) >= sum(found.values) - 1e-12 for each in sums) / 64
    pair = PairVerdict(
        a="a", b="b", seeds=tuple(range(6)), verdict=Verdict.UNDECIDED, differences=found, p=0.02, p_holm=0.04
    )
    assert why_text(pair, accuracy_metric()) == f"one seed went the other way (sign flips p = {p:.2g})"


@pytest.mark.parametrize(
    ("leads", "reason"),
    [
        ((5, 4, 3, 2, 0, 0), "2 seeds tied"),  # as two nets on 10,000 test images may
        ((5, 4, 3, 2, 0, -1), "one seed went the other way and one seed tied"),
        ((9, 1, 1, 1), "a few seeds make up most of the lead"),
    ],
)
def test_a_tie_is_no_seed_that_went_the_other_way(leads: tuple[int, ...], reason: str) -> None:
    found = pair_differences([0.98 + lead / 10_000 for lead in leads], [0.98] * len(leads), margin=0.001)
    seeds = tuple(range(len(leads)))
    pair = PairVerdict(a="a", b="b", seeds=seeds, verdict=Verdict.UNDECIDED, differences=found, p=0.02, p_holm=0.04)
    assert why_text(pair, accuracy_metric()) == f"{reason} (sign flips p = {found.p_flips:.2g})"


def test_an_interval_without_zero_that_is_no_verdict_is_explained() -> None:
    found = pair_differences((0.991, 0.992, 0.993), (0.990, 0.991, 0.991), margin=0.001)
    pair = PairVerdict(
        a="a", b="b", seeds=(0, 1, 2), verdict=Verdict.UNDECIDED, differences=found, low=0.0002, high=0.0025, p=0.04,
        p_holm=0.08,
    )  # fmt: skip
    assert why_text(pair, accuracy_metric()) == (
        "the interval leaves out zero, but the rank test does not confirm it (a ahead on 3 of 3 seeds, p = 0.08)"
    )
    around_zero = dataclasses.replace(pair, low=-0.0002)
    assert why_text(around_zero, accuracy_metric()) == "a ahead on 3 of 3 seeds, p = 0.08"


def test_a_plain_undecided_pair_says_who_is_ahead_on_how_many_seeds() -> None:
    text = why((0.98, 0.99, 0.98, 0.99, 0.985, 0.98), (0.985, 0.98, 0.975, 0.985, 0.99, 0.98))
    assert re.fullmatch(r"a ahead on 3\.5 of 6 seeds, p = 0\.\d+", text)


def test_verdicts_that_surprise_nobody_are_not_explained() -> None:
    assert why((0.99, 0.991, 0.992, 0.993, 0.994, 0.995), (0.90, 0.901, 0.902, 0.903, 0.904, 0.905)) == ""
    assert why((0.99,) * 3, (0.98,) * 3) == "", "three seeds: nothing was judged"
    assert why((0.1,) * 6, (0.1,) * 6) == "neither got anywhere on any seed"


def test_a_lead_on_typical_seeds_alone_says_so() -> None:
    gains = (0.0001, 0.0002, 0.0001, 0.0003, 0.0002, 0.0001, 0.0002, 0.02)
    values = {"a": {s: 0.97 + gain for s, gain in enumerate(gains)}, "b": dict.fromkeys(range(8), 0.97)}
    comparison = compare(values, accuracy_metric(), looks=ONE_LOOK)
    assert words(comparison) == (
        "a is better than b by 0.26 percentage points (on typical seeds alone: ahead on 8 of 8 seeds, but the mean "
        "lead may be anything from −0.32 to +0.85)."
    )  # 0.265 ± 2.3646 × 0.701 / √8, Student's t of seven degrees
    assert [cell.text for cell in pair_table(comparison, title="Accuracy").rows[0]][1:3] == [
        "a better on typical seeds alone",
        "a ahead on 8 of 8 seeds, but the mean lead may be none, as its seeds vary",
    ]


def test_what_is_left_out_is_said_beside_the_amount() -> None:
    comparison = accuracies(good=0.99, bad=0.98)
    values = {name: dict(of) for name, of in comparison.values.items()}
    values["bad"][3] = float("nan")
    text = words(compare(values, accuracy_metric(), looks=ONE_LOOK))
    assert text.endswith("from 7 seeds; matters; 1 seed left out, where one of the two failed).")


def test_two_that_never_got_there_are_not_called_close() -> None:
    values = {name: dict.fromkeys(range(8), 3.0) for name in "ab"}
    metric = epochs_metric(horizon=3)
    comparison = compare(values, metric, looks=ONE_LOOK)
    assert words(comparison) == "Neither got there within the budget on any seed: a with b."
    assert comparison.pairs[0].verdict == "undecided"
    arrived = {name: {**of, 7: 1.0} for name, of in values.items()}
    assert words(compare(arrived, metric, looks=ONE_LOOK)) == "The same value on every seed: a with b."


def planned(*, seeds: int) -> Study:
    """Two nets that differ by noise alone, planned to run until decided from 6 up to 8 seeds, `seeds` of which ran."""
    rng = np.random.default_rng(3)
    runs = [(flat(net, s, 0.98 + float(rng.normal(0, 0.01))), ()) for net in ("bn25k", "conv16k") for s in range(seeds)]
    study = study_of(*runs)
    return dataclasses.replace(study, seed_plans={record.run_id: ("6:8",) for record in study.records})


def test_a_study_until_decided_that_was_cut_short_claims_no_saving() -> None:
    text = words_of(build_document(planned(seeds=6)))
    assert "from 6 up to 8: bn25k 6, conv16k 6. It was cut short; the same command goes on." in text
    text = words_of(build_document(planned(seeds=8)))
    assert "bn25k 8, conv16k 8." in text
    assert "saved" not in text
    assert "holds over all looks at the results" in text


def test_times_speak_of_epochs_and_count_the_shorter_as_a_win() -> None:
    values = {"quick": {seed: 0.3 + seed / 50 for seed in range(8)}, "slow": dict.fromkeys(range(8), 1.0)}
    comparison = compare(values, epochs_metric(), looks=ONE_LOOK)
    assert words(comparison).startswith("quick gets to 95 % in fewer epochs than slow by 0.63 epochs (between 0.")
    table = pair_table(comparison, title="Epochs")
    beats = [column.name for column in table.columns].index("Seeds with A ahead, 95 %")
    assert table.rows[0][beats].text.startswith("1.00 (")


def test_one_architecture_has_nothing_to_say() -> None:
    assert list(verdict_sentences(accuracies(alone=0.98))) == []


def test_many_pairs_are_counted_not_listed() -> None:
    rng = np.random.default_rng(1)
    values = {f"n{at}": dict(enumerate(rng.normal(0.98, 0.002, 8).tolist())) for at in range(8)}
    text = words(compare(values, accuracy_metric(), looks=ONE_LOOK))
    assert "16 more" in text, "28 pairs, 12 of them named"


def test_the_table_has_the_numbers_of_the_verdict() -> None:
    comparison = accuracies(good=0.99, bad=0.98)
    table = pair_table(comparison, title="Test accuracy")
    cells = dict(zip((column.name for column in table.columns), table.rows[0], strict=True))
    assert cells["A against B"].text == "bad − good"
    assert (cells["Verdict"].text, cells["A − B (pp)"].text) == ("good better", "−1.00")
    assert (cells["Images of 10,000"].text, cells["Matters"].text) == ("−100", "yes")
    assert cells["Seeds with A ahead, 95 %"].text.startswith("0.00 (0.00 to 0.3")
    assert table.caption == (
        "Test accuracy: verdicts on all pairs; intervals at 95 %; one is better where p (ranks, Holm; borne out by "
        "signs or t where standard deviations differ threefold) is below 5 %, or the level of its look, and p (sign "
        "flips) below 5 % as well; the intervals of the mean difference (Student's t, Bonferroni) do not decide who is "
        "better"
    )


@pytest.mark.parametrize(
    ("p", "shown"), [(1.0, "1.0000"), (0.03125, "0.0312"), (0.0001, "0.0001"), (0.00009, "< 0.0001"), (0.0, "< 0.0001")]
)
def test_a_p_never_reads_as_nothing(p: float, shown: str) -> None:
    assert p_cell(p) == Cell(text=shown, value=p)


def test_nothing_tested_is_a_dash() -> None:
    assert p_cell(None) == Cell(text="—")
    assert difference_cell(None, accuracy_metric()) == Cell(text="—")
    assert difference_interval(None, accuracy_metric()) == "—"


def test_a_difference_that_rounds_to_nothing_has_no_sign() -> None:
    metric = accuracy_metric()
    assert [signed(metric.scale * value) for value in (-0.00004, 0.00004, -0.00006)] == ["0.00", "0.00", "−0.01"]


def flat(net: str, seed: int, accuracy: float) -> RunRecord:
    record, _ = make_run(net, seed=seed)
    return dataclasses.replace(record, test_accuracy=accuracy)


def planted() -> Study:
    """conv16k, smaller and quicker than fc3136, is made 1 pp better; bn25k and lenet21k lie between, undecided."""
    rng = np.random.default_rng(0)
    means = {"conv16k": 0.99, "fc3136": 0.98, "bn25k": 0.985, "lenet21k": 0.985}
    noise = {"bn25k": 0.01, "lenet21k": 0.01}
    runs = [
        (flat(net, seed, mean + float(rng.normal(0, noise.get(net, 0.0003)))), ())
        for net, mean in means.items()
        for seed in range(8)
    ]
    study = study_of(*runs)
    slow = {"conv16k": 1.0, "fc3136": 3.0, "bn25k": 2.0, "lenet21k": 1.0}
    timings = tuple(make_timing(net, slower=factor) for net, factor in slow.items())
    return dataclasses.replace(study, timings=timings)


def section_of(study: Study, title: str) -> list[Table]:
    found = [section for section in build_document(study).sections if section.title == title]
    return [block for section in found for block in section.blocks if isinstance(block, Table)]


def test_only_a_better_and_cheaper_one_dominates() -> None:
    (table,) = section_of(planted(), "Accuracy against cost")
    standing = {row[0].text: row[-1].text for row in table.rows}
    assert standing["fc3136"] == "dominated by conv16k"
    assert {standing[net] for net in ("conv16k", "bn25k", "lenet21k")} == {"possibly on the front"}


def test_the_first_warning_counts_what_has_not_ended() -> None:
    answer, first, *_ = build_document(dataclasses.replace(planted(), missing=3)).lead
    assert answer.tone == "answer"
    goes_on = "The same command goes on: python runner.py --all --seeds 6"
    assert first.text == f"Preliminary: 3 planned runs have not ended; all may change. {goes_on}"
    assert first.tone == "warning"


def test_answers_give_the_error_floor() -> None:
    runs = [make_run(net, seed=seed) for net in ("bn25k", "conv16k") for seed in range(2)]
    labels = np.zeros(6, dtype=np.uint8)
    wrong = {"bn25k-3-0": [0, 1], "bn25k-3-1": [0, 2], "conv16k-3-0": [0, 1, 3], "conv16k-3-1": [0]}
    predicted = {}
    for run_id, images in wrong.items():
        predicted[run_id] = labels.copy()
        predicted[run_id][images] = 5
    study = dataclasses.replace(study_of(*runs), predicted=predicted, labels={MNIST.data_hash: labels})
    errors, pairs = section_of(study, "Error floor")
    assert [[cell.text for cell in row] for row in errors.rows] == [
        ["bn25k", "2.0", "3", "1", "2"],
        ["conv16k", "2.0", "3", "1", "2"],
    ]
    # seed 0: only image 3 differs; seed 1: only image 2 does
    assert [cell.text for cell in pairs.rows[0]] == [
        *("bn25k and conv16k", "1.0", "0.5", "0.5", "1.5", "below 0.05 in 0 of 2 seeds"),
    ]


@pytest.mark.parametrize(("status", "pairs"), [("diverged", "8"), ("failed", "7")])
def test_a_diverged_run_is_a_pair_and_a_failed_one_is_none(status: str, pairs: str) -> None:
    study = planted()
    records = tuple(
        dataclasses.replace(record, status=status, test_accuracy=None) if record.run_id == "conv16k-3-0" else record
        for record in study.records
    )
    text = verdicts_csv(find_conditions(dataclasses.replace(study, records=records)))
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["metric"] == "test_accuracy"]
    found = {(row["a"], row["b"]): row for row in rows}
    assert found["bn25k", "conv16k"]["n"] == pairs
    assert found["bn25k", "fc3136"]["n"] == "8"
    assert {row["rule"] for row in rows} == {"2"}
    assert {row["scope"] for row in rows} == {"typical seeds"}
    collapsed = found["bn25k", "conv16k"]
    assert (collapsed["collapsed_a"], collapsed["collapsed_b"]) == ("0", "1" if status == "diverged" else "0")


def hold_shown(study: Study, shown: str, *, otherwise: str) -> None:
    """The first lines name these plans of earlier looks; without any, the report says what else holds."""
    document = build_document(study)
    if shown:
        assert f"shown before, with --seeds {shown}, and" in " ".join(prose.text for prose in document.lead)
    else:
        assert otherwise in words_of(document)
        assert "shown before" not in words_of(document)


def test_a_verdict_shown_before_is_a_look_and_the_rate_adds_up() -> None:
    study = planted()
    twice = dataclasses.replace(study, seed_plans={record.run_id: ("6", "8") for record in study.records})
    lead = " ".join(prose.text for prose in build_document(twice).lead)
    assert (
        "verdicts on these runs were shown before, with --seeds 6, and the rate adds up: over all 2 looks it is at"
        in lead
    )
    for plans in (("8",), ("3", "8"), ("8", "6"), ("8", "12")):
        once = dataclasses.replace(study, seed_plans={record.run_id: plans for record in study.records})
        lead = " ".join(prose.text for prose in build_document(once).lead)
        assert ("shown before" in lead) == (plans == ("8", "6")), "three seeds showed no verdict, twelve are to come"
    # looks within one plan share its rate; those of a shorter plan were looks of their own
    for until_decided, shown in (
        (("6:8", "6:12"), "6:8"),
        (("6:12", "6:8"), "6:8"),
        (("6:12",), ""),
        (("6", "6:12"), "6"),
    ):
        study_of = dataclasses.replace(study, seed_plans={record.run_id: until_decided for record in study.records})
        hold_shown(study_of, shown, otherwise="holds over all looks at the results")


@pytest.mark.parametrize(
    ("elsewhere", "nets", "shown"),
    [
        ({("main", "6")}, 9, "6"),
        ({("main", "6:12"), ("other", "6:12"), ("other", "10")}, 9, "10 and 6:12"),
        ({("main", "6"), ("main", "7")}, 9, "6 and 7"),
        ({("main", "6")}, 1, ""),  # one of its nets: no pair of this table was judged there
        ({("main", "3")}, 9, ""),  # no verdict
        ({("main", "8")}, 9, ""),  # the same numbers
    ],
)
def test_a_new_study_of_runs_that_were_shown_forgets_no_look(
    elsewhere: set[tuple[str, str]], nets: int, shown: str
) -> None:
    study = planted()
    names = sorted({record.architecture for record in study.records})[:nets]
    renamed = dataclasses.replace(
        study,
        seed_plans={record.run_id: ("8",) for record in study.records},
        shown_elsewhere={r.run_id: frozenset(elsewhere) for r in study.records if r.architecture in names},
    )
    hold_shown(renamed, shown, otherwise="was fixed beforehand")


def test_a_net_that_learned_nothing_on_any_seed_is_named_before_the_verdicts() -> None:
    study = planted()
    records = tuple(
        dataclasses.replace(record, test_accuracy=0.1) if record.architecture == "conv16k" else record
        for record in study.records
    )
    lead = build_document(dataclasses.replace(study, records=records)).lead
    at = next(at for at, prose in enumerate(lead) if "conv16k has learned nothing on any seed" in prose.text)
    assert [lead[at].tone, lead[at + 1].tone] == ["failure", "answer"]
    assert not any("has learned nothing" in prose.text for prose in build_document(study).lead)


def test_a_study_of_an_older_rule_is_judged_anew_and_says_so() -> None:
    lead = " ".join(prose.text for prose in build_document(dataclasses.replace(planted(), first_rule=1)).lead)
    assert "This study was begun under rule 1 of verdicts and is judged here by rule 2" in lead
    assert "rule 1" not in " ".join(prose.text for prose in build_document(planted()).lead)


def test_no_verdict_claims_a_higher_mean_and_a_collapse_has_its_line() -> None:
    study = planted()
    records = tuple(
        dataclasses.replace(record, test_accuracy=0.31) if record.run_id == "conv16k-3-0" else record
        for record in study.records
    )
    document = build_document(dataclasses.replace(study, records=records))
    assert "better means that a run of the one beats a run of the other more often than not" in words_of(document)
    lead = " ".join(prose.text for prose in document.lead)
    # Clopper and Pearson: one of eight, 95 % one-sided: 0.4707; the mean of seven at 99 % and one at 31 %
    assert "conv16k collapsed on 1 of 8 seeds (at most 47 % of seeds would): typical 99.0" in lead
    assert "mean 90.5" in lead
    others = "No seed of the others collapsed; with 8 seeds of a net, up to 31 % of all its seeds may still do so"
    assert others in words_of(document)


def test_few_steps_are_said_before_anything_else_is_open() -> None:
    study = planted()
    records = tuple(dataclasses.replace(record, steps=16) for record in study.records)
    lead = " ".join(prose.text for prose in build_document(dataclasses.replace(study, records=records)).lead)
    assert "No run takes more than 16 steps of training, in which nets hardly begin to learn" in lead
    for steps in (100, None):
        records = tuple(dataclasses.replace(record, steps=steps) for record in study.records)
        lead = " ".join(prose.text for prose in build_document(dataclasses.replace(study, records=records)).lead)
        assert "steps of training" not in lead
