"""What the document says of a study, against numbers computed from `runs.csv` or planted."""

from __future__ import annotations

import dataclasses
import io
import re
import statistics

import pandas as pd
import pytest

from bench.analysis.conditions import find_conditions
from bench.core.recipe import Recipe
from bench.core.records import TimeToTarget
from reports.build import build_document
from reports.document import Figure, Prose
from reports.exports import runs_csv
from reports.summary import clock_seconds
from reports.writers.markdown import write_markdown
from tests.factories import MNIST, NETS, make_run, make_study, study_of
from tests.reports.document_reading import column_of, section_of, tables_of, words_of


def test_comparison_shows_what_runs_csv_gives() -> None:
    study = make_study()
    runs = pd.read_csv(io.StringIO(runs_csv(study)))
    table = tables_of(build_document(study), "Accuracy and size after 3 epochs")[0]
    three = runs[(runs["budget"] == "3 epochs") & (runs["status"] == "ok")]
    means = three.groupby("architecture")["test_accuracy"].mean()
    assert column_of(table, "Test accuracy (%)") == {str(net): f"{100 * mean:.2f}" for net, mean in means.items()}
    assert column_of(table, "Parameters") == {
        "bn25k": "25,433", "conv16k": "16,614", "fc3136": "421,642", "lenet21k": "21,840",
    }  # fmt: skip
    assert column_of(table, "Seeds") == {
        "bn25k": "6", "conv16k": "5 of 6 (1 diverged)", "fc3136": "5 of 6 (1 failed)", "lenet21k": "6",
    }  # fmt: skip
    bn25k = three[three["architecture"] == "bn25k"]["test_accuracy"]
    half = 2.570582 * statistics.stdev(bn25k) / 6**0.5  # t(5, 97.5 %) from the table
    low, high = 100 * (bn25k.mean() - half), 100 * (bn25k.mean() + half)
    assert column_of(table, "95 % interval (%)")["bn25k"] == f"{low:.2f} to {high:.2f}"


def test_rows_stand_by_group_where_pairs_are_judged_and_words_promise_no_more_than_verdicts() -> None:
    document = build_document(make_study())
    judged, few = tables_of(document, "Accuracy and size")
    # no pair is decided: all share one group, in which the higher mean of the judged values stands first
    assert [row[-1].text for row in judged.rows] == ["a"] * 4
    means = find_conditions(make_study())[0].accuracy.means
    assert [row[0].text for row in judged.rows] == sorted(means, key=lambda name: -means[name])
    names = [row[0].text for row in few.rows]
    assert names == sorted(names), "of too few seeds there is no order but that of the names"
    assert (judged.rules, few.rules) == ((), ())
    assert all(word not in words_of(document).lower() for word in ("winner", "outperform", "best architecture"))


def test_groups_are_parted_by_lines_and_what_has_no_result_stands_below() -> None:
    accuracies = {"conv16k": 0.97, "bn25k": 0.98, "fc3136": 0.99, "lenet21k": 0.98}
    runs = [
        dataclasses.replace(make_run(net, seed=seed)[0], test_accuracy=accuracy + 0.0001 * ((seed * (at + 1)) % 7))
        for at, (net, accuracy) in enumerate(accuracies.items())
        for seed in range(6)
    ]
    crashed = [make_run("tiny", seed=seed, status="failed")[0] for seed in range(6)]
    study = study_of(*((run, ()) for run in (*runs, *crashed)))
    (table,) = tables_of(build_document(study), "Accuracy and size")
    assert {name: row[-1].text for row in table.rows for name in (row[0].text,)} == {
        "fc3136": "a", "bn25k": "b", "lenet21k": "b", "conv16k": "c", "tiny": "—",
    }  # fmt: skip
    names = [row[0].text for row in table.rows]
    assert (names[0], {*names[1:3]}, names[3:]) == ("fc3136", {"bn25k", "lenet21k"}, ["conv16k", "tiny"])
    assert table.rules == (1, 3, 4)


