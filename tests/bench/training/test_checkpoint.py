"""State files: what was saved comes back, and nothing else is taken for it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
import torch

from bench.core.errors import DamagedStateError
from bench.training.checkpoint import load_state, save_state

if TYPE_CHECKING:
    from pathlib import Path

STATE = {
    "model": {"weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(7)},
    "curve": [{"step": 1, "val_loss": float("inf"), "train_loss": None}],
    "stopping": {"stop": False, "best_weights": None},
}


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "run.unfinished"
    save_state({"model": {}}, path, run_id="r")
    save_state(STATE, path, run_id="r")
    back = load_state(path, run_id="r")
    assert torch.equal(back["model"]["weight"], torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]))
    assert back["model"]["steps"] == 7
    assert back["curve"] == [{"step": 1, "val_loss": float("inf"), "train_loss": None}]
    assert back["stopping"] == {"stop": False, "best_weights": None}
    assert [file.name for file in path.parent.iterdir()] == ["run.unfinished"]


def test_a_missing_state_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_state(tmp_path / "none", run_id="r")


def test_every_torn_or_changed_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "run.unfinished"
    save_state(STATE, path, run_id="r")
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedStateError):
            load_state(path, run_id="r")
    for place in range(0, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedStateError):
            load_state(path, run_id="r")


def test_the_state_of_another_run_is_not_taken(tmp_path: Path) -> None:
    save_state(STATE, tmp_path / "s", run_id="other")
    with pytest.raises(DamagedStateError, match="of run other"):
        load_state(tmp_path / "s", run_id="r")


def test_what_a_foreign_file_holds_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (tmp_path.joinpath("sprung").write_text, ("x",))

    torch.save({"weight": Trap()}, tmp_path / "trap", pickle_module=pickle)
    with pytest.raises(DamagedStateError, match="not a run's state"):
        load_state(tmp_path / "trap", run_id="r")
    save_state({"trap": Trap()}, tmp_path / "sealed", run_id="r")
    with pytest.raises(DamagedStateError, match="something else than tensors"):
        load_state(tmp_path / "sealed", run_id="r")
    assert not (tmp_path / "sprung").exists()
