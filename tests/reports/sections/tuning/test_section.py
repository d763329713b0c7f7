"""What the report says of a tuning as a whole: what was done, under which ceiling, and what is missing."""

from __future__ import annotations

import dataclasses
import shlex
import statistics

from reports.build import build_document
from reports.document import Code, Figure, Table
from reports.figures.svg import draw_svg
from reports.writers.html import write_html
from reports.writers.markdown import write_markdown
from tests.factories import make_run, study_of
from tests.reports.document_reading import prose_of, rows_of, section_of, table_of
from tests.reports.sections.tuning.examples import (
    DEFAULT,
    LR,
    TUNED,
    default_won,
    gains_of,
    make_trial,
    make_tuning,
    retrained,
    three_tuned,
    tuned_study,
)


def test_where_every_winner_is_the_default_there_is_no_tuned_table() -> None:
    document = build_document(tuned_study(default_won("bn25k"), default_won("fc3136")))
    assert "Every winner is the default recipe" in prose_of(section_of(document, "tuning"))
    assert not [section for section in document.sections if "tuned recipe" in section.title]


def test_what_was_done_and_its_ceiling() -> None:
    text = prose_of(section_of(build_document(three_tuned()), "tuning"))
    for said in (
        "searched by TPE, Optuna 5.0.0",
        "pruned by: median, Optuna 5.0.0",
        "seeds of a trial: 10000, 10001",
        "no trial looked at the test set",
        "so no result",
    ):
        assert said in text
    # conv16k was asked for two trials, the others for five: 2 and 5 × 300,000 images
    assert "ceilings of training images differ (bn25k 1,500,000, conv16k 600,000 and fc3136 1,500,000)" in text
    same = prose_of(section_of(build_document(tuned_study(make_tuning())), "tuning"))
    assert "may spend the same 1,500,000 training images: 5 trials of 3 epochs, 50,000 images each, on 2 seeds." in same


def test_budgets_have_sections_of_their_own() -> None:
    one, three = make_tuning(name="nightly bn25k one", epochs=1), make_tuning()
    document = build_document(tuned_study(three, one, runs=retrained("bn25k", DEFAULT)))
    sections = {section.slug: section.title for section in document.sections if section.slug.startswith("tuning")}
    assert sections == {
        "tuning": "Tuning: mnist, 1 epoch",
        "tuning-bn25k": "Tuning of bn25k",
        "tuning-2": "Tuning: mnist, 3 epochs",
        "tuning-bn25k-2": "Tuning of bn25k",
    }
    # the runs of three epochs are the default of that tuning only
    tables = [
        rows_of(table_of(section_of(document, slug), "Tuned against default"))[0] for slug in ("tuning", "tuning-2")
    ]
    assert [row["Default: test accuracy (%)"] for row in tables] == ["—", f"{100 * statistics.fmean(DEFAULT):.2f}"]


def test_missing_trials_make_it_preliminary() -> None:
    text = prose_of(section_of(build_document(tuned_study(make_tuning(wanted=20, counted=20))), "tuning"))
    assert "Only 5 of 20 trials of bn25k have ended" in text


def test_trials_that_came_later_are_not_counted() -> None:
    # the winner of all five is number 3; of the first three it is the default, number 0
    study = tuned_study(make_tuning(counted=3), runs=retrained("bn25k", DEFAULT))
    assert gains_of(study)["bn25k"]["Verdict"] == "the default recipe won"
    detail = rows_of(table_of(section_of(build_document(study), "tuning-bn25k"), "All trials"))
    assert [row["State"] for row in detail] == [
        "complete (the default recipe, won)", "pruned", "failed", "complete (not counted)", "complete (not counted)",
    ]  # fmt: skip
    history = next(b for b in section_of(build_document(study), "tuning-bn25k").blocks if isinstance(b, Figure))
    assert [row["Best so far (%)"] for row in rows_of(history.table)] == ["98.50", "—", "—", "—", "—"]


