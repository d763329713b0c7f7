"""What is taken for what: heat maps and pairs, counted by hand on twenty images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.analysis.conditions import find_conditions
from bench.analysis.verdicts import DECIDED
from reports.sections.errors.section import MOST_PICTURED
from tests.reports.document_reading import prose_of
from tests.reports.sections.errors.answer_studies import (
    every_four_is_a_nine,
    figures_of,
    heat_of,
    made_up,
    sections_of,
    tables_of,
)
from tests.reports.sections.errors.class_studies import HEBREW, LONG, hundred, lopsided


def test_a_net_that_says_9_for_4_shows_on_its_heat_map() -> None:
    conv, lenet, _ = figures_of(sections_of(every_four_is_a_nine())[0])
    heat = heat_of(conv)
    assert (heat.x_label, heat.y_label, heat.kind) == ("Said", "True", "sequential")
    assert (heat.values[4][9], heat.texts[4][9], heat.texts[4][4], heat.texts[3][3]) == (
        10_000,
        "10,000",
        "0",
        "10,000",
    )
    assert [heat.values[c][c] for c in range(10)] == [None] * 10
    assert sum(value or 0 for row in heat.values for value in row) == 10_000
    assert conv.alt == "Heat map of the answers of conv16k by true class. Most often: 4 for 9 (10,000 of 10,000)."
    # one of two zeros with one of six seeds: 10,000 / 12
    assert heat_of(lenet).values[0][6] == pytest.approx(10_000 / 12)
    assert heat_of(lenet).texts[0][6] == "833"
    assert [cell.text for cell in lenet.table.rows[0][:8]] == ["0", "9,167", "0", "0", "0", "0", "0", "833"]


def test_the_difference_of_the_pair_with_a_verdict() -> None:
    section = sections_of(every_four_is_a_nine())[0]
    figure = figures_of(section)[2]
    heat = heat_of(figure)
    assert heat.kind == "diverging"
    assert (heat.values[4][9], heat.texts[4][9], heat.texts[4][4], heat.values[4][4]) == (
        10_000,
        "+10,000",
        "−10,000",
        None,
    )
    assert (heat.texts[0][6], heat.texts[1][2]) == ("−833", "0")
    assert heat.values[0][6] == pytest.approx(-10_000 / 12)
    assert figure.alt == (
        "Heat map of the answers of conv16k less those of lenet21k. conv16k more often takes 4 for 9 (10,000 of "
        "10,000); lenet21k more often takes 0 for 6 (833 of 10,000)."
    )
    assert "The verdict on conv16k and lenet21k stands above" in prose_of(section)


def test_without_a_verdict_the_two_highest_means_are_called_no_more_than_that() -> None:
    study = made_up({"lenet21k": {}, "conv16k": {}, "bn25k": {}}, accuracy={"lenet21k": 0.99, "conv16k": 0.98})
    short = dataclasses.replace(study, records=tuple(run for run in study.records if run.seed < 2))
    section = sections_of(short)[0]
    text = "No pair here has a verdict. bn25k and lenet21k have the highest means, which does not make them best."
    assert text in prose_of(section)
    assert figures_of(section)[-1].title == "Where bn25k and lenet21k err differently"


def test_where_pairs_with_a_verdict_are_not_shown_no_more_is_said_than_of_those_shown() -> None:
    names = [f"net{number}0" for number in range(MOST_PICTURED + 1)]
    study = made_up({name: {} for name in names}, seeds=range(8))  # 36 pairs take seven
    noise = np.random.default_rng(3).normal(0, 0.01, len(study.records)).tolist()  # nothing is equivalent
    noisy = [
        dataclasses.replace(run, test_accuracy=(0.5 if run.architecture == names[-1] else 0.95) + off)
        for run, off in zip(study.records, noise, strict=True)
    ]
    study = dataclasses.replace(study, records=tuple(noisy))
    (condition,) = find_conditions(study)
    decided = [pair for pair in condition.accuracy.pairs if pair.verdict in DECIDED]
    assert decided
    assert all(names[-1] in (pair.a, pair.b) for pair in decided)
    said = prose_of(sections_of(study)[0])
    assert "No pair of the 8 architectures shown has a verdict." in said
    assert "have the highest means of them, which does not make them best." in said
    assert "No pair here" not in said


def test_the_most_confused_pairs() -> None:
    table, *_ = tables_of(sections_of(every_four_is_a_nine())[0])
    conv, lenet = table.rows
    assert [cell.text for cell in conv] == ["conv16k", "4 → 9", "100.00", "100.0 to 100.0", "2.0", "6"]
    assert [cell.text for cell in lenet][:3] == ["lenet21k", "0 → 6", "8.33"]
    assert lenet[2].interval is not None
    assert lenet[2].interval[0] == 0 < lenet[2].interval[1]


def test_pairs_that_tie_with_the_fifth_are_shown_too_and_their_intervals_have_one_decimal() -> None:
    # seven pairs of one image and one seed each, one of two seeds
    wrong = {(0, 2 * true): (true + 5) % 10 for true in range(7)} | {(1, 0): 5}
    section = sections_of(made_up({"lenet21k": wrong}))[0]
    (table,) = tables_of(section)
    assert [row[1].text for row in table.rows] == ["0 → 5", "1 → 6", "2 → 7", "3 → 8", "4 → 9", "5 → 0", "6 → 1"]
    assert table.caption.startswith(
        "Most confused: the 5 highest rates of each architecture and those that tie with the last, 10 at most. "
    )
    ends = table.rows[0][3].text.split(" to ")
    assert [len(end.split(".")[1]) for end in ends] == [1, 1]
    assert figures_of(section)[0].alt.endswith(
        "0 for 5 (1,667 of 10,000), 1 for 6 (833 of 10,000), 2 for 7 (833 of 10,000) and 4 more as often as the last."
    )


def test_of_a_hundred_classes_the_largest_cells_stand_in_words() -> None:
    conv, *_ = figures_of(sections_of(hundred((*HEBREW, *LONG)))[0])
    assert not heat_of(conv).lettered
    assert conv.table.caption.endswith("of 10,000 images of the true class; the 50 largest of 100 that are not zero")
    assert len(conv.table.rows) == 50
    # of ten images one or two are wrong, by turns over the seeds
    assert [cell.text for cell in conv.table.rows[0]] == [HEBREW[0], HEBREW[1], "1,500"]
    assert [cell.text for cell in conv.table.rows[3]] == [LONG[0], LONG[1], "1,500"]
    assert conv.alt == (
        "Heat map of the answers of bn25k by true class. Most often: "
        f"\u2068{HEBREW[0]}\u2069 for \u2068{HEBREW[1]}\u2069 (1,500 of 10,000), "
        f"\u2068{HEBREW[1]}\u2069 for \u2068{HEBREW[2]}\u2069 (1,500 of 10,000), "
        f"\u2068{HEBREW[2]}\u2069 for {LONG[0]} (1,500 of 10,000) and 97 more as often as the last."
    )


def test_names_from_right_to_left_keep_their_side_of_the_arrow() -> None:
    table, *_ = tables_of(sections_of(hundred(HEBREW))[0])
    assert table.rows[0][1].text == f"\u2068{HEBREW[0]}\u2069 → \u2068{HEBREW[1]}\u2069"


def test_two_classes() -> None:
    figure, *_ = figures_of(sections_of(lopsided())[0])
    assert heat_of(figure).texts[0][1] == "139"  # of 900 images 10 to 15 are wrong: 10,000 × 12.5 / 900
    assert len(figure.table.rows) == 2
