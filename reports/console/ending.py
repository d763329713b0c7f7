"""How a command ends on a terminal: the answer, one table of verdicts and costs, what it took, where the report is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from bench.analysis.stats.estimates import median_of
from bench.analysis.verdicts import BETTER, PairVerdict, Verdict
from bench.system.text import duration, listing, number, percent, plural
from reports.answer import find_answer
from reports.cells import MISSING
from reports.sections.comparison import accuracy_of, interval_text, seeds_text
from reports.summary import clock_seconds, summed_training
from reports.writers.terminal import longest_word, show_prose, show_section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.analysis.conditions import Condition, Entry
    from bench.core.records import RunRecord
    from reports.document import Section, Tone
    from reports.write import WrittenReport

_BESIDE: tuple[Tone, ...] = ("failure", "advice", "warning", "data")
"""Notes of the first lines that stand below the tables; what is undecided stands in these."""
_MOST_NAMED = 3
"""Nets that a row names beside a verdict; of more it says how many."""
_VERDICT_WIDTH = 26
"""Columns that the verdicts keep before a further column finds room."""
_FIRST_TO_GO = ("Parameters", "Seeds", "Training (s)")
"""Columns that a very narrow terminal goes without."""
_GAP = 2
"""Characters between two columns of the table, one of which is the box's."""


def show_report(report: WrittenReport) -> None:
    """Print the summary, which even --quiet leaves, and where the rest is."""
    console = Console(highlight=False)
    show_ending(report, console)
    console.print(f"Report: {report.html}", markup=False, soft_wrap=True)


def show_ending(report: WrittenReport, console: Console) -> None:
    """Print what was found: what failed, by condition the answer and a row for each net, and once what holds of all."""
    conditions, lead = report.conditions, report.document.lead
    first = next((at for at, prose in enumerate(lead) if prose.tone == "answer"), len(lead))
    for prose in lead[:first]:
        show_prose(prose, console)
    for at, condition in enumerate(conditions):
        if at:
            console.print()
        if len(conditions) > 1:
            console.print(Text(condition.title, style="bold underline"))
        console.print(Text(find_answer(condition).text, style="bold"))
        console.print(verdict_table(condition, width=console.width))
    # The answer too of a study that compares nothing, as one of claims.
    alone = lead[first : first + (not conditions)]
    if beside := [*alone, *(prose for prose in lead[first:] if prose.tone in _BESIDE)]:
        console.print()
    for prose in beside:
        show_prose(prose, console)
    for section in _asked_for(report):
        show_section(section, console)
    console.print()
    if notes := list(_notes(conditions)):
        console.print(Text(" ".join(notes), style="dim"))
    if cost := describe_cost([run for condition in conditions for run in condition.records]):
        console.print(Text(cost))


def _asked_for(report: WrittenReport) -> Iterator[Section]:
    """The open sections beside those of the conditions: a tuning, before and after."""
    slugs = tuple(condition.slug for condition in report.conditions) or ("\0",)
    is_open = (section for section in report.document.sections if not (section.detail or section.gist))
    yield from (section for section in is_open if not section.slug.startswith(slugs))


def _notes(conditions: Sequence[Condition]) -> Iterator[str]:
    """What every verdict is subject to, in a sentence each; nothing where none was reached."""
    judged = [condition for condition in conditions if any(pair.p is not None for pair in condition.accuracy.pairs)]
    if not judged:
        return
    looks = max(condition.times_shown for condition in judged)
    yield (
        "Better: on typical seeds, for this data, recipe and budget; at most "
        f"{'one' if looks == 1 else looks} in 20 such tables says so by luck. Undecided is not equal."
    )
    if any(pair.typical_only for condition in judged for pair in condition.accuracy.pairs):
        yield "*: ahead on typical seeds, but not for sure in the mean."


def describe_cost(runs: Sequence[RunRecord]) -> str:
    """`24 runs took 10 min 12 s by the clock, 19 min 27 s of training in all.`; empty where nothing trained."""
    trained = list({run.run_id: run for run in runs if run.train_seconds}.values())  # some stand in two tables
    if not trained:
        return ""
    training = f"{duration(summed_training(trained))} of training in all"
    clock = clock_seconds(trained)
    by_clock = f"{duration(clock)} by the clock, " if clock else ""
    return f"{plural(len(trained), 'run')} took {by_clock}{training}."


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Column:
    """A column of the table: its head, and what it says of a net. One that is optional needs room."""

    name: str
    cell: Callable[[Entry], Text]
    justify: Literal["left", "right"] = "right"
    optional: bool = True
    wraps: bool = False  # at the spaces of its cells

    def widths(self, entries: Sequence[Entry]) -> tuple[int, int]:
        """Characters that it takes at least, so that no word is broken, and those with its cells whole."""
        cells = [self.cell(entry).plain for entry in entries]
        whole = max(longest_word(self.name), *map(len, cells))
        return (max(map(longest_word, (self.name, *cells))) if self.wraps else whole), whole


def verdict_table(condition: Condition, *, width: int) -> Grid:
    """One row a net, the best group first, with what it costs; a rule parts those that share no group."""
    columns = _columns(condition)
    blocks = _blocks(condition)
    entries = [entry for block in blocks for entry in block]
    widths = _widths(columns, entries, room=width)
    grid = Grid(box=box.HORIZONTALS, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0), header_style="bold")
    grid.title, grid.title_justify, grid.title_style = Text(_caption(condition)), "left", "dim"
    for column in columns:
        if column.name in widths:
            grid.add_column(column.name, justify=column.justify, overflow="fold", width=widths[column.name])
    for block in blocks:
        for entry in block:
            grid.add_row(*(column.cell(entry) for column in columns if column.name in widths))
        grid.add_section()
    return grid


