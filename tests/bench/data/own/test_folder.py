"""Folders of pictures: every layout, what is left out and said, what is refused, what is read again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from bench.core.errors import DataError
from bench.core.options import ReadingOptions
from bench.data.own import folder, pictures
from bench.data.own.choose import choose_reader
from bench.data.own.folder import list_files, read_folder
from bench.data.own.load import load_own
from bench.system.files import open_regular

if TYPE_CHECKING:
    import numpy.typing as npt

    from bench.data.own.parts import Part, Parts

DIGITS = (load_digits().images * 255 / 16).round().astype(np.uint8)  # (1797, 8, 8)
LABELS: npt.NDArray[np.int64] = load_digits().target


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a test makes its folder."""
    return tmp_path / "mine"


def save(path: Path, pixels: npt.NDArray[Any] | int = 0, *, size: tuple[int, int] = (8, 8)) -> Path:
    """A picture of these pixels, or a grey one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full(size, pixels, dtype=np.uint8) if isinstance(pixels, int) else pixels
    Image.fromarray(array).save(path)
    return path


def save_digits(root: Path, start: int, stop: int) -> None:
    for number in range(start, stop):
        save(root / str(LABELS[number]) / f"{number}.png", DIGITS[number])


def read(root: Path, **how: Any) -> Parts:
    return read_folder(root, ReadingOptions(**how), lambda _done, _total: None)


def refusal(root: Path, **how: Any) -> str:
    with pytest.raises(DataError) as refused:
        read(root, **how)
    message = str(refused.value)
    assert message.isprintable()
    return message.replace(str(root), "ROOT")


def values(part: Part | None) -> list[tuple[int, int]]:
    """Class and first pixel of each picture."""
    assert part is not None
    return sorted(zip(part.labels.tolist(), part.images[:, 0, 0, 0].tolist(), strict=True))


def two_classes(root: Path) -> None:
    for place, name in enumerate(("cat", "dog")):
        for number in range(3):
            save(root / name / f"{number}.png", 100 * place + number)


TWO = [(0, 0), (0, 1), (0, 2), (1, 100), (1, 101), (1, 102)]


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
    assert len(list_files(root)) == 5


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
    save(root / "val" / "cat" / "a.png")
    assert read(root).notes == ("No validation picture is of class 'dog'.",)


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


def test_a_set_that_takes_too_much_memory_is_refused_before_any_is_decoded(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_classes(root)
    monkeypatch.setattr(folder, "decode_picture", None)
    monkeypatch.setattr(folder, "MOST_BYTES", 6 * 64 - 1)
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


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "A.TGZ"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"' is an archive; unpack it, and name the folder that comes of it\.$"):
        choose_reader(tmp_path / name)


def test_a_folder_without_folders_is_no_folder_of_class_folders(root: Path) -> None:
    save(root / "a.png")
    with pytest.raises(DataError, match="is no folder of class folders"):
        choose_reader(root)


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
