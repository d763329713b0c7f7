"""The section on tuning against numbers recomputed by scipy or worked by hand."""

from __future__ import annotations

import dataclasses
import shlex
import statistics
from typing import TYPE_CHECKING

from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests
from synthetic import make_record, study_of
from tuning_examples import DEFAULT, LR, TRIALS, TUNED, default_won, make_trial, make_tuning, retrained, tuned_study

from bench.arguments import parse_arguments
from bench.recipe import Recipe
from bench.tuning.records import Importance
from reports.build import build_document
from reports.document import Code, Document, Figure, Prose, Section, Table
from reports.figures import draw_svg
from reports.html import write_html
from reports.markdown import write_markdown
from reports.trials import recipe_flags

if TYPE_CHECKING:
    from bench.records import Study

NO_GAIN = [0.9889, 0.9894, 0.9886, 0.9897, 0.9890, 0.9889]
"""The default's accuracies, but for one image of 10,000 up or down."""


def _section(document: Document, slug: str) -> Section:
    return next(section for section in document.sections if section.slug == slug)


def _table(section: Section, caption: str) -> Table:
    tables = [block for block in section.blocks if isinstance(block, Table)]
    return next(table for table in tables if table.caption.startswith(caption))


def _rows(table: Table) -> list[dict[str, str]]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, (cell.text for cell in row), strict=True)) for row in table.rows]


def _prose(section: Section) -> str:
    return "\n".join(block.text for block in section.blocks if isinstance(block, Prose))


def _gains(study: Study) -> dict[str, dict[str, str]]:
    table = _table(_section(build_document(study), "tuning"), "Tuned against default")
    return {row["Architecture"]: row for row in _rows(table)}


def _three() -> Study:
    """One net that gains, one that does not, one whose default won."""
    bn25k, fc3136, conv16k = make_tuning("bn25k"), make_tuning("fc3136"), default_won("conv16k")
    runs = [run for net in ("bn25k", "fc3136", "conv16k") for run in retrained(net, DEFAULT)]
    runs += [*retrained("bn25k", TUNED, tuning=bn25k), *retrained("fc3136", NO_GAIN, tuning=fc3136)]
    return tuned_study(bn25k, fc3136, conv16k, runs=runs)


def test_gains_are_paired_tests_with_holm_over_the_architectures_that_have_a_gain() -> None:
    rows = _gains(_three())
    tests = [ttest_rel(tuned, DEFAULT) for tuned in (TUNED, NO_GAIN)]
    holm = multipletests([float(test.pvalue) for test in tests], method="holm")[1]
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
    row = _gains(_three())["conv16k"]
    assert row["Verdict"] == "the default recipe won"
    assert [row[name] for name in ("Gain (pp)", "Interval (pp)", "p (Holm)", "Seeds")] == ["—"] * 4
    mean = f"{100 * statistics.fmean(DEFAULT):.2f}"
    assert (row["Default: test accuracy (%)"], row["Tuned: test accuracy (%)"]) == (mean, mean)


def test_trials_and_images_of_the_search_are_counted() -> None:
    row = _gains(_three())["bn25k"]
    assert row["Trials: complete/pruned/failed"] == "3/1/1"
    # 3 × 300,000 + 100,000 + 0 of 5 trials × 3 epochs × 50,000 images × 2 seeds
    assert row["Training images of the search, of its ceiling"] == "1,000,000 of 1,500,000 (67 %)"


def test_the_margin_of_the_study_decides_what_matters() -> None:
    tuning = make_tuning()
    study = tuned_study(tuning, runs=[*retrained("bn25k", DEFAULT), *retrained("bn25k", TUNED, tuning=tuning)])
    narrow, wide = (
        _gains(dataclasses.replace(study, settings=dataclasses.replace(study.settings, margin=margin)))
        for margin in (0.0001, 0.01)
    )
    assert narrow["bn25k"]["Verdict"] == "tuned better, matters"
    assert wide["bn25k"]["Verdict"] == "tuned better, too small to matter"


