"""How a command ends on a terminal, at the widths that terminals have, against lines written by hand."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from bench.analysis.conditions import find_conditions
from reports.answer import find_answer
from reports.build import build_document
from reports.console.ending import describe_cost, show_ending, show_report
from reports.summary import clock_seconds
from reports.write import WrittenReport
from tests.factories import make_run, make_study, study_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.core.records import RunRecord, Study

ACCURACIES = {
    "best": (0.991, 0.992, 0.9915, 0.9925, 0.991, 0.992),
    "near": (0.981, 0.9818, 0.9814, 0.9822, 0.981, 0.982),
    "like": (0.9815, 0.981, 0.982, 0.9815, 0.9818, 0.981),
    "last": (0.961, 0.962, 0.9615, 0.9625, 0.961, 0.962),
}
"""`best` lies above all others on every seed and `last` below; `near` and `like` go now this way, now that."""
SECONDS = {"best": 93.04, "near": 30.7, "like": 43.7, "last": 9.0}


def study(
    accuracies: Mapping[str, Sequence[float]] = ACCURACIES, *, statuses: Mapping[str, str] | None = None
) -> Study:
    """One run for each value, of the sizes of bn25k."""
    runs = []
    for net, values in accuracies.items():
        for seed, accuracy in enumerate(values):
            record, curve = make_run(net, seed=seed, status=(statuses or {}).get(f"{net} {seed}", "ok"))
            if record.status == "ok":
                record = dataclasses.replace(record, test_accuracy=accuracy, train_seconds=SECONDS.get(net, 10.0))
            runs.append((record, curve))
    return study_of(*runs)


def report_of(study: Study) -> WrittenReport:
    conditions = find_conditions(study)
    document, path = build_document(study, conditions), Path("r/report.html")
    return WrittenReport(
        document=document, conditions=tuple(conditions), html=path, markdown=path, runs=path, figures=()
    )


def ended(study: Study, *, width: int) -> list[str]:
    out = io.StringIO()
    show_ending(report_of(study), Console(file=out, width=width, highlight=False, color_system=None))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def table(lines: Sequence[str]) -> list[str]:
    """From the line under the head to the first empty one."""
    start = next(at for at, line in enumerate(lines) if line.startswith("───"))
    return list(lines[start + 1 : lines.index("", start)])


def test_the_answer_comes_first_and_the_table_has_cost_time_and_verdict() -> None:
    lines = ended(study(), width=80)
    (condition,) = find_conditions(study())
    answer = find_answer(condition).text
    assert answer.startswith("best is best: ")
    assert " ".join(lines).startswith(answer)
    rule = "─" * 80
    assert table(lines) == [
        "best             99.17      25,433      93.0  better than all others",
        rule,
        "near             98.16      25,433      30.7  better than last; worse than best;",
        "                                              undecided with like",
        "like             98.15      25,433      43.7  better than last; worse than best;",
        "                                              undecided with near",
        rule,
        "last             96.17      25,433       9.0  worse than all others",
    ]


def test_a_wide_terminal_shows_more_of_each_net() -> None:
    first = table(ended(study(), width=120))[0]
    assert first.split()[:8] == ["best", "99.17", "99.10", "to", "99.23", "25,433", "1,034,000", "93.0"]


def test_seeds_stand_in_the_caption_unless_some_were_lost() -> None:
    whole = " ".join(ended(study(), width=80))
    assert "Test accuracy on mnist, shared recipe, 3 epochs, cpu, 6 seeds each; training seconds" in whole
    assert "Seeds" not in whole
    lost = ended(study(statuses={"like 2": "diverged"}), width=80)
    assert "seeds each" not in " ".join(lost)
    (row,) = [line for line in table(lost) if line.startswith("like ")]
    assert "  5 of 6 " in row


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_word_is_broken_and_no_line_is_too_long(width: int) -> None:
    renamed = {"a-net-with-a-long-name": "best", "another_with_a_long_one": "near", "conv16k": "last"}
    nets = {new: ACCURACIES[old] for new, old in renamed.items()}
    lost = study(nets, statuses={"conv16k 1": "failed"})
    lines = ended(lost, width=width)
    assert max(map(len, lines)) <= width
    shown = set(" ".join(lines).split())
    wanted = "a-net-with-a-long-name another_with_a_long_one conv16k Architecture Accuracy Verdict better than".split()
    assert {*wanted, *(["failed)"] if width >= 80 else [])} <= shown


@pytest.mark.parametrize("width", [40, 80])
def test_every_study_stays_inside_its_width(width: int) -> None:
    assert max(map(len, ended(make_study(), width=width))) <= width


def test_what_a_verdict_is_subject_to_is_said_once() -> None:
    twice = dataclasses.replace(study(), **_doubled(study()))
    assert len(find_conditions(twice)) == 2
    said = " ".join(" ".join(ended(twice, width=80)).split())
    assert said.count("at most one in 20 such tables says so by luck. Undecided is not equal.") == 1
    assert "such tables" not in " ".join(ended(study({"one": (0.9, 0.8)}), width=80)), "nothing was judged"


def _doubled(one: Study) -> dict[str, Any]:
    """The fields of a study that has every run under a second budget too."""
    again = [
        dataclasses.replace(run, run_id=f"{run.run_id}-again", budget={"epochs": 9, "seconds": None})
        for run in one.records
    ]
    return {
        "records": (*one.records, *again),
        "roles": {**one.roles, **{run.run_id: "compare" for run in again}},
        "curves": {**one.curves, **{run.run_id: () for run in again}},
    }


def coloured(monkeypatch: pytest.MonkeyPatch, *, no_color: str | None) -> str:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    out = io.StringIO()
    console = Console(file=out, width=80, highlight=False, force_terminal=True, color_system="standard")
    show_ending(report_of(study()), console)
    return out.getvalue()


def test_verdicts_have_colours_unless_nobody_wants_any(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = coloured(monkeypatch, no_color=None)
    for words, colour in (("better than all others", 32), ("worse than all others", 31), ("undecided with", 33)):
        assert f"\x1b[{colour}m{words}" in shown
    colours = re.compile(r"\x1b\[(\d+;)*[349]\dm")
    assert colours.search(shown)
    assert not colours.search(coloured(monkeypatch, no_color="1"))


def test_names_are_no_markup() -> None:
    nets = {"[red]x[/red]": ACCURACIES["best"], "y": ACCURACIES["last"]}
    assert table(ended(study(nets), width=80))[0].startswith("[red]x[/red]  ")


def at(run: RunRecord, start: int, end: int) -> RunRecord:
    """The run from one second of a minute to another."""
    moments: dict[str, Any] = {
        "started_at": f"2026-01-01T00:00:{start:02}+00:00",
        "finished_at": f"2026-01-01T00:00:{end:02}+00:00",
    }
    return dataclasses.replace(run, train_seconds=5.0, wall_seconds=float(end - start), **moments)


def test_the_clock_counts_runs_side_by_side_once_and_no_pause() -> None:
    one = make_run("bn25k", seed=0)[0]
    spans = [(0, 10), (2, 4), (8, 15), (40, 45)]  # 15 s, a pause, 5 s
    runs = [at(make_run("bn25k", seed=seed)[0], *span) for seed, span in enumerate(spans)]
    assert clock_seconds(runs) == 20.0
    assert describe_cost(runs) == "4 runs took 20 s by the clock, 20 s of training in all."
    assert describe_cost([*runs, *runs]) == describe_cost(runs), "a run that stands in two tables trained once"
    unknown = dataclasses.replace(one, train_seconds=75.0, started_at="")
    assert clock_seconds([unknown]) == 0.0
    assert describe_cost([unknown]) == "1 run took 1 min 15 s of training in all."
    assert describe_cost([dataclasses.replace(one, train_seconds=None)]) == ""


def test_the_last_line_says_where_the_report_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_report(report_of(study()))
    assert capsys.readouterr().out.splitlines()[-1] == "Report: r/report.html"


def test_what_failed_comes_before_the_answer_and_the_open_pairs_stand_in_the_table_alone() -> None:
    broken = study({**ACCURACIES, "broken": (0.5,) * 6}, statuses={f"broken {seed}": "failed" for seed in range(6)})
    lines = ended(broken, width=80)
    assert lines[0].startswith("! broken failed on all 6 seeds: ")
    said = " ".join(lines)
    assert said.index("broken failed") < said.index("best is best: ")
    (row,) = [line for line in table(lines) if line.startswith("broken ")]
    assert (row.split()[1], row.split()[-1]) == ("—", "—")
    assert "This does not mean equal" not in said


def test_notes_on_the_data_stand_below_the_table() -> None:
    one = study()
    (data,) = one.datasets.values()
    noted = dataclasses.replace(one, datasets={"da7a": dataclasses.replace(data, note="Made of clay.")})
    lines = ended(noted, width=80)
    assert lines.index("! mnist: Made of clay.") > next(at for at, line in enumerate(lines) if line.startswith("last "))
