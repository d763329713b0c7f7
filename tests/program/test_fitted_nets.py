"""Whole commands on images of other shapes: what nets become there, what is left out, what is refused."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest

import runner
from tests.bench.data.data_files import small_files, write_files
from tests.front_door import rows, run, write_faulty, write_tiny

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("blank_figures")
SHORT = ("--epochs", 1, "--seeds", 1, "--batch-size", 10, "--no-timing", "--engine", "torch")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def small(tmp_path: Path) -> tuple[object, ...]:
    """Words for ten classes of 1×8×8 images, which the reader of MNIST finds."""
    write_files(tmp_path / "small" / "MNIST" / "raw", small_files(side=8, train=120))
    return ("--dataset", "mnist", "--data-dir", tmp_path / "small", "--results", tmp_path / "r", *SHORT)


@pytest.fixture
def colour(tmp_path: Path) -> tuple[object, ...]:
    """Words for ten classes of 3×32×32 images, which the reader of CIFAR-10 finds."""
    folder, rng = tmp_path / "colour" / "cifar-10-batches-py", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        batch = {"data": rng.integers(0, 256, (20, 3072)).astype(np.uint8), "labels": [n % 10 for n in range(20)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    return ("--dataset", "cifar10", "--data-dir", tmp_path / "colour", "--results", tmp_path / "r", *SHORT)


def test_the_four_nets_say_what_they_become_on_colour_images(
    colour: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--all", "--plan", *colour) == 0
    said = capsys.readouterr().out.splitlines()
    for name, params in {"conv16k": 22_446, "lenet21k": 31_340, "bn25k": 31_961, "fc3136": 545_098}.items():
        assert f"{name} on cifar10: {params:,} parameters" in said  # by hand in tests/architectures/test_fitted.py
    assert any(line.startswith("4 runs to train, ") for line in said)


def test_on_colour_images_they_train_with_knobs_and_recipes_of_their_own(
    colour: tuple[object, ...], tmp_path: Path
) -> None:
    assert run("--arch", "conv16k", "--arch", "bn25k hidden=32 lr=3e-3", *colour) == 0
    # 5,184 of convolutions and norms, 2,048·32 + 32 and 32·10 + 10
    assert {row["architecture"]: (row["status"], int(row["params"])) for row in rows(tmp_path / "r")} == {
        "conv16k": ("ok", 22_446),
        "bn25k hidden=32 lr=0.003": ("ok", 5_184 + 65_568 + 330),
    }


def test_under_all_what_cannot_take_the_images_is_left_out_and_the_others_end_well(
    small: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--all", *small) == 0
    assert {row["architecture"]: row["status"] for row in rows(tmp_path / "r")} == {"bn25k": "ok", "fc3136": "ok"}
    said = " ".join(capsys.readouterr().out.split())
    for name in ("conv16k", "lenet21k"):
        assert f"Left out: {name} cannot take 8×8 images: after the second pool nothing is left" in said


def test_by_name_it_is_refused(small: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--arch", "bn25k", "--arch", "conv16k", *small) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "runner.py: conv16k cannot take 8×8 images: after the second pool nothing is left, as of all below 16×16; "
        "choose a --dataset of other images, or leave this architecture out."
    )
    assert not (tmp_path / "r").exists()


def test_a_net_of_fixed_shape_is_left_out_like_one_that_cannot_be_fitted_and_a_broken_one_is_a_fault(
    small: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nets = tmp_path / "nets"
    nets.mkdir()
    write_tiny(nets)  # of 1×28×28 images
    (nets / "any.py").write_text(
        "from torch import nn\nfrom bench.spec import Architecture\n"
        "def build(input_shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[1] * input_shape[2], classes))\n"
        "ARCHITECTURE = Architecture(name='any', build=build)\n"
    )
    monkeypatch.setattr(runner, "ARCHITECTURES", nets)
    assert run("--all", "--plan", *small) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Left out: tiny takes 1×28×28 images in 10 classes; mnist has 1×8×8 in 10; choose --dataset mnist" in said
    assert "any on mnist: 650 parameters" in said  # 64·10 + 10
    assert "1 run to train" in said
    broken = write_faulty(nets, "broken", fault="raise ValueError('no')")
    broken.write_text(broken.read_text().replace('name="broken"', 'name="broken", input_shape=(1, 8, 8)'))
    assert run("--all", "--plan", *small) == 1
    (nets / "any.py").unlink()
    broken.unlink()
    assert run("--all", "--plan", *small) == 2, "nothing is left to train"


def test_a_net_of_torchvision_is_adapted_and_trained_by_workers(
    small: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--arch", "torchvision:shufflenet_v2_x0_5", "--arch", "bn25k", *small) == 0
    said = " ".join(capsys.readouterr().out.split())
    # As published 1,366,792: of the first convolution 2 of 3 channels go, 2·24·9, of the last layer 990·1,025.
    assert "torchvision:shufflenet_v2_x0_5 on mnist: 351,610 parameters" in said
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert {name: row["status"] for name, row in found.items()} == {
        "torchvision:shufflenet_v2_x0_5": "ok", "bn25k": "ok"
    }  # fmt: skip
    assert run("--arch", "torchvision:vgg11", *small) == 2
    assert "torchvision:vgg11 cannot take 8×8 images: it takes 32×32 and larger ones" in capsys.readouterr().err
