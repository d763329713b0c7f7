"""One run in a worker: cut short it goes on to the same bits, and nobody's result is overwritten."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from bench.core.errors import BusyError, StoreError
from bench.core.events import Note, RunProgress
from bench.core.recipe import Budget, Recipe
from bench.core.records import RunRecord
from bench.core.run import RunFiles, Task, Workplace
from bench.execution.worker import store_unfinished, train_run
from bench.models.build import hash_initial
from bench.store.store import open_store
from bench.system import files
from bench.training import engine, result
from bench.training.checkpoint import load_state, save_state
from bench.training.result import Outcome, make_record
from tests.bench.runs import TINY, make_task, make_workplace, stored_bits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECIPES = {
    "one-cycle": Recipe(),
    "best": Recipe(keep="best", patience=2, schedule="plateau", optimizer="sgd", lr=0.05, plateau_patience=1),
    "augmented": Recipe(augmentation=(("shift", 2.0), ("rotation", 10.0)), schedule="cosine", optimizer="adamw"),
}


def silent(_message: RunProgress | Note) -> None:
    """Hears nothing."""


def stop_after(epochs: int) -> Callable[[RunProgress | Note], None]:
    """Interrupts at the first progress after so many whole epochs."""

    def report(message: RunProgress | Note) -> None:
        if isinstance(message, RunProgress) and message.epoch >= epochs:
            raise InterruptedError

    return report


def cut_short(task: Task, workplace: Workplace, *, epochs: int) -> None:
    with pytest.raises(InterruptedError):
        train_run(task, workplace, stop_after(epochs))


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return make_workplace(tmp_path / "r")


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_run_cut_short_after_every_epoch_ends_with_the_same_bits(
    recipe: Recipe, workplace: Workplace, tmp_path: Path
) -> None:
    task, undisturbed = make_task(recipe=recipe), make_workplace(tmp_path / "whole")
    whole = train_run(task, undisturbed, silent)
    for epochs in (1, 2, 3):
        cut_short(task, workplace, epochs=epochs)
    parts = train_run(task, workplace, silent)
    assert stored_bits(workplace, task.run_id) == stored_bits(undisturbed, task.run_id)
    assert whole.status == parts.status == "ok"
    assert [file.suffix for file in (workplace.results / "checkpoints").iterdir()] == [".pt"]


def test_a_run_that_its_own_target_ended_has_reached_it_there(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    constant = Recipe(schedule="constant", lr=1e-3)
    whole = train_run(make_task(recipe=constant, epochs=3), workplace, silent)
    with open_store(workplace.store_url) as store:
        curve = store.runs.curve(whole.run_id)
    end = next(
        p for p in curve if not p.probe and p.val_accuracy > max(q.val_accuracy for q in curve if q.step < p.step)
    )
    monkeypatch.setattr(result, "TARGETS", (end.val_accuracy,))  # passed there for the first time
    ended = train_run(
        make_task(recipe=dataclasses.replace(constant, stop_at_accuracy=end.val_accuracy), epochs=3), workplace, silent
    )
    assert ended.epochs == end.epoch
    (time_to,) = ended.time_to_targets
    assert (time_to.epochs, time_to.images) == (end.epoch, end.images)
    # The same run to the same evaluation, ended by its budget: one pass is not two.
    budget = train_run(make_task(recipe=constant, epochs=round(end.epoch)), workplace, silent)
    assert budget.epochs == end.epoch
    assert math.isinf(budget.time_to_targets[0].epochs)


def test_earlier_parts_count_in_its_clocks(workplace: Workplace) -> None:
    task = make_task()
    cut_short(task, workplace, epochs=2)
    state = RunFiles(task.run_id, workplace.results).state
    saved = load_state(state, run_id=task.run_id)
    saved |= {"started_at": "2001-01-01T00:00:00+00:00", "wall_seconds": 500.0}
    saved["training"] |= {"train_seconds": 100.0, "evaluation_seconds": 10.0}
    save_state(saved, state, run_id=task.run_id)
    cut = store_unfinished(task, workplace, status="interrupted", reason="Ctrl-C")
    assert (cut.status, cut.epochs, cut.train_seconds, cut.wall_seconds) == ("interrupted", 2.0, 100.0, 500.0)
    assert len(cut.time_to_targets) == 4
    record = train_run(task, workplace, silent)
    assert record.started_at == "2001-01-01T00:00:00+00:00"
    assert record.wall_seconds is not None
    assert record.train_seconds is not None
    assert record.evaluation_seconds is not None
    assert 500 < record.wall_seconds < 600
    assert 100 < record.train_seconds < 200
    assert 10 < record.evaluation_seconds < 110
    assert record.train_images_per_second == pytest.approx(3 * 25 * 128 / record.train_seconds)


def test_a_state_of_another_machine_is_not_gone_on_from(workplace: Workplace) -> None:
    task, notes = make_task(), []
    cut_short(task, workplace, epochs=2)
    state = RunFiles(task.run_id, workplace.results).state
    save_state(load_state(state, run_id=task.run_id) | {"machine": "other"}, state, run_id=task.run_id)
    train_run(task, workplace, lambda message: notes.append(message.text) if isinstance(message, Note) else None)
    assert len(notes) == 1
    assert "of another machine" in notes[0]


def test_a_state_of_other_kernels_is_not_gone_on_from(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    task, notes = make_task(), list[str]()
    task = dataclasses.replace(task, request=dataclasses.replace(task.request, engine="lanes"))
    monkeypatch.setattr(engine, "kernels_name", lambda: "lanes8-old")
    cut_short(task, workplace, epochs=1)
    monkeypatch.setattr(engine, "kernels_name", lambda: "lanes8-new")
    record = train_run(task, workplace, lambda said: notes.append(said.text) if isinstance(said, Note) else None)
    assert ["other kernels" in note for note in notes] == [True]
    assert (record.engine, record.environment["kernels"]) == ("lanes", "lanes8-new")


def test_a_state_of_an_older_version_is_of_torch_which_asks_for_no_kernels(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "kernels_name", lambda: pytest.fail("nobody may ask: it compiles"))
    task, notes = make_task(), list[str]()
    cut_short(task, workplace, epochs=2)
    state = RunFiles(task.run_id, workplace.results).state
    saved = load_state(state, run_id=task.run_id)
    assert saved.pop("kernels") == ""
    save_state(saved, state, run_id=task.run_id)
    record = train_run(task, workplace, lambda said: notes.append(said.text) if isinstance(said, Note) else None)
    assert notes == ["tiny, seed 0: goes on from epoch 2 of 3."]
    assert record.environment["engine"] == "torch"
    assert "kernels" not in record.environment


@pytest.mark.parametrize(
    ("budget", "line"),
    [
        (Budget(epochs=3), "tiny, seed 0: goes on from epoch 2 of 3."),
        (Budget(seconds=3_600), "tiny, seed 0: goes on from epoch 2."),
    ],
    ids=str,
)
def test_that_a_run_goes_on_is_said_once_before_it_trains(budget: Budget, line: str, workplace: Workplace) -> None:
    task = make_task()
    task = dataclasses.replace(task, request=dataclasses.replace(task.request, budget=budget))
    messages: list[RunProgress | Note] = []

    def train_to(epoch: int) -> None:
        def hear(message: RunProgress | Note) -> None:
            messages.append(message)
            stop_after(epoch)(message)

        with contextlib.suppress(InterruptedError):  # where the budget does not end it there
            train_run(task, workplace, hear)

    train_to(2)
    assert not any(isinstance(message, Note) for message in messages), "a new run goes on from nowhere"
    messages.clear()
    train_to(3)
    assert messages[0] == Note(text=line)
    assert [message for message in messages[1:] if isinstance(message, Note)] == []


def test_ctrl_c_while_it_is_said_that_a_run_goes_on_spares_its_state(workplace: Workplace) -> None:
    task = make_task()
    cut_short(task, workplace, epochs=2)

    def stop(message: RunProgress | Note) -> None:
        if isinstance(message, Note):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train_run(task, workplace, stop)
    assert load_state(RunFiles(task.run_id, workplace.results).state, run_id=task.run_id)["training"]["epoch"] == 2


def build_counting() -> nn.Module:
    """A net whose output depends on a buffer that its state leaves out, and that draws in eval mode."""

    class Counting(nn.Module):
        calls: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(784, 10)
            self.register_buffer("calls", torch.zeros(()), persistent=False)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.calls += 1.0
            noise = torch.rand(len(images), 1)
            logits: torch.Tensor = self.linear(images.flatten(1)) * (1 + self.calls / 100) + noise
            return logits

    return Counting()


def test_hidden_buffers_and_draws_in_eval_mode_come_out_the_same(workplace: Workplace, tmp_path: Path) -> None:
    task, undisturbed = make_task(dataclasses.replace(TINY, build=build_counting)), make_workplace(tmp_path / "whole")
    train_run(task, undisturbed, silent)
    for epochs in (1, 3):
        cut_short(task, workplace, epochs=epochs)
    train_run(task, workplace, silent)
    assert stored_bits(workplace, task.run_id) == stored_bits(undisturbed, task.run_id)


def test_it_trains_only_what_is_missing(workplace: Workplace) -> None:
    task, seen = make_task(), list[RunProgress | Note]()
    cut_short(task, workplace, epochs=2)
    train_run(task, workplace, seen.append)
    assert next(message.epoch for message in seen if isinstance(message, RunProgress)) > 2


@pytest.mark.parametrize("damage", ["torn", "foreign"])
def test_a_bad_state_is_set_aside_and_the_run_starts_over(damage: str, workplace: Workplace, tmp_path: Path) -> None:
    task, notes = make_task(), []
    cut_short(task, workplace, epochs=2)
    state = RunFiles(task.run_id, workplace.results).state
    if damage == "torn":
        state.write_bytes(state.read_bytes()[:1000])
    else:
        other = make_task(seed=1)
        cut_short(other, workplace, epochs=1)
        shutil.copy(RunFiles(other.run_id, workplace.results).state, state)
    train_run(task, workplace, lambda message: notes.append(message) if isinstance(message, Note) else None)
    undisturbed = make_workplace(tmp_path / "whole")
    train_run(task, undisturbed, silent)
    assert stored_bits(workplace, task.run_id) == stored_bits(undisturbed, task.run_id)
    reason = "torn or was changed" if damage == "torn" else "of run"
    assert [note.text.startswith("tiny, seed 0: its saved state cannot be used") for note in notes] == [True]
    assert reason in notes[0].text
    assert state.with_suffix(".damaged").exists()


def test_a_state_that_cannot_be_saved_costs_nothing_but_the_state(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".unfinished":
            raise OSError(28, "No space left on device")
        files.write_atomically(path, content)

    monkeypatch.setattr("bench.training.checkpoint.write_atomically", full)
    notes: list[str] = []
    record = train_run(make_task(epochs=1), workplace, lambda m: notes.append(m.text) if isinstance(m, Note) else None)
    assert record.status == "ok"
    assert len(notes) == 1
    assert "No space left on device" in notes[0]


def test_what_another_runner_stored_is_returned_not_trained(workplace: Workplace) -> None:
    task = make_task(epochs=1)
    first = train_run(task, workplace, silent)

    def never(_message: RunProgress | Note) -> None:
        pytest.fail("it trained again")

    assert train_run(task, workplace, never) == first


def test_a_run_that_another_runner_trains_is_waited_for(workplace: Workplace) -> None:
    task, results = make_task(epochs=1), list[RunRecord]()
    with open_store(workplace.store_url) as store:
        with store.hold(task.run_id, waiting=lambda: None):
            with pytest.raises(BusyError):
                train_run(task, workplace, silent, wait=False)
            with pytest.raises(InterruptedError):
                train_run(task, workplace, stop_after(0))
            second = threading.Thread(target=lambda: results.append(train_run(task, workplace, silent)))
            second.start()
            time.sleep(1.5)
            assert results == []
            first = make_record(task, Outcome(), jobs=1, environment={})
            store.runs.add(first)
        second.join()
    assert results == [first], "its numbers are those that are stored"
    assert not (workplace.results / task.weights).exists()


def test_a_lost_run_does_not_replace_one_that_is_stored(workplace: Workplace) -> None:
    task = make_task(epochs=1)
    stored = train_run(task, workplace, silent)
    assert store_unfinished(task, workplace, status="failed", reason="The worker died.") == stored


def test_an_interrupted_run_is_stored_as_such_and_then_goes_on(workplace: Workplace) -> None:
    task = make_task(epochs=2)
    cut_short(task, workplace, epochs=1)
    assert store_unfinished(task, workplace, status="interrupted", reason="Ctrl-C").status == "interrupted"
    assert RunFiles(task.run_id, workplace.results).state.exists()
    assert train_run(task, workplace, silent).status == "ok"


def test_a_net_that_wants_too_much_memory_fails_alone(workplace: Workplace) -> None:
    def build() -> None:
        raise MemoryError

    record = train_run(make_task(dataclasses.replace(TINY, build=build)), workplace, silent)  # type: ignore[arg-type]
    assert (record.status, record.fault, record.error[:14]) == ("failed", "machine", "Out of memory ")
    assert "smaller --batch-size" in record.error


def test_a_run_says_whose_fault_it_was(workplace: Workplace) -> None:
    def build() -> None:
        raise KeyError("x")

    broken = make_task(dataclasses.replace(TINY, build=build))  # type: ignore[arg-type]
    assert train_run(broken, workplace, silent).fault == "net"
    lost, stopped = make_task(seed=1), make_task(seed=2)
    assert store_unfinished(lost, workplace, status="failed", reason="The worker died.").fault == "machine"
    assert store_unfinished(stopped, workplace, status="interrupted", reason="Ctrl-C").fault == ""
    assert train_run(make_task(seed=3, epochs=1), workplace, silent).fault == ""


def test_a_store_that_cannot_take_the_run_says_so(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> bool:
        raise StoreError("the disk is full")

    task = make_task(epochs=1)
    monkeypatch.setattr("bench.store.runs.Runs.add", refuse)
    with pytest.raises(StoreError, match="the disk is full"):
        train_run(task, workplace, silent)
    monkeypatch.undo()
    progress: list[RunProgress] = []
    train_run(task, workplace, lambda m: progress.append(m) if isinstance(m, RunProgress) else None)
    assert progress == [], "what was trained is not trained again"


def test_a_net_that_changed_while_the_study_ran_fails_by_name(workplace: Workplace) -> None:
    """Its source is the same, and what a worker builds of it is not what was counted."""
    known = hash_initial(TINY)
    task = dataclasses.replace(make_task(), initial_hash=known.partition(":")[0] + ":another")
    record = train_run(task, workplace, silent)
    assert (record.status, record.fault) == ("failed", "machine")
    assert "builds another net than when the study began (a helper, data or the environment changed)" in record.error
    kept = train_run(dataclasses.replace(make_task(seed=1, epochs=1), initial_hash=known), workplace, silent)
    assert (kept.status, kept.initial_hash) == ("ok", known)


def test_a_state_of_another_net_of_the_same_source_is_set_aside(workplace: Workplace) -> None:
    task = dataclasses.replace(make_task(), initial_hash=hash_initial(TINY))
    cut_short(task, workplace, epochs=1)
    state = RunFiles(task.run_id, workplace.results).state
    saved = load_state(state, run_id=task.run_id)
    assert saved["initial_hash"] == task.initial_hash
    save_state(saved | {"initial_hash": task.initial_hash + "0"}, state, run_id=task.run_id)
    messages: list[RunProgress | Note] = []
    assert train_run(task, workplace, messages.append).status == "ok"
    (note,) = [message for message in messages if isinstance(message, Note)]
    assert "its saved state cannot be used (it is of another net of the same source)" in note.text
