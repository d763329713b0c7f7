"""Runs by a source's own rule: on the whole pool, watching the test set, on the embedded images."""

from __future__ import annotations

import dataclasses
import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.nn import functional

from bench.core.errors import StoreError
from bench.core.recipe import Recipe
from bench.core.seeds import Stream, derive_seed
from bench.core.work.claims.claim import AS_CLAIMED
from bench.data.datasets import find_dataset
from bench.data.tensors import standardise
from bench.execution.worker import train_run
from bench.models.build import build_model
from bench.store.codec import pack_curve, unpack_curve
from bench.store.store import open_store
from tests.bench.runs import NOWHERE, TINY, make_task, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from bench.core.records import CurvePoint, RunRecord
    from bench.core.run import Task

POOL, TEST = 4_000, 1_000


def claimed(**recipe: Any) -> Task:
    """Three epochs of a linear net with dropout, of batches of 32."""
    known: dict[str, Any] = {"batch_size": 32, "schedule": "constant", "lr": 1e-3}
    task = make_task(epochs=3, recipe=Recipe(**known | recipe))
    return dataclasses.replace(task, request=dataclasses.replace(task.request, protocol=AS_CLAIMED))


def train(task: Task, results: Path) -> tuple[RunRecord, tuple[CurvePoint, ...]]:
    workplace = make_workplace(results)
    record = train_run(task, workplace, lambda _: None)
    assert record.status == "ok", record.error
    with open_store(workplace.store_url) as store:
        return record, store.runs.curve(record.run_id)


def ends(curve: tuple[CurvePoint, ...]) -> list[CurvePoint]:
    return [point for point in curve if not point.probe]


def test_the_whole_pool_is_trained_on_and_the_test_set_watched(tmp_path: Path) -> None:
    record, curve = train(claimed(), tmp_path)
    assert record.steps == 3 * (POOL // 32)
    assert (record.val_accuracy, record.val_loss, record.protocol) == (None, None, AS_CLAIMED)
    assert record.test_looks == len(curve) + 1
    assert record.test_accuracy == ends(curve)[-1].val_accuracy, "of the last weights, as after the last epoch"
    assert record.test_accuracy is not None
    assert (record.test_accuracy * TEST).is_integer()
    with open_store(make_workplace(tmp_path).store_url) as store:
        assert len(store.runs.predictions(record.run_id, "test").predicted) == TEST
        with pytest.raises(StoreError):
            store.runs.predictions(record.run_id, "validation")


def test_best_and_stop_go_by_the_test_set(tmp_path: Path) -> None:
    plain, curve = train(claimed(), tmp_path / "plain")
    accuracies = [point.val_accuracy for point in ends(curve)]
    best, again = train(claimed(keep="best"), tmp_path / "best")
    assert [point.val_accuracy for point in ends(again)] == accuracies
    assert best.test_accuracy == max(accuracies)
    assert best.epoch_kept == 1 + accuracies.index(max(accuracies))
    stopped, short = train(claimed(stop_at_accuracy=accuracies[0]), tmp_path / "stopped")
    assert (stopped.epochs, len(ends(short))) == (1.0, 1)
    assert stopped.test_accuracy == accuracies[0]
    assert plain.request_id != best.request_id


def test_losses_of_batches_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    _, curve = train(claimed(), tmp_path)
    assert [len(point.batch_losses or ()) for point in ends(curve)] == [2, 2, 2], "of batches 1 and 101 of 125"
    assert {point.batch_losses for point in curve if point.probe} == {None}
    dataset = find_dataset("mnist5k", NOWHERE)
    images, labels = standardise(dataset.pool_images, dataset.metadata), torch.from_numpy(dataset.pool_labels)
    model = build_model(TINY, 0).train()
    order = torch.randperm(POOL, generator=torch.Generator().manual_seed(derive_seed(0, Stream.ORDER)))
    torch.manual_seed(derive_seed(0, Stream.DROPOUT, architecture="tiny"))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for chosen in order.split(32)[:101]:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images[chosen]), labels[chosen])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert ends(curve)[0].batch_losses == pytest.approx((losses[0], losses[100]), rel=2e-4)


def test_curves_of_other_runs_are_stored_as_before() -> None:
    record_fields = {"step": 1, "images": 32, "epoch": 1.0, "train_seconds": 1.0, "evaluation_seconds": 1.0}
    from bench.core.records import CurvePoint

    plain = CurvePoint(**record_fields, probe=False, val_loss=0.1, val_accuracy=0.9)  # type: ignore[arg-type]
    assert "batch_losses" not in json.loads(zlib.decompress(pack_curve([plain])))
    logged = dataclasses.replace(plain, batch_losses=(2.3, 0.1))
    assert unpack_curve(pack_curve([plain, logged])) == (plain, logged)
    assert unpack_curve(pack_curve([plain])) == (plain,)
