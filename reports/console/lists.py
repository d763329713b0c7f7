"""What a command says around its work: architectures, data, plan, what it leaves out, where its report is."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.core.metadata import LANES
from bench.core.recipe import FEW_STEPS, few_steps_text
from bench.system.text import duration, first_ones, listing, one_line, plural
from reports.console.earlier import describe_earlier
from reports.console.live import estimate_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from bench.core.architecture import Architecture
    from bench.core.metadata import DatasetMetadata
    from bench.core.options import TuneOptions
    from bench.core.records import RunRecord
    from bench.core.run import Plan
    from bench.studies.experiment import Experiment
    from bench.studies.machine import Hardware
    from bench.studies.sequential import Comparison
    from bench.studies.tuning.study import TuningCost

_SUMMARY_WIDTH = 32
"""Columns that a summary needs beside the numbers; with fewer it stands below the table."""


def show_architectures(architectures: Sequence[Architecture], faults: Sequence[str], console: Console) -> None:
    """Print one row an architecture, variants under what they vary, and what is wrong with files that are broken."""
    rows = _in_families(architectures)
    table = _table(rows, summaries=False)
    # Its own width, however narrow the console: names and numbers are there to be copied and are not cut.
    table.width = console.measure(table, options=console.options.update(width=1000)).maximum
    if console.width - table.width >= _SUMMARY_WIDTH:
        console.print(_table(rows, summaries=True))
    else:
        console.print(table, crop=False)
        for _, net, summary in rows:
            if summary:
                console.print(Text.assemble((net.name, "bold"), f": {summary}"))
    for fault in faults:
        console.print(Text.assemble(("broken: ", "bold red"), fault))


def _table(rows: Sequence[tuple[str, Architecture, str]], *, summaries: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("architecture", style="bold", no_wrap=True)
    for name in ("parameters", "MACs"):
        table.add_column(name, justify="right", no_wrap=True)
    if summaries:
        table.add_column("what it is")
    for label, net, summary in rows:
        table.add_row(Text(label), _count(net.params), _count(net.macs), *([Text(summary)] if summaries else []))
    return table


def _in_families(architectures: Sequence[Architecture]) -> list[tuple[str, Architecture, str]]:
    """Each architecture once, after what it varies, with its name indented below it, and what it is.

    A variant that is not below what it varies says of what it is one.
    """
    placed: dict[str, tuple[str, Architecture, str]] = {}

    def place(net: Architecture, indent: str) -> None:
        if net.name not in placed:
            of = f"Variant of {net.variant_of}. " if net.variant_of and not indent else ""
            placed[net.name] = indent + net.name, net, f"{of}{net.summary}".strip() if of else net.summary
            for other in architectures:
                if other.variant_of == net.name:
                    place(other, f"  {indent}" if indent else "  ↳ ")

    names = {architecture.name for architecture in architectures}
    first = [architecture for architecture in architectures if architecture.variant_of not in names]
    for architecture in (*first, *architectures):  # again all, for variants of each other have no first one
        place(architecture, "")
    return list(placed.values())


def show_plan(plan: Plan, *, jobs: int, timing_seconds: float, console: Console) -> None:
    """Print what would be trained, what is stored, and how long it takes, one line an architecture."""
    console.print(f"{plural(len(plan.reused), 'run')} stored, to be reused.")
    console.print(f"{plural(len(plan.tasks), 'run')} to train, {jobs} at a time{':' if plan.tasks else '.'}")
    names = [task.request.architecture.name for task in plan.tasks] + [record.architecture for record in plan.reused]
    for name in dict.fromkeys(names):
        console.print(Text(f"  {name}: {_planned(plan, name)}"))
    if plan.tasks:
        basis = "as measured on this machine" if plan.measured else "a first guess from MACs and a trial step"
        clock = duration(plan.wall_seconds(jobs))
        console.print(f"About {clock} by the clock with {jobs} at a time, start-up included ({basis}).")
    if timing_seconds:
        console.print(f"Then about {duration(timing_seconds)} to measure speed and memory (--no-timing leaves it out).")
    if plan.tasks:
        console.print(f"Then about {duration(estimate_report(len(set(names))))} for the report.")
    console.print("Nothing was done.")


def show_tuning(tune_options: TuneOptions, cost: TuningCost, *, console: Console) -> None:
    """Print what a tuning will do and cost, before it begins."""
    seeds = f", {plural(tune_options.seeds, 'seed')} each" if tune_options.seeds > 1 else ""
    each = f"{plural(tune_options.trials, 'trial')}{seeds} of at most {plural(cost.epochs, 'epoch')}"
    console.print(
        f"Tuning {plural(cost.architectures, 'architecture')}, {each} for each: {cost.images:,} training "
        f"images and about {duration(cost.search_seconds)} at most."
    )
    console.print(f"Searched: {', '.join(cost.searched)}. Validation only: no trial looks at the test set.")
    if cost.stored:
        console.print(f"{plural(cost.stored, 'trial')} of these {'has' if cost.stored == 1 else 'have'} ended already.")
    if cost.without_knobs:
        console.print(f"Without knobs, so that only the recipe is searched: {', '.join(cost.without_knobs)}.")
    if len(tune_options.objectives) > 1:
        console.print(
            f"Tuned for {listing(list(tune_options.objectives))}: a front instead of one winner; no trial is pruned, "
            "as Optuna cannot with several objectives."
        )
    console.print(
        f"Then {plural(cost.runs, 'run')} on fresh seeds, winners beside the default recipe, about "
        f"{duration(cost.compare_seconds)}."
    )


def _planned(plan: Plan, name: str) -> str:
    """`4 runs (seeds 2–5), 3 epochs, about 1 min 30 s one after the other; 2 stored (seeds 0–1)`."""
    tasks = [task for task in plan.tasks if task.request.architecture.name == name]
    stored = [record.seed for record in plan.reused if record.architecture == name]
    seconds = duration(sum(plan.seconds[task.run_id] for task in tasks))
    seeds = _seeds(task.request.seed for task in tasks)
    budgets = listing(list(dict.fromkeys(str(task.request.budget) for task in tasks)))
    in_a_row = " one after the other" if len(tasks) > 1 else ""
    parts = (
        f"{plural(len(tasks), 'run')} ({seeds}), {budgets}, about {seconds}{in_a_row}" if tasks else "",
        f"{len(stored):,} stored ({_seeds(stored)})" if stored else "",
    )
    return "; ".join(filter(None, parts))


def _seeds(seeds: Iterable[int]) -> str:
    """`seeds 0–5, 8`, `seed 3`: neighbours as a range."""
    ordered = sorted(set(seeds))
    groups = itertools.groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0])
    spans = [[seed for _, seed in group] for _, group in groups]
    text = ", ".join(str(span[0]) if len(span) == 1 else f"{span[0]}–{span[-1]}" for span in spans)
    return f"seed{'' if len(ordered) == 1 else 's'} {text}"


def _count(number: int | None) -> str:
    return "undeclared" if number is None else f"{number:,}"


def show_dataset(dataset: DatasetMetadata, console: Console) -> None:
    """Print how many images there are, and what a reader must know of them."""
    console.print(f"Data: {dataset.name}, {dataset.pool_images:,} training and {dataset.test_images:,} test images.")
    if not all(name.isdigit() for name in dataset.classes):
        console.print(f"Classes: {escape(listing(first_ones([*map(one_line, dataset.classes)])))}.")
    if dataset.note:  # wrapped, unlike notes on nets
        console.print(f"[bold]Note:[/] {escape(dataset.note)}")


def show_left_out(faults: Sequence[str], console: Console) -> None:
    """Print why architectures are not trained."""
    for fault in faults:
        console.print(f"[bold red]Left out:[/] {escape(fault)}")


def show_notes(notes: Iterable[str], console: Console) -> None:
    """Print what a person should know of nets that are trained, one line for each."""
    for note in notes:
        console.print(f"[bold]Note:[/] {escape(note)}", soft_wrap=True)


def _describe_engine(hardware: Hardware) -> str:
    """Which engine trains, where that is not what every machine has or what was asked for; else nothing."""
    if hardware.without_kernels:
        return f"; engine {hardware.engine} ({hardware.without_kernels})"
    return f"; engine {hardware.engine}" if hardware.engine != "torch" else ""


def show_study(experiment: Experiment, console: Console, comparison: Comparison | None = None) -> None:
    """Print the study's name, where it is kept, what trains it if that is not the usual, and what its nets do oddly."""
    place = escape(str(experiment.options.results))
    new = experiment.name not in experiment.store.studies.names()
    what = " (a study is what is judged together; --study NAME begins another)" if new else ""
    engine = escape(_describe_engine(experiment.hardware))
    console.print(f"Study: {escape(experiment.name)}, in {place}/{what}{engine}.", soft_wrap=True)
    if (cluster := experiment.workplace.cluster) is not None:
        where = "on this host" if cluster.is_here else f"on {cluster.hosts} host{'s' if cluster.hosts > 1 else ''}"
        workers = f"{cluster.workers} worker{'s' if cluster.workers > 1 else ''}"
        console.print(f"Cluster: {cluster.address}, {workers} {where}.", soft_wrap=True)
    _show_fitted(experiment, console)
    if comparison is not None:
        show_notes(describe_earlier(experiment, comparison), console)
        show_notes(_describe_few_steps(experiment, comparison), console)
    show_notes(_describe_outside_lanes(experiment), console)
    show_notes([text for metadata in experiment.metadata.values() for text in metadata.proof.warnings], console)