def test_a_net_that_fails_on_every_seed_leads_and_has_no_pairs_and_no_advice() -> None:
    good = [make_run(net, seed=seed) for net in ("bn25k", "conv16k") for seed in range(6)]
    bad = [
        dataclasses.replace(make_run("tiny", seed=s, status="failed")[0], error="ValueError: 3 != 4") for s in range(6)
    ]
    document = build_document(study_of(*good, *((run, ()) for run in bad)))
    assert document.lead[0] == Prose(text="tiny failed on all 6 seeds: ValueError: 3 != 4", tone="failure")
    assert document.lead[1].tone == "answer"
    assert "Too few seeds" not in words_of(document)
    (pairs,) = tables_of(document, "Test accuracy: verdicts")
    assert [row[0].text for row in pairs.rows] == ["bn25k − conv16k"]
    partly = build_document(study_of(*good, *((run, ()) for run in bad[:1]), make_run("tiny", seed=1)))
    assert partly.lead[0] == Prose(text="tiny failed on 1 of 2 seeds (ValueError: 3 != 4).", tone="failure")


def test_what_it_cost_is_time_by_the_clock_beside_the_sum_of_training() -> None:
    # two runs side by side from 0:00 to 1:00 and from 0:30 to 1:30, a third after a pause: 90 s + 60 s by the clock
    spans = (("00:00:00", "00:01:00"), ("00:00:30", "00:01:30"), ("05:00:00", "05:01:00"))
    runs = [
        dataclasses.replace(
            make_run("bn25k", seed=seed)[0],
            started_at=f"2026-01-01T{start}+00:00",
            finished_at=f"2026-01-01T{end}+00:00",
            train_seconds=55.0,
            wall_seconds=60.0,
        )
        for seed, (start, end) in enumerate(spans)
    ]
    said = build_document(study_of(*((run, ()) for run in runs))).lead[1].text
    assert said.endswith(
        "3 of 3 runs ok; it cost 2 min 30 s by the clock (2 min 45 s of training, summed over the runs)."
    )
    assert clock_seconds([]) == 0
    # cut short on the first day, ended on the third: it took its minute, and at most a second of rounding
    resumed = dataclasses.replace(runs[0], finished_at="2026-01-03T00:01:00+00:00")
    assert clock_seconds([resumed]) == 61
    assert clock_seconds([dataclasses.replace(resumed, wall_seconds=None)]) == 2 * 86_400 + 60


def test_what_everybody_reads_is_open_and_every_fold_says_what_is_in_it() -> None:
    document = build_document(make_study())
    opened = [section.title for section in document.sections if not section.gist]
    first = document.sections[0].title
    assert [title for title in opened if title not in NETS][:3] == [first, "Learning curves", "What was compared"]
    for fold in document.folds:
        assert len(fold) == 1 or fold[0].gist
    other = next(section.title for section in document.sections if section.level == 2 and "1 epoch," in section.title)
    assert [[part.title for part in fold] for fold in document.folds if len(fold) > 1] == [
        [other, "Learning curves", "What was compared"],
        ["Layers", *sorted(NETS)],
    ]
    for section in document.sections:
        assert "\n" not in section.gist
        assert section.gist == "" or section.gist[0].isupper()
        assert section.gist == "" or section.gist.endswith(".")


def test_three_seeds_give_no_verdict_and_no_group() -> None:
    document = build_document(study_of(*(make_run(net, seed=s) for net in ("bn25k", "conv16k") for s in range(3))))
    assert document.lead[0].text.startswith("No net can be called best: 3 shared seeds of two nets are too few")
    assert any("Too few seeds for a verdict" in prose.text for prose in document.lead if prose.tone == "undecided")
    assert "is better" not in words_of(document)
    (table,) = tables_of(document, "Accuracy and size")
    group = [column.name for column in table.columns].index("Group")
    assert {row[group].text for row in table.rows} == {"—"}


def test_the_first_line_says_who_is_better() -> None:
    # fc3136 is made 0.29 pp better than conv16k, with deviations of 0.08 and 0.15 pp
    document = build_document(study_of(*(make_run(net, seed=s) for net in ("fc3136", "conv16k") for s in range(8))))
    first, about = (prose.text for prose in document.lead[:2])
    assert re.match(r"fc3136 is best: 0\.\d\d pp better than conv16k at 25× its parameters", first)  # 421,642 / 16,614
    assert about.startswith("mnist, shared recipe, 3 epochs, cpu: 2 architectures, 16 of 16 runs ok; it cost ")
    sentence = words_of(document).split("fc3136 is better than conv16k by 0.")[1]
    assert "from 8 seeds" in sentence.splitlines()[0]


