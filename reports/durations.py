"""How long the runs of one condition took: to a target, and on the clock of one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.records import TARGETS
from bench.stats.estimates import estimate_time_to_target, median_of
from reports.document import Cell, Column, Table
from reports.machines import describe_setting, setting_of
from reports.wording import MISSING, number_cell, percent_cell, text_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.records import RunRecord
    from reports.conditions import Condition
    from reports.machines import Setting


def time_to_target_table(condition: Condition) -> Table:
    """One row an architecture and target: how many runs got there, medians with "never" as infinite."""
    rows = []
    for entry in condition.entries:
        for target in TARGETS:
            time = estimate_time_to_target(entry.records, target)
            reached = Cell(text=f"{time.reached} of {time.runs}", value=time.reached / time.runs if time.runs else None)
            rows.append(
                (
                    Cell(text=entry.label),
                    percent_cell(target, 0),
                    reached,
                    number_cell(time.epochs, 2),
                    number_cell(time.images),
                )
            )
    return Table(
        caption='Way to a validation accuracy; medians over seeds, "never" counted as infinite',
        columns=(
            Column(name="Architecture", numeric=False),
            Column(name="Target (%)"),
            Column(name="Runs that got there", numeric=False),
            Column(name="Epochs"),
            Column(name="Training images", essential=False),
        ),
        rows=tuple(rows),
    )


def speed_tables(condition: Condition) -> tuple[tuple[Setting, Table], ...]:
    """Training times, one table for each machine, device, thread count and job count, with that setting."""
    return tuple((setting, _speed_table(condition, setting)) for setting in condition.clocks)


def _speed_table(condition: Condition, setting: Setting) -> Table:
    rows = []
    for entry in condition.entries:
        runs = [run for run in entry.records if setting_of(run) == setting]
        if any(run.status == "ok" for run in runs):
            rows.append((Cell(text=entry.label), *_speed_cells(runs)))
    where = describe_setting(setting, with_machine=condition.has_unlike_machines)
    *_, jobs = setting
    shared = "; shared the machine with other runs: not ranked" if jobs > 1 else ""
    apart = ""
    if condition.has_unlike_machines:
        apart = "; runs of unlike machines stand in tables of their own, and there is no order between these"
    elif len(condition.clocks) > 1:
        apart = "; runs of another machine or setting stand in a table of their own"
    return Table(
        caption=f"Training speed ({where}); medians over seeds, evaluation excluded{shared}{apart}",
        columns=(
            Column(name="Architecture", numeric=False),
            Column(name="Runs"),
            Column(name="Training (s)"),
            Column(name="Lowest to highest (s)", numeric=False, essential=False),
            Column(name="Training images/s"),
            Column(name="Seconds to 95 %"),
            Column(name="Seconds to 98 %", essential=False),
        ),
        rows=tuple(rows),
    )


def _speed_cells(runs: Sequence[RunRecord]) -> tuple[Cell, ...]:
    ok = [run for run in runs if run.status == "ok"]
    seconds = [run.train_seconds for run in ok if run.train_seconds is not None]
    extent = f"{min(seconds):,.1f} to {max(seconds):,.1f}" if seconds else MISSING
    return (
        number_cell(len(ok)),
        number_cell(median_of(seconds), 1),
        text_cell(extent),
        number_cell(median_of([run.train_images_per_second for run in ok])),
        number_cell(estimate_time_to_target(runs, 0.95).seconds, 1),
        number_cell(estimate_time_to_target(runs, 0.98).seconds, 1),
    )
