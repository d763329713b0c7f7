"""Several datasets beside each other: described where they are few, judged where they are enough."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import TYPE_CHECKING, Any

import pytest

from bench.analysis.conditions import find_conditions
from bench.analysis.over_datasets import find_over_datasets
from reports.build import build_document
from reports.document import Figure, Prose, Table
from reports.exports import verdicts_csv
from tests.factories import make_record, study_of
from tests.reports.document_reading import rows_of, section_of

if TYPE_CHECKING:
    from bench.core.records import RunRecord, Study

NETS = {"a": 0.9, "b": 0.8}


def run(dataset: str, net: str, *, seed: int, accuracy: float) -> RunRecord:
    known: dict[str, Any] = {"dataset": dataset, "data_hash": f"hash-{dataset}", "test_accuracy": accuracy}
    run_id = f"{dataset}-{net}-{seed}"
    return make_record(net, seed=seed, run_id=run_id, request_id=run_id, **known)


def study(datasets: int, nets: dict[str, float] = NETS, *, seeds: int = 2) -> Study:
    """Each net's accuracy falls by a point from dataset to dataset, and seeds differ by a thousandth."""
    return study_of(
        *(
            (run(f"set-{number}", net, seed=seed, accuracy=accuracy - 0.01 * number + 0.001 * seed), ())
            for number in range(datasets)
            for net, accuracy in nets.items()
            for seed in range(seeds)
        )
    )


def rows_for_all(of: Study) -> list[dict[str, str]]:
    found = csv.DictReader(io.StringIO(verdicts_csv(find_conditions(of))))
    return [row for row in found if row["dataset"] == "all"]


def test_one_dataset_has_nothing_across() -> None:
    assert find_over_datasets(find_conditions(study(1))) == ()
    assert all(section.slug != "across" for section in build_document(study(1)).sections)


def test_few_datasets_are_described_and_not_judged() -> None:
    section = section_of(build_document(study(3)), "across")
    assert section.title == "Across 3 datasets"
    said, table = section.blocks
    assert isinstance(said, Prose)
    assert said.text.startswith("3 datasets are too few for a verdict across datasets: with 2 nets it takes 6,")
    assert isinstance(table, Table)
    first, second = rows_of(table)
    assert (first["Architecture"], first["Mean rank"], first["Best to worst"]) == ("a", "1.00", "1 to 1")
    assert (second["Architecture"], second["Mean rank"]) == ("b", "2.00")
    assert first["set-1 (%)"] == "89.05"  # 0.9 − 0.01 and half a thousandth
    assert rows_for_all(study(3)) == []


def test_enough_datasets_have_a_verdict_a_picture_and_rows() -> None:
    section = section_of(build_document(study(6)), "across")
    said = section.blocks[0]
    assert isinstance(said, Prose)
    assert said.text.startswith("Over 6 datasets a is better than b. Each dataset counts once")
    (figure,) = (block for block in section.blocks if isinstance(block, Figure))
    points = {series.label: series.points[0] for series in figure.panels[0].series}
    # Nemenyi's critical difference of two nets over six datasets: 1.960 · sqrt(2·3 / 36) = 0.800
    assert points["a"].y == 1.0
    assert points["a"].high == pytest.approx(1.4, abs=1e-3)
    assert points["b"].low == pytest.approx(1.6, abs=1e-3)
    (row,) = rows_for_all(study(6))
    assert (row["a"], row["b"], row["n"], row["verdict"], row["metric"]) == ("a", "b", "6", "a better", "test_accuracy")
    assert float(row["difference"]) == pytest.approx(10.0)
    assert float(row["p_holm"]) == pytest.approx(2 / 64)
    assert row["low"] == ""


def test_three_nets_share_one_error_rate() -> None:
    nets = {"a": 0.9, "b": 0.8, "c": 0.7}
    assert "with 3 nets it takes 7" in text_of(study(6, nets))
    rows = rows_for_all(study(7, nets))
    assert [(row["a"], row["b"], row["verdict"]) for row in rows] == [
        ("a", "b", "a better"),
        ("a", "c", "a better"),
        ("b", "c", "a better"),
    ]
    assert [float(row["p_holm"]) for row in rows] == pytest.approx([3 * 2 / 128] * 3)


def text_of(of: Study) -> str:
    said = section_of(build_document(of), "across").blocks[0]
    assert isinstance(said, Prose)
    return said.text


def test_a_net_that_a_dataset_lacks_is_left_out_and_other_recipes_stand_apart() -> None:
    found = study(3)
    alone = run("set-0", "c", seed=0, accuracy=0.99)
    other = dataclasses.replace(
        run("set-4", "a", seed=0, accuracy=0.5), recipe_name="published", recipe={**alone.recipe, "lr": 1.0}
    )
    more = study_of(*((record, ()) for record in (*found.records, alone, other)))
    (over,) = find_over_datasets(find_conditions(more))
    assert over.nets == ("a", "b")
    assert [condition.records[0].dataset for condition in over.conditions] == ["set-0", "set-1", "set-2"]
