"""Whole commands on images of one's own: the same images in any form train the same, and a changed file is noticed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from bench.data.datasets import load_dataset
from bench.data.own import load
from tests.bench.data.data_files import idx_bytes, write_files
from tests.front_door import RUNNER, rows, run, weights
from tests.program.gate_nets import one_line

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("blank_figures")
NET = ("--arch", "bn25k", "--epochs", 1, "--seeds", 1, "--batch-size", 16, "--no-timing", "--engine", "torch")
COUNT = 150


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The first images of scikit-learn's digits, (N, 8, 8) uint8, and their classes."""
    found = load_digits()
    return np.round(found.images[:COUNT] * 255 / 16).astype(np.uint8), found.target[:COUNT]


@pytest.fixture
def folder(tmp_path: Path, digits: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> Path:
    """The same as pictures in class folders."""
    for number, (image, label) in enumerate(zip(*digits, strict=True)):
        place = tmp_path / "pictures" / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.png")
    return tmp_path / "pictures"


def test_2000_images_in_four_forms_are_one_dataset_and_train_to_the_same_bits(tmp_path: Path) -> None:
    handwriting = load_dataset("mnist5k", tmp_path)
    chosen = np.random.default_rng(0).permutation(4000)[:2000]
    images, labels = handwriting.pool_images[chosen, 0], handwriting.pool_labels[chosen]
    parts = {"train": slice(1600), "test": slice(1600, 2000)}
    arrays: dict[str, Any] = {f"x_{part}": images[of] for part, of in parts.items()}
    np.savez(tmp_path / "arrays.npz", **arrays | {f"y_{part}": labels[of] for part, of in parts.items()})
    for part, of in parts.items():
        for number, (image, label) in enumerate(zip(images[of], labels[of], strict=True)):
            place = tmp_path / "pictures" / part / f"digit {label}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{number}.png")
    write_files(
        tmp_path / "idx",
        {f"{part}-{name}.idx": idx_bytes(values[of]) for part, of in parts.items()
         for name, values in (("images", images), ("labels", labels))},
    )  # fmt: skip
    with (tmp_path / "table.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["label", *(f"pixel{place}" for place in range(784)), "split"])
        for part, of in parts.items():
            table.writerows([label, *image.ravel(), part] for image, label in zip(images[of], labels[of], strict=True))
    found = []
    for name in ("pictures", "arrays.npz", "table.csv", "idx"):
        results = tmp_path / f"of-{name}"
        assert run(*NET, "--dataset", tmp_path / name, "--results", results) == 0
        (row,) = rows(results)
        found.append((row["data_hash"], row["test_accuracy"], weights(results)))
        assert row["dataset"] == name.partition(".")[0]
    assert found == [found[0]] * 4


def test_colour_patches_of_photographs_are_told_apart(tmp_path: Path) -> None:
    for name, photograph in zip(("pagoda", "flower"), load_sample_images().images, strict=True):
        (tmp_path / "patches" / name).mkdir(parents=True)
        for number, (down, across) in enumerate(np.ndindex(13, 20)):
            patch = photograph[32 * down :, 32 * across :][:32, :32]
            Image.fromarray(patch).save(tmp_path / "patches" / name / f"{number}.png")
    words = ("--arch", "bn25k", "--epochs", 2, "--seeds", 1, "--batch-size", 32, "--no-timing", "--engine", "torch")
    assert run(*words, "--dataset", tmp_path / "patches", "--results", tmp_path / "r") == 0
    (row,) = rows(tmp_path / "r")
    assert float(row["test_accuracy"]) > 0.8
    (index,) = (tmp_path / "cache" / "own").glob("*.json")
    assert json.loads(index.read_bytes())["image_shape"] == [3, 32, 32]


def test_two_commands_that_read_at_once_leave_one_whole_dataset(folder: Path, tmp_path: Path) -> None:
    words = [*NET, "--dataset", folder, "--plan", "--results", tmp_path / "r"]
    command = [sys.executable, str(RUNNER), *map(str, words)]
    at_once = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [command.communicate()[0] for command in at_once]
    assert [command.returncode for command in at_once] == [0, 0]
    assert said[0] == said[1]
    assert "120 training and 30 test images" in said[0]
    kept = sorted(path.suffix for path in (tmp_path / "cache" / "own").iterdir())
    assert kept == [".json", ".lock"]
    decoded = [path.name for path in (tmp_path / "cache" / "decoded").iterdir() if path.suffix != ".lock"]
    assert len(decoded) == 1


def test_a_second_command_decodes_nothing_until_a_file_is_another(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*NET, "--dataset", folder, "--results", tmp_path / "r")
    assert run(*words) == 0
    said = capsys.readouterr().out
    assert "Data: pictures, 120 training and 30 test images." in said
    assert "There is no test set: a stratified fifth, 30 images, is set aside as one." in said
    with monkeypatch.context() as patch:
        patch.setattr(load, "assemble", None)  # whoever reads again fails
        assert run(*words, "--plan") == 0
    assert "1 run stored, to be reused." in capsys.readouterr().out
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(folder / "3" / "more.png")
    assert run(*words, "--plan") == 0
    said = capsys.readouterr().out
    assert "151" not in said
    assert "121 training and 30 test images" in said
    assert "1 run to train" in said


def test_tuning_and_a_report_of_what_is_stored_take_them_too(folder: Path, tmp_path: Path) -> None:
    words = ("--dataset", folder, "--results", tmp_path / "r")
    assert run(*NET, *words, "--tune", "--trials", 2) == 0
    assert {row["dataset"] for row in rows(tmp_path / "r")} == {"pictures"}
    (tmp_path / "r" / "report.md").unlink()
    assert run("--report", "--results", tmp_path / "r") == 0
    assert "pictures" in (tmp_path / "r" / "report.md").read_text(encoding="utf-8")


def test_a_gate_finds_them_from_its_file_and_notices_another_picture(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = tmp_path / "thresholds.toml"
    words = ("--arch", "bn25k", "--results", tmp_path / "r", "--engine", "torch")
    recipe = ("--epochs", 2, "--batch-size", 16, "--seeds", 6, "--image-size", 10)
    monkeypatch.chdir(tmp_path)
    assert run(*words, *recipe, "--write-thresholds", gate, "--dataset", "pictures", "--force") == 0
    assert 'images = "./pictures"' in gate.read_text(encoding="utf-8")
    monkeypatch.chdir("/")
    assert run(*words, "--check", gate) == 0
    said = capsys.readouterr().out
    assert "Data: pictures-10x10, 120 training and 30 test images." in said
    elsewhere = folder.rename(tmp_path / "moved")
    assert run(*words, "--check", gate) == 2
    assert f"'{tmp_path / 'pictures'}': nothing is there" in capsys.readouterr().err
    assert run(*words, "--check", gate, "--dataset", elsewhere) == 0
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(elsewhere / "3" / "more.png")
    assert run(*words, "--check", gate, "--dataset", elsewhere) == 2
    assert "'moved-10x10' holds other images" in capsys.readouterr().err


def test_the_same_images_in_classes_of_other_names_do_not_rename_those_of_a_report(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*NET, "--dataset", folder, "--results", tmp_path / "r") == 0
    renamed = folder.rename(tmp_path / "renamed")
    for digit in range(10):
        (renamed / str(digit)).rename(renamed / f"digit {digit}")
    capsys.readouterr()
    assert run(*NET, "--dataset", renamed, "--results", tmp_path / "r") == 2
    said = capsys.readouterr().err
    assert "'renamed' has the very images of 'pictures', whose classes are called 0, 1" in said
    assert said.count("\n") == 1
    assert run(*NET, "--dataset", renamed, "--results", tmp_path / "other", "--plan") == 0


def test_published_images_of_another_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (*NET, "--dataset", "digits", "--image-size", "12:pad", "--results", tmp_path / "r")
    assert run(*words) == 0
    said = capsys.readouterr().out
    assert "Data: digits-12x12-pad, 1,442 training and 355 test images." in said
    assert "Pictures were scaled to 12×12 and padded with black." in one_line(said)
    (row,) = rows(tmp_path / "r")
    assert row["dataset"] == "digits-12x12-pad"
    assert run(*words, "--plan") == 0
    assert "1 run stored, to be reused." in capsys.readouterr().out


def test_one_that_cannot_be_read_is_named_or_left_out_when_asked_to(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "4" / "torn.png").write_bytes(b"no picture")
    words = (*NET, "--dataset", folder, "--results", tmp_path / "r", "--plan")
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert "torn.png" in said
    assert "--skip-broken" in said
    assert said.count("\n") == 1
    assert run(*words, "--skip-broken") == 0
    assert "torn.png" in capsys.readouterr().out


def test_what_was_read_is_kept_with_what_is_known_of_it(folder: Path, tmp_path: Path) -> None:
    assert run(*NET, "--dataset", folder, "--results", tmp_path / "r", "--plan") == 0
    (index,) = (tmp_path / "cache" / "own").glob("*.json")
    known = json.loads(index.read_bytes())
    assert (known["name"], known["image_shape"], known["pool_images"]) == ("pictures", [1, 8, 8], 120)
    assert known["classes"] == [str(digit) for digit in range(10)]


def test_several_datasets_train_one_after_the_other_into_one_report(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*NET, "--arch", "fc3136", "--dataset", f"{folder},digits", "--results", tmp_path / "r")
    assert run(*words, "--plan") == 0
    said = capsys.readouterr().out
    assert said.count("2 runs to train") == 2
    assert run(*words) == 0
    said = capsys.readouterr().out
    assert said.count("Report: ") == 1
    assert {(row["dataset"], row["architecture"]) for row in rows(tmp_path / "r")} == {
        (dataset, net) for dataset in ("pictures", "digits") for net in ("bn25k", "fc3136")
    }
    report = (tmp_path / "r" / "report.md").read_text(encoding="utf-8")
    assert "Across 2 datasets" in report
    assert "2 datasets are too few for a verdict across datasets" in report
