"""What a command says around its work: its data, its study, what it leaves out or would do, where its report is."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from bench.recipe import Budget
from reports.conditions import seed_plan_of
from reports.listing import show_plan
from reports.terminal import show_summary
from reports.wording import duration, first_ones, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.experiment import Experiment
    from bench.facts import DatasetFacts
    from bench.records import RunRecord
    from bench.spec import RunRequest
    from reports.write import WrittenReport


def show_dataset(dataset: DatasetFacts, console: Console) -> None:
    """Print how many images there are, and what a reader must know of them."""
    console.print(f"Data: {dataset.name}, {dataset.pool_images:,} training and {dataset.test_images:,} test images.")
    if dataset.note:
        console.print(f"[bold]Note:[/] {escape(dataset.note)}")


def show_left_out(faults: Sequence[str], console: Console) -> None:
    """Print why architectures are not trained.

    Args:
        faults: One line for each.
        console: Where.
    """
    for fault in faults:
        console.print(f"[bold red]Left out:[/] {escape(fault)}")


def show_notes(notes: Sequence[str], console: Console) -> None:
    """Print what a person should know of nets that are trained, one line for each."""
    for note in notes:
        console.print(f"[bold]Note:[/] {escape(note)}", soft_wrap=True)


def show_study(experiment: Experiment, console: Console) -> None:
    """Print the name of the study, where it is kept, who trains it if not this machine, and what its nets do oddly."""
    place = escape(str(experiment.arguments.results))
    console.print(f"Study: {escape(experiment.name)}, in {place}/.", soft_wrap=True)
    if (cluster := experiment.workplace.cluster) is not None:
        where = "on this host" if cluster.is_here else f"on {cluster.hosts} host{'s' if cluster.hosts > 1 else ''}"
        workers = f"{cluster.workers} worker{'s' if cluster.workers > 1 else ''}"
        console.print(f"Cluster: {cluster.address}, {workers} {where}.", soft_wrap=True)
    show_notes(_describe_earlier(experiment), console)
    for facts in experiment.facts.values():
        for warning in facts.proof.warnings:
            console.print(f"[bold]Note:[/] {escape(warning)}", soft_wrap=True)


def _describe_earlier(experiment: Experiment) -> list[str]:
    """What the study holds from earlier commands that changes what this one's results mean, a sentence each."""
    if experiment.name not in experiment.store.study_names():
        return []
    study, asked = experiment.store.load_study(experiment.name, with_details=False), experiment.arguments.seed_plan
    tables = {_table_of(request, request.recipe.to_json(), request.budget) for request in experiment.stages.requests}
    beside = [
        record
        for record in study.records
        if study.roles[record.run_id] == "compare"
        and _table_of(record, dict(record.recipe), Budget(**record.budget)) in tables
    ]
    told = []
    if others := {record.architecture for record in beside} - {net.name for net in experiment.architectures}:
        names = listing(first_ones(sorted(others)))
        told.append(
            f"{study.name} holds {names} too, judged with those named here; another --study would judge these alone."
        )
    furthest = seed_plan_of(beside, study)
    if furthest and len(asked.looks) == 1 and not set(asked.seeds) <= set(furthest.seeds):
        told.append(
            f"{study.name} is judged until decided (--seeds {furthest}): other seeds stand in no verdict; "
            f"--seeds {furthest.first}:{max(asked.seeds) + 1} takes them in."
        )
    return told


def _table_of(run: RunRequest | RunRecord, recipe: dict[str, Any], budget: Budget) -> str:
    """What a run shares with those in its table, be it wanted or stored."""
    place = (run.data_hash, run.protocol, run.device, run.torch_version, run.engine_version)
    return json.dumps([place, recipe, dataclasses.asdict(budget)], sort_keys=True)


def show_experiment(experiment: Experiment, console: Console) -> None:
    """Print what would be trained; of seeds until decided the first, and the most that may follow."""
    stages, jobs = experiment.stages, experiment.workplace.jobs
    plan = stages.plan(stages.of_look(0))
    if len(stages.seed_plan.looks) > 1:
        most = stages.plan(stages.requests)
        console.print(
            f"Until decided: {stages.seed_plan.first} seeds first, as follows; then more, up to "
            f"{len(stages.seed_plan.seeds)}, for pairs that are still undecided: at most "
            f"{len(most.tasks) - len(plan.tasks):,} more runs, {duration(most.wall_seconds(jobs))} in all."
        )
    show_plan(plan, jobs=jobs, timing_seconds=experiment.timing_seconds(), console=console)


def show_pruning(unused: Sequence[RunRecord], *, plan_only: bool, console: Console) -> None:
    """Print whose weights are deleted by which rule.

    Args:
        unused: The runs whose weights are.
        plan_only: Whether they only would be.
        console: Where.
    """
    total = sum(record.checkpoint_bytes or 0 for record in unused)
    console.print(
        "Rule: the weights of runs that no study compares any more (superseded, repeated or failed) are deleted; "
        "their numbers, curves and predictions stay."
    )
    verb = "would be" if plan_only else "are"
    console.print(f"{len(unused)} files, {total / 1e6:,.1f} MB, {verb} deleted.")


def show_report(report: WrittenReport) -> None:
    """Print the summary, which even --quiet leaves, and where the rest is."""
    console = Console(highlight=False)
    show_summary(report.document, console)
    console.print(f"Report: {report.html}", markup=False, soft_wrap=True)
