"""The first lines of a report, and the notes on its verdicts, of whole planted studies."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.analysis.conditions import find_conditions
from reports.build import build_document
from reports.document import Table
from reports.exports import verdicts_csv
from tests.factories import MNIST, make_run, make_timing, study_of
from tests.reports.document_reading import words_of

if TYPE_CHECKING:
    from bench.core.records import RunRecord, Study

NOISE = (-0.0003, -0.0002, -0.0001, 0.0, 0.0001, 0.0002, 0.0003, 0.0)


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
