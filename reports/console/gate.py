"""The gate on a terminal: what it can catch before it trains, how a check ended, what was recorded."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from bench.studies.gate.rule import FRESH_SEEDS
from reports.sections.gate import gate_summary, power_warnings, promise_table, rate_notes
from reports.writers.gate import annotate
from reports.writers.terminal import grid, show_summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.core.options import GateOptions
    from bench.core.work.gate import GateOutcome, Judgement, Reference
    from bench.studies.gate.record import Recording


def show_promise(references: Sequence[Reference], drop: float, *, console: Console) -> None:
    """Print what the gate can catch, before it trains."""
    console.print(grid(promise_table(references, drop), width=console.width))
    for note in rate_notes(references):
        console.print(Text(note, style="dim"))
    _show_warnings(references, drop, console=console)


def _show_warnings(references: Sequence[Reference], drop: float, *, console: Console) -> None:
    for text in (text for reference in references for text in power_warnings([reference], drop)):
        console.print(Text(text, style="yellow"))


def show_foreseen(judgements: Iterable[Judgement], *, console: Console) -> None:
    """Print, for a plan, what fails without training, and what more may be trained."""
    for judgement in judgements:
        console.print(Text(f"Fails at once: {judgement.architecture}: {judgement.reason}", style="bold red"))
    console.print(f"First seeds, as follows; {FRESH_SEEDS} fresh ones more for each net whose first seeds fall.")


def show_outcome(outcome: GateOutcome, surroundings: Mapping[str, str], *, promised: bool) -> None:
    """Print how a check ended, which even --quiet leaves, and what GitHub Actions shows at the change."""
    console, listens = Console(highlight=False), surroundings.get("GITHUB_ACTIONS") == "true"
    if listens:  # a net's name at the start of a line must not be read as a command
        token = secrets.token_hex(16)
        console.print(f"::stop-commands::{token}", markup=False, soft_wrap=True)
    show_summary(gate_summary(outcome, promised=promised), console)
    if listens:
        console.print(f"::{token}::", markup=False, soft_wrap=True)
        console.print(annotate(outcome), markup=False, soft_wrap=True)


def show_recorded(recording: Recording, gate_options: GateOptions, *, console: Console) -> None:
    """Print what was recorded and what it can catch; faults and what may stay unseen are said even under --quiet."""
    for name, fault in recording.faults.items():
        Console(highlight=False).print(Text(f"Not recorded: {name}: {fault}", style="bold red"))
    if not recording.writable:
        Console(highlight=False).print(f"Nothing was written to {gate_options.file}.", markup=False, soft_wrap=True)
        return
    references = list(recording.recorded.values())
    show_promise(references, gate_options.drop, console=console)
    if console.quiet:
        _show_warnings(references, gate_options.drop, console=Console(highlight=False))
    if recording.dropped:
        console.print(f"No longer registered, and dropped: {', '.join(recording.dropped)}.", markup=False)
    Console(highlight=False).print(f"Recorded: {gate_options.file}; commit it.", markup=False, soft_wrap=True)
