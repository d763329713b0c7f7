"""What tuning gained and what became of the order, against numbers recomputed by scipy or worked by hand."""

from __future__ import annotations

import dataclasses
import statistics

import numpy as np
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

from bench.analysis.stats.ranks import p_of_ranks
from reports.build import build_document
from tests.reports.document_reading import prose_of, rows_of, section_of, table_of
from tests.reports.sections.tuning.examples import (
    DEFAULT,
    NO_GAIN,
    TUNED,
    default_won,
    gains_of,
    make_tuning,
    retrained,
    three_tuned,
    tuned_study,
)


def test_gains_are_paired_tests_with_holm_over_the_architectures_that_have_a_gain() -> None:
    rows = gains_of(three_tuned())
    tests = [ttest_rel(tuned, DEFAULT) for tuned in (TUNED, NO_GAIN)]
    raw = [p_of_ranks(np.array(tuned), np.array(DEFAULT)) for tuned in (TUNED, NO_GAIN)]
    holm = multipletests(raw, method="holm")[1]
    for net, tuned, test, p in zip(("bn25k", "fc3136"), (TUNED, NO_GAIN), tests, holm, strict=True):
        low, high = (100 * end for end in test.confidence_interval(0.975))
        row = rows[net]
        assert row["Default: test accuracy (%)"] == f"{100 * statistics.fmean(DEFAULT):.2f}"
        assert row["Tuned: test accuracy (%)"] == f"{100 * statistics.fmean(tuned):.2f}"
        assert row["p (Holm)"] == ("< 0.0001" if p < 1e-4 else f"{p:.4f}")
        assert row["Interval (pp)"] == f"{low:+.2f} to {high:+.2f}".replace("-", "−")
        assert row["Seeds"] == "6"
    # gains of 12, 8, 11, 10, 13 and 12 images of 10,000; and of -1, 0, 1, 0, -1 and 1
    assert rows["bn25k"]["Gain (pp)"] == "+0.11"
    assert rows["fc3136"]["Gain (pp)"] == "0.00"
    assert rows["bn25k"]["Verdict"] == "tuned better"
    assert rows["fc3136"]["Verdict"] == "equivalent"


def test_a_winner_that_is_the_default_has_no_gain() -> None:
    row = gains_of(three_tuned())["conv16k"]
    assert row["Verdict"] == "the default recipe won"
    assert [row[name] for name in ("Gain (pp)", "Interval (pp)", "p (Holm)", "Seeds")] == ["—"] * 4
    mean = f"{100 * statistics.fmean(DEFAULT):.2f}"
    assert (row["Default: test accuracy (%)"], row["Tuned: test accuracy (%)"]) == (mean, mean)


def test_trials_and_images_of_the_search_are_counted() -> None:
    row = gains_of(three_tuned())["bn25k"]
    assert row["Trials: complete/pruned/failed"] == "3/1/1"
    # 3 × 300,000 + 100,000 + 0 of 5 trials × 3 epochs × 50,000 images × 2 seeds
    assert row["Training images of the search, of its ceiling"] == "1,000,000 of 1,500,000 (67 %)"


def test_the_margin_of_the_study_decides_what_matters() -> None:
    tuning = make_tuning()
    study = tuned_study(tuning, runs=[*retrained("bn25k", DEFAULT), *retrained("bn25k", TUNED, tuning=tuning)])
    narrow, wide = (
        gains_of(dataclasses.replace(study, margins=dataclasses.replace(study.margins, margin=margin)))
        for margin in (0.0001, 0.01)
    )
    assert narrow["bn25k"]["Verdict"] == "tuned better, matters"
    assert wide["bn25k"]["Verdict"] == "tuned better, too small to matter"


def test_a_default_that_is_better_is_said_to_be() -> None:
    tuning = make_tuning()
    study = tuned_study(tuning, runs=[*retrained("bn25k", TUNED), *retrained("bn25k", DEFAULT, tuning=tuning)])
    assert gains_of(study)["bn25k"]["Verdict"].startswith("default better")
    lead = next(line.text for line in build_document(study).lead if line.text.startswith("Tuned against default"))
    assert lead.startswith("Tuned against default on mnist, 3 epochs: bn25k loses 0.1")
    assert lead.endswith(", from 6 seeds), default better.")


