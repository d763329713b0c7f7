"""The front door: arguments → requests → records → reports → exit code. Nothing else knows all rooms.

Exit codes: 0 all well; 1 a run failed or the gate found a regression; 2 bad usage or bad input; 130 interrupted.
Heavy imports stand inside the functions that need them, so that --help and a wrong flag answer at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from bench.arguments import Arguments, parse_arguments
from bench.errors import ActionError, ArchitectureError, BenchError, NoStoreError, StoreError
from bench.events import RunFinished

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from bench.events import Event
    from bench.experiment import Experiment
    from bench.facts import ArchitectureFacts, DatasetFacts
    from bench.gate.recording import Recording
    from bench.gate.work import GateWork
    from bench.records import Study
    from bench.spec import Architecture
    from bench.store.store import Store
    from reports.write import WrittenReport

ARCHITECTURES = Path(__file__).resolve().parent / "architectures"

_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""A machine says these, not a mistake of ours: `--list > /dev/full`, a disk that fills or turns read-only."""

SHORT_HELP = """\
  python runner.py --all                 train every architecture, compare, write the reports
  python runner.py --arch NAME           train some; --list shows them
  python runner.py --arch NAME --tune    tune it, then compare tuned with default
  python runner.py --all --check         did a change make a net worse than thresholds.toml says?
  python runner.py --report              write the reports again from stored results
  python runner.py --help                everything else"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks for.

    Args:
        argv: Words after the program's name; those of the process when None.

    Returns:
        The exit code.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        arguments = parse_arguments(argv)
        command = shlex.join(["python", "runner.py", *argv])
        return _ACTIONS[arguments.action](arguments, command)
    except ActionError as error:
        errors.print(f"runner.py: {error}\n{SHORT_HELP}")
    except BenchError as error:
        errors.print(f"runner.py: {error}")
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `runner.py --list | head`: nobody listens any more
        _drop_output()
        return 1
    except OSError as error:
        if error.errno not in _DISK_FAULTS:
            raise
        place = f"'{error.filename}'" if error.filename else "The output or a file"
        errors.print(f"runner.py: {place} cannot be written ({error.strerror}); mend that and run the command again.")
        _drop_output()
    return 2


def _drop_output() -> None:
    """Let what is still buffered go nowhere, or the interpreter would fail on it once more as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _train(arguments: Arguments, command: str) -> int:
    from bench.device import find_device

    console = _console(arguments)
    chosen, broken = _choose(arguments)
    device, dataset = find_device(arguments.device), _find_dataset(arguments, console)
    checked = _check(chosen, dataset, broken, strict=bool(arguments.patterns))
    for fault in broken:
        console.print(f"[bold red]Left out:[/] {escape(fault)}")
    nets = [architecture for architecture in chosen if architecture.name in checked]
    with _open_experiment(arguments, command, nets, checked, dataset=dataset, device=device) as experiment:
        _say_study(experiment, console)
        return _do(experiment, console) or int(bool(broken))


def _find_dataset(arguments: Arguments, console: Console) -> DatasetFacts:
    """The dataset, said in the first lines."""
    from bench.data.datasets import find_dataset

    dataset = find_dataset(
        arguments.dataset, arguments.data_dir, announce=lambda line: console.print(escape(line))
    ).facts
    console.print(f"Data: {dataset.name}, {dataset.pool_images:,} training and {dataset.test_images:,} test images.")
    if dataset.note:
        console.print(f"[bold]Note:[/] {escape(dataset.note)}")
    return dataset


@contextlib.contextmanager
def _open_experiment(
    arguments: Arguments,
    command: str,
    architectures: Sequence[Architecture],
    facts: dict[str, ArchitectureFacts],
    *,
    dataset: DatasetFacts,
    device: str,
) -> Iterator[Experiment]:
    """What the command trains, and an open store for it."""
    from bench.device import default_jobs
    from bench.experiment import Experiment
    from bench.files import make_writable_folder
    from bench.task import Workplace

    workplace = Workplace(
        results=arguments.results if arguments.plan_only else make_writable_folder(arguments.results),
        store_url=arguments.store_url,
        data_dir=arguments.data_dir,
        jobs=arguments.jobs or default_jobs(device),
    )
    with _open_for(arguments) as store:
        usual = "gate" if arguments.gate else store.last_study(compares=True) or "main"
        yield Experiment(
            name=arguments.study or usual,
            command=command,
            arguments=arguments,
            architectures=architectures,
            dataset=dataset,
            device=device,
            facts=facts,
            workplace=workplace,
            store=store,
        )


