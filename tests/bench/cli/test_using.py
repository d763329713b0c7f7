"""The words that use trained nets, as they may be typed and as they are refused."""

from __future__ import annotations

import pytest

from bench.cli.arguments import parse_arguments
from bench.core.errors import ActionError, BenchError, UsageError
from bench.core.options import UseOptions


def test_exporting_predicting_and_serving() -> None:
    given = parse_arguments("--export onnx --arch bn25k --arch fc* --seed 3 --dataset mnist".split())
    assert (given.action, given.export, given.options.patterns) == ("export", "onnx", ("bn25k", "fc*"))
    assert given.use == UseOptions(seed=3, dataset="mnist")
    given = parse_arguments("--predict a.png folder - *.npz --format json --all".split())
    assert (given.action, given.use) == (
        "predict", UseOptions(images=("a.png", "folder", "-", "*.npz"), format="json"),
    )  # fmt: skip
    given = parse_arguments("--serve --port 0 --host 0.0.0.0 --rate 5".split())
    assert (given.action, given.use) == ("serve", UseOptions(port=0, host="0.0.0.0", rate=5.0))  # noqa: S104 - as typed
    assert given.use is not None
    assert not given.use.is_loopback
    assert parse_arguments(["--serve"]).use == UseOptions(port=8080, host="127.0.0.1")
    assert parse_arguments(["--export", "csv"]).use is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--predict", "expected at least one argument"),
        ("--export onx", "No export format 'onx'. Did you mean 'onnx'?"),
        ("--export csv --seed 3", "--seed does nothing beside --export csv"),
        ("--export csv --dataset mnist", "--dataset does nothing beside --export csv"),
        ("--export csv --data-dir d", "--data-dir does nothing beside --export csv"),
        ("--all --seed 3", "--seed 3 chooses among trained runs; to train it, give --seeds 3,"),
        ("--serve --seed -1", "--seed -1: from 0"),
        ("--serve --port 70000", "--port 70000: from 0"),
        ("--serve --rate 0", "--rate 0: requests a second above 0"),
        ("--serve --format csv", "--format goes with --predict"),
        ("--predict x --port 1", "--port goes with --serve"),
        ("--predict x --format xml", "No format 'xml'"),
        ("--predict x --dataset mnist,digits", "nets of one dataset are used at a time"),
        ("--predict x --lr 1", "--lr does nothing beside --predict"),
        ("--serve --data-dir d", "--data-dir does nothing beside --serve"),
    ],
)
def test_what_makes_no_sense_is_refused(words: str, said: str) -> None:
    with pytest.raises(BenchError) as refusal:
        parse_arguments(words.split())
    assert said in str(refusal.value)


@pytest.mark.parametrize("words", ["--serve --report", "--predict x --serve", "--export csv --all", "--serve --list"])
def test_one_action_a_command(words: str) -> None:
    with pytest.raises(ActionError):
        parse_arguments(words.split())


def test_names_of_pictures_that_cannot_be_shown_are_refused() -> None:
    for word in ("", "a\nb"):
        with pytest.raises(UsageError, match="--predict"):
            parse_arguments(["--predict", word])
