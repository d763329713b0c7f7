"""Claims on a terminal: what running them takes, and what cannot be run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.system.text import duration, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.studies.claims.work import ClaimsWork


def show_claims_plan(work: ClaimsWork, console: Console) -> None:
    """Print, claim by claim, what it asks for, what is stored and how long the rest takes; then all of it together."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("id", "claim"):
        table.add_column(name)
    for name in ("runs", "stored", "about"):
        table.add_column(name, justify="right")
    for claim in work.claims:
        requests = work.requests_of([claim])
        missing = work.missing_of(requests)
        seconds = duration(work.seconds_of(missing)) if missing else "nothing"
        stored = len(requests) - len(missing)
        table.add_row(claim.id, Text(claim.text), f"{len(requests):,}", f"{stored:,}", seconds)
    console.print(table)
    every = work.requests_of(work.claims)
    missing = work.missing_of(every)
    console.print(
        f"{plural(len(every), 'run')} in all (claims share runs), {len(every) - len(missing):,} stored; the others "
        f"take about {duration(work.seconds_of(missing))} by the clock, {work.experiment.workplace.jobs} at a time. "
        "What stays undecided gets further seeds where that is affordable."
    )
    console.print("Nothing was done.")


def show_faults(faults: Sequence[str]) -> None:
    """Print what cannot be run, a line each; even --quiet leaves it."""
    console = Console(stderr=True, highlight=False)
    for fault in faults:
        console.print(Text.assemble(("Left out: ", "bold red"), one_line(fault)), soft_wrap=True)
