"""The command line: what is understood, what is refused in one line, and that neither needs torch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import parser
from bench.cli.arguments import parse_arguments
from bench.core.errors import ActionError, BenchError, UnknownNameError, UsageError
from bench.core.recipe import Budget
from bench.core.records import Margins
from bench.core.seeds import SeedPlan
from tests import ROOT

RUNNER = ROOT / "runner.py"


def test_the_defaults_are_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    arguments = parse_arguments(["--all"])
    given = arguments.options
    assert (arguments.action, given.patterns, given.dataset, given.data_dir) == ("train", (), "auto", Path("data"))
    assert given.seed_plan == SeedPlan(seeds=(0, 1, 2, 3, 4, 5), first=6)
    assert (given.budgets, given.margin_changes, given.published, given.jobs) == ((), {}, False, None)
    assert (given.results, given.store_url, given.study) == (Path("results"), "sqlite:///results/bench.db", None)
    recipe = given.recipe()
    assert (recipe.optimizer, recipe.lr, recipe.batch_size, recipe.schedule) == ("adam", 6e-3, 128, "one-cycle")
    assert given.recipe_name == "shared"


def test_what_the_user_changes() -> None:
    words = (
        "--arch fc* --arch ./my.py --seeds 0,3,7 --train-seconds 2.5 --lr 0.1 --optimizer sgd --nesterov --jobs 3 "
        "--augmentation shift,rotation:15 --recipe published --results out --study s --data-dir d --quiet"
    )
    given = parse_arguments(words.split())
    assert given.options.patterns == ("fc*", "./my.py")
    assert given.options.seed_plan == SeedPlan(seeds=(0, 3, 7), first=3)
    assert given.options.budgets == (Budget(seconds=2.5),)
    assert given.options.recipe().augmentation == (("shift", 2.0), ("rotation", 15.0))
    assert given.options.recipe_name.startswith("published ")
    assert "lr=0.1" in given.options.recipe_name
    assert "augmentation=shift:2,rotation:15" in given.options.recipe_name
    assert (given.options.store_url, given.verbosity) == ("sqlite:///out/bench.db", -1)


def test_seeds_until_decided_several_budgets_and_margins() -> None:
    given = parse_arguments("--all --seeds 6:30 --epochs 1,3,10 --margin 0.2".split())
    assert given.options.seed_plan == SeedPlan(seeds=tuple(range(30)), first=6)
    assert given.options.budgets == (Budget(epochs=1), Budget(epochs=3), Budget(epochs=10))
    assert given.options.margin_changes == {"margin": 0.002}
    assert given.options.judged_by() == Margins(margin=0.002, margin_epochs=0.05)
    assert parse_arguments("--all --seeds 5,".split()).options.seed_plan == SeedPlan(seeds=(5,), first=1)
    report = parse_arguments("--report --margin-epochs 0.1".split())
    assert report.options.margin_changes == {"margin_epochs": 0.1}


def test_what_is_not_said_of_the_judging_stays_as_it_was() -> None:
    before = Margins(margin=0.004, margin_epochs=0.2)
    given = parse_arguments("--all --metric balanced_accuracy".split()).options
    assert given.judged_by(before) == Margins(margin=0.004, margin_epochs=0.2, metric="balanced_accuracy")
    assert given.judged_by() == Margins(metric="balanced_accuracy")
    balanced, margin = Margins(metric="balanced_accuracy"), parse_arguments("--report --margin 0.5".split()).options
    assert margin.judged_by(balanced) == Margins(margin=0.005, metric="balanced_accuracy")
    assert parse_arguments("--report --metric accuracy".split()).options.judged_by(balanced) == Margins()


def test_a_metric_that_there_is_not() -> None:
    with pytest.raises(UnknownNameError, match=r"No metric 'balanced_acuracy'\. Did you mean 'balanced_accuracy'\?"):
        parse_arguments("--all --metric balanced_acuracy".split())
    with pytest.raises(UsageError, match="--metric does nothing beside --check; leave it out"):
        parse_arguments("--all --check --metric accuracy".split())


def test_the_data_directory_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_DATA_DIR", "/somewhere")
    assert parse_arguments(["--all"]).options.data_dir == Path("/somewhere")
    assert parse_arguments(["--all", "--data-dir", "here"]).options.data_dir == Path("here")


@pytest.mark.parametrize("flag", ["--results", "--study", "--store", "--data-dir"])
def test_an_unset_shell_variable_is_no_value(flag: str) -> None:
    with pytest.raises(UsageError, match=f"{flag} '' is empty"):
        parse_arguments(["--all", flag, ""])


def test_moving_results_are_actions_with_a_value() -> None:
    given = parse_arguments(["--export", "parquet", "--study", "s"])
    assert (given.action, given.export, given.merge, given.options.study) == ("export", "parquet", None, "s")
    given = parse_arguments(["--merge", "other", "--results", "here"])
    assert (given.action, given.merge, given.options.results, given.export) == (
        "merge",
        Path("other"),
        Path("here"),
        None,
    )


@pytest.mark.parametrize(
    "words",
    [
        *("", "--all --report", "--all --arch bn25k", "--list --prune", "--arch x --list"),
        *("--all --export csv", "--arch x --merge d", "--export csv --merge d", "--report --export json"),
    ],
)
def test_no_action_or_two(words: str) -> None:
    with pytest.raises(ActionError):
        parse_arguments(words.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--all --dataset mnits", "No dataset 'mnits'. Did you mean 'mnist'?"),
        ("--all --engine torhc", "No engine 'torhc'. Did you mean 'torch'?"),
        ("--all --device gpu", "No device 'gpu'. Did you mean 'cuda'?"),
        ("--all --device Metal", "No device 'Metal'. Did you mean 'mps'?"),
        ("--all --device cuda:0", "No device 'cuda:0'. Did you mean 'cuda'?"),
        ("--all --optimizer gpu", "No optimizer 'gpu'. Known: "),
        ("--export parket", "No export format 'parket'. Did you mean 'parquet'?"),
        ("--export onnx", "No export format 'onnx'."),  # not built yet
        ("--merge=", "--merge '' is empty"),
        ("--all --optimizer adma", "No optimizer 'adma'. Did you mean 'adam'?"),
        ("--all --schedule cosin", "No schedule 'cosin'. Did you mean 'cosine'?"),
        ("--all --recipe publised", "No recipe 'publised'. Did you mean 'published'?"),
        ("--all --seeds 0", "--seeds 0: from 1 to 10,000 seeds"),
        ("--all --seeds=-3,4", "-3 is negative"),
        ("--all --seeds 3:30", "no verdict is possible below 6 seeds"),
        ("--all --seeds 30:6", "must be the larger one"),
        ("--all --seeds 6:30:40", "takes two numbers"),
        ("--all --seeds 6:30,40", "takes two numbers"),
        ("--all --epochs 1,1", "stands there twice"),
        ("--all --epochs 0.5", "--epochs '0.5': give whole epochs"),
        ("--all --margin 0", "--margin 0: percentage points above 0"),
        ("--all --margin-epochs nan", "--margin-epochs nan"),
        ("--report --seeds 3", "--seeds does nothing beside --report"),
        ("--prune --fresh", "--fresh does nothing beside --prune"),
        ("--export csv --no-timing", "--no-timing does nothing beside --export"),
        ("--all --no-timing --time-again", "--time-again and --no-timing exclude each other; leave one of them out."),
        ("--all --seeds -3", "--seeds"),
        ("--all --seeds 1,1", "stands there twice"),
        ("--all --seeds 99999", "--seeds 99999"),
        ("--all --seeds 0,99999", "99999 is too high"),
        ("--all --seeds 100000000000000000000", "--seeds 100000000000000000000"),
        ("--all --seeds many", "--seeds 'many': give how many"),
        ("--all --epochs 0", "number of epochs is 0"),
        ("--all --epochs 1e9", "--epochs '1e9'"),
        ("--all --epochs 99999999", "number of epochs is 1e+08"),
        ("--all --train-seconds -1", "number of training seconds is -1"),
        ("--all --epochs 1 --train-seconds 1", "exclude each other"),
        ("--all --batch-size 0", "batch size is 0"),
        ("--all --momentum 0.3", "--momentum 0.3 does nothing for adam; add --optimizer sgd"),
        ("--all --plateau-patience 3", "add --schedule plateau"),
        ("--arch bn25k --variants", "--variants goes with --all"),
        ("--all --augmentation shift:2,shift:3", "names one twice"),
        ("--all --augmentation crop:", "'' is no number"),
        ("--all --lr nan", "learning rate is nan"),
        ("--all --jobs 0", "--jobs 0"),
        ("--all --cluster localhost:8786", "--cluster 'localhost:8786' is no address"),
        ("--report --cluster tcp://h:1", "--cluster does nothing beside --report"),
        ("--all --frobnicate", "--frobnicate"),
    ],
)
def test_bad_words_are_one_line_with_the_value(words: str, message: str) -> None:
    with pytest.raises(BenchError) as refusal:
        parse_arguments(words.split())
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


_PROBE = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    sys.stderr.write("torch" if "torch" in sys.modules else "light")
"""


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["--frobnicate"], 2), (["--version"], 0), ([], 2)])
def test_help_and_wrong_flags_are_instant_and_do_not_touch_torch(words: list[str], code: int) -> None:
    seconds = []
    for _ in range(3):
        before = os.times()
        found = subprocess.run(
            [sys.executable, "-c", _PROBE, str(RUNNER), *words], capture_output=True, text=True, check=False
        )
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        seconds.append(used)
        assert found.returncode == code
        assert found.stderr.endswith("light")
        assert "Traceback" not in found.stderr
    # The promise is 0.5 s by the clock of an idle machine, where these are about half as many; a busy one takes more.
    assert min(seconds) < 1.5


