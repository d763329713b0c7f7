"""torchvision beside a torch that it was not built for, and what it reads held against what we read."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.data.datasets import load_dataset
from bench.data.published.download import import_torchvision
from tests import ROOT
from tests.bench.data.data_files import small_files, write_files

if TYPE_CHECKING:
    from pathlib import Path


def test_torchvision_imports_in_a_fresh_process_without_a_warning() -> None:
    script = (
        "from bench.data.published.download import import_torchvision as load; import torch;"
        "assert load('transforms.v2').functional; assert load().datasets.MNIST; assert load('models').resnet18"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_another_fault_of_the_import_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise RuntimeError(f"{name} is broken")

    monkeypatch.setattr("importlib.import_module", fail)
    with pytest.raises(RuntimeError, match=r"torchvision\.datasets is broken"):
        import_torchvision("datasets")


def test_torchvision_reads_the_same_images(tmp_path: Path) -> None:
    write_files(tmp_path / "MNIST" / "raw", small_files())
    theirs = import_torchvision("datasets").MNIST
    ours = load_dataset("mnist", tmp_path)
    assert np.array_equal(theirs(tmp_path, train=True).data.numpy(), ours.pool_images[:, 0])
    assert np.array_equal(theirs(tmp_path, train=True).targets.numpy(), ours.pool_labels)
    assert np.array_equal(theirs(tmp_path, train=False).data.numpy(), ours.test_images[:, 0])
    assert np.array_equal(theirs(tmp_path, train=False).targets.numpy(), ours.test_labels)
