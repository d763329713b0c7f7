"""From the command line to a verdict: until decided, several budgets, one seed, and margins judged anew."""

from __future__ import annotations

import csv
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from bench.store.store import open_store
from tests.front_door import SHORT, rows, run, write_tiny

if TYPE_CHECKING:
    from pathlib import Path


COLUMNS = "dataset metric unit a b n difference low high p_holm verdict matters more_seeds".split()


def verdicts(results: Path) -> list[dict[str, str]]:
    with (results / "verdicts.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight hidden units against lenet21k: after one epoch they lie 30 points apart, so six seeds are enough."""
    folder = tmp_path_factory.mktemp("decided")
    words = ("--arch", "lenet21k", "--arch", write_tiny(folder), "--seeds", "6:12", "--results", folder / "r")
    assert run(*words, "--jobs", 1, *SHORT) == 0
    return folder / "r"


def test_a_clear_difference_takes_no_more_seeds_than_the_floor(decided: Path) -> None:
    assert len(rows(decided)) == 12
    (accuracy, times) = verdicts(decided)
    assert list(accuracy)[: len(COLUMNS)] == COLUMNS
    assert (accuracy["metric"], accuracy["unit"], accuracy["a"], accuracy["b"]) == (
        *("test_accuracy", "pp", "lenet21k", "tiny"),
    )
    assert (accuracy["verdict"], accuracy["matters"], accuracy["n"], accuracy["more_seeds"]) == (
        *("a better", "yes", "6", ""),
    )
    by_net = {net: [float(r["test_accuracy"]) for r in rows(decided) if r["architecture"] == net] for net in
              ("lenet21k", "tiny")}  # fmt: skip
    mean = 100 * sum(a - b for a, b in zip(by_net["lenet21k"], by_net["tiny"], strict=True)) / 6
    assert float(accuracy["difference"]) == pytest.approx(mean)
    assert (times["metric"], times["unit"], times["verdict"]) == ("epochs_to_95", "epochs", "undecided")
    markdown = (decided / "report.md").read_text()
    assert "lenet21k is better than tiny by" in markdown
    assert "Seeds were added until decided, from 6 up to 12: lenet21k 6, tiny 6. That saved 12 of 24 runs." in markdown


@pytest.mark.usefixtures("blank_figures")
def test_a_wider_margin_judges_the_stored_runs_anew(decided: Path) -> None:
    assert run("--report", "--results", decided, "--margin", 30) == 0
    assert verdicts(decided)[0]["matters"] != "yes", "thirty points are about what lies between them"
    assert run("--report", "--results", decided) == 0
    assert verdicts(decided)[0]["matters"] == "yes", "a margin given to --report is not kept"


@pytest.mark.usefixtures("blank_figures")
def test_what_a_study_holds_from_earlier_commands_is_said_before_anything_trains(
    decided: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--dataset", "mnist5k", "--epochs", 1, "--plan", "--results", decided)
    assert run("--arch", "lenet21k", "--arch", "bn25k", "--seeds", 9, *words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "main holds tiny too, judged with those named here; another --study would judge these alone." in said
    assert "main is judged until decided (--seeds 6:12): other seeds stand in no verdict" not in said, (
        "nine are among the twelve"
    )
    assert run("--arch", "lenet21k", "--seeds", 16, *words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "(--seeds 6:12): other seeds stand in no verdict; --seeds 6:16 takes them in." in said
    for other in (("--study", "other"), ("--lr", 0.001)):
        assert run("--arch", "lenet21k", "--seeds", 16, *words, *other) == 0
        assert "main" not in " ".join(capsys.readouterr().out.replace("main, in", "").split())


def test_under_own_recipes_a_net_of_another_budget_is_in_the_table_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = write_tiny(tmp_path)
    own = "recipe=Recipe(), budget=Budget(epochs=1), name="
    text = (
        net.read_text().replace("name=", own, 1).replace("import Architecture", "import Architecture, Budget, Recipe")
    )
    net.write_text(text)
    words = ("--recipe", "published", "--dataset", "mnist5k", "--results", tmp_path / "r", "--quiet")
    assert run("--arch", net, *words, "--seeds", 1, "--no-timing") == 0
    assert run("--arch", "bn25k", *words[:-1], "--seeds", 1, "--plan") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "main holds tiny too, judged with those named here" in said, "which trains for 5 epochs where tiny has 1"


@pytest.mark.usefixtures("blank_figures")
def test_a_new_study_of_the_same_runs_counts_the_looks_of_the_first(decided: Path) -> None:
    words = ("--arch", "lenet21k", "--arch", decided.parent / "tiny.py", *SHORT, "--jobs", 1, "--results", decided)
    assert run(*words, "--seeds", 6, "--study", "renamed") == 0
    markdown = (decided / "report.md").read_text()
    assert (
        "verdicts on these runs were shown before, with --seeds 6:12, and the rate adds up: over all 2 looks"
        in markdown
    )
    assert run("--report", "--study", "main", "--results", decided) == 0
    assert "with --seeds 6, and the rate adds up" in (decided / "report.md").read_text()


@pytest.mark.usefixtures("blank_figures")
def test_several_budgets_are_trained_apart_and_related(tmp_path: Path) -> None:
    words = ("--arch", "lenet21k", "--arch", write_tiny(tmp_path), "--seeds", 1, "--epochs", "1,2")
    assert run(*words, "--jobs", 1, "--dataset", "mnist5k", "--no-timing", "--quiet", "--results", tmp_path / "r") == 0
    assert sorted(row["epochs"] for row in rows(tmp_path / "r")) == ["1.0", "1.0", "2.0", "2.0"]
    markdown = (tmp_path / "r" / "report.md").read_text()
    assert "<details><summary>Order against budget: mnist5k" in markdown
    assert "| Architecture | 1 epoch | 2 epochs |" in markdown
    # one seed: two fitted models, told apart by McNemar's exact test, and no verdict
    assert re.search(r"\| lenet21k and tiny \|.* 0\.\d{4} \(seed 0\) \|", markdown)
    assert {row["verdict"] for row in verdicts(tmp_path / "r")} == {"too few seeds"}


def test_one_architecture_has_nothing_to_decide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--arch", "lenet21k", "--seeds", "6:30", "--dataset", "mnist5k", "--results", tmp_path)
    assert run(*words) == 2
    assert "with one architecture there is nothing to decide" in capsys.readouterr().err


def test_a_plan_until_decided_says_the_least_and_the_most(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--arch", "lenet21k", "--arch", "conv16k", "--seeds", "6:30", "--dataset", "mnist5k", "--plan")
    assert run(*words, "--results", tmp_path / "r") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "6 seeds first" in said
    assert "at most 48 more runs" in said
    assert "12 runs to train" in said


@pytest.mark.usefixtures("blank_figures")
def test_a_report_shows_some_architectures_or_sets_two_studies_side_by_side(
    decided: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--report", "--results", decided, "--only", "lenet*") == 0
    assert "Not shown here, and judged with those that are: tiny." in (decided / "report.md").read_text()
    assert len(rows(decided)) == 12
    assert run("--report", "--results", decided, "--compare", decided) == 0
    assert "lenet21k: equivalent (the very same weights)" in (decided / "report.md").read_text()
    assert run("--report", "--results", decided) == 0
    assert "Before and after" not in (decided / "report.md").read_text()
    capsys.readouterr()
    assert run("--report", "--results", decided, "--only", "lenet20k") == 2
    assert run("--report", "--results", decided, "--compare", tmp_path / "none") == 2
    assert run("--report", "--results", decided, "--compare", "previous") == 2
    assert run("--all", "--only", "lenet21k", "--results", tmp_path) == 2
    said = capsys.readouterr().err
    assert "No architecture of this study 'lenet20k'. Did you mean 'lenet21k'?" in said
    assert "No store at" in said
    assert re.search(r"--compare previous: no net of study \w+ was edited and trained again; do that first", said)
    assert "--only goes with --report" in said
    assert said.count("\n") == 4


@pytest.mark.usefixtures("blank_figures")
def test_an_edited_net_is_set_beside_itself_before_the_edit(tmp_path: Path) -> None:
    for hidden in (4, 8):
        words = ("--arch", write_tiny(tmp_path, hidden=hidden), "--seeds", 1, "--jobs", 1, "--results", tmp_path / "r")
        assert run(*words, *SHORT) == 0
    assert run("--report", "--results", tmp_path / "r", "--compare", "previous") == 0
    markdown = (tmp_path / "r" / "report.md").read_text()
    assert "Before is each edited net as it was before its last edit" in markdown
    # 785·4 + 5·10 and 785·8 + 9·10 parameters
    assert "3,190 → 6,370" in markdown


@pytest.mark.usefixtures("blank_figures")
def test_two_recipes_of_one_net_stand_in_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny, results = write_tiny(tmp_path), ("--results", tmp_path / "r")
    words = ("--arch", tiny, "--arch", f"{tiny} lr=0.1", "--batch-size", 64, "--seeds", 2, "--jobs", 1, *results)
    assert run(*words, *SHORT) == 0
    found = {(row["architecture"], row["recipe"]) for row in rows(tmp_path / "r")}
    assert found == {("tiny", "shared batch_size=64"), ("tiny lr=0.1", "shared batch_size=64, own lr=0.1")}
    (accuracy, _) = verdicts(tmp_path / "r")
    assert (accuracy["a"], accuracy["b"], accuracy["n"]) == ("tiny", "tiny lr=0.1", "2")
    markdown = (tmp_path / "r" / "report.md").read_text().replace("\\", "")
    assert "## mnist5k, shared recipe with batch_size=64, 1 epoch, cpu" in markdown
    assert run("--arch", f"{tiny} lr=0.1", "--tune", *results, *SHORT[:2]) == 2
    assert run("--arch", f"{tiny} momentum=0.5", *results, *SHORT) == 2
    said = capsys.readouterr().err
    assert "--arch 'tiny lr=0.1' beside --tune: it has one recipe for all nets; leave the recipe's out." in said
    assert "--arch 'tiny momentum=0.5': momentum does nothing for adam; add optimizer=sgd to it." in said


@pytest.mark.usefixtures("blank_figures")
def test_what_will_be_judged_again_is_said_and_what_was_shown_is_kept(
    decided: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = shutil.copytree(decided, tmp_path / "r")
    before = [(row["metric"], row["a"], row["b"], row["verdict"]) for row in verdicts(results) if row["p_holm"]]
    words = ("--dataset", "mnist5k", "--epochs", 1, "--no-timing", "--jobs", 1, "--results", results, "--study", "main")
    assert run("--arch", "lenet21k", "--arch", "bn25k", "--seeds", 1, *words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Judged again: 1 verdict on mnist5k, shared recipe, 1 epoch, cpu. bn25k joins: 1 pair becomes 3," in said

    def shown() -> list[tuple[str, str, str, str]]:
        with open_store(f"sqlite:///{results}/bench.db") as store:
            return [(one.metric, one.a, one.b, one.verdict) for one in store.studies.load("main").shown]

    assert shown() == before
    assert run("--forget", "bn2*", "--results", results, "--study", "main") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Taken out of study main: bn25k; the runs stay stored, and --arch brings them back without training." in said
    assert {row["architecture"] for row in rows(results)} == {"lenet21k", "tiny"}
    assert "Taken out of this study by --forget: bn25k" in (results / "report.md").read_text()
    assert run("--arch", "bn25k", "--seeds", 1, *words) == 0
    assert "0 runs to train, 1 stored already" in capsys.readouterr().out
    assert run("--forget", "bn25", "--results", results, "--study", "main") == 2
    assert "No architecture of study main 'bn25'. Did you mean 'bn25k'?" in capsys.readouterr().err


@pytest.mark.usefixtures("blank_figures")
def test_why_verdicts_are_judged_again_is_said_before_anything_trains(
    decided: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, tiny = shutil.copytree(decided, tmp_path / "r"), write_tiny(tmp_path)
    words = ("--arch", "lenet21k", "--arch", tiny, "--dataset", "mnist5k", "--epochs", 1, "--results", results)

    def said(*more: object) -> str:
        capsys.readouterr()
        assert run(*words, *more) == 0
        return " ".join(capsys.readouterr().out.split())

    first = said("--study", "fixed", "--seeds", 6, "--no-timing", "--quiet")
    assert "Judged again" not in first
    plan = ("--study", "fixed", "--plan")
    assert "Judged again" not in said(*plan, "--seeds", 6), "nothing changes"
    by_hand = said(*plan, "--seeds", 8)
    # the looks are 6:12 of study main, 6 of this one and 8
    assert "Judged again: 1 verdict on mnist5k, shared recipe, 1 epoch, cpu. 2 more seeds after verdicts" in by_hand
    assert "at most 3 in twenty tables like this one then call anything better by luck. --seeds 6:30" in by_hand
    assert "what is decided stands, and at most 3 in twenty" in said(*plan, "--seeds", "6:30")
    assert "--fresh trains its runs again." in said(*plan, "--seeds", 6, "--fresh")
    assert "The margins are others." in said(*plan, "--seeds", 6, "--margin", 0.3)
    write_tiny(tmp_path, hidden=16)
    assert "tiny changed and is trained anew." in said(*plan, "--seeds", 6)
    assert "(a study is what is judged together; --study NAME begins another)" in said("--study", "new", "--plan")