def test_help_is_grouped_by_what_one_wants_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    said = capsys.readouterr().out
    titles = [line[:-1] for line in said.splitlines() if line.endswith(":") and line[:1].isupper()]
    assert titles == [
        *("Train and compare", "Train by another recipe", "Judge", "Tune", "Gate", "Claims", "Report", "Data", "Where")
    ]
    parts = dict(zip(titles, re.split(r"^[A-Z][a-z ]+:$", said, flags=re.MULTILINE)[1:], strict=True))
    for title, flags in {
        "Train and compare": "--all --arch --epochs --plan --list",
        "Judge": "--seeds --margin",
        "Tune": "--tune --trials --space",
        "Gate": "--check --write-thresholds --drop --force",
        "Report": "--report --only --compare --export",
        "Data": "--dataset --data-dir",
        "Where": "--device --engine --jobs --results --study --store --merge --prune",
    }.items():
        assert set(flags.split()) <= set(parts[title].split()), title
    every = re.findall(r"^  (--[a-z-]+)", said, flags=re.MULTILINE)
    assert sorted(every) == sorted([*(flag.name for flag in parser.FLAGS), "--version"]), "each once"


def test_help_tells_the_meanings_of_seeds_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    for words in ("how many: 6 (default)", "which ones: 0,3,7, or 7, for one alone", "until decided: 6:30"):
        assert words in said
    plans = {text: parse_arguments(["--all", "--seeds", text]).options.seed_plan for text in ("6", "7,", "6:30")}
    assert plans["6"].seeds == tuple(range(6))
    assert plans["7,"].seeds == (7,)
    assert (plans["6:30"].first, len(plans["6:30"].seeds)) == (6, 30)