def _say_study(experiment: Experiment, console: Console) -> None:
    place = escape(str(experiment.arguments.results))
    console.print(f"Study: {escape(experiment.name)}, in {place}/.", soft_wrap=True)


def _do(experiment: Experiment, console: Console) -> int:
    """Train, or tune and train, or say what would be done; the exit code."""
    tune = experiment.arguments.tune
    if tune is not None:
        from bench.tuning.cost import estimate_cost
        from bench.tuning.work import TuningWork
        from reports.listing import show_tuning

        tuning = TuningWork(experiment=experiment, settings=tune)
        show_tuning(tune, estimate_cost(tuning), console=console)
        if experiment.arguments.plan_only:
            console.print("Nothing was done.")
            return 0
        return _follow(tuning.events(), experiment, console) or int(not tuning.all_won())
    if experiment.arguments.plan_only:
        _show_plan(experiment, console)
        return 0
    return _follow(experiment.events(), experiment, console)


def _check_gate(arguments: Arguments, command: str) -> int:
    """Hold architectures against their references."""
    from bench.device import find_device
    from bench.gate.file import read_thresholds
    from bench.gate.selection import Selection
    from bench.gate.settings import refuse_contradiction
    from bench.gate.work import GateWork, check_data, find_source
    from bench.nets.registry import discover
    from reports.listing import show_promise

    settings, console = arguments.gate, _console(arguments)
    assert settings is not None  # noqa: S101 - parsed with the action
    thresholds = read_thresholds(settings.file)
    refuse_contradiction(arguments, thresholds)
    selection, registry = Selection(thresholds), discover(ARCHITECTURES)
    if arguments.all:
        selection.add_all(registry, variants=arguments.variants)
    elif arguments.patterns:
        selection.add_named(arguments.patterns, registry)
    else:
        selection.add_references(registry)
    arguments = dataclasses.replace(arguments, dataset=thresholds.dataset)
    device, dataset = find_device(thresholds.device), _find_dataset(arguments, console)
    check_data(thresholds, dataset)
    selection.count(dataset)
    with _open_experiment(
        arguments, command, selection.nets, selection.facts, dataset=dataset, device=device
    ) as experiment:
        _say_study(experiment, console)
        work = GateWork(
            experiment=experiment,
            thresholds=thresholds,
            judged=selection.judged,
            source=find_source(settings.file, thresholds),
        )
        show_promise([thresholds.references[net.name] for net in selection.nets], settings.drop, console=console)
        if arguments.plan_only:
            _show_gate_plan(work, console)
            return 0
        return _follow(work.events(), experiment, console, end=lambda: _end_gate(work))


def _show_gate_plan(work: GateWork, console: Console) -> None:
    from reports.listing import show_plan

    experiment = work.experiment
    plan = experiment.plan([request for of in work.first_requests().values() for request in of])
    show_plan(plan, jobs=experiment.workplace.jobs, timing_seconds=0, console=console)


def _end_gate(work: GateWork) -> int:
    """Store and write how a check ended; its exit code."""
    from reports.gate import gate_summary
    from reports.gate_files import write_gate
    from reports.terminal import show_summary

    experiment, settings = work.experiment, work.experiment.arguments.gate
    assert settings is not None  # noqa: S101 - parsed with the action
    outcome = work.outcome(file=str(settings.file), drop=settings.drop)
    experiment.store.add_gate(experiment.name, outcome)
    annotations = write_gate(outcome, experiment.arguments.results, os.environ)
    show_summary(gate_summary(outcome), Console(highlight=False))
    if annotations:
        print(annotations)
    return 0 if outcome.passed else 1 if outcome.regressed else 2


def _record(arguments: Arguments, command: str) -> int:
    """Record the gate's references."""
    from bench.device import find_device
    from bench.gate.baseline import find_baseline
    from bench.gate.recording import Recording
    from bench.nets.registry import discover
    from reports.listing import show_plan

    settings, console = arguments.gate, _console(arguments)
    assert settings is not None  # noqa: S101 - parsed with the action
    baseline = find_baseline(arguments, discover(ARCHITECTURES))
    arguments = dataclasses.replace(arguments, dataset=baseline.dataset)
    device, dataset = find_device(baseline.device), _find_dataset(arguments, console)
    facts = _check(baseline.nets, dataset, [], strict=True)
    with _open_experiment(arguments, command, baseline.nets, facts, dataset=dataset, device=device) as experiment:
        _say_study(experiment, console)
        recording = Recording(experiment=experiment, baseline=baseline, runs=settings.runs)
        if arguments.plan_only:
            plan = experiment.plan(recording.requests())
            show_plan(plan, jobs=experiment.workplace.jobs, timing_seconds=0, console=console)
            return 0
        return _follow(recording.events(), experiment, console, end=lambda: _end_recording(recording, console))


