"""One run in a worker: cut short it goes on to the same bits, and nobody's result is overwritten."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest
from runs import TINY, make_task, make_workplace, stored_bits

from bench import files
from bench.errors import StoreError
from bench.events import Note, RunProgress
from bench.recipe import Recipe
from bench.records import RunRecord
from bench.store.store import open_store
from bench.task import RunFiles, Task, Workplace
from bench.worker import store_unfinished, train_run

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
    assert parts.train_seconds is not None
    assert parts.wall_seconds is not None
    assert parts.wall_seconds > parts.train_seconds > 0
    assert parts.started_at <= whole.finished_at or parts.started_at <= parts.finished_at
    assert [file.suffix for file in (workplace.results / "checkpoints").iterdir()] == [".pt"]


def test_it_trains_only_what_is_missing(workplace: Workplace) -> None:
    task, seen = make_task(), list[RunProgress | Note]()
    cut_short(task, workplace, epochs=2)
    train_run(task, workplace, seen.append)
    assert next(message.epoch for message in seen if isinstance(message, RunProgress)) > 2


@pytest.mark.parametrize("damage", ["torn", "foreign"])
def test_a_bad_state_is_set_aside_and_the_run_starts_over(damage: str, workplace: Workplace, tmp_path: Path) -> None:
    task, notes = make_task(), []
    cut_short(task, workplace, epochs=2)
    state = RunFiles(task, workplace.results).state
    if damage == "torn":
        state.write_bytes(state.read_bytes()[:1000])
    else:
        other = make_task(seed=1)
        cut_short(other, workplace, epochs=1)
        shutil.copy(RunFiles(other, workplace.results).state, state)
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
    task, results, notes = make_task(epochs=1), list[RunRecord](), list[str]()

    def hear(message: RunProgress | Note) -> None:
        if isinstance(message, Note):
            notes.append(message.text)

    with open_store(workplace.store_url) as store:
        stack = contextlib.ExitStack()
        stack.enter_context(store.hold(task.run_id, waiting=lambda: None))
        second = threading.Thread(target=lambda: results.append(train_run(task, workplace, hear)))
        second.start()
        time.sleep(1.5)
        assert results == []
        first = dataclasses.replace(store_unfinished(task, workplace, status="interrupted", reason=""), status="ok")
        store.add_run(first)
        stack.close()
        second.join()
    assert results == [first], "its numbers are those that are stored"
    assert notes == ["tiny, seed 0: another runner trains it; waiting for its result."]
    assert not (workplace.results / task.weights).exists()


def test_a_lost_run_does_not_replace_one_that_is_stored(workplace: Workplace) -> None:
    task = make_task(epochs=1)
    stored = train_run(task, workplace, silent)
    assert store_unfinished(task, workplace, status="failed", reason="The worker died.") == stored


def test_an_interrupted_run_is_stored_as_such_and_then_goes_on(workplace: Workplace) -> None:
    task = make_task(epochs=2)
    cut_short(task, workplace, epochs=1)
    assert store_unfinished(task, workplace, status="interrupted", reason="Ctrl-C").status == "interrupted"
    assert RunFiles(task, workplace.results).state.exists()
    assert train_run(task, workplace, silent).status == "ok"


def test_a_net_that_wants_too_much_memory_fails_alone(workplace: Workplace) -> None:
    def build() -> None:
        raise MemoryError

    record = train_run(make_task(dataclasses.replace(TINY, build=build)), workplace, silent)  # type: ignore[arg-type]
    assert (record.status, record.error[:14]) == ("failed", "Out of memory ")
    assert "smaller --batch-size" in record.error


def test_a_store_that_cannot_take_the_run_says_so(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> bool:
        raise StoreError("the disk is full")

    task = make_task(epochs=1)
    monkeypatch.setattr("bench.store.store.Store.add_run", refuse)
    with pytest.raises(StoreError, match="the disk is full"):
        train_run(task, workplace, silent)
    monkeypatch.undo()
    progress: list[RunProgress] = []
    train_run(task, workplace, lambda m: progress.append(m) if isinstance(m, RunProgress) else None)
    assert progress == [], "what was trained is not trained again"
