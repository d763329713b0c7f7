"""What a report says of claims: the answer, the table, contradictions, what peeking was worth, pictures."""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest

from bench.core.work.claims.claim import Case
from bench.studies.claims.judge import judge_claims
from reports.build import build_document
from reports.document import Figure, Table
from reports.exports import claims_csv
from reports.figures.svg import draw_svg
from reports.sections.claims.pictures import claim_figures
from reports.sections.claims.section import (
    claims_document,
    claims_lead,
    claims_table,
    expected_by_luck,
    worth_section,
)
from reports.writers.markdown import write_markdown
from tests.bench.studies.claims.made import NET, OTHER, by_epoch, make_claim, make_runs, make_study

NEAR = [round(0.99 + k * 1e-4, 4) for k in (-4, -3, -2, -1, 0, 0, 1, 2, 3, 4)]
RUNS = [*make_runs(NET, by_epoch(NEAR)), *make_runs(OTHER, by_epoch([v - 0.01 for v in NEAR]))]
CLAIMS = (
    make_claim(contradiction="Elsewhere it says 98.99 %."),
    make_claim(id="X2", claimed=("97.00 %",), text="97.00 %"),
    make_claim(id="X3", rule="range", claimed=("98 %", "99.5 %")),
    make_claim(
        id="X4", rule="series", at=(1, 2, 3), claimed=("98.00 %", "99.00 %", "98.95 %"), text="how it goes"
    ),
    make_claim(
        id="X5a", rule="better", claimed=(), cases=(Case(label="one against the other", arm=NET, against=OTHER),)
    ),
)  # fmt: skip
STUDY = make_study(*CLAIMS, runs=RUNS)


def test_the_answer_counts_verdicts_and_what_luck_would_do() -> None:
    judged = judge_claims(STUDY)
    first, luck, marked = claims_lead(judged)
    assert first.text == "Of 5 claims (compound ones in parts) 4 reproduced and 1 not reproduced."
    assert expected_by_luck(judged) == pytest.approx(4 * 0.01 + 0.02)
    assert "By luck about 0.1 of them at most" in luck.text
    assert "selected on test" in marked.text
    assert list(claims_lead(())) == []


def test_the_table_and_the_contradiction() -> None:
    text = write_markdown(claims_document(STUDY))
    assert "| X2 | 97.00 % | 97.00 % | 99.00 %, s = 0.03 pp (selected on test; last epoch 98.95 %) | 10 |" in text
    assert "X1 contradicts itself: Elsewhere it says 98.99 %." in text
    assert "98 % to 99.5 %" in text


def test_of_several_conditions_the_table_tells_the_first() -> None:
    cases = tuple(Case(label=label, arm=NET, against=OTHER) for label in ("small", "large", "larger"))
    study = make_study(make_claim(id="X6", rule="better", claimed=(), cases=cases), runs=RUNS)
    (judged,) = judge_claims(study)
    (row,) = claims_table([judged]).rows
    assert row[3].text == f"{judged.cases[0].said} (small), and 2 other conditions"
    assert all(case.said in judged.measured for case in judged.cases)


def test_what_looking_at_the_test_set_was_worth() -> None:
    section = worth_section(STUDY, judge_claims(STUDY))
    assert section is not None
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    assert [row[1].text for row in table.rows] == ["10", "10"]
    assert {row[4].text for row in table.rows} == {"+0.050 (+0.050 to +0.050)"}, "the last epoch is 0.05 pp lower"
    kept_last = dataclasses.replace(NET, recipe=dataclasses.replace(NET.recipe, keep="last"))
    none = make_study(make_claim(cases=(Case(label="x", arm=kept_last),)), runs=make_runs(kept_last, by_epoch(NEAR)))
    assert worth_section(none, judge_claims(none)) is None


def test_every_kind_of_claim_has_a_picture_that_can_be_drawn() -> None:
    figures = [figure for of in judge_claims(STUDY) for figure in claim_figures(of)]
    assert [figure.slug for figure in figures] == ["claim-x1", "claim-x2", "claim-x3", "claim-x4", "claim-x5a"]
    one, _, both, curve, difference = (figure.panels[0] for figure in figures)
    assert one.target == pytest.approx(99.0)
    assert len(one.series[0].points) == 10
    assert [series.label for series in both.series[1:]] == ["claimed: 99.5 %", "claimed: 98 %"]
    measured, claimed = curve.series
    assert [point.y for point in claimed.points] == pytest.approx([98.0, 99.0, 98.95])
    assert (measured.points[1].low, measured.points[1].high) == pytest.approx((98.96, 99.04))
    assert difference.target == 0.0
    assert difference.series[0].points[0].y == pytest.approx(1.0)
    for figure in (figures[2], figures[3], figures[4]):
        assert draw_svg(figure).startswith("<?xml")


def test_a_condition_without_its_other_side_is_not_drawn_and_each_unit_has_a_panel() -> None:
    cases = (
        Case(label="accuracy", arm=NET, against=OTHER),
        Case(label="epochs", arm=NET, against=OTHER, quantity="epochs_to_95"),
        Case(label="nothing yet", arm=NET, against=dataclasses.replace(OTHER, epochs=4)),
    )
    (judged,) = judge_claims(make_study(make_claim(rule="better", claimed=(), cases=cases), runs=RUNS))
    (figure,) = claim_figures(judged)
    assert [[series.label for series in panel.series] for panel in figure.panels] == [["accuracy"], ["epochs"]]
    assert [panel.y_label.partition(",")[0] for panel in figure.panels] == ["difference (pp)", "difference (epochs)"]
    assert {row[3].text for row in figure.table.rows} >= {"98.00 %", "3.00 epochs"}
    assert (judged.cases[2].n, judged.cases[2].outcome) == (0, "undecided")


def test_claims_that_could_not_be_run_are_counted_apart() -> None:
    lost = dataclasses.replace(STUDY.claims[0], trouble="No architecture 'x'.")
    study = dataclasses.replace(STUDY, claims=(lost, *STUDY.claims[1:]))
    assert next(iter(claims_lead(judge_claims(study)))).text == (
        "Of 5 claims (compound ones in parts) 3 reproduced, 1 not reproduced and 1 that could not be run."
    )


def test_claims_run_on_other_images_are_said_to_be() -> None:
    elsewhere = dataclasses.replace(STUDY.claims[0], dataset="digits")
    text = write_markdown(claims_document(dataclasses.replace(STUDY, claims=(elsewhere, *STUDY.claims[1:]))))
    assert "X1: about mnist and run on digits; these verdicts say nothing of their sources." in text


def test_a_row_a_claim_for_programs() -> None:
    rows = list(csv.DictReader(io.StringIO(claims_csv(judge_claims(STUDY)))))
    assert [row["id"] for row in rows] == ["X1", "X2", "X3", "X4", "X5a"]
    assert {row["verdict"] for row in rows} == {"reproduced", "not reproduced"}
    assert (rows[4]["of"], rows[4]["claimed"]) == ("X5", "better")
    assert rows[0]["contradiction"] == "Elsewhere it says 98.99 %."
    assert claims_csv(()) == ""


def test_a_study_of_claims_alone_is_a_whole_report_and_ranks_nothing() -> None:
    document = build_document(STUDY)
    slugs = [section.slug for section in document.sections]
    assert slugs[:3] == ["claims", "claims-worth", "claims-detail"]
    assert "claim-x5a" in slugs
    assert not [section for section in document.sections if "verdict" in section.title.lower()]
    assert not any("No run to compare" in prose.text for prose in document.lead)
    assert len([block for block in document.blocks if isinstance(block, Figure)]) == 5