def _end_recording(recording: Recording, console: Console) -> int:
    """Write what was recorded; 1 when an architecture could not be."""
    from bench.gate.file import write_thresholds
    from reports.listing import show_recorded

    settings = recording.experiment.arguments.gate
    assert settings is not None  # noqa: S101 - parsed with the action
    if recording.recorded:
        write_thresholds(settings.file, recording.thresholds())
    show_recorded(recording, settings, console=console)
    return int(bool(recording.faults))


def _open_for(arguments: Arguments) -> Store:
    """The store to train with. A plan where there is none is made in memory: planning leaves nothing behind."""
    from bench.store.store import open_store

    if not arguments.plan_only:
        return open_store(arguments.store_url)
    try:
        return open_store(arguments.store_url, create=False)
    except NoStoreError:
        return open_store("sqlite://")


def _choose(arguments: Arguments) -> tuple[list[Architecture], list[str]]:
    """The architectures asked for, and what is wrong with files that could not be loaded."""
    from bench.nets.registry import discover

    registry = discover(ARCHITECTURES)
    if arguments.patterns:
        return registry.select(arguments.patterns), []
    return registry.all(variants=arguments.variants), [str(error) for error in registry.broken.values()]


def _check(
    chosen: Sequence[Architecture], dataset: DatasetFacts, broken: list[str], *, strict: bool
) -> dict[str, ArchitectureFacts]:
    """What was counted of those that can be trained on the dataset, by name; the others' faults join `broken`."""
    from bench.nets.doctor import check

    facts = {}
    for architecture in chosen:
        try:
            facts[architecture.name] = check(architecture, dataset)
        except ArchitectureError as error:
            if strict:
                raise
            broken.append(str(error))
    if not facts:
        raise ArchitectureError(broken[0] if broken else f"No architecture in {ARCHITECTURES}; add a file.")
    return facts


def _show_plan(experiment: Experiment, console: Console) -> None:
    from reports.listing import show_plan
    from reports.wording import duration

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


def _follow(
    events: Generator[Event, None, None],
    experiment: Experiment,
    console: Console,
    *,
    end: Callable[[], int] | None = None,
) -> int:
    """Show the events and keep the report up to date; 130 when interrupted.

    Args:
        events: What happens.
        experiment: What it happens to.
        console: Where.
        end: Says how it ended and gives the exit code; without one the summary is shown, and 1 means that a run failed.
    """
    from bench.events import Note, TrialFinished, TuningStarted
    from reports.keeper import ReportKeeper
    from reports.live import LiveView, Verbosity

    arguments = experiment.arguments
    keeper = ReportKeeper(lambda: _read_study(experiment.store, experiment.name, arguments), arguments.results)
    failed = trials = 0
    try:
        with (
            _announced_interrupt(console),
            LiveView(console, verbosity=Verbosity(min(max(arguments.verbosity + 1, 0), 2))) as view,
        ):
            for event in events:
                view.show(event)
                if isinstance(event, RunFinished):
                    failed += event.record.status == "failed"
                if isinstance(event, TuningStarted | TrialFinished):
                    trials = event.done
                if isinstance(event, RunFinished | TrialFinished) and (fault := keeper.refresh()):
                    view.show(Note(text=fault))
    except KeyboardInterrupt:
        events.close()
        _say_interrupted(experiment, trials, console)
        keeper.write()
        return 130
    if end is None:
        _show_report(keeper.write())
        return int(failed > 0)
    code = end()
    console.print(f"Report: {keeper.write().html}", markup=False, soft_wrap=True)
    return code


def _say_interrupted(experiment: Experiment, trials: int, console: Console) -> None:
    from bench.task import RunFiles

    if not experiment.begun:
        console.print(f"Interrupted. {trials} trials have ended and are stored; the same command goes on from there.")
        return
    reused = sum(len(plan.reused) for plan in experiment.begun)
    ended = {task.run_id: experiment.store.find_run(task.run_id) for plan in experiment.begun for task in plan.tasks}
    unfinished = [run_id for run_id, record in ended.items() if record is None or record.status == "interrupted"]
    saved = sum(RunFiles(run_id, experiment.workplace.results).state.is_file() for run_id in unfinished)
    more = f", {saved} more {'has' if saved == 1 else 'have'} saved epochs" if saved else ""
    fresh = "without --fresh no stored run is trained again."
    hint = fresh if experiment.arguments.fresh else "the same command goes on from there."
    done = reused + len(ended) - len(unfinished)
    console.print(
        f"Interrupted. {done} of {reused + len(ended)} runs begun so far have ended and are stored{more}; {hint}"
    )


