"""Class folders: links, names of any kind, and what is no folder of class folders."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from bench.core.errors import DataError
from bench.core.reading import ReadingOptions
from bench.data.own.choose import choose_reader
from bench.data.own.folder import list_files
from bench.data.own.load import load_own
from tests.bench.data.own.pictures.folders import TWO, read, refusal, save, two_classes, values

if TYPE_CHECKING:
    from pathlib import Path


def test_links_are_followed_but_not_round_in_a_circle(root: Path, tmp_path: Path) -> None:
    two_classes(tmp_path / "elsewhere")
    (root / "cat" / "real").mkdir(parents=True)
    save(root / "cat" / "real" / "a.png", 50)
    (root / "dog").symlink_to(tmp_path / "elsewhere" / "dog")
    (root / "cat" / "one.png").symlink_to(tmp_path / "elsewhere" / "cat" / "0.png")
    (root / "cat" / "again").symlink_to("real")
    (root / "cat" / "self").symlink_to(".")
    (root / "cat" / "up").symlink_to("..")
    (root / "cat" / "real" / "top").symlink_to("/")
    (tmp_path / "elsewhere" / "dog" / "back").symlink_to(root)
    expected = [(0, 0), (0, 50), (1, 100), (1, 101), (1, 102)]
    assert values(read(root).pool) == expected
    assert sum(path.is_file() for path in list_files(root)) == 5


def test_both_parts_may_link_to_one_folder(root: Path, tmp_path: Path) -> None:
    two_classes(tmp_path / "elsewhere")
    root.mkdir()
    for part in ("train", "test"):
        (root / part).symlink_to(tmp_path / "elsewhere")
    parts = read(root)
    assert values(parts.pool) == values(parts.test) == TWO


def test_a_folder_that_cannot_be_divided_is_refused_by_name(root: Path) -> None:
    two_classes(root / "train")
    assert values(read(root).pool) == TWO
    save(root / "test" / "bird" / "a.png")
    assert refusal(root) == (
        "Class 'bird' is in 'ROOT/test' but not in 'ROOT/train'; add pictures of it to train on, or take it away."
    )
    shutil.rmtree(root / "test" / "bird")
    assert refusal(root) == ("'ROOT/test' holds no class folders; put the pictures of each class in one of its own.")
    (root / "test" / "cat").mkdir()
    (root / "test" / "cat" / "a.heic").touch()
    assert (
        refusal(root) == "The class folder 'ROOT/test/cat' holds no pictures, but 1 .heic; add some, or take it away."
    )
    (root / "test" / "cat" / "a.heic").unlink()
    assert refusal(root) == "The class folder 'ROOT/test/cat' holds no pictures; add some, or take it away."
    save(root / "test" / "cat" / "a.png")
    (root / "extra").mkdir()
    assert refusal(root) == (
        "'ROOT' has 'extra' beside 'test', which holds folders too: classes stand directly in a folder, or in train "
        "and test; move or rename one of the two."
    )
    (root / "extra").rename(root / "TEST")
    assert refusal(root) == "'ROOT' has two folders for one part, 'TEST' and 'test'; take one away."
    (root / "TEST").rmdir()
    shutil.rmtree(root / "train")
    assert refusal(root) == "'ROOT' has test but no train; put the classes to train on in a folder of that name."
    save(root / "train" / "a.png")
    assert refusal(root) == ("'ROOT/train' holds no class folders; put the pictures of each class in one of its own.")


def test_one_class_is_refused_with_where_the_others_may_be(root: Path) -> None:
    two_classes(root / "inner")
    assert refusal(root) == (
        "'ROOT' has one class only, 'inner'; a net needs two or more to tell apart. If its classes are in "
        "'ROOT/inner', name that folder."
    )
    shutil.rmtree(root / "inner" / "dog")
    (root / "inner").rename(root / "train")
    assert refusal(root) == "'ROOT' has one class only, 'cat'; a net needs two or more to tell apart."


def test_a_validation_set_without_a_class_is_said(root: Path) -> None:
    two_classes(root / "train")
    two_classes(root / "test")
    save(root / "val" / "cat" / "a.png", 9)
    found = load_own(root, ReadingOptions(), lambda _done, _total: None)
    assert "No validation image is of class dog." in found.metadata.note


def test_names_of_any_kind_are_shown_in_one_line(root: Path) -> None:
    names = ["<b>bold", "two\nlines", "עברית", "a\u202eb", os.fsdecode(b"caf\xe9")]
    for place, name in enumerate(names):
        save(root / name / "a.png", place)
    parts = read(root)
    assert set(parts.classes) == {"<b>bold", "two\ufffdlines", "עברית", "a\ufffdb", "caf\ufffd"}
    assert {parts.classes[label]: value for label, value in values(parts.pool)}["two\ufffdlines"] == 1
    (root / "two\nlines" / "b\r.png").touch()
    assert refusal(root).startswith("Cannot read 'ROOT/two\ufffdlines/b\ufffd.png': it is empty.")


@pytest.mark.parametrize(
    "names", [("a\n", "a\r"), ("caf\u00e9", "cafe\u0301"), tuple(map(os.fsdecode, (b"\xe9", b"\xe8")))]
)
def test_class_folders_that_look_alike_are_refused(root: Path, names: tuple[str, str]) -> None:
    for name in names:
        save(root / name / "a.png")
    first, second = map(ascii, sorted(names))
    assert refusal(root) == f"'ROOT': the class folders {first} and {second} look alike when printed; rename one."


def test_an_accent_may_be_written_in_two_ways_in_two_parts(root: Path) -> None:
    for part, name in (("train", "caf\u00e9"), ("test", "cafe\u0301")):
        save(root / part / name / "a.png")
        save(root / part / "tea" / "a.png", 9)
    parts = read(root)
    assert parts.classes == ("caf\u00e9", "tea")
    assert values(parts.test) == [(0, 0), (1, 9)]


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "A.TGZ"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"' is an archive; unpack it, and name the folder that comes of it\.$"):
        choose_reader(tmp_path / name)


def test_a_folder_without_folders_is_no_folder_of_class_folders(root: Path) -> None:
    save(root / "a.png")
    with pytest.raises(DataError, match="is no folder of class folders"):
        choose_reader(root)
