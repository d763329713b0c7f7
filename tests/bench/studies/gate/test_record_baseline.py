"""What a recording starts from: the file that is there, the command line, and the images that were found."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import pytest

from bench.core.errors import ActionError, ArchitectureError, ThresholdsError, UnknownNameError, UsageError
from bench.core.reading import ReadingOptions
from bench.core.recipe import Recipe
from bench.models.registry import Registry
from bench.studies.gate.record import on_data
from bench.studies.gate.thresholds import write_thresholds
from tests.bench.studies.gate.baselines import REGISTRY, find, names
from tests.bench.studies.gate.examples import GREY, make_reference, make_thresholds

if TYPE_CHECKING:
    from pathlib import Path


def test_without_a_file_the_command_line_and_the_defaults_say_how(file: Path) -> None:
    found = find(file)
    assert names(found) == ["alpha", "beta"]
    assert (found.images, found.device, found.epochs, found.recipe) == ("auto", "auto", 3, Recipe())
    assert (dict(found.before), dict(found.kept), found.commit, found.changed) == ({}, {}, "", ())
    found = find(file, "--arch beta-v --dataset kmnist --epochs 9 --lr 0.1 --device cpu")
    assert names(found) == ["beta-v"]
    assert (found.images, found.device, found.epochs, found.recipe) == ("kmnist", "cpu", 9, Recipe(lr=0.1))


def test_what_the_command_line_does_not_say_stays_as_it_is_in_the_file(file: Path) -> None:
    recipe = Recipe(lr=0.01, weight_decay=0.1)
    stored = make_thresholds(make_reference("alpha"), dataset="kmnist", device="cpu", recipe=recipe, epochs=20)
    write_thresholds(file, stored)
    found = find(file)
    assert (found.images, found.device, found.epochs, found.recipe) == ("kmnist", "cpu", 20, recipe)
    assert (dict(found.before), found.changed) == (dict(stored.references), ())


def test_images_of_ones_own_are_found_from_the_file_and_read_as_it_says(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = ReadingOptions(image_size=(8, 8), group_by="folder")
    stored = make_thresholds(make_reference("alpha"), dataset="pets-8x8", images="./pets", reading=reading)
    write_thresholds(file, stored)
    pets = file.parent / "pets"
    pets.mkdir()
    monkeypatch.chdir("/")
    found = find(file)
    assert (found.images, found.reading, found.changed) == (str(pets), reading, ())
    found = find(file, f"--all --dataset {pets}")
    # Who names the images says how they are read.
    assert (found.reading, found.changed) == (ReadingOptions(), ("dataset pets-8x8 → pets",))
    pets.with_name("cats").mkdir()
    assert find(file, f"--all --dataset {pets.with_name('cats')}").changed == ("dataset pets-8x8 → cats",)
    assert find(file, "--all --dataset mnist --image-size 32:pad").changed == ("dataset pets-8x8 → mnist-32x32-pad",)


def test_a_subset_keeps_the_others(file: Path) -> None:
    write_thresholds(file, make_thresholds(*map(make_reference, ("alpha", "beta", "gone"))))
    found = find(file, "--arch beta")
    assert names(found) == ["beta"]
    assert dict(found.kept) == {"alpha": make_reference("alpha"), "gone": make_reference("gone")}
    assert set(found.before) == {"alpha", "beta", "gone"}


def test_all_keeps_nothing_and_records_variants_that_were_recorded(file: Path) -> None:
    write_thresholds(file, make_thresholds(*map(make_reference, ("alpha-v", "gone"))))
    found = find(file)
    assert names(found) == ["alpha", "beta", "alpha-v"]
    assert dict(found.kept) == {}
    assert names(find(file, "--all --variants")) == ["alpha", "beta", "alpha-v", "beta-v"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--lr 0.1", "recipe shared → shared lr=0.1"),
        ("--epochs 9", "epochs 3 → 9"),
        ("--dataset kmnist", "dataset mnist5k → kmnist"),
        ("--device cuda", "device cpu → cuda"),
        ("--lr 0.1 --epochs 9", "recipe shared → shared lr=0.1, epochs 3 → 9"),
    ],
)
def test_references_of_two_recipes_never_share_a_file(file: Path, flags: str, said: str) -> None:
    write_thresholds(file, make_thresholds(make_reference("alpha"), make_reference("beta")))
    with pytest.raises(UsageError) as caught:
        find(file, f"--arch beta {flags}")
    assert str(caught.value) == (
        f"--write-thresholds: {said}, while alpha would keep references made before; "
        "record all of them in one command, "
        "or name another file."
    )
    for words in (f"--all {flags}", f"--arch alpha --arch beta {flags}"):
        found = find(file, words)
        assert ", ".join(found.changed) == said
        assert dict(found.kept) == {}


def test_without_a_selection_what_the_file_names_is_recorded(file: Path) -> None:
    with pytest.raises(ActionError, match="nothing says which architectures; add --all or --arch NAME"):
        find(file, "")
    write_thresholds(file, make_thresholds(make_reference("beta"), make_reference("alpha-v")))
    assert names(find(file, "")) == ["beta", "alpha-v"]
    write_thresholds(file, make_thresholds(make_reference("gone")))
    with pytest.raises(UnknownNameError, match="No architecture 'gone'"):
        find(file, "")


def test_a_broken_net_or_file_stops_a_recording_before_it_begins(file: Path, tmp_path: Path) -> None:
    broken = Registry(
        architectures=REGISTRY.architectures, broken={tmp_path / "x.py": ArchitectureError("x is broken")}
    )
    with pytest.raises(ArchitectureError, match="x is broken"):
        find(file, "--all", broken)
    file.write_text("version = 2")
    with pytest.raises(ThresholdsError, match="fix it"):
        find(file)


def test_other_images_under_the_same_name_refuse_a_recording_of_some(file: Path) -> None:
    write_thresholds(file, make_thresholds(make_reference("alpha"), make_reference("beta"), data_hash="a" * 20))
    same, other = (dataclasses.replace(GREY, data_hash=letter * 20) for letter in "ab")
    some = find(file, "--arch beta")
    assert on_data(some, same) == some
    with pytest.raises(UsageError) as caught:
        on_data(some, other)
    assert str(caught.value) == (
        "--write-thresholds: images aaaaaaaaaaaa → bbbbbbbbbbbb, while alpha would keep references made before; record "
        "all of them in one command, or name another file."
    )
    assert on_data(find(file, "--all"), other).changed == ("images aaaaaaaaaaaa → bbbbbbbbbbbb",)


def test_a_first_recording_takes_the_images_as_they_are(file: Path) -> None:
    found = find(file)
    assert on_data(found, GREY) == found


def test_a_file_that_has_no_place_is_refused_before_anything_is_trained(file: Path, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "no folder" / "t.toml"):
        with pytest.raises(ThresholdsError) as caught:
            find(place)
        assert str(caught.value) == f"'{place}' cannot be written; name a file in a folder that can."
    assert not (tmp_path / "no folder").exists()
    assert names(find(file)) == ["alpha", "beta"]
    assert not file.exists(), "nothing is written to find out"


@pytest.mark.parametrize("exists", [True, False])
def test_a_place_without_the_right_to_write_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    if exists:
        write_thresholds(file, make_thresholds(make_reference("alpha")))
    asked: list[tuple[object, int]] = []

    def refuse(path: object, mode: int) -> bool:
        asked.append((path, mode))
        return False

    monkeypatch.setattr(os, "access", refuse)  # root may write anywhere
    with pytest.raises(ThresholdsError, match="cannot be written; name a file in a folder that can"):
        find(file)
    assert asked == [(file if exists else file.parent, os.W_OK)]