def test_title_and_lead_name_the_study() -> None:
    document = build_document(study_of(make_run("bn25k", seed=0), make_run("bn25k", seed=7), name="weekly"))
    assert document.title == "Architecture comparison: study weekly"
    # seed 7's run ended later, 7 s past midnight of the 3rd
    assert document.lead[-1].text == "Study weekly: 2 runs, 2 ended ok, the last ended 2026-01-03 00:00 UTC."


def test_budgets_have_tables_of_their_own() -> None:
    document = build_document(make_study())
    captions = [table.caption for table in tables_of(document, "Accuracy and size")]
    assert [caption.split(";")[0] for caption in captions] == [
        "Accuracy and size after 3 epochs",
        "Accuracy and size after 1 epoch",
    ]


def test_one_seed_and_two_seeds_are_said_to_be_such() -> None:
    runs = [make_run("bn25k", seed=0), make_run("fc3136", seed=0), make_run("fc3136", seed=1)]
    runs = [
        (dataclasses.replace(record, test_accuracy=value), curve)
        for (record, curve), value in zip(runs, (0.989, 0.9911, 0.9923), strict=True)
    ]
    (table,) = tables_of(build_document(study_of(*runs)), "Accuracy and size")
    assert column_of(table, "Test accuracy (%)") == {"bn25k": "98.90", "fc3136": "99.11 and 99.23"}
    assert column_of(table, "95 % interval (%)") == {
        "bn25k": "98.68 to 99.09 (over images, one run)",
        "fc3136": "none from 2 seeds",
    }


def test_time_to_target_counts_never_and_diverged() -> None:
    runs = []
    for seed, epochs in enumerate((0.25, 0.35, float("inf"))):
        record, curve = make_run("bn25k", seed=seed)
        times = (TimeToTarget(target=0.95, epochs=epochs, images=50_000 * epochs, seconds=epochs),)
        runs.append((dataclasses.replace(record, time_to_targets=times), curve))
    runs.append(make_run("bn25k", seed=3, status="diverged"))
    (table,) = tables_of(build_document(study_of(*runs)), "Way to a validation accuracy")
    cells = [[cell.text for cell in row] for row in table.rows]
    assert cells[1] == ["bn25k", "95", "2 of 4", "never", "never"]
    assert cells[0] == ["bn25k", "90", "0 of 4", "never", "never"]


@pytest.mark.parametrize(("shares", "said"), [((0.1, 0.1), "0.1"), ((0.0, 0.05, 0.1), "up to 0.1")])
def test_a_loss_of_smoothed_labels_says_so_beside_that_of_plain_ones(shares: tuple[float, ...], said: str) -> None:
    # Nets with a recipe of their own stand in one table by its name.
    runs = []
    for (record, curve), share in zip((make_run(net, seed=0) for net in NETS), shares, strict=False):
        own = dataclasses.replace(record, recipe_name="published", recipe=Recipe(label_smoothing=share).to_json())
        runs.append((own, curve))
    document = build_document(study_of(*runs))
    (figure,) = [figure for figure in document.figures if figure.slug.endswith("-loss")]
    smoothed, plain = (panel.y_label for panel in figure.panels)
    assert (smoothed, plain) == (f"Training loss (labels smoothed by {said}) (nats)", "Validation loss (nats)")
    assert f"Training loss is that of the labels trained on, smoothed by {said}; validation loss" in words_of(document)
    unsmoothed = build_document(study_of(make_run("bn25k", seed=0)))
    (figure,) = [figure for figure in unsmoothed.figures if figure.slug.endswith("-loss")]
    assert [panel.y_label for panel in figure.panels] == ["Training loss (nats)", "Validation loss (nats)"]
    assert "smoothed" not in words_of(unsmoothed)


def test_weight_decay_says_what_it_applies_to() -> None:
    """The engine gives every parameter to one optimizer group; see `tests/bench/training/test_schedules.py`."""
    record, curve = make_run("bn25k", seed=0)
    decayed = dataclasses.replace(record, recipe=Recipe(weight_decay=0.01).to_json())
    (method,) = tables_of(build_document(study_of((decayed, curve))), "How mnist")
    assert any("weight decay 0.01 on all parameters (biases and BatchNorm's too)" in row[1].text for row in method.rows)


