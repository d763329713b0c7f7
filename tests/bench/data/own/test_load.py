"""Folders of pictures as datasets: found again until a file changes, in an order of their own, with a test set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench.core.errors import DataError
from bench.core.reading import ReadingOptions
from bench.data.own import folder, pictures
from bench.data.own.load import load_own
from tests.bench.data.own.pictures.folders import DIGITS, LABELS, TWO, read, save, save_digits, two_classes, values


def test_what_was_read_once_is_found_until_a_file_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_digits(root, 0, 200)
    decoded: list[Path] = []

    def decode(path: Path, *rest: Any) -> str:
        decoded.append(path)
        return pictures.decode_picture(path, *rest)

    monkeypatch.setattr(folder, "decode_picture", decode)

    def load(**how: Any) -> tuple[int, str, int]:
        """How many were decoded, the content hash, how many there are."""
        decoded.clear()
        dataset = load_own(root, ReadingOptions(**how), lambda _done, _total: None)
        return len(decoded), dataset.metadata.data_hash, len(dataset.pool_labels) + len(dataset.test_labels)

    first = load()
    assert first[::2] == (200, 200)
    assert load() == (0, *first[1:])
    (root / "3" / "notes.txt").write_text("seen")
    assert load() == (200, *first[1:])
    some = next((root / "5").iterdir())
    os.utime(some, ns=(1, 1))
    assert load() == (200, *first[1:])
    assert load() == (0, *first[1:])
    some.rename(some.with_name("renamed.png"))
    assert load() == (200, *first[1:])
    save(root / "5" / "new.png", 255 - DIGITS[0])
    added = load()
    assert added[::2] == (201, 201)
    assert added[1] != first[1]
    (root / "5" / "new.png").unlink()
    assert load() == (0, *first[1:])
    assert load(image_size=(4, 4))[0] == 200
    (root / "5" / ".DS_Store").touch()
    assert load() == (0, *first[1:])


def test_an_empty_class_folder_and_what_is_no_file_are_noticed(root: Path) -> None:
    two_classes(root)
    for number in range(5):
        save(root / "cat" / f"more{number}.png", 20 + number)
        save(root / "dog" / f"more{number}.png", 120 + number)

    def load() -> str:
        return load_own(root, ReadingOptions(skip_broken=True), lambda _done, _total: None).metadata.note

    assert "left out" not in load()
    os.mkfifo(root / "cat" / "pipe.png")
    assert "1 broken file was left out" in load()
    (root / "horse").mkdir()
    with pytest.raises(DataError, match=r"The class folder '.*horse' holds no pictures"):
        load()
    (root / "horse").rmdir()
    (root / "cat" / "pipe.png").unlink()
    assert "left out" not in load()


def test_the_same_pictures_make_the_same_dataset_whatever_files_they_are_in(root: Path, tmp_path: Path) -> None:
    save_digits(root, 0, 200)
    other = tmp_path / "other"
    for number in range(200):
        path = save(other / str(LABELS[number]) / "deep" / f"x{(number * 7) % 200}.png", DIGITS[number])
        if number % 2:
            Image.open(path).save(path.with_suffix(".bmp"))
            path.unlink()
    found = [load_own(place, ReadingOptions(), lambda _done, _total: None) for place in (root, other)]
    assert found[0].metadata.data_hash == found[1].metadata.data_hash
    assert (found[0].metadata.name, found[1].metadata.name) == ("mine", "other")


def test_the_folder_may_be_the_current_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_classes(root)
    save(root / "cat" / "p1" / "a.png", 50)
    (root / "dog" / "bad.png").touch()
    monkeypatch.chdir(root)
    parts = read(Path(), skip_broken=True, group_by="folder")
    assert values(parts.pool) == sorted([*TWO, (0, 50)])
    assert parts.pool.groups is not None
    assert [name for name in parts.pool.groups if "/" not in name] == ["p1"]
    assert parts.notes == ("1 broken file was left out: 'dog/bad.png' (it is empty).",)


def test_groups_stay_on_one_side_of_the_test_set(root: Path) -> None:
    """Each patient has pictures of two classes."""
    for number in range(200):
        save(root / f"class {number % 2}" / f"p{number % 20 // 2}" / f"{number}.png", DIGITS[number])
    dataset = load_own(root, ReadingOptions(group_by="folder"), lambda _done, _total: None)
    patient = {DIGITS[number].tobytes(): number % 20 // 2 for number in range(200)}
    sides = [{patient[image.tobytes()] for image in images} for images in (dataset.pool_images, dataset.test_images)]
    assert sides[0].isdisjoint(sides[1])
    assert len(sides[0] | sides[1]) == 10
    assert dataset.pool_groups is not None
    assert len(set(dataset.pool_groups.tolist())) == len(sides[0])


def test_what_was_left_out_is_known_of_the_dataset(root: Path) -> None:
    save_digits(root, 0, 200)
    (root / "4" / "bad\n.png").touch()
    dataset = load_own(root, ReadingOptions(skip_broken=True), lambda _done, _total: None)
    assert "1 broken file was left out: '4/bad\ufffd.png' (it is empty)." in dataset.metadata.note
