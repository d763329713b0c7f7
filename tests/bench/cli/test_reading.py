"""How images of one's own are named and read, as it may be typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.cli.arguments import parse_arguments
from bench.core.errors import BenchError, UsageError
from bench.core.reading import ReadingOptions
from bench.data.catalogue import is_path

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is called as a dataset, and one that is not."""
    monkeypatch.chdir(tmp_path)
    for name in ("digits", "pets"):
        (tmp_path / name).mkdir()


def test_a_name_is_a_dataset_and_a_path_is_a_path() -> None:
    assert not any(map(is_path, ("auto", "digits", "mnist", "nothing")))
    assert all(map(is_path, ("./digits", "pets", "digits.npz", "a/b", ".", "nothing.csv.gz")))


@pytest.mark.parametrize(
    ("typed", "reading"),
    [
        ("", ReadingOptions()),
        ("--image-size 32", ReadingOptions(image_size=(32, 32))),
        ("--image-size 28x40", ReadingOptions(image_size=(28, 40))),
        ("--image-size 28X40:pad", ReadingOptions(image_size=(28, 40), fit="pad")),
        (
            "--skip-broken --drop-duplicates --group-by patient",
            ReadingOptions(skip_broken=True, drop_duplicates=True, group_by="patient"),
        ),
    ],
)
def test_what_is_typed_is_heard(typed: str, reading: ReadingOptions) -> None:
    options = parse_arguments(["--all", "--dataset", "./pets", *typed.split()]).options
    assert (options.dataset, options.reading) == ("./pets", reading)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "--dataset ./gone",
            r"--dataset './gone': nothing is there; name a folder or a file of images, or a dataset\.",
        ),
        ("--dataset digitz", r"No dataset 'digitz'\. Did you mean 'digits'\?"),
        ("--dataset pets --image-size 3x4x5", "--image-size '3x4x5': a height and a width are needed, as 32, 28x40"),
        ("--dataset pets --image-size -3", "--image-size '-3': a height and a width"),
        ("--dataset pets --image-size 5000", "--image-size 5000x5000: height and width from 1 to 4,096"),
        ("--dataset pets --image-size 32:stretch", "No fit 'stretch'"),
        (
            "--dataset digits --skip-broken",
            "--skip-broken is for images of your own; digits is read as it was published",
        ),
        ("--check --group-by folder", "--group-by is for images of your own; auto is read as it was published"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(typed: str, said: str) -> None:
    with pytest.raises(BenchError, match=said) as caught:
        parse_arguments(["--all", *typed.replace("--image-size -3", "--image-size=-3").split()])
    assert "\n" not in str(caught.value)


def test_published_images_may_have_another_size() -> None:
    options = parse_arguments(["--all", "--dataset", "mnist5k", "--image-size", "32:pad"]).options
    assert options.reading == ReadingOptions(image_size=(32, 32), fit="pad")


@pytest.mark.parametrize(
    ("reading", "flags"),
    [
        (ReadingOptions(), {}),
        (ReadingOptions(image_size=(28, 40)), {"--image-size": "28x40"}),
        (
            ReadingOptions(image_size=(8, 8), fit="pad", group_by="patient"),
            {"--image-size": "8x8:pad", "--group-by": "patient"},
        ),
        (ReadingOptions(skip_broken=True, drop_duplicates=True), {"--skip-broken": "", "--drop-duplicates": ""}),
    ],
)
def test_a_reading_is_told_as_it_is_typed(reading: ReadingOptions, flags: dict[str, str]) -> None:
    assert reading.flags == flags
    typed = [word for pair in flags.items() for word in pair if word]
    assert parse_arguments(["--all", "--dataset", "./pets", *typed]).options.reading == reading


def test_several_datasets_are_named_by_commas() -> None:
    given = parse_arguments(["--all", "--dataset", "mnist5k, digits,./pets", "--image-size", "8"])
    assert given.datasets == ("mnist5k", "digits", "./pets")
    assert given.options.dataset == "mnist5k"
    assert parse_arguments(["--all"]).datasets == ("auto",)


def test_two_datasets_that_reports_would_call_alike_are_refused(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "images").mkdir(parents=True)
    both = f"{tmp_path}/a/images,{tmp_path}/b/images"
    with pytest.raises(UsageError, match="are both called 'images', and reports would take them for one; rename"):
        parse_arguments(["--all", "--dataset", both])


def test_a_comma_may_be_part_of_a_path(tmp_path: Path) -> None:
    (tmp_path / "cats, dogs").mkdir()
    assert parse_arguments(["--all", "--dataset", "./cats, dogs"]).datasets == ("./cats, dogs",)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--all --dataset mnist5k,mnist5k", "--dataset 'mnist5k,mnist5k' names one twice; name each once"),
        ("--all --dataset mnist5k,digitz", r"No dataset 'digitz'\. Did you mean 'digits'"),
        ("--all --dataset mnist5k,", "No dataset ''"),
        ("--all --tune --dataset mnist5k,digits", "beside --tune: tune on one dataset at a time"),
        ("--all --check --dataset mnist5k,digits", "beside --check: a gate has one dataset"),
    ],
)
def test_several_datasets_that_cannot_be(typed: str, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        parse_arguments(typed.split())