def test_runs_that_ended_before_their_budget_say_how_long_they_trained() -> None:
    recipe = Recipe(stop_at_accuracy=0.95).to_json()
    runs = [make_run("bn25k", seed=seed, epochs=8) for seed in range(3)]
    early = [
        (dataclasses.replace(record, epochs=epochs, recipe=recipe), curve)
        for (record, curve), epochs in zip(runs, (3.0, 7.0, 4.0), strict=True)
    ]
    document = build_document(study_of(*early))
    (table,) = tables_of(document, "Accuracy and size after 3 to 7 of at most 8 epochs; means over seeds")
    passes = "two passes in a row on validation images"
    stopped = ", or to the one that ended a run whose recipe stops it at 95 % or more; times"
    assert f"{passes}{stopped}" in table.caption
    assert "3 of 3 runs ok, after 3 to 7 of at most 8 epochs; it cost" in words_of(document)
    (method,) = tables_of(document, "How mnist")
    assert ("Budget", "8 epochs per run; runs trained 3 to 7 of at most 8 epochs") in [
        tuple(cell.text for cell in row) for row in method.rows
    ]
    equal = build_document(study_of(*early[:1]))
    assert tables_of(equal, "Accuracy and size after 3 of at most 8 epochs;")
    whole = build_document(study_of(*runs))
    (table,) = tables_of(whole, "Accuracy and size after 8 epochs;")
    assert f"{passes}; times" in table.caption
    assert "of at most 8" not in words_of(whole)


@pytest.mark.parametrize("status", ["failed", "diverged", "interrupted"])
def test_a_study_where_nothing_went_well_still_says_why(status: str) -> None:
    record, curve = make_run("bn25k", seed=0, status=status)
    document = build_document(study_of((dataclasses.replace(record, error="it broke"), curve)))
    (table,) = tables_of(document, "Runs that failed")
    assert [cell.text for cell in table.rows[0]][:4] == ["bn25k", "0", status, "it broke"]
    assert [figure.slug for figure in document.figures] == ["inference-batches"], "the nets were timed all the same"
    assert "No run has looked at the test set yet." in words_of(document)


def test_where_every_run_ended_ok_no_section_speaks_of_others() -> None:
    good, bad = make_run("bn25k", seed=0), make_run("bn25k", seed=1, status="failed")
    slugs = [[s.slug for s in build_document(study_of(*runs)).sections] for runs in ((good,), (good, bad))]
    assert ["went-wrong" in each for each in slugs] == [False, True]


def test_empty_study_says_so() -> None:
    assert "No run to compare has ended yet." in words_of(build_document(study_of()))


def test_a_note_on_the_data_is_small_and_stands_behind_the_answer() -> None:
    study = make_study()
    note = "5,000 embedded images stand in for MNIST"
    metadata = dataclasses.replace(MNIST, name="mnist5k", note=note)
    document = build_document(dataclasses.replace(study, datasets={"da7a": metadata}))
    assert Prose(text=f"mnist5k: {note}", tone="data") in document.lead
    tones = [prose.tone for prose in document.lead]
    assert tones.index("answer") < tones.index("data")


def test_training_speed_keeps_job_counts_apart() -> None:
    alone, curve = make_run("bn25k", seed=0)
    runs = [(dataclasses.replace(alone, jobs=1), curve), make_run("fc3136", seed=0), make_run("fc3136", seed=1)]
    document = build_document(study_of(*runs))
    tables = {table.caption.split("(")[1].split(")")[0]: table for table in tables_of(document, "Training speed")}
    assert {where: [row[0].text for row in table.rows] for where, table in tables.items()} == {
        "cpu, 1 thread a run, 1 run at a time": ["bn25k"],
        "cpu, 1 thread a run, 2 runs at a time": ["fc3136"],
    }
    seconds = tables["cpu, 1 thread a run, 2 runs at a time"]
    assert column_of(seconds, "Training (s)") == {"fc3136": "64.7"}  # 150,000 images at 2,320 a second


