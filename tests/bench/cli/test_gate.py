"""What may be typed beside the gate, and what the file already says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli.arguments import parse_arguments
from bench.core.errors import BenchError, UsageError
from bench.core.options import GateOptions
from bench.core.reading import ReadingOptions
from bench.core.recipe import Budget, Recipe
from bench.studies.gate.check import refuse_contradiction
from tests.bench.studies.gate.examples import make_reference, make_thresholds

CHECKED = make_thresholds(
    make_reference(),
    dataset="mnist",
    device="cpu",
    epochs=5,
    recipe=Recipe(lr=0.01, optimizer="sgd", nesterov=True, augmentation=(("shift", 2.0),)),
)


def test_the_file_and_the_drop_have_defaults() -> None:
    given = parse_arguments(["--all", "--check"])
    assert (given.action, given.options.patterns) == ("check", ())
    assert given.gate == GateOptions(file=Path("thresholds.toml"), drop=0.002, runs=30, force=False, every=True)
    given = parse_arguments(["--all", "--write-thresholds"])
    assert (given.action, given.gate) == ("write-thresholds", GateOptions(file=Path("thresholds.toml"), every=True))
    assert parse_arguments(["--all"]).gate is None
    assert parse_arguments(["--report"]).gate is None


def test_what_is_said_is_heard() -> None:
    given = parse_arguments("--arch bn25k --check gate/cifar.toml --drop 0.5".split())
    assert (given.action, given.options.patterns) == ("check", ("bn25k",))
    assert given.gate == GateOptions(file=Path("gate/cifar.toml"), drop=0.005)
    given = parse_arguments("--arch bn25k --write-thresholds g.toml --seeds 12 --epochs 7 --force --lr 0.1".split())
    assert given.gate == GateOptions(file=Path("g.toml"), runs=12, force=True)
    assert (given.options.budgets, given.options.recipe_changes) == ((Budget(epochs=7),), {"lr": 0.1})


def test_a_gate_without_a_selection_is_an_action() -> None:
    given = parse_arguments(["--check"])
    assert (given.action, given.options.patterns) == ("check", ())
    assert given.gate == GateOptions(file=Path("thresholds.toml"), every=False)


@pytest.mark.parametrize("runs", [6, 10_000])
def test_reference_runs_may_be_few_or_many(runs: int) -> None:
    gate = parse_arguments(["--all", "--write-thresholds", "--seeds", str(runs)]).gate
    assert gate is not None
    assert gate.runs == runs


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--all --check --seeds 6", "--seeds 6 beside --check: the rule has its own seeds; leave it out."),
        ("--all --check --force", "--force goes with --write-thresholds; leave it out here."),
        ("--all --force", "--force goes with --write-thresholds; leave it out here."),
        ("--report --force", "--force goes with --write-thresholds; leave it out here."),
        ("--all --drop 0.2", "--drop goes with --check; leave it out here."),
        ("--all --write-thresholds --drop 0.2", "--drop goes with --check; leave it out here."),
        ("--all --check --drop 0", "--drop 0: from 0.001 to 50 percentage points are needed."),
        ("--all --check --drop -1", "--drop -1: from 0.001 to 50 percentage points"),
        ("--all --check --drop 1e-200", "--drop 1e-200: from 0.001 to 50 percentage points are needed."),
        ("--all --check --drop 0.0009", "--drop 0.0009: from 0.001 to 50 percentage points"),
        ("--all --check --drop nan", "--drop nan: from 0.001 to 50 percentage points"),
        ("--all --check --drop inf", "--drop inf: from 0.001 to 50 percentage points"),
        ("--all --check --drop 50.1", "--drop 50.1: from 0.001 to 50 percentage points"),
        ("--all --check=", "--check '' is empty; leave it out, or alone for thresholds.toml, or give a value."),
        ("--all --write-thresholds=", "--write-thresholds '' is empty; leave it out"),
        (
            "--all --write-thresholds --seeds 5",
            "--seeds 5 beside --write-thresholds: a number of reference runs from 6",
        ),
        ("--all --write-thresholds --seeds 10001", "--seeds 10001 beside --write-thresholds: a number of reference"),
        ("--all --write-thresholds --seeds " + "9" * 5_000, "9 beside --write-thresholds: a number of reference runs"),
        ("--all --write-thresholds --seeds 0,3", "--seeds 0,3 beside --write-thresholds: a number of reference runs"),
        ("--all --write-thresholds --seeds 6:30", "--seeds 6:30 beside --write-thresholds: a number of reference runs"),
        ("--all --write-thresholds --seeds ٣٠", "--seeds ٣٠ beside --write-thresholds: a number of reference runs"),
        ("--all --write-thresholds --seeds x", "--seeds x beside --write-thresholds: a number of reference runs"),
        ("--all --check --train-seconds 60", "--train-seconds beside --check: seconds never gate; leave it out."),
        (
            "--all --write-thresholds --train-seconds 60",
            "--train-seconds beside --write-thresholds: seconds never gate",
        ),
        ("--all --check --epochs 1,3", "--epochs 1,3 beside --check: a gate has one budget."),
        ("--all --check --recipe published", "--recipe published beside --check: a gate has one recipe for all"),
        ("--all --check --margin 0.2", "--margin does nothing beside --check; leave it out."),
        ("--all --check --margin-epochs 0.2", "--margin-epochs does nothing beside --check; leave it out."),
        ("--check --variants", "--variants beside --check goes with --all; name variants by --arch."),
        ("--write-thresholds --variants", "--variants beside --write-thresholds goes with --all; name variants by"),
        ("--check --no-timing", "--no-timing does nothing beside --check; leave it out."),
        ("--all --write-thresholds --no-timing", "--no-timing does nothing beside --write-thresholds; leave it out."),
        ("--all --check --tune", "--tune beside --check: give one of them."),
        ("--arch bn25k --tune --write-thresholds", "--tune beside --write-thresholds: give one of them."),
        ("--check --report", "--check and --report exclude each other; give one action."),
        ("--check --write-thresholds", "--check and --write-thresholds exclude each other; give one action."),
        ("--all --check --write-thresholds", "--check and --write-thresholds exclude each other; give one action."),
        ("--check --list --all", "exclude each other; give one action."),
        ("--all --arch bn25k --check", "--all and --arch exclude each other"),
        ("--check --only bn25k", "--only goes with --report"),
        ("--all --check --epochs 0", "number of epochs is 0; it must be from 1 to 10000."),
    ],
)
def test_what_a_gate_cannot_do_is_refused_in_one_line(words: str, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        parse_arguments(words.split())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        "--check",
        "--check --lr 0.01 --optimizer sgd --nesterov --epochs 5 --dataset mnist --device cpu --augmentation shift",
        "--check --batch-size 128 --schedule one-cycle",
        "--check --momentum 0.9",  # of the SGD that only the file names
        "--check --dataset auto --device auto --recipe shared",
    ],
)
def test_flags_that_say_what_the_file_says_are_let_pass(words: str) -> None:
    options = parse_arguments(words.split()).options
    refuse_contradiction(options, CHECKED)
    assert options.recipe(CHECKED.recipe) == CHECKED.recipe


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epochs 3", "--epochs 3 contradicts the thresholds file, which says 5; leave it out, or record other"),
        ("--lr 0.006", "--lr 0.006 contradicts the thresholds file, which says 0.01;"),
        ("--optimizer adam", "--optimizer adam contradicts the thresholds file, which says sgd;"),
        ("--momentum 0.8", "--momentum 0.8 contradicts the thresholds file, which says 0.9;"),
        ("--batch-size 64", "--batch-size 64 contradicts the thresholds file, which says 128;"),
        ("--label-smoothing 0.1", "--label-smoothing 0.1 contradicts the thresholds file, which says 0;"),
        ("--augmentation none", "--augmentation none contradicts the thresholds file, which says shift:2;"),
        ("--augmentation shift:3", "--augmentation shift:3 contradicts the thresholds file, which says shift:2;"),
        ("--dataset fashion_mnist", "--dataset fashion_mnist contradicts the thresholds file, which says mnist;"),
        ("--device cuda", "--device cuda contradicts the thresholds file, which says cpu;"),
    ],
)
def test_flags_that_contradict_the_file_are_named_with_both_values(words: str, message: str) -> None:
    arguments = parse_arguments(["--check", *words.split()])
    with pytest.raises(UsageError) as caught:
        refuse_contradiction(arguments.options, CHECKED)
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("or record other references with --write-thresholds.")
    assert "\n" not in str(caught.value)


OWN = make_thresholds(make_reference(), dataset="pets", images="./pets", reading=ReadingOptions(group_by="folder"))


@pytest.mark.parametrize(
    "words", ["", "--dataset ./pets", "--dataset {elsewhere}", "--dataset ./pets --group-by folder"]
)
def test_images_of_ones_own_may_lie_elsewhere(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("pets", "other"):
        Path(folder).mkdir()
    options = parse_arguments(["--check", *words.format(elsewhere=tmp_path / "other").split()]).options
    refuse_contradiction(options, OWN)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--dataset mnist", "--dataset mnist contradicts the thresholds file, which says ./pets; leave it out"),
        ("--dataset ./pets --image-size 8", "--image-size 8x8 contradicts the thresholds file, which says none;"),
        ("--dataset ./pets --skip-broken", "--skip-broken contradicts the thresholds file, which says none;"),
        (
            "--dataset ./pets --group-by patient",
            "--group-by patient contradicts the thresholds file, which says folder;",
        ),
    ],
)
def test_images_that_are_read_otherwise_contradict_the_file(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pets").mkdir()
    options = parse_arguments(["--check", *words.split()]).options
    with pytest.raises(UsageError) as caught:
        refuse_contradiction(options, OWN)
    assert str(caught.value).startswith(message)


def test_a_path_where_the_file_names_a_published_dataset_contradicts_it(tmp_path: Path) -> None:
    options = parse_arguments(["--check", "--dataset", str(tmp_path)]).options
    with pytest.raises(UsageError, match="contradicts the thresholds file, which says mnist;"):
        refuse_contradiction(options, CHECKED)


def test_the_smallest_and_the_largest_drop() -> None:
    for words, drop in (("0.001", 0.00001), ("50", 0.5)):
        gate = parse_arguments(["--all", "--check", "--drop", words]).gate
        assert gate is not None
        assert gate.drop == pytest.approx(drop)
