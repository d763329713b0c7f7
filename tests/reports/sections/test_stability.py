"""The order against target, training and budget, on curves whose order is known."""

from __future__ import annotations

import dataclasses

import pytest

from bench.analysis.conditions import find_conditions
from bench.analysis.ranking import Order, make_order, orders_along_training, orders_by_target
from bench.core.records import CurvePoint
from reports.build import build_document
from reports.document import Prose, Table
from reports.sections.training import stability_section
from tests.factories import make_run, study_of


def curve(*accuracies: float) -> tuple[CurvePoint, ...]:
    """Whole epochs with these validation accuracies."""
    return tuple(
        CurvePoint(
            step=390 * at, images=50_000 * at, epoch=float(at), train_seconds=float(at), evaluation_seconds=0.0,
            probe=False, val_loss=0.1, val_accuracy=accuracy,
        )
        for at, accuracy in enumerate(accuracies, 1)
    )  # fmt: skip


def crossing() -> tuple[dict[str, list], dict[str, tuple[CurvePoint, ...]]]:  # type: ignore[type-arg]
    """A sprinter that is at 92 % first and never gets to 98 %, and a net that gets there late; 3 seeds each."""
    sprinter = [make_run("bn25k", seed=seed)[0] for seed in range(3)]
    stayer = [make_run("fc3136", seed=seed)[0] for seed in range(3)]
    curves = {run.run_id: curve(0.93, 0.95, 0.95) for run in sprinter}
    curves |= {run.run_id: curve(0.91, 0.985, 0.99) for run in stayer}
    return {"sprinter": sprinter, "stayer": stayer}, curves


def test_the_order_by_target_turns_where_the_curves_cross() -> None:
    orders = {order.at: order for order in orders_by_target(*crossing())}
    assert sorted(orders) == list(range(90, 100))
    assert list(orders[92].means.items()) == [("sprinter", 1.0), ("stayer", 2.0)]
    # never at 98 %: the whole budget of 3 epochs counts; two passes in a row at epochs 2 and 3 for the other
    assert list(orders[98].means.items()) == [("stayer", 2.0), ("sprinter", 3.0)]
    assert orders[98].ranks == {"stayer": (1, 1), "sprinter": (2, 2)}
    assert orders[92].agreement(orders[98]) == pytest.approx(-1)
    # 99 % is passed once, at the very end, which is not two passes: both have spent the whole budget
    assert orders[99].agreement(orders[98]) is None


def test_the_order_along_training_turns_too() -> None:
    orders = orders_along_training(*crossing(), probe=False)
    assert [order.at for order in orders] == [1.0, 2.0, 3.0]
    assert [next(iter(order.means)) for order in orders] == ["sprinter", "stayer", "stayer"]
    assert orders_along_training(*crossing(), probe=True) == [], "these curves have no probes"


def test_runs_that_ended_without_an_accuracy_and_single_nets_give_no_order() -> None:
    runs, curves = crossing()
    alone = {"stayer": runs["stayer"]}
    assert orders_by_target(alone, curves) == orders_along_training(alone, curves, probe=False) == []
    failed = [dataclasses.replace(run, status="failed") for run in runs["sprinter"]]
    assert orders_by_target(runs | {"sprinter": failed}, curves) == []


def test_ties_stand_as_equal_and_a_target_that_nobody_reached_has_no_order() -> None:
    runs, curves = crossing()
    runs["again"] = [make_run("conv16k", seed=seed)[0] for seed in range(3)]
    curves |= {run.run_id: curve(0.93, 0.95, 0.95) for run in runs["again"]}
    orders = orders_by_target(runs, curves)
    assert [(order.at, order.reached) for order in orders[-3:]] == [(97, True), (98, True), (99, False)]
    assert orders[8].tied == [["stayer"], ["again", "sprinter"]]
    assert orders[2].tied == [["again", "sprinter"], ["stayer"]]
    records = tuple(dataclasses.replace(run, architecture=name) for name, of in runs.items() for run in of)
    study = dataclasses.replace(study_of(*((run, ()) for run in records)), curves=curves)
    (condition,) = find_conditions(study)
    section = stability_section(condition, study)
    assert section is not None
    targets = next(block for block in section.blocks if isinstance(block, Table))
    texts = {row[0].text: row[1].text for row in targets.rows}
    assert (texts["92"], texts["98"]) == ("again = sprinter, stayer", "stayer, again = sprinter")
    assert texts["99"] == "none got there"


def test_means_that_differ_by_arithmetic_alone_tie() -> None:
    from bench.analysis.metrics import accuracy_metric

    a, b = dict.fromkeys(range(3), 0.1 + 0.2), dict.fromkeys(range(3), 0.3)
    assert 0.1 + 0.2 > 0.3
    order = make_order({"b": a, "a": b}, accuracy_metric(), at=1)
    assert order is not None
    assert order.tied == [["a", "b"]]


def test_only_verdicts_are_said_to_tell_apart() -> None:
    runs = [make_run(net, seed=seed) for net in ("bn25k", "fc3136") for seed in range(6)]
    said = " ".join(
        block.text for section in build_document(study_of(*runs)).sections for block in section.blocks
        if isinstance(block, Prose)
    )  # fmt: skip
    assert "only verdicts tell two architectures apart, whether or not their ranks overlap" in said
    assert "Only verdicts tell two architectures apart: those whose ranks do not overlap may be undecided" in said
    assert "their order is open" not in said


def test_kendall_by_hand() -> None:
    first = Order(at=1, means={"a": 1.0, "b": 2.0, "c": 3.0}, ranks={})
    other = Order(at=2, means={"a": 1.0, "c": 2.0, "b": 3.0}, ranks={})
    assert first.agreement(other) == pytest.approx(1 / 3)  # two pairs in the same order, one reversed
    assert first.agreement(Order(at=3, means={"a": 1.0}, ranks={})) is None


def test_seeds_that_only_one_has_do_not_count() -> None:
    from bench.analysis.metrics import accuracy_metric

    a = {0: 0.9, 1: 0.9, 2: 0.9, 3: 0.1}
    b = {0: 0.8, 1: 0.8, 2: 0.8}
    order = make_order({"a": a, "b": b, "never ended": {0: float("nan")}}, accuracy_metric(), at=3)
    assert order is not None
    assert dict(order.means) == pytest.approx({"a": 0.9, "b": 0.8})
    assert make_order({"a": a, "b": {0: 0.8, 1: 0.8}}, accuracy_metric(), at=3) is None, "no order from two seeds"


def test_budgets_stand_in_one_table() -> None:
    runs = [
        make_run(net, seed=seed, epochs=epochs) for net in ("bn25k", "fc3136") for seed in range(6)
        for epochs in (1, 3)
    ]  # fmt: skip
    document = build_document(study_of(*runs))
    (section,) = [section for section in document.sections if section.title.startswith("Order against budget")]
    orders, accuracies = (block for block in section.blocks if isinstance(block, Table))
    assert [row[0].text for row in orders.rows] == ["1", "3"]
    assert [column.name for column in accuracies.columns] == ["Architecture", "1 epoch", "3 epochs"]