def test_evaluation_share_is_held_against_its_limit() -> None:
    study = make_study()
    (how,) = [t for t in tables_of(build_document(study), "How mnist, shared recipe, 3") if t.rows]
    assert "evaluation is 20.0 % of training time, within the 25 %" in column_of(how, "How")["Time"]
    costly = tuple(
        dataclasses.replace(r, evaluation_seconds=0.3 * r.train_seconds) if r.train_seconds else r
        for r in study.records
    )
    (how,) = tables_of(build_document(dataclasses.replace(study, records=costly)), "How mnist, shared recipe, 3")
    assert "evaluation is 30.0 % of training time, above the 25 %" in column_of(how, "How")["Time"]


def test_looks_at_the_test_set_are_said() -> None:
    record, curve = make_run("bn25k", seed=0)
    twice = build_document(study_of((dataclasses.replace(record, test_looks=3), curve)))
    assert "The test set was looked at up to 3 times per run." in words_of(twice)


def test_curves_show_the_mean_and_the_range_of_seeds() -> None:
    study = make_study()
    accuracy = next(f for f in build_document(study).figures if f.slug.endswith("3-epochs-cpu-accuracy"))
    assert [panel.title for panel in accuracy.panels] == ["Training accuracy", "Validation accuracy"]
    series = next(series for series in accuracy.panels[1].series if series.label == "lenet21k")
    ends = [
        100 * point.val_accuracy
        for record in study.records
        if record.architecture == "lenet21k" and record.budget["epochs"] == 3
        for point in study.curves[record.run_id]
        if not point.probe and point.epoch == 2
    ]
    assert len(ends) == 6
    point = series.points[1]
    assert (point.x, point.low, point.high) == (2, min(ends), max(ends))
    assert point.y == pytest.approx(sum(ends) / 6)
    row = next(row for row in accuracy.table.rows if row[0].text == "lenet21k" and row[1].text == "2")
    assert row[5].text == f"{sum(ends) / 6:.2f}"


def test_table_and_cost_picture_make_the_first_screen_and_the_verdicts_follow() -> None:
    document = build_document(make_study())
    slug = document.sections[0].slug
    kinds = [type(block).__name__ for block in document.sections[0].blocks if not isinstance(block, Prose)]
    assert kinds == ["Table", "Figure", "Figure"]
    assert [figure.slug for figure in document.figures[:2]] == [f"{slug}-costs", f"{slug}-verdicts"]


def test_an_architecture_looks_the_same_in_every_figure() -> None:
    styles: dict[str, set[int]] = {}
    for figure in build_document(make_study()).figures:
        assert isinstance(figure, Figure)
        for panel in figure.panels:
            for series in panel.series:
                styles.setdefault(series.label, set()).add(series.style)
    assert styles == {net: {style} for style, net in enumerate(sorted(NETS))}


def test_layers_add_up_and_the_command_stands_there() -> None:
    document = build_document(make_study())
    (table,) = tables_of(document, "Layers of lenet21k")
    assert [row[3].text for row in table.rows] == ["260", "5,020", "16,050", "510"]  # SOURCES.md, B1
    assert table.total is not None
    assert [cell.text for cell in table.total] == ["Total", "", "", "21,840", "480,500"]
    repeat = section_of(document, "repeat-it")
    assert getattr(repeat.blocks[0], "text", "") == "python runner.py --all --seeds 6"
    assert not repeat.gist, "it is read without opening anything"


def test_uncommitted_changes_and_roles_are_said() -> None:
    study = make_study()
    dirty = dataclasses.replace(study.records[0], environment={**study.records[0].environment, "dirty": True})
    roles = {**study.roles, study.records[1].run_id: "tune"}
    study = dataclasses.replace(study, records=(dirty, *study.records[1:]), roles=roles, superseded=2)
    text = words_of(build_document(study))
    assert "uncommitted changes" in text
    assert "1 run of trials while tuning" in text
    assert "2 superseded runs are kept" in text


def test_a_report_names_no_folder_of_the_machine() -> None:
    study = make_study()
    for origin in ("/home/someone/data/MNIST/raw", r"C:\Users\someone\data"):
        metadata = {key: dataclasses.replace(of, origin=origin) for key, of in study.datasets.items()}
        markdown = write_markdown(build_document(dataclasses.replace(study, datasets=metadata)))
        assert "someone" not in markdown
        assert "read from files" in markdown
    assert "from the data directory" in write_markdown(build_document(study))
