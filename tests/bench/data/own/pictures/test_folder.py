"""Folders of pictures: every layout, groups, sizes, what is left out and said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.core.reading import ReadingOptions
from bench.data.own import folder, parts
from bench.data.own.folder import read_folder
from tests.bench.data.own.pictures.folders import (
    DIGITS,
    LABELS,
    TWO,
    read,
    refusal,
    save,
    save_digits,
    two_classes,
    values,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_class_folders_are_read_as_they_were_written(root: Path) -> None:
    save_digits(root, 0, 300)
    parts = read(root)
    assert parts.classes == tuple("0123456789")
    assert (parts.validation, parts.test, parts.pool.groups) == (None, None, None)
    assert parts.notes == ()
    assert parts.pool.images.shape == (300, 1, 8, 8)
    order = sorted(range(300), key=lambda number: (LABELS[number], f"{number}.png"))
    assert np.array_equal(parts.pool.images[:, 0], DIGITS[order])
    assert parts.pool.labels.tolist() == LABELS[order].tolist()


@pytest.mark.parametrize(
    "names", [("train", "test", "val"), ("Train", "TEST", "valid"), ("train", "test", "validation")]
)
def test_parts_are_read_from_their_folders(root: Path, names: tuple[str, str, str]) -> None:
    for place, part in enumerate(names):
        for label, name in enumerate(("cat", "dog")):
            save(root / part / name / "a.png", 10 * place + label)
    parts = read(root)
    assert parts.classes == ("cat", "dog")
    assert values(parts.pool) == [(0, 0), (1, 1)]
    assert values(parts.test) == [(0, 10), (1, 11)]
    assert values(parts.validation) == [(0, 20), (1, 21)]


def test_numbers_are_ordered_by_value_and_names_by_letters(root: Path) -> None:
    for name in ("10", "9", "1"):
        save(root / name / "a.png", int(name))
    assert read(root).classes == ("1", "9", "10")
    save(root / "b" / "a.png")
    assert read(root).classes == ("1", "10", "9", "b")


def test_a_class_may_be_called_train(root: Path) -> None:
    for name in ("bus", "train", "test"):
        save(root / name / "a.png")
    assert read(root).classes == ("bus", "test", "train")


def test_pictures_anywhere_below_a_class_folder_are_of_that_class(root: Path) -> None:
    two_classes(root)
    save(root / "cat" / "more" / "and" / "more.png", 50)
    assert values(read(root).pool) == sorted([*TWO, (0, 50)])


def test_folders_below_that_of_the_class_are_groups_whatever_the_class(root: Path) -> None:
    for place, name in enumerate(("cat/p7/a", "cat/p7/deep/b", "cat/p8/a", "cat/c", "cat/d", "dog/p7/a", "dog/e")):
        save(root / f"{name}.png", place)
    pool = read(root, group_by="folder").pool
    assert pool.groups is not None
    by_value = dict(zip(pool.images[:, 0, 0, 0].tolist(), pool.groups, strict=True))
    assert by_value[0] == by_value[1] == by_value[5] == "p7"
    assert len({by_value[value] for value in range(7)}) == 5


def test_groups_of_parts_have_the_same_names_and_pictures_without_one_do_not(root: Path) -> None:
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            save(root / part / name / "p1" / "a.png")
            save(root / part / name / "b.png")
    parts = read(root, group_by="folder")
    assert parts.test is not None
    assert set(parts.pool.groups or ()) & set(parts.test.groups or ()) == {"p1"}


def test_other_groups_are_refused(root: Path) -> None:
    two_classes(root)
    assert refusal(root, group_by="pat\nient") == "--group-by pat\ufffdient: pictures can be grouped by folder only."


def test_hidden_files_are_not_there_and_others_are_counted(root: Path) -> None:
    two_classes(root)
    for name in (".hidden/x.png", "cat/.DS_Store", "dog/Thumbs.db", "__MACOSX/cat/._a.png", "cat/._1.png", ".a.png"):
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_bytes(b"no picture")
    assert read(root).notes == ()
    for name in ("cat/a.txt", "dog/deep/b.TXT", "labels.csv", "cat/README"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"no picture")
    save(root / "loose.png")
    parts = read(root)
    assert values(parts.pool) == TWO
    assert parts.notes == (
        "5 other files were left out, no pictures or in no class: 2 .txt, 1 .csv, 1 .png and 1 without a suffix.",
    )


def test_grey_beside_colour_becomes_colour_and_is_said(root: Path) -> None:
    two_classes(root)
    save(root / "cat" / "colour.png", np.full((8, 8, 3), (1, 2, 3), dtype=np.uint8))
    parts = read(root)
    assert parts.pool.images.shape == (7, 3, 8, 8)
    assert parts.notes == ("6 pictures of 7 are grey.",)
    assert [1, 2, 3] in parts.pool.images[:, :, 0, 0].tolist()


def test_sizes_that_differ_are_refused_by_naming_two_files(root: Path) -> None:
    two_classes(root)
    save(root / "dog" / "1.png", size=(8, 9))
    assert refusal(root) == (
        "Pictures differ in size: 'ROOT/cat/0.png' is 8×8, 'ROOT/dog/1.png' 8×9 (height × width). "
        "Bring all to one by --image-size 32, or --image-size 28x40."
    )


@pytest.mark.parametrize(("fit", "done"), [("crop", "cropped"), ("pad", "padded with black")])
def test_sizes_are_made_one_where_that_is_asked_for(root: Path, fit: str, done: str) -> None:
    two_classes(root)
    save(root / "cat" / "wide.png", np.tile(np.repeat([50, 100, 200, 250], 4).astype(np.uint8), (8, 1)))  # (8, 16)
    parts = read(root, image_size=(8, 8), fit=fit)
    assert parts.notes == (f"Pictures were scaled to 8×8 and {done}.",)
    wide = parts.pool.images[3, 0]
    if fit == "crop":
        assert wide[4].tolist() == [100] * 4 + [200] * 4
    else:
        assert (wide[[0, 1, 6, 7]] == 0).all()
        assert wide[2:6].min() > 0
    assert read(root, image_size=(5, 6), fit=fit).pool.images.shape == (7, 1, 5, 6)


def test_nothing_is_said_of_sizes_that_are_right(root: Path) -> None:
    two_classes(root)
    assert read(root, image_size=(8, 8)).notes == ()


def test_a_set_that_takes_too_much_memory_is_refused_before_any_is_decoded(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_classes(root)
    monkeypatch.setattr(folder, "decode_picture", None)
    monkeypatch.setattr(parts, "MOST_BYTES", 6 * 64 - 1)
    assert refusal(root) == (
        "6 pictures of 1×8×8 take 384 bytes decoded, more than 383; make them smaller by --image-size, or take fewer."
    )


def test_it_is_told_how_many_are_done(root: Path) -> None:
    save_digits(root, 0, 200)
    told: list[tuple[int, int]] = []
    read_folder(root, ReadingOptions(), lambda done, total: told.append((done, total)))
    assert told[0] == (0, 200)
    assert told[-1] == (200, 200)
    assert len(told) > 4
    assert told == sorted(told)
