"""The pictures of a comparison: accuracy against every cost, and the matrix of verdicts; from planted accuracies."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING

import pytest

from bench.analysis.conditions import find_conditions
from reports.build import build_document
from reports.document import Heatmap, Prose
from reports.sections.costs.against import cost_figure, find_cost_front, front_section, uncounted_note
from reports.sections.verdicts.pairs import MOST_ARCHITECTURES, verdict_figure
from tests.factories import make_run, make_timing, study_of

if TYPE_CHECKING:
    from bench.core.records import Study
    from reports.document import Figure

JITTER = (0.0001, -0.0001, 0.0002, -0.0002, 0.0, 0.0003, -0.0003, 0.0)
"""Added to each seed's accuracy; sums to zero, and another order for each net keeps differences from being constant."""


def study_with(accuracies: dict[str, float], *, seeds: int = 8, params: dict[str, int] | None = None) -> Study:
    """Eight seeds a net around its accuracy."""
    runs = []
    for at, (net, accuracy) in enumerate(accuracies.items()):
        for seed in range(seeds):
            record, curve = make_run("bn25k", seed=seed)
            size = (params or {}).get(net, 1000)
            named = dataclasses.replace(
                record,
                run_id=f"{net}-{seed}",
                architecture=net,
                architecture_hash=f"hash-of-{net}",
                params=size,
                macs=20 * size,
                test_accuracy=accuracy + JITTER[(seed + 3 * at) % 8],
            )
            runs.append((named, curve))
    return dataclasses.replace(study_of(*runs), timings=())


def cost_figure_of(study: Study) -> Figure:
    (condition,) = find_conditions(study)
    styles = {entry.label: at for at, entry in enumerate(condition.entries)}
    figure = cost_figure(condition, find_cost_front(condition, study), styles)
    assert figure is not None
    return figure


def matrix_of(study: Study) -> Figure | None:
    (condition,) = find_conditions(study)
    return verdict_figure(condition)


def test_accuracy_is_drawn_with_its_t_interval_against_each_cost() -> None:
    figure = cost_figure_of(study_with({"small": 0.98, "large": 0.99}, params={"small": 1000, "large": 50_000}))
    assert [(panel.title, panel.log_x, panel.named) for panel in figure.panels] == [
        ("Parameters", True, True),
        ("MACs per image", True, True),
    ]
    (large, small), (large_macs, small_macs) = (panel.series for panel in figure.panels)
    assert [series.points[0].x for series in (large, small, large_macs, small_macs)] == [
        50_000,
        1000,
        1_000_000,
        20_000,
    ]
    half = 100 * 2.364624 * statistics.stdev(JITTER) / math.sqrt(8)  # t(7, 97.5 %) from the table
    point = small.points[0]
    assert (point.y, point.low, point.high) == pytest.approx((98.0, 98.0 - half, 98.0 + half))
    assert [cell.text for cell in figure.table.rows[1]][:2] == ["small", "98.00"]
    assert [cell.text for cell in figure.table.rows[1]][3:] == ["1,000", "20,000", "possibly on the front"]


def test_hollow_is_what_another_beats_at_no_higher_cost() -> None:
    params = {"bad": 2000, "best": 2000, "cheap": 500}
    figure = cost_figure_of(study_with({"bad": 0.98, "best": 0.99, "cheap": 0.97}, params=params))
    for panel in figure.panels:
        assert {series.label: series.hollow for series in panel.series} == {"bad": True, "best": False, "cheap": False}
        assert (panel.filled_means, panel.hollow_means) == ("possibly on the front", "confidently dominated")
    assert figure.alt.endswith("Confidently dominated, with hollow markers: bad.")
    assert figure.table.rows[0][-1].text == "dominated by best"


def test_without_verdicts_nothing_is_hollow_and_no_key_promises_a_front() -> None:
    figure = cost_figure_of(study_with({"a": 0.98, "b": 0.99}, seeds=3))
    assert not any(series.hollow for panel in figure.panels for series in panel.series)
    assert {panel.hollow_means for panel in figure.panels} == {""}
    assert "Standing" not in [column.name for column in figure.table.columns]


def test_latency_is_a_third_panel_only_when_one_quiet_phase_timed_all() -> None:
    study = study_with({"a": 0.98, "b": 0.99})
    some, both = (tuple(make_timing(net, slower=k + 1) for k, net in enumerate(nets)) for nets in (("a",), ("a", "b")))
    assert len(cost_figure_of(dataclasses.replace(study, timings=some)).panels) == 2
    figure = cost_figure_of(dataclasses.replace(study, timings=both))
    assert [panel.title for panel in figure.panels] == [
        "Parameters",
        "MACs per image",
        "Milliseconds a pass at batch 1",
    ]
    assert [series.points[0].x for series in figure.panels[2].series] == [5.0, 10.0]  # median blocks of 5 and 10 ms
    noisy = tuple(dataclasses.replace(timing, quiet=False) for timing in both)
    assert len(cost_figure_of(dataclasses.replace(study, timings=noisy)).panels) == 2


def test_a_first_run_that_failed_before_it_was_counted_hides_no_net() -> None:
    study = study_with({"a": 0.98, "b": 0.99})
    first = dataclasses.replace(study.records[0], status="failed", params=None, macs=None, test_accuracy=None)
    figure = cost_figure_of(dataclasses.replace(study, records=(first, *study.records[1:])))
    assert [[series.label for series in panel.series] for panel in figure.panels] == [["a", "b"], ["a", "b"]]


