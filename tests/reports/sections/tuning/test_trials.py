"""The trials of one architecture: the command that repeats the winner, the history, what mattered."""

from __future__ import annotations

import dataclasses
import shlex

from bench.cli.arguments import parse_arguments
from bench.core.recipe import Recipe
from bench.core.work.tuning import Importance
from reports.build import build_document
from reports.document import Code, Figure
from reports.sections.tuning.trials import recipe_flags
from tests.reports.document_reading import prose_of, rows_of, section_of, table_of
from tests.reports.sections.tuning.examples import LR, TRIALS, gains_of, make_trial, make_tuning, tuned_study


def test_the_winning_command_is_read_back_as_the_winning_recipe() -> None:
    recipe = Recipe(
        optimizer="sgd", lr=LR, nesterov=True, momentum=0.8123456789, weight_decay=1e-05, batch_size=64,
        augmentation=(("shift", 2.0), ("rotation", 7.123456789)), schedule="plateau", label_smoothing=0.05, patience=4,
        stop_at_accuracy=0.995, keep="best", plateau_patience=3,
    )  # fmt: skip
    trial = dataclasses.replace(make_trial(0, 0.99), recipe=recipe.to_json())
    (code,) = [
        block
        for block in section_of(build_document(tuned_study(make_tuning(trials=[trial]))), "tuning-bn25k").blocks
        if isinstance(block, Code)
    ]
    words = shlex.split(code.text)
    assert words[:2] == ["python", "runner.py"]
    options = parse_arguments(words[2:]).options
    assert options.recipe() == recipe
    assert (options.patterns, options.dataset, str(options.budgets[0])) == (("bn25k",), "mnist", "3 epochs")


def test_what_the_optimizer_does_not_read_is_not_typed() -> None:
    flags = recipe_flags(Recipe(momentum=0.5, plateau_patience=3, weight_decay=0.01).to_json())
    assert flags == ["--weight-decay", "0.01"]


def test_only_what_differs_from_the_shared_recipe_is_typed() -> None:
    section = section_of(build_document(tuned_study(make_tuning())), "tuning-bn25k")
    (code,) = [block for block in section.blocks if isinstance(block, Code)]
    assert code.text == (
        "python runner.py --arch bn25k --dataset mnist --epochs 3 --lr 0.012345678901234567 --weight-decay 1e-05"
    )


def test_a_winner_with_other_knobs_is_described_and_compared() -> None:
    trials = [make_trial(0, 0.9850), make_trial(1, 0.9900, net="bn25k hidden=32", hidden=32, lr=LR)]
    tuning = make_tuning(trials=trials)
    study = tuned_study(tuning)
    assert gains_of(study)["bn25k"]["Verdict"] == "tuned better"
    section = section_of(build_document(study), "tuning-bn25k")
    (code,) = [block for block in section.blocks if isinstance(block, Code)]
    assert code.text == (
        "python runner.py --arch 'bn25k hidden=32' --dataset mnist --epochs 3 --lr 0.012345678901234567"
    )
    assert "It is another net, bn25k hidden=32." in prose_of(section)
    lead = " ".join(line.text for line in build_document(study).lead)
    assert "bn25k, now another net, bn25k hidden=32, gains" in lead
    assert "bn25k: trial 1 won, with lr 0.0123457 and hidden 32; the rest is as by default." in prose_of(
        section_of(build_document(study), "tuning")
    )
    rows = rows_of(table_of(section, "All trials"))
    assert [row["hidden"] for row in rows] == ["—", "32"]
    assert [row["lr"] for row in rows] == ["0.006", "0.01235"]


def test_history_draws_pruned_trials_apart_and_the_best_so_far() -> None:
    section = section_of(build_document(tuned_study(make_tuning())), "tuning-bn25k")
    (figure,) = [block for block in section.blocks if isinstance(block, Figure)]
    complete, pruned, best = figure.panels[0].series
    assert [(p.x, p.y) for p in complete.points] == [(0, 98.5), (3, 99.0), (4, 98.75)]
    assert [(p.x, p.y) for p in pruned.points] == [(1, 97.5)]
    assert pruned.hollow
    assert [(p.x, p.y) for p in best.points] == [(0, 98.5), (3, 99.0), (4, 99.0)]
    assert best.stepped
    assert "3 complete, 1 pruned (hollow), 1 failed (not drawn)" in figure.alt
    assert "from 98.50 % to 99.00 %" in figure.alt
    assert "each was chosen in the light of earlier ones" in prose_of(section)


def test_a_trial_that_learned_nothing_does_not_flatten_the_others() -> None:
    values = (0.9850, 0.1130, 0.9870, 0.9860, 0.9840)
    trials = [make_trial(number, value) for number, value in enumerate(values)]
    section = section_of(
        build_document(tuned_study(make_tuning(trials=trials, default=Recipe(lr=0.5).to_json()))), "tuning-bn25k"
    )
    figure = next(block for block in section.blocks if isinstance(block, Figure))
    # the best is 98.7, the middle one 98.5: a spread is 0.5 at least, and four of them end at 96.7
    assert [point.x for point in figure.panels[0].series[0].points] == [0, 2, 3, 4]
    assert figure.title == "Trials of bn25k in order (drawn from 96.7 % up)"
    assert [row["Validation accuracy (%)"] for row in rows_of(figure.table)][1] == "11.30"


def test_expected_best_leaves_out_the_default_and_counts_failures() -> None:
    trials = [
        make_trial(0, 0.9999),
        make_trial(1, 0.98, lr=0.1),
        make_trial(2, 0.99, lr=0.2),
        make_trial(3, state="failed"),
    ]
    section = section_of(build_document(tuned_study(make_tuning(trials=trials, independent=True))), "tuning-bn25k")
    figure = next(block for block in section.blocks if isinstance(block, Figure) and block.slug.endswith("best"))
    # of 0, 98 and 99 %: the mean 65.67; the bests of the pairs 98, 99, 99; 99
    assert [row["Expected best (%)"] for row in rows_of(figure.table)] == ["65.67", "98.67", "99.00"]
    assert "the default recipe left out" in prose_of(section)


def test_importances_have_intervals() -> None:
    found = (
        Importance(name="lr", share=0.7512, low=0.5, high=0.9),
        Importance(name="momentum", share=0.2488, low=0.1, high=0.5),
    )
    section = section_of(
        build_document(tuned_study(make_tuning(importances=found, importances_epoch=1))), "tuning-bn25k"
    )
    assert [tuple(row.values()) for row in rows_of(table_of(section, "How much"))] == [
        ("lr", "75.1", "50.0 to 90.0"),
        ("momentum", "24.9", "10.0 to 50.0"),
    ]
    caption = table_of(section, "How much").caption
    assert "after epoch 1, the last that all of them reached" in caption
    none = section_of(build_document(tuned_study(make_tuning())), "tuning-bn25k")
    assert "Too few trials" in prose_of(none)


def test_repeats_and_reasons_stand_in_the_table_of_trials() -> None:
    trials = [*TRIALS, dataclasses.replace(make_trial(5, 0.9850), repeats=0, images=0)]
    rows = rows_of(
        table_of(section_of(build_document(tuned_study(make_tuning(trials=trials))), "tuning-bn25k"), "All trials")
    )
    assert rows[5]["State"] == "complete (repeats trial 0)"
    assert rows[5]["Training images"] == "0"
    assert (rows[1]["Reason"], rows[1]["Epochs"]) == ("below the median", "1")
    assert (rows[2]["Validation accuracy (%)"], rows[2]["Reason"]) == ("—", "the loss became NaN")