@contextlib.contextmanager
def _announced_interrupt(console: Console) -> Iterator[None]:
    """Answer Ctrl-C at once: stopping the workers takes seconds, in which a silent program is interrupted again."""

    def stop(_number: int, _frame: object) -> None:
        console.print("Stopping …")
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _report(arguments: Arguments, _command: str) -> int:
    from reports.narrowing import find_names
    from reports.write import write_report

    study = _load_study(arguments)
    names = find_names(study, arguments.only) if arguments.only else None
    _show_report(write_report(study, arguments.results, only=names, earlier=_load_earlier(arguments)))
    return 0


def _load_earlier(arguments: Arguments) -> tuple[str, Study] | None:
    """The study to set beside, and where it lies: the one of the same name there, else the last."""
    from bench.store.copying import copied_store
    from bench.store.store import open_store

    if arguments.compare is None:
        return None
    with copied_store(arguments.compare) as folder:  # opening a store brings it up to date, and this one is not ours
        other = dataclasses.replace(arguments, results=folder, store=None)
        with open_store(other.store_url, create=False) as store:
            names = store.study_names()
            if not names:
                raise StoreError(f"No study in '{arguments.compare}' yet; name another directory with --compare.")
            name = arguments.study if arguments.study in names else names[0]
            return str(arguments.compare), _read_study(store, name, other)


def _load_study(arguments: Arguments) -> Study:
    """The study to show: the one named, else the last."""
    from bench.store.store import open_store

    with open_store(arguments.store_url, create=False) as store:
        name = arguments.study or store.last_study()
        if name is None:
            raise StoreError(f"No study in {store.place} yet; train one with --all or --arch NAME.")
        return _read_study(store, name, arguments)


def _read_study(store: Store, name: str, arguments: Arguments) -> Study:
    """A study with its tunings, judged by the settings of the command line where it has some."""
    study = store.load_study(name)
    if "tune" in study.roles.values():
        from bench.tuning.reading import read_tunings

        study = dataclasses.replace(study, tunings=read_tunings(study, arguments.store_url))
    return dataclasses.replace(study, settings=arguments.settings) if arguments.settings else study


def _show_report(report: WrittenReport) -> None:
    """The summary, which even --quiet leaves, and where the rest is."""
    from reports.terminal import show_summary

    console = Console(highlight=False)
    show_summary(report.document, console)
    console.print(f"Report: {report.html}", markup=False, soft_wrap=True)


def _list(arguments: Arguments, _command: str) -> int:
    from bench.nets.registry import discover
    from reports.listing import show_architectures

    registry = discover(ARCHITECTURES)
    faults = [str(error) for error in registry.broken.values()]
    show_architectures(registry.architectures, faults, _console(arguments))
    return int(bool(registry.broken))


def _prune(arguments: Arguments, _command: str) -> int:
    """Delete weights that no study compares any more; every number stays."""
    from bench.store.store import open_store

    console = _console(arguments)
    with open_store(arguments.store_url, create=False) as store:
        unused = store.unused_checkpoints()
        total = sum(record.checkpoint_bytes or 0 for record in unused)
        console.print(
            "Rule: the weights of runs that no study compares any more (superseded, repeated or failed) are deleted; "
            "their numbers, curves and predictions stay."
        )
        verb = "would be" if arguments.plan_only else "are"
        console.print(f"{len(unused)} files, {total / 1e6:,.1f} MB, {verb} deleted.")
        if not arguments.plan_only:
            for record in unused:
                (arguments.results / record.checkpoint).unlink(missing_ok=True)
            store.forget_checkpoints([record.run_id for record in unused])
    return 0


def _export(arguments: Arguments, _command: str) -> int:
    from reports.export import write_export

    path = write_export(_load_study(arguments), arguments.results, arguments.export or "csv")
    Console(highlight=False).print(f"Export: {path}", markup=False, soft_wrap=True)
    return 0


def _merge(arguments: Arguments, command: str) -> int:
    from bench.merge import merge

    merged = merge(arguments.merge or Path(), results=arguments.results, store_url=arguments.store_url)
    Console(highlight=False).print(str(merged), markup=False, soft_wrap=True)
    return _report(arguments, command)


def _console(arguments: Arguments) -> Console:
    return Console(quiet=arguments.verbosity < 0, highlight=False)


_ACTIONS = {
    "train": _train,
    "check": _check_gate,
    "write-thresholds": _record,
    "report": _report,
    "list": _list,
    "prune": _prune,
    "export": _export,
    "merge": _merge,
}

if __name__ == "__main__":
    sys.exit(main())