def test_a_default_that_is_better_is_said_to_be() -> None:
    tuning = make_tuning()
    study = tuned_study(tuning, runs=[*retrained("bn25k", TUNED), *retrained("bn25k", DEFAULT, tuning=tuning)])
    assert _gains(study)["bn25k"]["Verdict"].startswith("default better")
    lead = next(line.text for line in build_document(study).lead if line.text.startswith("Tuned against default"))
    assert lead.startswith("Tuned against default on mnist, 3 epochs: bn25k loses 0.1")
    assert lead.endswith(", from 6 seeds), default better.")


def test_the_lead_says_each_gain_with_its_verdict() -> None:
    lead = [line.text for line in build_document(_three()).lead]
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
    rows = _gains(study)
    assert (rows["bn25k"]["Seeds"], rows["bn25k"]["Verdict"]) == ("5", "too few seeds, 1 more seed needed")
    # on the five seeds that both have
    assert rows["bn25k"]["Default: test accuracy (%)"] == f"{100 * statistics.fmean(DEFAULT[:5]):.2f}"
    assert rows["fc3136"]["Verdict"] == "not retrained yet"
    assert "diverged or failed: bn25k 1 seed." in _prose(_section(build_document(study), "tuning"))


def test_all_tuned_architectures_meet_in_one_table() -> None:
    table = _table(_section(build_document(_three()), "mnist-tuned-recipe-3-epochs-cpu"), "Accuracy and size")
    assert [row["Architecture"] for row in _rows(table)] == ["bn25k", "conv16k", "fc3136"]
    assert [row["Seeds"] for row in _rows(table)] == ["6", "6", "6"]


def test_order_that_tuning_turned_round() -> None:
    bn25k, fc3136 = make_tuning("bn25k"), default_won("fc3136")
    # 5.5 images of 10,000 above bn25k's default on average, and as much below it when tuned
    middle = [d + g for d, g in zip(DEFAULT, (0.0005, 0.0007, 0.0004, 0.0006, 0.0005, 0.0006), strict=True)]
    runs = [*retrained("bn25k", DEFAULT), *retrained("bn25k", TUNED, tuning=bn25k), *retrained("fc3136", middle)]
    text = _prose(_section(build_document(tuned_study(bn25k, fc3136, runs=runs)), "tuning"))
    assert "Tuning changed the order: fc3136 is better than bn25k with default recipes, and worse when tuned." in text


def test_a_verdict_that_differs_is_no_change_of_order_by_itself() -> None:
    study = _three()  # equal before; tuned, bn25k is better than both
    text = _prose(_section(build_document(study), "tuning"))
    assert "Tuning turned no pair round" in text
    assert "bn25k against conv16k: equivalent before, bn25k better tuned" in text
    assert "conv16k against fc3136" not in text
    assert "no change of order by itself" in text


def test_an_order_that_stays_is_said_to_stay() -> None:
    bn25k, fc3136 = make_tuning("bn25k"), make_tuning("fc3136")
    runs = [run for net in ("bn25k", "fc3136") for run in retrained(net, DEFAULT)]
    runs += [run for t in (bn25k, fc3136) for run in retrained(t.architecture, TUNED, tuning=t)]
    text = _prose(_section(build_document(tuned_study(bn25k, fc3136, runs=runs)), "tuning"))
    assert "Tuning did not change the order: the one pair has the same verdict" in text


def test_where_every_winner_is_the_default_there_is_no_tuned_table() -> None:
    document = build_document(tuned_study(default_won("bn25k"), default_won("fc3136")))
    assert "Every winner is the default recipe" in _prose(_section(document, "tuning"))
    assert not [section for section in document.sections if "tuned recipe" in section.title]


def test_what_was_done_and_its_ceiling() -> None:
    text = _prose(_section(build_document(_three()), "tuning"))
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
    same = _prose(_section(build_document(tuned_study(make_tuning())), "tuning"))
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
    tables = [_rows(_table(_section(document, slug), "Tuned against default"))[0] for slug in ("tuning", "tuning-2")]
    assert [row["Default: test accuracy (%)"] for row in tables] == ["—", f"{100 * statistics.fmean(DEFAULT):.2f}"]


