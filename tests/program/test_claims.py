"""Whole commands on the embedded images: claims of one's own run, judged, taken along, and what is wrong said."""

from __future__ import annotations

import csv
import importlib.util
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests import ROOT
from tests.front_door import rows, run

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

CLAIMS = """\
version = 1
source = "a paper, table 2"
dataset = "mnist5k"
protocol = "as_claimed"

[[claims]]
id = "T1a"
claim = "no run of two epochs gets to 20 %"
rule = "value"
claimed = "20.00 %"
[[claims.cases]]
net = "lenet21k"
epochs = 2
recipe = {optimizer = "adam", lr = 0.001, batch_size = 64, schedule = "constant", keep = "best"}

[[claims]]
id = "T1b"
claim = "training accuracy rises"
rule = "rises"
quantity = "train_accuracy"
at = [1, 2]
[[claims.cases]]
net = "lenet21k"
epochs = 2
recipe = {optimizer = "adam", lr = 0.001, batch_size = 64, schedule = "constant", keep = "best"}

[[claims]]
id = "T2"
claim = "batch 64 beats batch 1000"
rule = "better"
[[claims.cases]]
net = "lenet21k"
epochs = 2
recipe = {optimizer = "adam", lr = 0.001, batch_size = 64, schedule = "constant", keep = "best"}
[claims.cases.against]
recipe = {optimizer = "adam", lr = 0.001, batch_size = 1000, schedule = "constant", keep = "best"}

[[claims]]
id = "T3"
claim = "the loss of the first batch is about ln 10, that of the next epoch's is less"
rule = "series"
quantity = "batch_loss"
at = [1]
claimed = ["2.3"]
[[claims.cases]]
net = "lenet21k"
epochs = 2
recipe = {optimizer = "adam", lr = 0.001, batch_size = 64, schedule = "constant", keep = "best"}

[[claims]]
id = "T4"
claim = "4 is taken for 9"
rule = "confusions"
claimed = "4>9"
at = [90]
[[claims.cases]]
net = "lenet21k"
epochs = 2
recipe = {optimizer = "adam", lr = 0.001, batch_size = 64, schedule = "constant", keep = "best"}

[[claims]]
id = "T5"
claim = "usually two epochs are enough"
rule = "usually"
quantity = "epochs"
claimed = "2"
[[claims.cases]]
net = "lenet21k"
epochs = 2
recipe = {optimizer = "adam", lr = 0.001, batch_size = 64, schedule = "constant", keep = "best"}

[[claims]]
id = "T6"
claim = "lenet has 21,840 parameters"
rule = "count"
quantity = "parameters"
claimed = "21,840"
[[claims.cases]]
net = "lenet21k"
"""
WRONG = """
[[claims]]
id = "W1"
claim = "of a net that nobody knows"
rule = "value"
claimed = "99 %"
[[claims.cases]]
net = "lenet21"

[[claims]]
id = "W2"
claim = "percent without their sign"
rule = "value"
claimed = "99.05"
[[claims.cases]]
net = "lenet21k"

[[claims]]
id = "W3"
claim = "a batch that the images do not fill"
rule = "value"
claimed = "99.05 %"
[[claims.cases]]
net = "lenet21k"
recipe = {batch_size = 5000}

[[claims]]
id = "W4"
claim = "once"
rule = "value"
claimed = "99.05 %"
[[claims.cases]]
net = "lenet21k"
[[claims]]
id = "W4"
claim = "twice"
rule = "value"
claimed = "99.05 %"
[[claims.cases]]
net = "lenet21k"
"""
FAST = ("--dataset", "mnist5k", "--engine", "torch", "--quiet")
VERDICTS = {
    "T1a": "not reproduced",
    "T1b": "reproduced",
    "T2": "reproduced",
    "T4": "reproduced",
    "T5": "reproduced",
    "T6": "reproduced",
}


