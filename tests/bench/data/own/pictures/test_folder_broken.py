"""Folders of pictures that cannot be read, one of them or many: named, or left out and counted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from bench.data.own import pictures
from bench.system.files import open_regular
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
    import pytest


def break_pictures(root: Path) -> list[str]:
    """What cannot be read, in the order in which it is met."""
    whole = (root / "cat" / "0.png").read_bytes()
    (root / "cat" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "cat" / "empty.png").touch()
    (root / "cat" / "text.png").write_text("text")
    (root / "dog" / "gone.png").symlink_to("nowhere")
    (root / "dog" / "loop.png").symlink_to("loop.png")
    (root / "dog" / "folder.png").mkdir()
    os.mkfifo(root / "dog" / "pipe.png")
    return [
        "dog/folder.png",
        "dog/gone.png",
        "dog/loop.png",
        "dog/pipe.png",
        "cat/cut.png",
        "cat/empty.png",
        "cat/text.png",
    ]


def test_the_first_that_cannot_be_read_is_named_with_the_way_out(root: Path) -> None:
    two_classes(root)
    for name in break_pictures(root):
        message = refusal(root)
        assert message.startswith(f"Cannot read 'ROOT/{name}': ")
        assert message.endswith("Fix it or take it away, or say --skip-broken to leave out what cannot be read.")
        broken = root / name
        shutil.rmtree(broken) if broken.is_dir() else broken.unlink()
    assert values(read(root).pool) == TWO


def test_what_cannot_be_read_is_left_out_counted_and_named(root: Path) -> None:
    two_classes(root)
    break_pictures(root)
    parts = read(root, skip_broken=True)
    assert values(parts.pool) == TWO
    assert parts.notes == (
        (
            "7 broken files were left out: 'dog/folder.png' (it is a folder), 'dog/gone.png' (its link leads nowhere "
            "(No such file or directory)), 'dog/loop.png' (its link leads nowhere (Too many levels of symbolic links)) "
            "and 4 more."
        ),
    )


def test_pictures_stay_with_their_classes_where_one_turns_out_broken_in_its_pixels(root: Path) -> None:
    for part, first in (("train", 0), ("val", 100), ("test", 200)):
        save_digits(root / part, first, first + 100)
    for number in (0, 13, 55, 105, 199, 250):
        for path in root.rglob(f"{number}.png"):
            Image.fromarray(DIGITS[number]).save(path.with_suffix(".gif"))
            path.unlink()
            content = path.with_suffix(".gif").read_bytes()
            path.with_suffix(".gif").write_bytes(content[: len(content) - 20])
    parts = read(root, skip_broken=True)
    assert parts.notes[0].startswith("6 broken files were left out: 'train/")
    for found, first, gone in ((parts.pool, 0, 3), (parts.validation, 100, 2), (parts.test, 200, 1)):
        assert found is not None
        assert len(found.images) == len(found.labels) == 100 - gone
        expected = {DIGITS[n].tobytes(): int(LABELS[n]) for n in range(first, first + 100)}
        assert [expected[image.tobytes()] for image in found.images] == found.labels.tolist()


def test_a_class_that_loses_all_its_pictures_is_refused(root: Path) -> None:
    two_classes(root)
    for path in (root / "dog").iterdir():
        path.write_bytes(b"no")
    wanted = "No picture of the class folder 'ROOT/dog' can be read; fix them, or take it away."
    assert refusal(root, skip_broken=True) == wanted
    for path in (root / "dog").iterdir():
        save(path, DIGITS[0])
        Image.open(path).save(path, format="GIF")
        path.write_bytes(path.read_bytes()[:-20])
    assert refusal(root, skip_broken=True) == wanted


def test_files_and_folders_that_cannot_be_opened_are_broken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_classes(root)
    save(root / "dog" / "closed" / "a.png")
    scan = os.scandir

    def refuse_folder(path: Path) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    def refuse_file(path: Path) -> Any:
        if path == root / "cat" / "1.png":
            raise PermissionError(13, "Permission denied")
        return open_regular(path)

    monkeypatch.setattr(os, "scandir", refuse_folder)
    monkeypatch.setattr(pictures, "open_regular", refuse_file)
    assert refusal(root).startswith("Cannot read 'ROOT/dog/closed': Permission denied. Fix it")
    parts = read(root, skip_broken=True)
    assert values(parts.pool) == [value for value in TWO if value != (0, 1)]
    assert parts.notes == (
        "2 broken files were left out: 'dog/closed' (Permission denied) and 'cat/1.png' (Permission denied).",
    )
    monkeypatch.setattr(os, "scandir", lambda _: scan(root / "nowhere"))
    assert refusal(root) == "Cannot read the folder 'ROOT': No such file or directory. Check its permissions."