def test_a_study_until_decided_is_judged_at_the_level_of_its_look() -> None:
    tuning = make_tuning()
    study = tuned_study(tuning)
    study = dataclasses.replace(study, seed_plans={run.run_id: "6:12" for run in study.records})
    # spent at 6 of 12 seeds: 0.05 ln(1 + (e - 1) / 2) = 0.0310
    table = _table(_section(build_document(study), "tuning"), "Tuned against default")
    assert table.caption.endswith("; intervals at 96.9 %")


def test_missing_trials_make_it_preliminary() -> None:
    text = _prose(_section(build_document(tuned_study(make_tuning(wanted=20, counted=20))), "tuning"))
    assert "Only 5 of 20 trials of bn25k have ended" in text


def test_trials_that_came_later_are_not_counted() -> None:
    # the winner of all five is number 3; of the first three it is the default, number 0
    study = tuned_study(make_tuning(counted=3), runs=retrained("bn25k", DEFAULT))
    assert _gains(study)["bn25k"]["Verdict"] == "the default recipe won"
    detail = _rows(_table(_section(build_document(study), "tuning-bn25k"), "All trials"))
    assert [row["State"] for row in detail] == [
        "complete (the default recipe, won)", "pruned", "failed", "complete (not counted)", "complete (not counted)",
    ]  # fmt: skip
    history = next(b for b in _section(build_document(study), "tuning-bn25k").blocks if isinstance(b, Figure))
    assert [row["Best so far (%)"] for row in _rows(history.table)] == ["98.50", "—", "—", "—", "—"]


def test_the_winning_command_is_read_back_as_the_winning_recipe() -> None:
    recipe = Recipe(
        optimizer="sgd", lr=LR, nesterov=True, momentum=0.8123456789, weight_decay=1e-05, batch_size=64,
        augmentation=(("shift", 2.0), ("rotation", 7.123456789)), schedule="plateau", label_smoothing=0.05, patience=4,
        stop_at_accuracy=0.995, keep="best", plateau_patience=3,
    )  # fmt: skip
    trial = dataclasses.replace(make_trial(0, 0.99), recipe=recipe.to_json())
    (code,) = [
        block
        for block in _section(build_document(tuned_study(make_tuning(trials=[trial]))), "tuning-bn25k").blocks
        if isinstance(block, Code)
    ]
    words = shlex.split(code.text)
    assert words[:2] == ["python", "runner.py"]
    arguments = parse_arguments(words[2:])
    assert arguments.recipe() == recipe
    assert (arguments.patterns, arguments.dataset, str(arguments.budgets[0])) == (("bn25k",), "mnist", "3 epochs")


def test_what_the_optimizer_does_not_read_is_not_typed() -> None:
    flags = recipe_flags(Recipe(momentum=0.5, plateau_patience=3, weight_decay=0.01).to_json())
    assert flags == ["--weight-decay", "0.01"]


def test_only_what_differs_from_the_shared_recipe_is_typed() -> None:
    section = _section(build_document(tuned_study(make_tuning())), "tuning-bn25k")
    (code,) = [block for block in section.blocks if isinstance(block, Code)]
    assert code.text == (
        "python runner.py --arch bn25k --dataset mnist --epochs 3 --lr 0.012345678901234567 --weight-decay 1e-05"
    )