def _describe_outside_lanes(experiment: Experiment) -> Iterator[str]:
    """Which nets the engine "lanes" leaves to torch."""
    if experiment.hardware.engine != "lanes":
        return
    for metadata in experiment.metadata.values():
        if metadata.proof.layout != LANES:
            faults = [text.partition(": ")[2] for text in metadata.proof.rejected if text.startswith(LANES)]
            other = (
                f"a step in lanes is not the printed one: {faults[0]}" if faults else "hooks, or no layers for lanes"
            )
            yield f"{metadata.architecture} is run by torch's own layers ({other})."


def _describe_few_steps(experiment: Experiment, comparison: Comparison) -> Iterator[str]:
    """That no run will take as many steps as learning takes; nothing of budgets of seconds."""
    steps = [
        request.budget.epochs * (experiment.train_images // request.recipe.batch_size)
        for request in comparison.requests
        if request.budget.epochs is not None
    ]
    if len(steps) == len(comparison.requests) and (most := max(steps)) < FEW_STEPS:
        yield few_steps_text(most)


def _show_fitted(experiment: Experiment, console: Console) -> None:
    """Print what nets become whose images or classes are others than those that they are declared for."""
    for net in experiment.architectures:
        if net.fitted_from is not None:
            parameters = plural(experiment.metadata[net.name].params, "parameter")
            console.print(f"{escape(net.name)} on {escape(experiment.dataset.name)}: {parameters}", soft_wrap=True)


def show_comparison(experiment: Experiment, comparison: Comparison, console: Console) -> None:
    """Print what would be trained; of seeds until decided the first, and the most that may follow."""
    seed_plan, jobs = comparison.seed_plan, experiment.workplace.jobs
    plan = experiment.plan(comparison.requests_of(0))
    if len(seed_plan.looks) > 1:
        most = experiment.plan(comparison.requests)
        console.print(
            f"Until decided: {seed_plan.first} seeds first, as follows; then more, up to "
            f"{len(seed_plan.seeds)}, for pairs that are still undecided: at most "
            f"{len(most.tasks) - len(plan.tasks):,} more runs, {duration(most.wall_seconds(jobs))} in all."
        )
    show_plan(plan, jobs=jobs, timing_seconds=experiment.timing_seconds(), console=console)


def show_pruning(unused: Sequence[RunRecord], *, plan_only: bool, console: Console) -> None:
    """Print whose weights are deleted by which rule."""
    total = sum(record.checkpoint_bytes or 0 for record in unused)
    console.print(
        "Rule: the weights of runs that no study compares any more (superseded, repeated or failed) are deleted; "
        "their numbers, curves and predictions stay."
    )
    verb = "would be" if plan_only else "are"
    console.print(f"{len(unused)} files, {total / 1e6:,.1f} MB, {verb} deleted.")
