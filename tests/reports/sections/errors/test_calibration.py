"""How sure nets are beside how often they are right, by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest

from tests.reports.document_reading import prose_of
from tests.reports.sections.errors.answer_studies import (
    SEEDS,
    every_four_is_a_nine,
    figures_of,
    made_up,
    sections_of,
    tables_of,
)


def test_calibration_by_hand() -> None:
    section = sections_of(every_four_is_a_nine())[1]
    table = tables_of(section)[0]
    # conv16k: 18 of 20 right at 75 % in every run: |0.9 − 0.75|; lenet21k: 20 of 20, and once 19: 0.25, 0.2
    conv, lenet = table.rows
    assert [cell.text for cell in conv] == ["conv16k", "15.00 (15.00 to 15.00)", "0.0300 (0.0300 to 0.0300)", "6"]
    # mean 145 / 6; s = 5 / sqrt(6); t(0.975, 5) = 2.570582, so ± 2.142
    assert lenet[1].text == "24.17 (22.02 to 26.31)"
    assert lenet[1].interval == pytest.approx((24.1667 - 2.1422, 24.1667 + 2.1422), abs=1e-3)
    (figure,) = figures_of(section)
    (panel,) = figure.panels
    assert panel.target == 0
    assert [(s.label, s.style) for s in panel.series] == [("conv16k", 0), ("lenet21k", 1)]
    (point,) = panel.series[0].points
    assert [point.x, point.y] == pytest.approx([75, 15])
    # 0.75 * 15 = 11.25: bin 11
    texts = [cell.text for cell in figure.table.rows[1]]
    assert texts == ["lenet21k", "73.3 to 80.0", "120", "75.00", "99.17"]
    assert figure.alt.endswith(
        "; what adds most to the error: conv16k 90.0 % right when 75.0 % sure (120 answers); lenet21k 99.2 % right "
        "when 75.0 % sure (120 answers)."
    )


def test_the_alternative_text_of_reliability_names_no_bin_of_a_few_answers() -> None:
    study = made_up({"lenet21k": {}, "conv16k": {(seed, 9): 0 for seed in SEEDS}})
    for seed in SEEDS:  # four answers of every run: 24 in all, a quarter of them wrong
        study.confidence[f"conv16k-3-{seed}"][6:10] = 0.3
    (figure,) = figures_of(sections_of(study)[1])
    assert [cell.text for cell in figure.table.rows[0]] == ["conv16k", "26.7 to 33.3", "24", "30.00", "75.00"]
    # 24 answers 45 pp apart are 10.8 of all, 96 answers 25 pp apart are 24
    assert "conv16k 100.0 % right when 75.0 % sure (96 answers)" in figure.alt
    assert "30" not in figure.alt


def test_both_numbers_of_calibration_are_of_the_same_seeds() -> None:
    study = every_four_is_a_nine()
    losses = {("lenet21k", 0): None, ("lenet21k", 1): math.inf, ("lenet21k", 3): 0.05}
    mixed = tuple(
        dataclasses.replace(run, test_loss=losses.get((run.architecture, run.seed), run.test_loss))
        for run in study.records
    )
    section = sections_of(dataclasses.replace(study, records=mixed))[1]
    conv, lenet = tables_of(section)[0].rows
    assert (conv[3].text, lenet[3].text) == ("6", "4")
    # of seeds 2 to 5: one error of 0.2 and three of 0.25; losses 0.05 and three of 0.03
    assert [lenet[1].value, lenet[2].value] == pytest.approx([23.75, 0.035])
    assert "The table leaves out 2 runs without a finite log loss" in prose_of(section)
    (figure,) = figures_of(section)
    assert [cell.text for cell in figure.table.rows[1]][:3] == ["lenet21k", "73.3 to 80.0", "120"]


def test_where_no_log_loss_is_stored_calibration_has_all_seeds() -> None:
    study = every_four_is_a_nine()
    bare = tuple(dataclasses.replace(run, test_loss=None) for run in study.records)
    section = sections_of(dataclasses.replace(study, records=bare))[1]
    assert [cell.text for cell in tables_of(section)[0].rows[0]] == ["conv16k", "15.00 (15.00 to 15.00)", "—", "6"]
    assert "leaves out" not in prose_of(section)


def test_bins_with_few_answers_are_left_out() -> None:
    study = every_four_is_a_nine()
    for run in SEEDS:
        study.confidence[f"conv16k-3-{run}"][0] = 0.3  # six answers in all
    (figure,) = figures_of(sections_of(study)[1])
    assert [cell.text for cell in figure.table.rows[0][:3]] == ["conv16k", "73.3 to 80.0", "114"]
    assert len(figure.table.rows) == 2


def test_a_net_of_which_one_run_lacks_confidences_is_left_out_of_calibration() -> None:
    study = every_four_is_a_nine()
    known = {run_id: sure for run_id, sure in study.confidence.items() if run_id != "conv16k-3-4"}
    section = sections_of(dataclasses.replace(study, confidence=known))[1]
    assert [row[0].text for row in tables_of(section)[0].rows] == ["lenet21k"]
    assert "No confidence is stored for every run of conv16k." in prose_of(section)