def test_a_winner_with_other_knobs_is_described_and_compared() -> None:
    trials = [make_trial(0, 0.9850), make_trial(1, 0.9900, net="bn25k hidden=32", hidden=32, lr=LR)]
    tuning = make_tuning(trials=trials)
    study = tuned_study(tuning)
    assert _gains(study)["bn25k"]["Verdict"] == "tuned better"
    section = _section(build_document(study), "tuning-bn25k")
    (code,) = [block for block in section.blocks if isinstance(block, Code)]
    assert code.text == (
        "python runner.py --arch 'bn25k hidden=32' --dataset mnist --epochs 3 --lr 0.012345678901234567"
    )
    assert "It is another net, bn25k hidden=32." in _prose(section)
    lead = " ".join(line.text for line in build_document(study).lead)
    assert "bn25k, now another net, bn25k hidden=32, gains" in lead
    assert "bn25k: trial 1 won, with lr 0.0123457 and hidden 32; the rest is as by default." in _prose(
        _section(build_document(study), "tuning")
    )
    rows = _rows(_table(section, "All trials"))
    assert [row["hidden"] for row in rows] == ["—", "32"]
    assert [row["lr"] for row in rows] == ["0.006", "0.01235"]


def test_history_draws_pruned_trials_apart_and_the_best_so_far() -> None:
    section = _section(build_document(tuned_study(make_tuning())), "tuning-bn25k")
    (figure,) = [block for block in section.blocks if isinstance(block, Figure)]
    complete, pruned, best = figure.panels[0].series
    assert [(p.x, p.y) for p in complete.points] == [(0, 98.5), (3, 99.0), (4, 98.75)]
    assert [(p.x, p.y) for p in pruned.points] == [(1, 97.5)]
    assert pruned.hollow
    assert [(p.x, p.y) for p in best.points] == [(0, 98.5), (3, 99.0), (4, 99.0)]
    assert best.stepped
    assert "3 complete, 1 pruned (hollow), 1 failed (not drawn)" in figure.alt
    assert "from 98.50 % to 99.00 %" in figure.alt
    assert "each was chosen in the light of earlier ones" in _prose(section)


def test_a_trial_that_learned_nothing_does_not_flatten_the_others() -> None:
    values = (0.9850, 0.1130, 0.9870, 0.9860, 0.9840)
    trials = [make_trial(number, value) for number, value in enumerate(values)]
    section = _section(
        build_document(tuned_study(make_tuning(trials=trials, default=Recipe(lr=0.5).to_json()))), "tuning-bn25k"
    )
    figure = next(block for block in section.blocks if isinstance(block, Figure))
    # the best is 98.7, the middle one 98.5: a spread is 0.5 at least, and four of them end at 96.7
    assert [point.x for point in figure.panels[0].series[0].points] == [0, 2, 3, 4]
    assert figure.title == "Trials of bn25k in order (drawn from 96.7 % up)"
    assert [row["Validation accuracy (%)"] for row in _rows(figure.table)][1] == "11.30"


def test_expected_best_leaves_out_the_default_and_counts_failures() -> None:
    trials = [
        make_trial(0, 0.9999),
        make_trial(1, 0.98, lr=0.1),
        make_trial(2, 0.99, lr=0.2),
        make_trial(3, state="failed"),
    ]
    section = _section(build_document(tuned_study(make_tuning(trials=trials, independent=True))), "tuning-bn25k")
    figure = next(block for block in section.blocks if isinstance(block, Figure) and block.slug.endswith("best"))
    # of 0, 98 and 99 %: the mean 65.67; the bests of the pairs 98, 99, 99; 99
    assert [row["Expected best (%)"] for row in _rows(figure.table)] == ["65.67", "98.67", "99.00"]
    assert "the default recipe left out" in _prose(section)


def test_importances_have_intervals() -> None:
    found = (
        Importance(name="lr", share=0.7512, low=0.5, high=0.9),
        Importance(name="momentum", share=0.2488, low=0.1, high=0.5),
    )
    section = _section(build_document(tuned_study(make_tuning(importances=found, importances_epoch=1))), "tuning-bn25k")
    assert [tuple(row.values()) for row in _rows(_table(section, "How much"))] == [
        ("lr", "75.1", "50.0 to 90.0"),
        ("momentum", "24.9", "10.0 to 50.0"),
    ]
    caption = _table(section, "How much").caption
    assert "after epoch 1, the last that all of them reached" in caption
    none = _section(build_document(tuned_study(make_tuning())), "tuning-bn25k")
    assert "Too few trials" in _prose(none)


