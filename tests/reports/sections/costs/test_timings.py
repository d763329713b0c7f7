"""What the speed tables say of order: beyond the noise of the same net timed twice, inside one phase, or nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from reports.build import build_document
from reports.document import Figure, Prose, Table
from reports.sections.costs.timings import timing_section
from tests.factories import make_run, make_study, make_timing, study_of
from tests.reports.document_reading import column_of, tables_of, words_of

if TYPE_CHECKING:
    from bench.core.metadata import Timing

STYLES = {"bn25k": 0, "conv16k": 1, "fc3136": 2}
RATIOS = "Time relative to the fastest at batch 256"


def show(*timings: Timing) -> tuple[list[str], list[Table]]:
    """Texts after the introduction, and tables, of a study with these timings."""
    study = study_of(*(make_run(net, seed=0) for net in ("bn25k", "conv16k", "fc3136")))
    section = timing_section(dataclasses.replace(study, timings=timings), STYLES)
    assert section is not None
    prose = [block.text for block in section.blocks if isinstance(block, Prose)]
    return prose[1:], [block for block in section.blocks if isinstance(block, Table)]


def ranked(tables: list[Table]) -> list[bool]:
    return [any("relative" in column.name for column in table.columns) for table in tables]


def test_noise_order_and_ties_by_hand() -> None:
    texts, (table,) = show(
        make_timing("bn25k", slower=1.25, twin=1.018),
        make_timing("conv16k", twin=1.001),
        make_timing("fc3136", slower=1.01, twin=1 / 1.01),
    )
    assert texts == [
        f"At batch {batch} the medians of the same net timed twice differ by up to 1.8 %: smaller differences do not "
        "count, nor do those that turn round in one of the repeats. conv16k has the lowest median of repeats; fc3136 "
        "cannot be told from it."
        for batch in (1, 256)
    ]
    assert column_of(table, RATIOS) == {
        "bn25k": "1.25 (1.25 to 1.25)",
        "conv16k": "1.00 (1.00 to 1.00)",
        "fc3136": "1.01 (1.01 to 1.01)",
    }


def test_ratios_show_the_spread_over_repeats_and_sort_by_the_median() -> None:
    own = {256: (0.06, 0.08, 0.08)}  # beside 0.05, 0.064 and 0.08: 1.2, 1.25 and 1
    uneven = dataclasses.replace(make_timing("bn25k"), seconds_per_batch=own, twin_seconds_per_batch=own)
    _, (table,) = show(uneven, make_timing("conv16k"))
    assert column_of(table, RATIOS)["bn25k"] == "1.20 (1.00 to 1.25)"
    (cell,) = [cell for cell in table.rows[0] if "to 1.25" in cell.text]
    assert cell.value == pytest.approx(1.2)


def test_a_noisy_twin_takes_a_five_percent_lead_away() -> None:
    slower = make_timing("bn25k", slower=1.05)
    for twin, said in (
        (1.02, "conv16k is the fastest by the medians of repeats."),
        (1.10, "bn25k cannot be told from it."),
    ):
        texts, _ = show(slower, make_timing("conv16k", twin=twin))
        assert [text.endswith(said) for text in texts] == [True, True]


def test_several_ties_are_all_named() -> None:
    texts, _ = show(make_timing("bn25k"), make_timing("conv16k", slower=1.002), make_timing("fc3136", slower=1.001))
    assert texts[0].endswith("bn25k has the lowest median of repeats; fc3136 and conv16k cannot be told from it.")


def test_one_net_alone_has_noise_and_no_order() -> None:
    texts, _ = show(make_timing("bn25k", twin=1.03))
    assert texts[0].startswith("At batch 1 the medians of the same net timed twice differ by up to 3.0 %: smaller")
    assert "fastest" not in texts[0]


def test_without_a_twin_of_every_net_nothing_is_ranked_and_the_text_says_so() -> None:
    texts, tables = show(make_timing("bn25k"), make_timing("conv16k", slower=2, twin=None))
    assert ranked(tables) == [False]
    (text,) = texts
    assert text.startswith("At batch 1 and 256 not every net was timed twice, so the noise is unknown")
    assert "not ranked" in text


def test_a_batch_size_without_twins_is_left_out_alone() -> None:
    half = make_timing("conv16k", slower=2)
    half = dataclasses.replace(half, twin_seconds_per_batch={256: half.twin_seconds_per_batch[256]})
    texts, (table,) = show(make_timing("bn25k"), half)
    assert [c.name for c in table.columns if "relative" in c.name] == [RATIOS]
    assert texts[0].endswith("bn25k is the fastest by the medians of repeats.")
    assert texts[1].startswith("At batch 1 not every net was timed twice")


def test_a_phase_with_company_is_not_ranked() -> None:
    texts, tables = show(make_timing("bn25k", quiet=False), make_timing("conv16k", slower=2, quiet=False))
    assert ranked(tables) == [False]
    (text,) = texts
    assert "is not ranked" in text


def test_phases_and_machines_are_ranked_each_by_itself() -> None:
    fast = dataclasses.replace(make_timing("fc3136", slower=0.1), phase="phase-2")
    texts, tables = show(make_timing("bn25k"), make_timing("conv16k", slower=2), fast)
    by_names = {tuple(row[0].text for row in table.rows): table for table in tables}
    assert column_of(by_names["bn25k", "conv16k"], RATIOS)["bn25k"] == "1.00 (1.00 to 1.00)"
    assert column_of(by_names["fc3136",], RATIOS) == {"fc3136": "1.00 (1.00 to 1.00)"}
    assert not any("fc3136" in text for text in texts)


def test_two_sources_of_one_name_keep_a_row_each() -> None:
    both = [
        dataclasses.replace(make_timing("bn25k"), architecture_hash=source) for source in ("aaaaaaaa1", "bbbbbbbb2")
    ]
    study = study_of(make_run("bn25k", seed=0))
    records = tuple(dataclasses.replace(study.records[0], architecture_hash=t.architecture_hash) for t in both)
    section = timing_section(dataclasses.replace(study, records=records, timings=tuple(both)), STYLES)
    assert section is not None
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    assert [row[0].text for row in table.rows] == ["bn25k (aaaaaaa)", "bn25k (bbbbbbb)"]


def figures_of(*timings: Timing) -> list[Figure]:
    study = study_of(*(make_run(net, seed=0) for net in ("bn25k", "conv16k", "fc3136")))
    section = timing_section(dataclasses.replace(study, timings=timings), STYLES)
    assert section is not None
    return [block for block in section.blocks if isinstance(block, Figure)]


def test_the_picture_over_batch_sizes_has_medians_and_the_noise_around_them() -> None:
    own = {1: (0.004, 0.002, 0.005), 32: (0.08, 0.08, 0.08), 256: (0.5, 0.4, 0.3)}
    twin = {1: (0.004, 0.004, 0.005), 32: (0.1, 0.1, 0.1), 256: (0.4, 0.4, 0.4)}
    (figure,) = figures_of(
        dataclasses.replace(make_timing("conv16k"), seconds_per_batch=own, twin_seconds_per_batch=twin)
    )
    rates, times = figure.panels
    assert [list(panel.x_ticks) for panel in figure.panels] == [[1, 32, 256]] * 2
    (rate,), (time,) = rates.series, times.series
    assert (rate.label, rate.style, time.style) == ("conv16k", 1, 1)
    # Medians 4, 80 and 400 ms; the twin's 4, 100 and 400: at batch 32 noise is a factor of 1.25 to both sides.
    expected_rates = [(250, 250, 250), (400, 320, 500), (640, 640, 640)]
    expected_times = [(4, 4, 4), (80, 64, 100), (400, 400, 400)]
    for series, expected in ((rate, expected_rates), (time, expected_times)):
        assert [(p.y, p.low, p.high) for p in series.points] == [pytest.approx(values) for values in expected]
    assert [[cell.text for cell in row] for row in figure.table.rows] == [
        ["conv16k", "1", "250", "4.000", "0.0"],
        ["conv16k", "32", "400", "80.000", "25.0"],
        ["conv16k", "256", "640", "400.000", "0.0"],
    ]


def test_sizes_between_the_ends_are_drawn_and_not_tabled() -> None:
    own = {1: (0.004,) * 3, 8: (0.01,) * 3, 256: (0.5,) * 3}
    texts, (table,) = show(dataclasses.replace(make_timing("bn25k"), seconds_per_batch=own, twin_seconds_per_batch=own))
    assert [text.split(" the ")[0] for text in texts] == ["At batch 1", "At batch 256"]
    assert [c.name for c in table.columns if c.name.startswith("Images/s")] == [
        "Images/s at batch 1",
        "Images/s at batch 256",
    ]


def test_without_twins_points_have_no_whiskers_and_a_phase_with_company_no_picture() -> None:
    (figure,) = figures_of(make_timing("bn25k", twin=None))
    assert [(p.low, p.high) for p in figure.panels[0].series[0].points] == [(None, None)] * 2
    assert {row[-1].text for row in figure.table.rows} == {"—"}
    assert figures_of(make_timing("bn25k", quiet=False)) == []


def test_every_phase_has_a_picture_with_a_name_of_its_own() -> None:
    late = dataclasses.replace(make_timing("fc3136"), phase="phase-2", measured_at="2026-02-01T00:00:00+00:00")
    found = figures_of(make_timing("bn25k"), late)
    assert [(f.slug, f.panels[0].series[0].label) for f in found] == [
        ("inference-batches", "fc3136"),
        ("inference-batches-2", "bn25k"),
    ]


def test_a_net_looks_the_same_in_every_phase_and_like_no_other_net() -> None:
    def phase(name: str, *timings: Timing) -> list[Timing]:
        return [dataclasses.replace(t, phase=name, measured_at=f"2026-0{name}-01T00:00:00+00:00") for t in timings]

    # two sources of lenet21k; neither they nor alexnet have a style of their own beside the 0, 1 and 2 given
    old, new = (
        dataclasses.replace(make_timing("lenet21k"), architecture_hash=source) for source in ("aaaaaaaa1", "bbbbbbbb2")
    )
    alexnet = make_timing("alexnet")
    timings = [*phase("1", make_timing("fc3136"), old), *phase("2", alexnet, new), *phase("3", old, alexnet)]
    nets = {(t.architecture, t.architecture_hash) for t in timings}
    runs = [
        (dataclasses.replace(make_run(net, seed=0)[0], run_id=source, architecture_hash=source), ())
        for net, source in nets
    ]
    section = timing_section(dataclasses.replace(study_of(*runs), timings=tuple(timings)), STYLES)
    assert section is not None
    drawn = [
        {series.label: series.style for series in panel.series}
        for figure in section.blocks
        if isinstance(figure, Figure)
        for panel in figure.panels
    ]
    first, second, third = ("lenet21k (aaaaaaa)", "lenet21k (bbbbbbb)", "alexnet")
    assert [set(panel) for panel in drawn[::2]] == [{third, first}, {third, second}, {"fc3136", first}]  # newest first
    styles: dict[str, set[int]] = {}
    for panel in drawn:
        for label, style in panel.items():
            styles.setdefault(label, set()).add(style)
    assert styles["fc3136"] == {2}
    assert {len(of) for of in styles.values()} == {1}
    assert sorted(style for of in styles.values() for style in of) == [2, 3, 4, 5]


def test_memory_that_an_older_version_measured_is_not_called_the_nets() -> None:
    old, new = make_timing("bn25k"), make_timing("conv16k")
    texts, (table,) = show(dataclasses.replace(old, base_has_trained=False), new)
    assert column_of(table, "Above a smallest net (MB)") == {"bn25k": "—", "conv16k": "250.0"}
    assert column_of(table, "Peak memory in training (MB)") == {"bn25k": "400.0", "conv16k": "400.0"}
    assert texts[0].startswith("Memory above a smallest net is left out where an older version measured it")
    texts, _ = show(old, new)
    assert not any("older version" in text for text in texts)


def test_one_net_has_one_latency_that_is_compared_and_the_other_is_called_a_single_call() -> None:
    _, (table,) = show(make_timing("bn25k"))
    names = [column.name for column in table.columns]
    assert [name for name in names if "atency" in name] == []
    assert [name for name in names if "ingle call" in name] == ["Single call at batch 1 (ms): p50",
                                                                "Single call at batch 256 (ms): p50"]  # fmt: skip


def test_timings_of_machines_stand_apart_and_disturbed_ones_are_marked() -> None:
    timings = (make_timing("bn25k"), make_timing("fc3136", machine="machine-2"), make_timing("conv16k", quiet=False))
    document = build_document(dataclasses.replace(make_study(), timings=timings))
    tables = tables_of(document, "Inference speed")
    assert [[row[0].text for row in table.rows] for table in tables] == [["conv16k"], ["bn25k"], ["fc3136"]]
    assert ["NOT QUIET" in table.caption for table in tables] == [True, False, False]
    assert "must not be compared" in words_of(document)


def test_timings_of_one_phase_alone_share_a_table_the_newest_first() -> None:
    early, late = "2026-01-05T00:00:00+00:00", "2026-02-01T10:30:00+00:00"
    timings = (
        dataclasses.replace(make_timing("fc3136"), phase="a", measured_at=early),
        dataclasses.replace(make_timing("conv16k"), phase="z", measured_at=early),
        dataclasses.replace(make_timing("bn25k"), phase="b", measured_at=late),
        dataclasses.replace(make_timing("lenet21k"), phase="a", measured_at="2026-01-05T00:00:09+00:00"),
    )
    document = build_document(dataclasses.replace(make_study(), timings=timings))
    tables = tables_of(document, "Inference speed")
    assert [[row[0].text for row in table.rows] for table in tables] == [
        ["bn25k"],
        ["fc3136", "lenet21k"],
        ["conv16k"],
    ]
    assert "2026-02-01 10:30 UTC" in tables[0].caption
    assert "Only timings of one phase are compared" in words_of(document)


def test_timings_without_a_phase_share_a_table_only_when_of_one_moment() -> None:
    moments = ("2026-01-05T00:00:00+00:00", "2026-01-05T00:00:00+00:00", "2026-01-06T00:00:00+00:00")
    timings = tuple(
        dataclasses.replace(make_timing(net), phase="", measured_at=moment)
        for net, moment in zip(("bn25k", "conv16k", "fc3136"), moments, strict=True)
    )
    tables = tables_of(build_document(dataclasses.replace(make_study(), timings=timings)), "Inference speed")
    assert [[row[0].text for row in table.rows] for table in tables] == [["fc3136"], ["bn25k", "conv16k"]]


def test_memory_of_different_batch_sizes_stands_in_different_columns() -> None:
    timings = (
        dataclasses.replace(make_timing("bn25k"), memory_batch_size=128),
        dataclasses.replace(make_timing("fc3136"), memory_batch_size=64, peak_memory_bytes=300_000_000),
        dataclasses.replace(make_timing("conv16k"), memory_batch_size=None, peak_memory_bytes=None),
    )
    (table,) = tables_of(build_document(dataclasses.replace(make_study(), timings=timings)), "Inference speed")
    assert column_of(table, "Peak memory in training, batch 64 (MB)") == {
        "bn25k": "—",
        "conv16k": "—",
        "fc3136": "300.0",
    }
    assert column_of(table, "Peak memory in training, batch 128 (MB)") == {
        "bn25k": "400.0",
        "conv16k": "—",
        "fc3136": "—",
    }


def test_timing_numbers_by_hand() -> None:
    document = build_document(dataclasses.replace(make_study(), timings=(make_timing("bn25k"),)))
    (table,) = tables_of(document, "Inference speed")
    assert column_of(table, "Images/s at batch 1") == {"bn25k": "200"}  # median block 5 ms
    assert column_of(table, "Images/s at batch 256") == {"bn25k": "4,000"}  # 256 / 0.064 s
    # calls of 1, 2, … 1,000 ms: quantile q lies at 1 + 999 q
    assert column_of(table, "Single call at batch 1 (ms): p50") == {"bn25k": "500.500"}
    assert [cell.text for cell in table.rows[0]][5:7] == ["900.100", "990.010"]
    assert column_of(table, "Above a smallest net (MB)") == {"bn25k": "250.0"}


@pytest.mark.parametrize(
    ("calls", "shown"),
    [(1_000, "500.500 900.100 990.010"), (999, "500.000 899.200 —"), (100, "50.500 90.100 —"), (99, "50.000 — —"),
     (20, "10.500 — —"), (19, "— — —")],
)  # fmt: skip
def test_a_percentile_is_shown_where_ten_calls_lie_beyond_it(calls: int, shown: str) -> None:
    timing = dataclasses.replace(make_timing("bn25k"), call_seconds={1: tuple(k / 1000 for k in range(1, calls + 1))})
    document = build_document(dataclasses.replace(make_study(), timings=(timing,)))
    (table,) = tables_of(document, "Inference speed")
    found = [column_of(table, name)["bn25k"] for name in ("Single call at batch 1 (ms): p50", "p90", "p99")]
    assert " ".join(found) == shown


def test_two_latencies_of_one_net_are_told_apart_with_their_numbers() -> None:
    study = study_of(make_run("bn25k", seed=0))
    section = timing_section(dataclasses.replace(study, timings=(make_timing("bn25k"),)), STYLES)
    assert section is not None
    first = section.blocks[0]
    assert isinstance(first, Prose)
    # blocks of 4, 5 and 8 ms; calls of 1, 2, … 1,000 ms
    assert first.text.endswith(
        "So one net has two latencies: bn25k takes 5.000 ms a pass at batch 1 (median of blocks, as everywhere else in "
        "this report) and 500.500 ms a call (median of single calls)."
    )
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert column_of(table, "Pass at batch 1 (ms, median of blocks)") == {"bn25k": "5.000"}
    blocks_alone = dataclasses.replace(make_timing("bn25k"), call_seconds={})
    section = timing_section(dataclasses.replace(study, timings=(blocks_alone,)), STYLES)
    assert section is not None
    assert "two latencies" not in section.blocks[0].text  # type: ignore[union-attr]