def _caption(condition: Condition) -> str:
    each = f", {plural(len(condition.entries[0].records), 'seed')} each" if _same_seeds(condition) else ""
    return f"{condition.metric.title} on {condition.title}{each}; training seconds are the median of a run"


def _blocks(condition: Condition) -> list[list[Entry]]:
    """The nets by group, in order; by name where nothing was told apart; those without a value last."""
    entries = {entry.label: entry for entry in condition.entries}
    blocks = [[entries.pop(label) for label in block if label in entries] for block in condition.accuracy.ordered]
    return [block for block in (*blocks, [*entries.values()]) if block]


def _columns(condition: Condition) -> list[_Column]:
    accuracies = {entry.label: accuracy_of(entry, condition) for entry in condition.entries}

    def text(read: Callable[[Entry], str]) -> Callable[[Entry], Text]:
        return lambda entry: Text(read(entry))

    def median(read: Callable[[RunRecord], float | None], digits: int = 0) -> Callable[[Entry], Text]:
        def cell(entry: Entry) -> Text:
            value = median_of([found for run in entry.records if (found := read(run)) is not None])
            return Text(MISSING if value is None else number(value, digits))

        return cell

    timed = len(condition.clocks) == 1  # times of several machines or settings have no order
    columns = [
        _Column(name="Architecture", cell=lambda e: Text(e.label, style="bold"), justify="left", optional=False),
        _Column(
            name="Balanced (%)" if condition.metric.is_balanced else "Accuracy (%)",
            cell=text(lambda e: _mean(accuracies[e.label].mean)),
            optional=False,
        ),
        _Column(name="95 % interval", cell=text(lambda e: interval_text(accuracies[e.label])), justify="left"),
        _Column(name="Parameters", cell=median(lambda run: run.params), optional=False),
        _Column(name="MACs", cell=median(lambda run: run.macs)),
        _Column(name="Training (s)", cell=median(lambda run: run.train_seconds if timed else None, 1), optional=False),
        _Column(name="Seeds", cell=text(seeds_text), justify="left", optional=False, wraps=True),
        _Column(
            name="Verdict",
            cell=lambda entry: standing(entry.label, condition.accuracy.pairs),
            justify="left",
            optional=False,
            wraps=True,
        ),
    ]
    said = {"Verdict": bool(condition.accuracy.pairs), "Seeds": not _same_seeds(condition)}
    return [column for column in columns if said.get(column.name, True)]


def _same_seeds(condition: Condition) -> bool:
    """Whether every run of every net ended ok, on as many seeds of each, as the caption says."""
    return len({(len(entry.having("ok")), len(entry.records)) for entry in condition.entries}) == 1 and all(
        run.status == "ok" for run in condition.records
    )


def _mean(accuracy: float | None) -> str:
    return MISSING if accuracy is None else percent(accuracy)


def _widths(columns: Sequence[_Column], entries: Sequence[Entry], *, room: int) -> dict[str, int]:
    """Widths of the columns that find room, by name, so that no word is broken; those that wrap take what is left."""
    found = {column.name: column.widths(entries) for column in columns}
    widths = {name: least for name, (least, _) in found.items()}
    comfort = max(0, min(found["Verdict"][1], _VERDICT_WIDTH) - widths["Verdict"]) if "Verdict" in found else 0
    shown = [column.name for column in columns if not column.optional]
    for column in (column for column in columns if column.optional):
        if _total([widths[name] for name in (*shown, column.name)]) + comfort <= room:
            shown.append(column.name)
    for name in _FIRST_TO_GO:
        if name in shown and _total([widths[name] for name in shown]) > room:
            shown.remove(name)
    spare = room - _total([widths[name] for name in shown])
    for name in (name for name in ("Verdict", "Seeds") if name in shown):
        more = max(0, min(spare, found[name][1] - widths[name]))
        widths[name], spare = widths[name] + more, spare - more
    return {column.name: widths[column.name] for column in columns if column.name in shown}


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


_CLAUSES = (
    ("better than", "green"),
    ("worse than", "red"),
    ("equivalent to", "cyan"),
    ("undecided with", "yellow"),
    ("too few seeds against", "yellow"),
)
"""What can be said of a net beside others, in the order in which it is said, and its colour."""


def standing(label: str, pairs: Sequence[PairVerdict]) -> Text:
    """How a net stands beside the others: `better than a, b; undecided with c`."""
    others: dict[str, list[str]] = {words: [] for words, _ in _CLAUSES}
    for pair in pairs:
        if label in (pair.a, pair.b):
            others[_words(label, pair)].append(f"{pair.other(label)}{'*' if pair.typical_only else ''}")
    count = sum(map(len, others.values()))
    clauses = [
        Text(f"{words} {_named(others[words], of=count)}", style=style) for words, style in _CLAUSES if others[words]
    ]
    return Text("; ").join(clauses) if clauses else Text(MISSING)


def _words(label: str, pair: PairVerdict) -> str:
    if pair.verdict in BETTER:
        return "better than" if pair.winner == label else "worse than"
    words = {Verdict.EQUIVALENT: "equivalent to", Verdict.UNDECIDED: "undecided with"}
    return words.get(pair.verdict, "too few seeds against")


def _named(names: Sequence[str], *, of: int) -> str:
    if len(names) == of > _MOST_NAMED - 1 and not any(name.endswith("*") for name in names):
        return "all others"
    return listing([*names]) if len(names) <= _MOST_NAMED else f"{len(names)} others"