def claims(results: Path) -> dict[str, dict[str, str]]:
    with (results / "claims.csv").open(newline="") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def recheck() -> ModuleType:
    """The independent script, from its file: it is no part of anything."""
    spec = importlib.util.spec_from_file_location("recheck", ROOT / "tests" / "claims" / "recheck.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of these claims, ten seeds each, with some that cannot be run among them."""
    folder = tmp_path_factory.mktemp("claims")
    (folder / "claims.toml").write_text(CLAIMS + WRONG)
    code = run("--claims", folder / "claims.toml", "--seeds", 10, *FAST, "--jobs", 2, "--results", folder / "r")
    assert code == 2, "some of them are wrong, and the others went on"
    return folder


@pytest.mark.usefixtures("blank_figures")
def test_claims_are_judged_and_marked(judged: Path) -> None:
    found = claims(judged / "r")
    assert {name: row["verdict"] for name, row in found.items() if name in VERDICTS} == VERDICTS
    assert list(found["T1a"])[:7] == ["id", "claim", "claimed", "measured", "n", "verdict", "why"]
    assert (found["T1a"]["of"], found["T2"]["of"], found["T1a"]["n"]) == ("T1", "T2", "10")
    assert "higher than claimed" in found["T1a"]["why"]
    runs = rows(judged / "r")
    assert len(runs) == 20, "claims share their runs"
    assert {(row["role"], row["protocol"], row["val_accuracy"]) for row in runs} == {("claim", "as_claimed", "")}
    assert min(int(row["test_looks"]) for row in runs) > 2
    report = (judged / "r" / "report.md").read_text()
    assert "selected on test" in report
    assert "What looking at the test set was worth" in report
    assert not (judged / "r" / "verdicts.csv").exists(), "nothing of it is ranked"


@pytest.mark.usefixtures("blank_figures")
def test_what_is_wrong_is_said_in_a_line_each_and_trains_nothing_twice(
    judged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = claims(judged / "r")
    assert run("--claims", judged / "claims.toml", "--seeds", 10, *FAST, "--results", judged / "r", "--plan") == 2
    said = capsys.readouterr()
    for text in (
        "W1: No architecture 'lenet21'. Did you mean 'lenet21k'?",
        "claims.8.claimed: claimed holds '99.05', which lies outside 0 to 1; write '99.05 %'",
        "W3: Batch size 5,000 of lenet21k is more than the 4,000 training images of mnist5k",
        "2 claims have the id 'W4' ('once' and 'twice'); give each one of its own.",
    ):
        assert text in said.err
    assert all(len(line) < 300 for line in said.err.splitlines())
    assert run("--report", "--results", judged / "r", "--quiet") == 0
    assert claims(judged / "r") == before


def test_an_independent_script_comes_to_the_same_verdicts(judged: Path) -> None:
    assert run("--export", "compact", "--results", judged / "r") == 0
    found = recheck().recheck(judged / "r" / "compact", judged / "r" / "claims.csv")
    assert len(found) >= 7
    assert [(name, here) for name, here, there in found if here != there] == []


def tables(results: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(results / "bench.db")) as connection:
        return {
            name: sorted(map(repr, connection.execute(f"SELECT {columns} FROM {name}")))  # noqa: S608 - names of ours
            for name, columns in {
                "bench_runs": "run_id, seed, recipe, budget, test_accuracy, train_loss, time_to_targets, environment",
                "bench_curves": "*",
                "bench_claims": "claim_id, place, asked",
                "bench_study_requests": "request_id, role, arm, cohort, current",
            }.items()
        }


@pytest.mark.usefixtures("blank_figures")
def test_an_export_comes_back_bit_for_bit_and_is_not_trained_again(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--export", "compact", "--results", judged / "r") == 0
    files = {path.name: path.read_bytes() for path in (judged / "r" / "compact").iterdir()}
    assert sum(map(len, files.values())) < 400_000
    assert run("--merge", judged / "r" / "compact", "--results", tmp_path / "r", "--quiet") == 0
    assert tables(tmp_path / "r") == tables(judged / "r")
    assert claims(tmp_path / "r") == claims(judged / "r")
    capsys.readouterr()
    again = ("--claims", judged / "claims.toml", "--seeds", 10, "--dataset", "mnist5k", "--engine", "torch")
    run(*again, "--results", tmp_path / "r", "--plan")
    assert "20 runs in all (claims share runs), 20 stored" in " ".join(capsys.readouterr().out.split())
    assert run("--export", "compact", "--results", tmp_path / "r") == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "r" / "compact").iterdir()} == files
    damaged = tmp_path / "r" / "compact" / "study.jsonl.xz"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    assert run("--merge", tmp_path / "r" / "compact", "--results", tmp_path / "new") == 2
    assert "study.jsonl.xz' is damaged" in capsys.readouterr().err


def test_a_dataset_that_is_not_there_costs_the_claims_about_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = CLAIMS[CLAIMS.index('[[claims]]\nid = "T6"') :]
    about = claim.replace('"T6"', '"T7"').replace('rule = "count"', 'rule = "count"\ndataset = "mnits"')
    head = 'version = 1\nsource = "a paper"\ndataset = "mnist5k"\n'
    (tmp_path / "two.toml").write_text(f"{head}{claim}\n{about}")
    code = run("--claims", tmp_path / "two.toml", "--plan", "--engine", "torch", "--results", tmp_path / "r")
    said = capsys.readouterr()
    assert code == 2
    assert "Left out: T7: No dataset 'mnits'. Did you mean 'mnist'?" in said.err
    assert "T6" in said.out
    assert not (tmp_path / "r").exists(), "a plan leaves nothing behind"


def test_nets_of_claims_are_in_no_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    listed = capsys.readouterr().out
    assert "fc3136d2" in listed
    assert not {name for name in ("fc12544", "fc3136c3", "conv16k-softmax") if name in listed}
    assert run("--claims", "Z9", "--plan") == 2
    assert "No claim 'Z9'." in capsys.readouterr().err
    assert "recheck" not in sys.modules
