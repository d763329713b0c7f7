"""What --list and --plan print, at the widths that terminals have, against lines written by hand."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from torch import nn

from bench.core.run import Plan, RunRequest, Task
from bench.spec import Architecture, Budget, Recipe
from reports.console.lists import show_architectures, show_plan
from tests.factories import counted, make_run

if TYPE_CHECKING:
    from collections.abc import Sequence


def net(name: str, *, of: str | None = None, summary: str = "", params: int | None = 1_234) -> Architecture:
    return Architecture(name=name, build=nn.Identity, summary=summary, variant_of=of, params=params, macs=5)


def listed(architectures: Sequence[Architecture], *, width: int = 80, faults: Sequence[str] = ()) -> list[str]:
    out = io.StringIO()
    show_architectures(architectures, faults, Console(file=out, width=width, highlight=False))
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]


def names(lines: Sequence[str]) -> list[str]:
    """The first column below the head, as printed."""
    return [line[1:].partition("  1,234")[0].rstrip() for line in lines if "1,234" in line]


def test_at_eighty_columns_the_summary_wraps_beside_the_numbers() -> None:
    family = [net("bn25k", summary="one two three four five six seven eight nine ten"), net("bn24k", of="bn25k")]
    assert listed(family) == [
        " architecture   parameters   MACs   what it is",
        " " + "─" * 78,
        " bn25k               1,234      5   one two three four five six seven eight",
        " " * 36 + "nine ten",
        "   ↳ bn24k           1,234      5",
    ]


def test_a_narrow_console_shows_the_summaries_below_whole_names_and_numbers() -> None:
    long = "a_name_of_thirty_characters_xx"
    assert len(long) == 30
    family = [net("bn25k", summary="one two three"), net(long, of="bn25k", params=None)]
    for width in (60, 40):
        lines = listed(family, width=width)
        assert lines[0] == " architecture" + " " * 22 + "   parameters   MACs"
        assert lines[2] == " bn25k" + " " * 29 + "        1,234      5"
        assert lines[3] == f"   ↳ {long}   undeclared      5"
        assert lines[4:] == ["bn25k: one two three"]


def test_variants_follow_what_they_vary_however_they_were_found() -> None:
    found = [net("c", of="b"), net("x"), net("b", of="a"), net("a"), net("d", of="a")]
    assert names(listed(found)) == ["x", "a", "  ↳ b", "    ↳ c", "  ↳ d"]


def test_no_variant_is_lost_and_one_without_its_original_says_of_what() -> None:
    lines = listed([net("orphan", of="gone", summary="Wider."), net("p", of="q"), net("q", of="p"), net("s", of="s")])
    assert names(lines) == ["orphan", "p", "  ↳ q", "s"]
    assert [line[36:] for line in lines[2:]] == ["Variant of gone. Wider.", "Variant of q.", "", "Variant of s."]


def test_foreign_words_are_shown_as_they_are_and_broken_files_named() -> None:
    lines = listed([net("a[b]", summary="[red]not red[/red]")], faults=["[x].py, line 3: no"])
    assert names(lines) == ["a[b]"]
    assert lines[2].endswith("[red]not red[/red]")
    assert lines[-1] == "broken: [x].py, line 3: no"


def request(name: str, seed: int, budget: Budget) -> RunRequest:
    return RunRequest(
        architecture=net(name),
        architecture_hash=name,
        recipe=Recipe(),
        budget=budget,
        dataset="mnist",
        data_hash="0",
        seed=seed,
        split_seed=seed,
        device="cpu",
        torch_version="2",
        engine_version=1,
    )


def planned(
    tasks: dict[str, tuple[Sequence[int], float]],
    reused: dict[str, Sequence[int]],
    *,
    jobs: int = 1,
    budget: Budget | None = None,
) -> list[str]:
    """Lines of a plan of the given seeds and seconds a run."""
    made = {
        task(request(name, seed, budget or Budget(epochs=3))): s for name, (seeds, s) in tasks.items() for seed in seeds
    }
    plan = Plan(
        tasks=tuple(made),
        seconds={task.run_id: seconds for task, seconds in made.items()},
        reused=tuple(counted(make_run(name, seed=seed)[0]) for name, seeds in reused.items() for seed in seeds),
        measured=True,
    )
    return shown(plan, jobs=jobs)


def task(of: RunRequest) -> Task:
    return Task(request=of, attempt=1, recipe_name="shared", params=1, macs=1, timeout_seconds=60)


def shown(plan: Plan, *, jobs: int) -> list[str]:
    out = io.StringIO()
    show_plan(plan, jobs=jobs, timing_seconds=0.0, console=Console(file=out, width=100, highlight=False))
    return out.getvalue().splitlines()


def test_a_plan_has_one_line_an_architecture() -> None:
    lines = planned({"fc3136": ((3,), 100.0), "bn25k": (range(6), 15.0)}, {"conv16k": (0, 1, 2, 8), "fc3136": (0,)})
    assert lines == [
        "5 runs stored, to be reused.",
        "7 runs to train, 1 at a time:",
        "  fc3136: 1 run (seed 3), 3 epochs, about 1 min 40 s; 1 stored (seed 0)",
        "  bn25k: 6 runs (seeds 0–5), 3 epochs, about 1 min 30 s one after the other",
        "  conv16k: 4 stored (seeds 0–2, 8)",
        # 100 s and 90 s, and 6 to start
        "About 3 min 16 s by the clock with 1 at a time, start-up included (as measured on this machine).",
        "Then about 6 s for the report.",
        "Nothing was done.",
    ]


@pytest.mark.parametrize(
    ("seeds", "text"), [((7,), "seed 7"), ((1, 0), "seeds 0–1"), ((9, 2, 4, 3, 7), "seeds 2–4, 7, 9")]
)
def test_neighbouring_seeds_are_a_range_in_any_order(seeds: Sequence[int], text: str) -> None:
    assert planned({}, {"bn25k": seeds})[2] == f"  bn25k: {len(seeds)} stored ({text})"
    line = planned({"bn25k": (seeds, 1.0)}, {}, budget=Budget(seconds=0.5))[2]
    assert f" ({text}), 0.5 s of training, about {len(seeds)} s" in line


def test_several_at_a_time_take_less_by_the_clock_than_one_after_the_other() -> None:
    lines = planned({"fc3136": ((0, 1), 16.0), "bn25k": ((0,), 4.0)}, {}, jobs=2)
    assert lines[1:5] == [
        "3 runs to train, 2 at a time:",
        "  fc3136: 2 runs (seeds 0–1), 3 epochs, about 32 s one after the other",
        "  bn25k: 1 run (seed 0), 3 epochs, about 4 s",
        # 36 s of work are 18 s for two at a time, and 6 to start
        "About 24 s by the clock with 2 at a time, start-up included (as measured on this machine).",
    ]


def test_every_budget_of_an_architecture_is_named() -> None:
    tasks = [task(request("bn25k", seed, Budget(epochs=epochs))) for epochs in (9, 3) for seed in (0, 1)]
    plan = Plan(tasks=tuple(tasks), seconds={task.run_id: 5.0 for task in tasks}, reused=(), measured=True)
    assert shown(plan, jobs=1)[2] == (
        "  bn25k: 4 runs (seeds 0–1), 9 epochs and 3 epochs, about 20 s one after the other"
    )


def test_a_plan_of_nothing_says_so() -> None:
    assert planned({}, {}) == ["0 runs stored, to be reused.", "0 runs to train, 1 at a time.", "Nothing was done."]