def test_repeats_and_reasons_stand_in_the_table_of_trials() -> None:
    trials = [*TRIALS, dataclasses.replace(make_trial(5, 0.9850), repeats=0, images=0)]
    rows = _rows(
        _table(_section(build_document(tuned_study(make_tuning(trials=trials))), "tuning-bn25k"), "All trials")
    )
    assert rows[5]["State"] == "complete (repeats trial 0)"
    assert rows[5]["Training images"] == "0"
    assert (rows[1]["Reason"], rows[1]["Epochs"]) == ("below the median", "1")
    assert (rows[2]["Validation accuracy (%)"], rows[2]["Reason"]) == ("—", "the loss became NaN")


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
    section = _section(document, "tuning")
    # the default recipe is on the front itself, so that its runs show it
    assert [tuple(row.values()) for row in _rows(_table(section, "The front of bn25k"))] == [
        ("0", "bn25k", "98.50", "1,000,000", f"{100 * statistics.fmean(DEFAULT):.2f}", "6"),
        ("1", "bn25k hidden=64", "99.00", "3,000,000", f"{100 * statistics.fmean(TUNED):.2f}", "6"),
    ]
    assert "Optuna cannot prune with several objectives" in _prose(section)
    captions = [block.caption for block in section.blocks if isinstance(block, Table)]
    assert not [caption for caption in captions if caption.startswith("Tuned against default")]  # it has no winner
    assert [row["MACs per image"] for row in _rows(_table(_section(document, "tuning-bn25k"), "All trials"))][3] == "—"
    table = _table(_section(document, "mnist-tuned-recipe-3-epochs-cpu"), "Accuracy and size")
    assert [row["Architecture"] for row in _rows(table)] == ["bn25k", "bn25k hidden=64"]


def test_latency_is_shown_in_milliseconds() -> None:
    tuning = make_tuning(trials=[make_trial(0, 0.9850, 0.0012345)], objectives=("accuracy", "latency"), pruner="none")
    section = _section(build_document(tuned_study(tuning, runs=retrained("bn25k", DEFAULT))), "tuning")
    assert [row["Latency (ms)"] for row in _rows(_table(section, "The front"))] == ["1.234"]


def test_a_tuning_without_a_run_or_a_trial_is_shown_as_far_as_it_got() -> None:
    document = build_document(dataclasses.replace(study_of(), tunings=(make_tuning(trials=[], wanted=5, counted=5),)))
    assert "Only 0 of 5 trials of bn25k have ended" in _prose(_section(document, "tuning"))
    row = _rows(_table(_section(document, "tuning"), "Tuned against default"))[0]
    assert (row["Verdict"], row["Default: test accuracy (%)"]) == ("no complete trial yet", "—")


def test_without_tunings_nothing_speaks_of_tuning() -> None:
    document = build_document(study_of(make_record("bn25k", seed=0)))
    assert not [section for section in document.sections if section.slug.startswith("tuning")]
    assert not [line for line in document.lead if "uned" in line.text]


def test_hostile_names_are_escaped_everywhere() -> None:
    name = "<script>alert(1)</script> | *x* $y$"
    trials = [make_trial(0, 0.9850, net=name), make_trial(1, 0.99, net=name, lr=LR)]
    trials[1] = dataclasses.replace(trials[1], settings={"<b>": "<i>|</i>"}, reason="<u>\nnext")
    study = tuned_study(make_tuning(name, trials, space={"<b>": "<i>"}))
    document = build_document(study)
    html, markdown = (
        write_html(document, {figure.slug: draw_svg(figure) for figure in document.figures}),
        write_markdown(document),
    )
    code = next(
        block for block in _section(document, "tuning-script-alert-1-script-x-y").blocks if isinstance(block, Code)
    )
    assert shlex.split(code.text)[3] == name
    for foreign in ("<script>alert", "<b>", "<i>", "<u>"):
        assert foreign not in html
        assert foreign not in markdown.replace(code.text, "")
    assert "\\| \\*x\\* \\$y\\$" in markdown