def test_figure_and_section_of_the_front_agree() -> None:
    study = study_with({"a": 0.98, "b": 0.99, "c": 0.985}, params={"a": 3000, "b": 2000, "c": 900})
    (condition,) = find_conditions(study)
    section = front_section(condition, find_cost_front(condition, study))
    assert section is not None
    table = section.blocks[1]
    said = {row[0].text: row[-1].text for row in getattr(table, "rows", ())}
    assert said == {row[0].text: row[-1].text for row in cost_figure_of(study).table.rows}
    assert said["a"] == "dominated by b and c"


def with_uncounted(study: Study, net: str, *, declared: int = 0) -> Study:
    """The study with a net whose MACs leave out a product."""
    metadata = study.architectures[f"hash-of-{net}"]
    known = dataclasses.replace(
        metadata, uncounted_operations=("_trilinear", "relu"), macs=40_000 + declared, declared_macs=declared
    )
    return dataclasses.replace(study, architectures={**study.architectures, f"hash-of-{net}": known})


def test_where_a_product_stays_uncounted_macs_speak_for_nobody() -> None:
    study = study_with({"a": 0.98, "b": 0.99, "c": 0.985}, params={"a": 2000, "b": 2000, "c": 900})
    dearer = tuple(dataclasses.replace(run, macs=run.macs + 1) if run.architecture == "b" else run for run in
                   study.records if run.macs is not None)  # fmt: skip
    study = dataclasses.replace(study, records=dearer)
    counted = {row[0].text: row[-1].text for row in cost_figure_of(study).table.rows}
    assert counted["a"] == "dominated by c"  # b costs a MAC more
    study = with_uncounted(study, "b")
    figure = cost_figure_of(study)
    assert [panel.title for panel in figure.panels] == ["Parameters"]
    assert {row[0].text: row[-1].text for row in figure.table.rows}["a"] == "dominated by b and c"
    (condition,) = find_conditions(study)
    section = front_section(condition, find_cost_front(condition, study))
    assert section is not None
    prose, table = section.blocks
    assert getattr(prose, "text", "").startswith("Costs are parameters. Dominated means")
    assert [column.name for column in getattr(table, "columns", ())] == [
        "Architecture", "Test accuracy (%)", "Parameters", "Standing",
    ]  # fmt: skip


def test_the_report_says_whose_macs_are_not_all_counted_and_what_was_declared() -> None:
    study = study_with({"a": 0.98, "b": 0.99})
    (condition,) = find_conditions(study)
    assert uncounted_note(find_cost_front(condition, study)) is None
    told = {}
    for declared in (0, 2_000):
        note = uncounted_note(find_cost_front(condition, with_uncounted(study, "b", declared=declared)))
        assert note is not None
        told[declared] = note.text
    end = ". So MACs are no cost here by which any architecture is held against another."
    assert told[0] == f"b: more than the 40,000 MACs that are counted, without _trilinear{end}"
    declares = "b: its file declares 42,000 MACs, of which 40,000 are counted and 2,000 are not (_trilinear)"
    assert told[2_000] == declares + end
    sections = build_document(with_uncounted(study, "b", declared=2_000)).sections
    text = "\n".join(block.text for section in sections for block in section.blocks if isinstance(block, Prose))
    assert declares + end in text
    assert "42,000 MACs per image, 2,000 of them only declared" in text


def test_many_architectures_have_a_legend_instead_of_names_at_points() -> None:
    few, many = (cost_figure_of(study_with({f"n{k:02}": 0.98 for k in range(n)}, seeds=1)) for n in (14, 15))
    assert [figure.panels[0].named for figure in (few, many)] == [True, False]


def test_each_cell_says_how_the_row_stands_to_the_column() -> None:
    figure = matrix_of(study_with({"a": 0.98, "b": 0.99, "c": 0.99}))
    assert figure is not None
    (panel,) = figure.panels
    assert isinstance(panel, Heatmap)
    assert panel.rows == panel.columns == ("b", "c", "a"), "the best group first, as in the table"
    assert panel.texts == (
        ("", "equivalent\n0.00", "better\n+1.00"),
        ("equivalent\n0.00", "", "better\n+1.00"),
        ("worse\n−1.00", "worse\n−1.00", ""),
    )
    assert panel.values[2][2] is None
    assert panel.values[2][:2] == pytest.approx((-1.0, -1.0))
    assert panel.values[0][1] == panel.values[1][0] == 0.0
    assert panel.values[1][2] == pytest.approx(1.0)
    assert figure.alt.endswith("of 3 pairs 2 decided for one of the two, 1 equivalent.")
    assert [cell.text for cell in figure.table.rows[0]] == ["b", "", "equivalent 0.00", "better +1.00"]


def test_an_undecided_pair_shows_its_difference_without_a_colour() -> None:
    study = study_with({"a": 0.98, "b": 0.99, "c": 0.99})
    wild = tuple(
        dataclasses.replace(r, test_accuracy=0.99 + 0.004 * (-1) ** r.seed) if r.architecture == "c" else r
        for r in study.records
    )
    figure = matrix_of(dataclasses.replace(study, records=wild))
    assert figure is not None
    (panel,) = figure.panels
    assert isinstance(panel, Heatmap)
    at, other = panel.rows.index("b"), panel.rows.index("c")
    assert panel.texts[at][other].startswith("undecided\n")
    assert (panel.values[at][other], panel.values[other][at]) == (None, None)


def test_no_matrix_for_two_for_too_many_or_for_too_few_seeds() -> None:
    assert matrix_of(study_with({"a": 0.98, "b": 0.99})) is None
    assert matrix_of(study_with({"a": 0.98, "b": 0.99, "c": 0.97}, seeds=5)) is None
    most = {f"n{k:02}": 0.9 + 0.003 * k for k in range(MOST_ARCHITECTURES + 1)}
    assert matrix_of(study_with(most)) is None
    assert matrix_of(study_with(dict(list(most.items())[:-1]))) is not None
