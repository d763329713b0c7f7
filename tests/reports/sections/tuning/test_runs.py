"""Which runs stand for a tuning: in the tuned table, in `tuning.csv`, and among those that went wrong."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from bench.analysis.conditions import find_conditions
from bench.core.recipe import Recipe
from reports.build import build_document
from reports.document import Prose, Table
from reports.exports import tuning_csv, verdicts_csv
from reports.write import write_report
from tests.factories import make_run
from tests.reports.sections.tuning.examples import (
    DEFAULT,
    LR,
    TUNED,
    default_won,
    make_trial,
    make_tuning,
    retrained,
    tuned_study,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bench.analysis.conditions import Condition
    from bench.core.records import Study


def _tuned_table(study: Study) -> Condition | None:
    tables = [c for c in find_conditions(study) if c.records[0].recipe_name.startswith("tuned")]
    assert len(tables) <= 1
    return tables[0] if tables else None


def _two(**changes: Any) -> Study:
    """Tuned bn25k beside fc3136, whose default won and whose tuning differs so from that."""
    bn25k, fc3136 = make_tuning("bn25k"), dataclasses.replace(default_won("fc3136"), **changes)
    runs = [*retrained("bn25k", DEFAULT), *retrained("fc3136", DEFAULT), *retrained("bn25k", TUNED, tuning=bn25k)]
    return tuned_study(bn25k, fc3136, runs=runs)


def test_the_default_runs_of_a_default_winner_stand_in_both_tables() -> None:
    study = _two()
    tuned, default = find_conditions(study)[:2]
    tables = {condition.title: {e.label: len(e.records) for e in condition.entries} for condition in (tuned, default)}
    assert tables == {
        "mnist, tuned recipe, 3 epochs, cpu": {"bn25k": 6, "fc3136": 6},
        "mnist, shared recipe, 3 epochs, cpu": {"bn25k": 6, "fc3136": 6},
    }
    pairs = pd.read_csv(io.StringIO(verdicts_csv(find_conditions(study))))
    assert set(pairs["recipe"]) == {"tuned", "shared"}


@pytest.mark.parametrize(
    "difference",
    [{"architecture_hash": "other"}, {"dataset": "kmnist"}, {"data_hash": "other"}, {"epochs": 4}],
)
def test_runs_that_a_tuning_does_not_speak_of_stay_out(difference: dict[str, Any]) -> None:
    table = _tuned_table(_two(**difference))
    assert table is not None
    assert [entry.label for entry in table.entries] == ["bn25k"]


@pytest.mark.parametrize("difference", [{"device": "cuda"}, {"torch_version": "2.14.0"}, {"engine_version": 2}])
def test_default_runs_of_another_place_stay_out(difference: dict[str, Any]) -> None:
    study = _two()
    elsewhere = [dataclasses.replace(r, **difference) if r.architecture == "fc3136" else r for r in study.records]
    table = _tuned_table(dataclasses.replace(study, records=tuple(elsewhere)))
    assert table is not None
    assert [entry.label for entry in table.entries] == ["bn25k"]


def test_a_winner_that_was_trained_under_another_name_joins_too() -> None:
    bn25k, fc3136 = make_tuning("bn25k"), make_tuning("fc3136")
    known = [
        dataclasses.replace(run, recipe_name="shared lr=0.0123") for run, _ in retrained("fc3136", TUNED, tuning=fc3136)
    ]
    study = tuned_study(bn25k, fc3136, runs=[*((run, ()) for run in (*_two().records, *known))])
    table = _tuned_table(study)
    assert table is not None
    runs = {entry.label: {run.run_id for run in entry.records} for entry in table.entries}
    assert runs == {net: {f"{net}-tuned-{seed}" for seed in range(6)} for net in ("bn25k", "fc3136")}


def test_what_the_user_changed_keeps_tuned_tables_apart() -> None:
    bn25k, fc3136 = make_tuning("bn25k"), default_won("fc3136")
    other = [dataclasses.replace(r, recipe_name="tuned keep=best") for r, _ in retrained("bn25k", TUNED, tuning=bn25k)]
    runs = [*retrained("fc3136", DEFAULT), *((run, ()) for run in other)]
    table = _tuned_table(tuned_study(bn25k, fc3136, runs=runs))
    assert table is not None
    assert [entry.label for entry in table.entries] == ["bn25k"], "fc3136's default was not trained with keep=best"


def test_a_former_winner_leaves_the_tuned_table() -> None:
    before = make_tuning(trials=[make_trial(0, 0.985), make_trial(1, 0.986, lr=0.1)])
    now = make_tuning()
    former = [dataclasses.replace(r, run_id=f"former-{r.seed}") for r, _ in retrained("bn25k", DEFAULT, tuning=before)]
    runs = [*retrained("bn25k", TUNED, tuning=now), *((run, ()) for run in former)]
    table = _tuned_table(tuned_study(now, runs=runs))
    assert table is not None
    assert {run.run_id for run in table.records} == {f"bn25k-tuned-{seed}" for seed in range(6)}


def test_a_tuned_table_of_former_winners_alone_goes_when_the_default_wins() -> None:
    before = make_tuning(trials=[make_trial(0, 0.985), make_trial(1, 0.986, lr=0.1)])
    runs = [*retrained("bn25k", DEFAULT), *retrained("bn25k", TUNED, tuning=before)]
    assert _tuned_table(tuned_study(before, runs=runs)) is not None
    assert _tuned_table(tuned_study(default_won("bn25k"), runs=runs)) is None


def test_runs_of_another_device_are_never_paired() -> None:
    tuning = make_tuning()
    tuned = [dataclasses.replace(run, device="cuda") for run, _ in retrained("bn25k", TUNED, tuning=tuning)]
    study = tuned_study(tuning, runs=[*retrained("bn25k", DEFAULT), *((run, ()) for run in tuned)])
    (said,) = [line.text for line in build_document(study).lead if line.text.startswith("Tuned against")]
    assert said == "Tuned against default on mnist, 3 epochs: bn25k: not retrained yet."


def _read(study: Study) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(tuning_csv(study)), dtype=str, keep_default_na=False)


def test_tuning_csv_has_the_promised_columns_first_and_one_row_a_trial() -> None:
    trials = [make_trial(0, 0.985), make_trial(1, 0.99, net="bn25k hidden=32", hidden=32, lr=LR)]
    study = tuned_study(make_tuning("fc3136"), make_tuning(trials=trials))
    table = _read(study)
    # copied from CLI.md, then what was searched
    assert list(table.columns)[:9] == [
        "architecture", "trial", "state", "value", "epochs", "images", "hidden", "lr", "weight_decay",
    ]  # fmt: skip
    assert table["architecture"].tolist() == ["bn25k"] * 2 + ["fc3136"] * 5
    assert table["hidden"].tolist() == ["", "32", *[""] * 5]
    assert table["weight_decay"].tolist() == ["", "", "", "", "", "1e-05", ""]
    assert table["state"].tolist()[2:] == ["complete", "pruned", "failed", "complete", "complete"]
    assert table["winner"].tolist() == ["", "yes", "", "", "", "yes", ""]
    assert table["trained"].tolist()[:2] == ["bn25k", "bn25k hidden=32"]
    assert float(table["lr"][1]) == LR
    assert Recipe.from_json(json.loads(table["recipe"][5])) == Recipe(lr=LR, weight_decay=1e-05)


def test_values_are_fractions_and_a_failed_trial_has_none() -> None:
    table = _read(tuned_study(make_tuning()))
    assert table["value"].tolist() == ["0.985", "0.975", "", "0.99", "0.9875"]
    assert table["images"].tolist() == ["300000", "100000", "0", "300000", "300000"]
    assert table["epochs"].tolist() == ["3.0", "1.0", "0.0", "3.0", "3.0"]
    assert "macs" not in table.columns


def test_further_objectives_have_columns_and_a_knob_takes_no_promised_name() -> None:
    trials = [make_trial(0, 0.985, 1_000_000), make_trial(1, state="failed")]
    trials[0] = dataclasses.replace(
        trials[0], hyperparameters={"epochs": 7, "nesterov": True, "augmentation": [["shift", 2.0]]}
    )
    tuning = make_tuning(trials=trials, objectives=("accuracy", "macs"))
    table = _read(tuned_study(tuning, runs=retrained("bn25k", DEFAULT)))
    assert table["macs"].tolist() == ["1000000", ""]
    assert table["epochs"].tolist() == ["3.0", "0.0"]
    assert table["setting_epochs"].tolist() == ["7", ""]
    assert table["nesterov"].tolist() == ["true", ""]
    assert json.loads(table["augmentation"][0]) == [["shift", 2.0]]


def test_tuning_csv_is_written_beside_the_others_and_goes_with_the_last_trial(tmp_path: Path) -> None:
    study = tuned_study(make_tuning())
    write_report(study, tmp_path)
    assert (tmp_path / "tuning.csv").read_text() == tuning_csv(study)
    write_report(dataclasses.replace(study, tunings=(make_tuning(trials=[], wanted=5, counted=5),)), tmp_path)
    assert not (tmp_path / "tuning.csv").exists()


def test_the_same_study_gives_the_same_bytes(tmp_path: Path) -> None:
    study = tuned_study(make_tuning(independent=True), default_won("fc3136"))
    for name in ("one", "two"):
        write_report(study, tmp_path / name)
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()} for name in ("one", "two")]
    assert files[0] == files[1]
    assert {"tuning.csv", "tuning-bn25k-history.svg", "tuning-bn25k-best.svg"} <= files[0].keys()


def _with_tune_runs(*statuses: str) -> Study:
    study = tuned_study(make_tuning())
    runs = [
        dataclasses.replace(
            make_run("bn25k", seed=10_000 + n)[0],
            status=status, protocol="validation", test_accuracy=None, error=f"error {n}",
            architecture=f"bn25k hidden={n}", architecture_hash=f"variation-{n}",
        )
        for n, status in enumerate(statuses)
    ]  # fmt: skip
    metadata = {
        run.architecture_hash: dataclasses.replace(
            study.architectures["hash-of-bn25k"],
            architecture=run.architecture, architecture_hash=run.architecture_hash,
        )
        for run in runs
    }  # fmt: skip
    return dataclasses.replace(
        study,
        records=(*study.records, *runs),
        roles={**study.roles, **{run.run_id: "tune" for run in runs}},
        architectures={**study.architectures, **metadata},
    )


def test_pruned_runs_are_no_trouble_and_failed_ones_are() -> None:
    document = build_document(_with_tune_runs("interrupted", "failed", "diverged", "ok"))
    (section,) = [section for section in document.sections if section.slug == "went-wrong"]
    prose, table = section.blocks
    assert isinstance(prose, Prose)
    assert isinstance(table, Table)
    assert [[cell.text for cell in row][2:] for row in table.rows] == [
        ["failed", "error 1", "role tune"],
        ["diverged", "error 2", "role tune"],
    ]
    assert prose.text.startswith("2 runs of 15 did not end ok.")  # 12 to compare and 4 of tuning, one cut short
    only_pruned = build_document(_with_tune_runs("interrupted", "interrupted"))
    assert not [section for section in only_pruned.sections if section.slug == "went-wrong"]


def test_counts_of_the_study_say_what_tuning_cut_short() -> None:
    lead = [line.text for line in build_document(_with_tune_runs("interrupted", "interrupted", "ok")).lead]
    assert any(text.startswith("Study nightly: 15 runs, 13 ended ok, 2 cut short by tuning, the last") for text in lead)


def test_an_interrupted_run_to_compare_is_still_trouble() -> None:
    study = tuned_study(
        make_tuning(), runs=[make_run("bn25k", seed=0), make_run("bn25k", seed=1, status="interrupted")]
    )
    assert [section for section in build_document(study).sections if section.slug == "went-wrong"]


def test_variations_that_tuning_tried_have_no_layers_shown() -> None:
    document = build_document(_with_tune_runs("ok", "interrupted"))
    titles = [section.title for section in document.sections if section.slug.startswith("layers-")]
    assert titles == ["bn25k"]
