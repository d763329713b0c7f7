"""What the document says of a study, against numbers computed from `runs.csv` or planted."""

from __future__ import annotations

import dataclasses
import io
import statistics

import pandas as pd
import pytest

from bench.core.recipe import Recipe
from bench.core.records import TimeToTarget
from reports.build import build_document
from reports.document import Figure, Prose
from reports.exports import runs_csv
from reports.writers.markdown import write_markdown
from tests.factories import MNIST, NETS, make_run, make_study, study_of
from tests.reports.document_reading import column_of, tables_of, words_of


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


def test_rows_stand_by_name_and_words_promise_no_more_than_verdicts() -> None:
    document = build_document(make_study())
    for table in tables_of(document, "Accuracy and size"):
        names = [row[0].text for row in table.rows]
        assert names == sorted(names)
    assert all(word not in words_of(document).lower() for word in ("winner", "outperform", "best architecture"))


def test_three_seeds_give_no_verdict_and_no_group() -> None:
    document = build_document(study_of(*(make_run(net, seed=s) for net in ("bn25k", "conv16k") for s in range(3))))
    assert "Too few seeds for a verdict" in document.lead[0].text
    assert "is better" not in words_of(document)
    (table,) = tables_of(document, "Accuracy and size")
    group = [column.name for column in table.columns].index("Group")
    assert {row[group].text for row in table.rows} == {"—"}


def test_the_first_line_says_who_is_better() -> None:
    # fc3136 is made 0.29 pp better than conv16k, with deviations of 0.08 and 0.15 pp
    document = build_document(study_of(*(make_run(net, seed=s) for net in ("fc3136", "conv16k") for s in range(8))))
    first = document.lead[0].text
    assert first.startswith("Test accuracy on mnist, shared recipe, 3 epochs, cpu: fc3136 is better than conv16k by 0.")
    assert "from 8 seeds" in first


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
    (table,) = tables_of(document, "Accuracy and size after 3 to 7 of at most 8 epochs; mean over seeds")
    assert table.caption.endswith("in a row on validation images, or to the one that ended a run whose recipe stops it "
                                  "at 95 % or more")  # fmt: skip
    assert "3 of 3 runs ok, after 3 to 7 of at most 8 epochs; it cost" in words_of(document)
    (method,) = tables_of(document, "How mnist")
    assert ("Budget", "8 epochs per run; runs trained 3 to 7 of at most 8 epochs") in [
        tuple(cell.text for cell in row) for row in method.rows
    ]
    equal = build_document(study_of(*early[:1]))
    assert tables_of(equal, "Accuracy and size after 3 of at most 8 epochs;")
    whole = build_document(study_of(*runs))
    (table,) = tables_of(whole, "Accuracy and size after 8 epochs;")
    assert table.caption.endswith("two passes in a row on validation images")
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


def test_note_on_the_data_leads() -> None:
    study = make_study()
    note = "5,000 embedded images stand in for MNIST"
    metadata = dataclasses.replace(MNIST, name="mnist5k", note=note)
    document = build_document(dataclasses.replace(study, datasets={"da7a": metadata}))
    assert document.lead[0] == Prose(text=f"mnist5k: {note}", tone="warning")


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
    kinds = [type(block).__name__ for block in document.sections[0].blocks[:4]]
    assert kinds == ["Table", "Figure", "Table", "Figure"]
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
    repeat = document.sections[-1].blocks[0]
    assert getattr(repeat, "text", "") == "python runner.py --all --seeds 6"


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
