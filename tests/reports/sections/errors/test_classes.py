"""Scores in which classes count alike, and accuracy class by class, of planted answers, by hand and by scipy."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import statistics

import pytest
from scipy.stats import t
from statsmodels.stats.proportion import proportion_confint

from bench.analysis.conditions import find_conditions
from reports.answer import find_answer
from reports.build import build_document
from reports.document import Table
from reports.exports import runs_csv, verdicts_csv
from reports.sections.errors.classes import class_section, score_table
from tests.reports.document_reading import prose_of, rows_of, section_of, tables_of, words_of
from tests.reports.sections.errors.class_studies import HEBREW, class_study, hundred, lopsided

SLUG = "mnist-shared-recipe-3-epochs-cpu"


def t_interval(values: list[float]) -> str:
    """Mean and Student's interval in %, by hand."""
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return f"{100 * mean:.2f} ({100 * (mean - half):.2f} to {100 * (mean + half):.2f})"


def test_accuracy_stands_beside_what_counts_classes_alike_and_the_way_to_judge_by_it() -> None:
    (condition,) = find_conditions(lopsided())
    table = score_table(condition)
    assert table is not None
    said = [prose.text for prose in build_document(lopsided()).lead if prose.tone == "data"]
    assert said[0].startswith(
        "The classes of mnist differ in size: of 1,000 test images 900 are of class common and 100 of class rare, so "
        "that whoever always says common gets 90.0 % of them right. Verdicts are on accuracy, in which a class counts "
        "by its images; --report --metric balanced_accuracy judges these runs by the mean over the classes."
    )
    bn25k, conv16k = rows_of(table)
    assert bn25k["Accuracy (%)"] == "91.00 (91.00 to 91.00)"
    recalls = [((890 - s) / 900, (20 + s) / 100) for s in range(6)]
    assert bn25k["Balanced accuracy (%)"] == t_interval([statistics.fmean(both) for both in recalls])
    # F1 is 2 right / (true + said): of 890 − s right and 80 − s wrongly so, of 20 + s and 10 + s
    f1 = [(2 * (890 - s) / (900 + 970 - 2 * s) + 2 * (20 + s) / (100 + 30 + 2 * s)) / 2 for s in range(6)]
    assert bn25k["Macro-F1 (%)"] == t_interval(f1)
    assert conv16k["Balanced accuracy (%)"].startswith("88.33 ")


def test_verdicts_turn_round_where_the_metric_does() -> None:
    for metric, winner, better in (("accuracy", "bn25k", 2.0), ("balanced_accuracy", "conv16k", 27.78)):
        study = lopsided(metric)
        (condition,) = find_conditions(study)
        rows = list(csv.DictReader(io.StringIO(verdicts_csv([condition]))))
        name = "test_accuracy" if metric == "accuracy" else metric
        assert [(row["metric"], row["unit"], row["n"]) for row in rows] == [
            (name, "pp", "6"),
            ("epochs_to_95", "epochs", "6"),
        ]
        assert rows[0]["verdict"] == ("a better" if winner == "bn25k" else "b better")
        assert abs(float(rows[0]["difference"])) == pytest.approx(better, abs=0.005)
        by = " by balanced accuracy" if metric == "balanced_accuracy" else ""
        assert find_answer(condition).text.startswith(f"{winner} is best{by}: {better:.2f} pp better than ")


def test_whatever_shows_what_verdicts_are_on_says_so() -> None:
    document = build_document(lopsided("balanced_accuracy"))
    tables = [*tables_of(document, ""), *(figure.table for figure in document.figures)]
    heads = [column.name for table in tables for column in table.columns]
    assert heads.count("Balanced test accuracy (%)") == 4, "of the comparison, costs, their front, and seconds"
    assert "Test accuracy (%)" not in heads
    drawn = [figure for figure in document.figures if " accuracy against " in figure.title]
    assert len(drawn) == 2
    assert all(figure.title.startswith("Balanced test accuracy against ") for figure in drawn)
    labels = {panel.y_label for figure in drawn for panel in figure.panels}
    assert labels == {"Balanced test accuracy (%)"}
    words = words_of(document)
    assert "are on balanced accuracy: the mean over the classes of the share of a class's test images" in words
    assert "--metric balanced_accuracy judges" not in words
    (pairs,) = tables_of(document, "Balanced test accuracy: verdicts on all pairs")
    assert len(pairs.rows) == 1
    (main,) = tables_of(document, "Balanced accuracy and size after 3 epochs")
    means = {row["Architecture"]: row["Balanced test accuracy (%)"] for row in rows_of(main)}
    assert means == {"conv16k": "88.33", "bn25k": "60.56"}
    (method,) = tables_of(document, "How mnist")
    rules = {row["What"]: row["How"] for row in rows_of(method)}
    assert rules["Verdicts"].startswith("rule 2, on typical seeds, on balanced accuracy: ")


def test_even_classes_get_neither_a_word_nor_a_table_unless_they_are_asked_for() -> None:
    even = {"bn25k": [(8, 18, 9 + s % 2) for s in range(6)], "conv16k": [(9, 10 + s, 9) for s in range(6)]}
    (condition,) = find_conditions(class_study((10, 20, 10), even))
    assert not condition.uneven
    assert score_table(condition) is None
    (asked,) = find_conditions(class_study((10, 20, 10), even, metric="balanced_accuracy"))
    assert score_table(asked) is not None
    (uneven,) = find_conditions(class_study((10, 21, 10), even))
    assert score_table(uneven) is not None


