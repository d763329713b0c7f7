"""No row of a table holds two nets, however their runs came to stand beside each other."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.analysis.conditions import find_conditions
from bench.analysis.nets import divide_by_net
from tests.factories import make_run, study_of

if TYPE_CHECKING:
    from bench.core.records import RunRecord


def runs(seeds: range, **changes: object) -> list[RunRecord]:
    made = [make_run("bn25k", seed=seed)[0] for seed in seeds]
    return [
        dataclasses.replace(record, run_id=f"{record.run_id}-{sorted(changes.items())}", **changes)  # type: ignore[arg-type]
        for record in made
    ]


def divided(*records: list[RunRecord]) -> dict[str, list[int]]:
    flat = [record for of in records for record in of]
    return {label: [run.seed for run in of] for label, of in divide_by_net(flat)}


def test_one_net_has_its_name_alone() -> None:
    assert divided(runs(range(3), initial_hash="here:a")) == {"bn25k": [0, 1, 2]}


def test_other_counts_are_other_nets() -> None:
    assert divided(runs(range(2)), runs(range(2, 4), params=63_610)) == {
        "bn25k (hash-of, 25,433 parameters)": [0, 1],
        "bn25k (hash-of, 63,610 parameters)": [2, 3],
    }
    assert divided(runs(range(2)), runs(range(2, 4), macs=7)) == {
        "bn25k (hash-of, 1,034,000 MACs)": [0, 1],
        "bn25k (hash-of, 7 MACs)": [2, 3],
    }


def test_hashes_tell_nets_apart_where_they_can_be_held_against_each_other() -> None:
    found = divided(runs(range(2), initial_hash="here:abcdefghi"), runs(range(2, 4), initial_hash="here:zyxwvutsr"))
    assert found == {
        "bn25k (hash-of, built as abcdefg)": [0, 1],
        "bn25k (hash-of, built as zyxwvut)": [2, 3],
    }
    # another machine gives other bits for the same net, an older version no hash
    same = divided(runs(range(1), initial_hash="here:a"), runs(range(1, 2), initial_hash="there:b"), runs(range(2, 3)))
    assert same == {"bn25k": [0, 1, 2]}


def test_a_run_that_failed_before_it_was_counted_is_of_the_net_that_there_is() -> None:
    assert divided(runs(range(1), params=None, macs=None), runs(range(1, 3))) == {"bn25k": [0, 1, 2]}


def test_a_merged_study_has_a_row_for_each_net() -> None:
    two = [(record, ()) for record in (*runs(range(6)), *runs(range(6, 12), params=63_610))]
    (condition,) = find_conditions(study_of(*two))
    assert [(entry.label, {run.params for run in entry.records}) for entry in condition.entries] == [
        ("bn25k (hash-of, 25,433 parameters)", {25_433}),
        ("bn25k (hash-of, 63,610 parameters)", {63_610}),
    ]
    assert {(pair.a, pair.b) for pair in condition.accuracy.pairs} == {tuple(e.label for e in condition.entries)}