def test_the_lead_says_each_gain_with_its_verdict() -> None:
    lead = [line.text for line in build_document(three_tuned()).lead]
    (said,) = [text for text in lead if text.startswith("Tuned against default")]
    low, high = (100 * end for end in ttest_rel(TUNED, DEFAULT).confidence_interval(0.975))
    gain = f"bn25k gains 0.11 pp ({low:.2f} to {high:.2f}, from 6 seeds), tuned better; "
    assert gain in said
    assert "conv16k: the default recipe won; " in said
    assert said.endswith(", from 6 seeds), equivalent.")


def test_what_is_left_out_and_what_is_not_retrained_yet() -> None:
    tuning, waiting = make_tuning(), make_tuning("fc3136")
    tuned = retrained("bn25k", TUNED, tuning=tuning)
    failed = dataclasses.replace(tuned[5][0], status="failed", test_accuracy=None)
    runs = [*retrained("bn25k", DEFAULT), *tuned[:5], (failed, ()), *retrained("fc3136", DEFAULT)]
    study = tuned_study(tuning, waiting, runs=runs)
    rows = gains_of(study)
    assert (rows["bn25k"]["Seeds"], rows["bn25k"]["Verdict"]) == ("5", "too few seeds, 1 more seed needed")
    # on the five seeds that both have
    assert rows["bn25k"]["Default: test accuracy (%)"] == f"{100 * statistics.fmean(DEFAULT[:5]):.2f}"
    assert rows["fc3136"]["Verdict"] == "not retrained yet"
    assert "diverged or failed: bn25k 1 seed." in prose_of(section_of(build_document(study), "tuning"))


def test_a_study_until_decided_is_judged_at_the_level_of_its_look() -> None:
    tuning = make_tuning()
    study = tuned_study(tuning)
    study = dataclasses.replace(study, seed_plans={run.run_id: ("6:12",) for run in study.records})
    # spent at 6 of 12 seeds: 0.05 ln(1 + (e - 1) / 2) = 0.0310
    table = table_of(section_of(build_document(study), "tuning"), "Tuned against default")
    assert table.caption.endswith("; intervals at 96.9 %")


def test_all_tuned_architectures_meet_in_one_table() -> None:
    table = table_of(section_of(build_document(three_tuned()), "mnist-tuned-recipe-3-epochs-cpu"), "Accuracy and size")
    assert [row["Architecture"] for row in rows_of(table)] == ["bn25k", "conv16k", "fc3136"]
    assert [row["Seeds"] for row in rows_of(table)] == ["6", "6", "6"]


def test_order_that_tuning_turned_round() -> None:
    bn25k, fc3136 = make_tuning("bn25k"), default_won("fc3136")
    # 5.5 images of 10,000 above bn25k's default on average, and as much below it when tuned
    middle = [d + g for d, g in zip(DEFAULT, (0.0005, 0.0007, 0.0004, 0.0006, 0.0005, 0.0006), strict=True)]
    runs = [*retrained("bn25k", DEFAULT), *retrained("bn25k", TUNED, tuning=bn25k), *retrained("fc3136", middle)]
    text = prose_of(section_of(build_document(tuned_study(bn25k, fc3136, runs=runs)), "tuning"))
    assert "Tuning changed the order: fc3136 is better than bn25k with default recipes, and worse when tuned." in text


def test_a_verdict_that_differs_is_no_change_of_order_by_itself() -> None:
    study = three_tuned()  # equal before; tuned, bn25k is better than both
    text = prose_of(section_of(build_document(study), "tuning"))
    assert "Tuning turned no pair round" in text
    assert "bn25k against conv16k: equivalent before, bn25k better tuned" in text
    assert "conv16k against fc3136" not in text
    assert "no change of order by itself" in text


def test_an_order_that_stays_is_said_to_stay() -> None:
    bn25k, fc3136 = make_tuning("bn25k"), make_tuning("fc3136")
    runs = [run for net in ("bn25k", "fc3136") for run in retrained(net, DEFAULT)]
    runs += [run for t in (bn25k, fc3136) for run in retrained(t.architecture, TUNED, tuning=t)]
    text = prose_of(section_of(build_document(tuned_study(bn25k, fc3136, runs=runs)), "tuning"))
    assert "Tuning did not change the order: the one pair has the same verdict" in text