def test_a_study_without_stored_answers_says_what_it_lacks() -> None:
    bare = dataclasses.replace(lopsided("balanced_accuracy"), predicted={}, labels={})
    (condition,) = find_conditions(bare)
    assert score_table(condition) is None
    assert class_section(condition) is None
    assert condition.accuracy.means == {}
    words = words_of(build_document(bare))
    assert "12 of 12 runs have stored no answers, from which balanced accuracy follows" in words


def test_each_class_with_its_interval() -> None:
    (condition,) = find_conditions(lopsided())
    section = class_section(condition)
    assert section is not None
    assert section.gist
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    common, rare = rows_of(table)
    assert (common["Class"], common["Test images"], rare["Test images"]) == ("common", "900", "100")
    assert common["bn25k (%)"] == t_interval([(890 - s) / 900 for s in range(6)])
    assert rare["conv16k (%)"] == t_interval([(90 - s) / 100 for s in range(6)])
    assert "The lowest of each: bn25k 22.50 % of rare and conv16k 87.50 % of rare." in prose_of(section)


def test_one_seed_has_an_interval_over_the_images_of_a_class_and_two_have_none() -> None:
    study = class_study((40, 0, 10), {"bn25k": [(30, 0, 10)], "conv16k": [(40, 0, 9), (39, 0, 8)]})
    (condition,) = find_conditions(study)
    section = class_section(condition)
    assert section is not None
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    first, none, last = rows_of(table)
    low, high = proportion_confint(30, 40, method="wilson")
    assert first["bn25k (%)"] == f"75.00 ({100 * low:.2f} to {100 * high:.2f})"
    assert (last["conv16k (%)"], none["bn25k (%)"], none["Test images"]) == ("90.00 and 80.00", "—", "0")
    assert "With one seed it is Wilson's interval over the images" in prose_of(section)


def test_one_seed_by_balanced_accuracy_has_no_interval() -> None:
    study = class_study((40, 10), {"bn25k": [(30, 9)]}, metric="balanced_accuracy")
    (condition,) = find_conditions(study)
    assert find_answer(condition).text == ("bn25k has a balanced accuracy of 82.50 %; there is no other to compare.")
    words = words_of(build_document(study))
    assert "bn25k: one seed, the value of one fitted model." in words


def test_a_hundred_classes_are_folded_away_and_names_from_right_to_left_stay_in_their_place() -> None:
    document = build_document(hundred(HEBREW))
    section = section_of(document, f"{SLUG}-classes")
    assert section.gist
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    assert len(table.rows) == 100
    assert [row[0].text for row in table.rows[:4]] == [*HEBREW, "class 3"]
    study = class_study((30, 10), {"bn25k": [(30, 5)]}, names=HEBREW[:2])
    words = words_of(build_document(study))
    assert f"The lowest of each: bn25k 50.00 % of \u2068{HEBREW[1]}\u2069." in words
    assert f"30 are of class \u2068{HEBREW[0]}\u2069 and 10 of class \u2068{HEBREW[1]}\u2069, so that" in words


def test_scores_of_every_run_stand_in_the_table_for_programs() -> None:
    study = lopsided()
    unknown = dataclasses.replace(study, predicted={k: v for k, v in study.predicted.items() if k != "bn25k-3-0"})
    rows = list(csv.DictReader(io.StringIO(runs_csv(unknown))))
    assert list(rows[0])[19:21] == ["test_balanced_accuracy", "test_macro_f1"], "behind the 19 promised ones"
    by_id = {row["run_id"]: row for row in rows}
    assert (by_id["bn25k-3-0"]["test_balanced_accuracy"], by_id["bn25k-3-0"]["test_macro_f1"]) == ("", "")
    assert float(by_id["conv16k-3-2"]["test_balanced_accuracy"]) == pytest.approx((802 / 900 + 88 / 100) / 2)
    assert by_id["conv16k-3-2"]["test_accuracy"] == "0.89"


def test_one_wrong_image_of_a_small_class_is_no_collapse() -> None:
    # one image of five is 10 pp of balanced accuracy of two classes: of 1,005 images' noise it would be far below
    right = [(990, 5)] * 9 + [(990, 4)]
    (condition,) = find_conditions(class_study((1_000, 5), {"bn25k": right}, metric="balanced_accuracy"))
    assert condition.collapses["bn25k"].collapsed == ()
    fallen = [(990, 5)] * 9 + [(0, 5)]
    (condition,) = find_conditions(class_study((1_000, 5), {"bn25k": fallen}, metric="balanced_accuracy"))
    assert condition.collapses["bn25k"].collapsed == (9,)


def test_a_diverged_run_counts_as_guessing_by_balanced_accuracy_too() -> None:
    study = lopsided("balanced_accuracy")
    records = tuple(
        dataclasses.replace(run, status="diverged", test_accuracy=None) if run.run_id == "conv16k-3-5" else run
        for run in study.records
    )
    (condition,) = find_conditions(dataclasses.replace(study, records=records))
    assert condition.accuracy.values["conv16k"][5] == 0.5