def test_several_objectives_give_a_front_and_no_winner() -> None:
    trials = [
        make_trial(0, 0.9850, 1_000_000),
        make_trial(1, 0.9900, 3_000_000, net="bn25k hidden=64", hidden=64),
        make_trial(2, 0.9800, 2_000_000, lr=0.2),  # beaten by the first
        make_trial(3, state="failed"),
    ]
    tuning = make_tuning(trials=trials, objectives=("accuracy", "macs"), pruner="none")
    alone = dataclasses.replace(tuning, objectives=("accuracy",), trials=(trials[1],))
    study = tuned_study(tuning, runs=[*retrained("bn25k", DEFAULT), *retrained("bn25k", TUNED, tuning=alone)])
    document = build_document(study)
    section = section_of(document, "tuning")
    # the default recipe is on the front itself, so that its runs show it
    assert [tuple(row.values()) for row in rows_of(table_of(section, "The front of bn25k"))] == [
        ("0", "bn25k", "98.50", "1,000,000", f"{100 * statistics.fmean(DEFAULT):.2f}", "6"),
        ("1", "bn25k hidden=64", "99.00", "3,000,000", f"{100 * statistics.fmean(TUNED):.2f}", "6"),
    ]
    assert "Optuna cannot prune with several objectives" in prose_of(section)
    captions = [block.caption for block in section.blocks if isinstance(block, Table)]
    assert not [caption for caption in captions if caption.startswith("Tuned against default")]  # it has no winner
    assert [row["MACs per image"] for row in rows_of(table_of(section_of(document, "tuning-bn25k"), "All trials"))][
        3
    ] == "—"
    table = table_of(section_of(document, "mnist-tuned-recipe-3-epochs-cpu"), "Accuracy and size")
    assert [row["Architecture"] for row in rows_of(table)] == ["bn25k hidden=64", "bn25k"], "the better one first"


def test_latency_is_shown_in_milliseconds() -> None:
    tuning = make_tuning(trials=[make_trial(0, 0.9850, 0.0012345)], objectives=("accuracy", "latency"), pruner="none")
    section = section_of(build_document(tuned_study(tuning, runs=retrained("bn25k", DEFAULT))), "tuning")
    assert [row["Latency (ms)"] for row in rows_of(table_of(section, "The front"))] == ["1.234"]


def test_a_tuning_without_a_run_or_a_trial_is_shown_as_far_as_it_got() -> None:
    document = build_document(dataclasses.replace(study_of(), tunings=(make_tuning(trials=[], wanted=5, counted=5),)))
    assert "Only 0 of 5 trials of bn25k have ended" in prose_of(section_of(document, "tuning"))
    row = rows_of(table_of(section_of(document, "tuning"), "Tuned against default"))[0]
    assert (row["Verdict"], row["Default: test accuracy (%)"]) == ("no complete trial yet", "—")


def test_without_tunings_nothing_speaks_of_tuning() -> None:
    document = build_document(study_of(make_run("bn25k", seed=0)))
    assert not [section for section in document.sections if section.slug.startswith("tuning")]
    assert not [line for line in document.lead if "uned" in line.text]


def test_hostile_names_are_escaped_everywhere() -> None:
    name = "<script>alert(1)</script> | *x* $y$"
    trials = [make_trial(0, 0.9850, net=name), make_trial(1, 0.99, net=name, lr=LR)]
    trials[1] = dataclasses.replace(trials[1], hyperparameters={"<b>": "<i>|</i>"}, reason="<u>\nnext")
    study = tuned_study(make_tuning(name, trials, space={"<b>": "<i>"}))
    document = build_document(study)
    html, markdown = (
        write_html(document, {part.slug: draw_svg(part) for part in document.pictures}),
        write_markdown(document),
    )
    code = next(
        block for block in section_of(document, "tuning-script-alert-1-script-x-y").blocks if isinstance(block, Code)
    )
    assert shlex.split(code.text)[3] == name
    for foreign in ("<script>alert", "<b>", "<i>", "<u>"):
        assert foreign not in html
        assert foreign not in markdown.replace(code.text, "")
    assert "\\| \\*x\\* \\$y\\$" in markdown
