"""The front door: arguments → requests → records → reports → exit code. Nothing else knows all rooms.

Exit codes: 0 all well; 1 a run failed or the gate found a regression; 2 bad usage or bad input; 130 interrupted.
Heavy imports stand inside the functions that need them, so that --help and a wrong flag answer at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.exit_code import drop_output, exit_code_of, say
from bench.core.errors import BenchError
from bench.system.interrupts import hear_to_the_end
from bench.system.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from bench.cli.arguments import Arguments
    from bench.core.options import ClaimOptions, GateOptions, TuneOptions, UseOptions
    from bench.data.datasets import Sample
    from bench.deploy.serving.playground import Playground
    from bench.studies.choosing import Fitted
    from bench.studies.claims.declared import Declared
    from bench.studies.claims.work import FittedClaims
    from bench.studies.experiment import Experiment
    from bench.studies.machine import Hardware
    from reports.console.follow import ReportKeeper

ARCHITECTURES = Path(__file__).resolve().parent / "architectures"


def start() -> int:
    """What `python runner.py` and the installed command run: the process's own words to its exit code."""
    hear_to_the_end()
    code = main()
    gc.freeze()  # or Python searches all that was imported for cycles as it ends, a second of nothing
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks for (the process's own when None); the exit code."""
    return exit_code_of(functools.partial(_act, list(sys.argv[1:] if argv is None else argv)))


def _act(argv: Sequence[str]) -> int:
    """Read the words and act."""
    from bench.cli.arguments import parse_arguments

    arguments = parse_arguments(argv)
    if arguments.gate is not None:
        return (_check if arguments.action == "check" else _record)(arguments, arguments.gate)
    if arguments.claims is not None:
        return _claims(arguments, arguments.claims)
    return _ACTIONS[arguments.action](arguments)


def _claims(arguments: Arguments, claim_options: ClaimOptions) -> int:
    """Run claims again and judge them; 2 when something of what was asked for cannot be run, 1 when a run failed."""
    from reports.console.live import Waiting

    console, options = _console(arguments), arguments.options
    with Waiting(console, "Starting") as waiting:
        from bench.system.process import prepare

        prepare(to_train=not options.plan_only)
        from bench.models.doctor.trial import Trial
        from bench.models.registry import discover
        from bench.studies.claims.declared import find_claims
        from bench.studies.claims.work import prepare_claims
        from bench.studies.machine import Hardware
        from reports.console.claims import show_faults
        from reports.console.start import find_images

        trial = Trial(verbose=arguments.verbosity > 0)
        declared = find_claims(claim_options.ids, claim_options.file, ARCHITECTURES / "claims")
        prepared = prepare_claims(declared, discover(ARCHITECTURES, trial.load))
        hardware = Hardware.find(options)
        fitted = []
        for name in prepared.datasets(options.dataset):
            find = functools.partial(
                find_images, name, options.reading, data_dir=options.data_dir, console=console, waiting=waiting
            )
            waiting.say("Trying the nets before anything trains:")
            watch = waiting.count_to(len(prepared.nets))
            if (found := prepared.fit(name, find, trial=trial, hardware=hardware, watch=watch)) is not None:
                fitted.append(found)
    declared.faults += prepared.lost
    show_faults(declared.faults)  # before hours of training, and once more behind them
    return _run_claims(arguments, claim_options, declared, fitted, hardware)


def _run_claims(
    arguments: Arguments,
    claim_options: ClaimOptions,
    declared: Declared,
    fitted: Sequence[FittedClaims],
    hardware: Hardware,
) -> int:
    """Train, or say what would be; every claim that could not be run is said in a line."""
    from bench.studies.claims.work import STUDY, ClaimsWork
    from bench.studies.experiment import open_experiment
    from reports.console.claims import show_claims_plan, show_faults
    from reports.console.lists import show_study

    console, failed, keeper = _console(arguments), 0, None
    faults = list(declared.faults)
    options = dataclasses.replace(arguments.options, study=arguments.options.study or STUDY)
    for of in fitted:
        own = dataclasses.replace(options, dataset=of.sample.metadata.name)
        with open_experiment(own, of.fitted, sample=of.sample, hardware=hardware) as experiment:
            work = ClaimsWork(experiment, of.prepared, bounded=claim_options.bounded)
            show_study(experiment, console)
            if options.plan_only:
                show_claims_plan(work, console)
            else:
                from reports.console.follow import follow_study, show_end

                keeper, more = follow_study(work.events(), experiment, verbosity=arguments.verbosity, console=console)
                failed += more
                if of is fitted[-1]:
                    failed = show_end(keeper, failed, console)
        faults += [f"{name}: {line}" for name, line in of.prepared.troubles.items()]
    show_faults(faults)
    return 2 if faults else int(failed > 0)


def _train(arguments: Arguments) -> int:
    """Train, or tune and train, or say what would be done."""
    from reports.console.live import Waiting

    console = _console(arguments)
    with Waiting(console, "Starting") as waiting:
        from bench.system.process import prepare

        trains = not arguments.options.plan_only
        prepare(to_train=trains)  # that process imports what the runs need, while this one does
        from bench.models.doctor.trial import Trial
        from bench.studies.choosing import choose, fit_all
        from bench.studies.machine import Hardware
        from reports.console.doctor import show_examined
        from reports.console.lists import show_left_out, show_notes
        from reports.console.start import find_images

        if trains:
            import reports.console.follow  # noqa: F401 - a report is written soon, and what it needs takes seconds
        trial = Trial(verbose=arguments.verbosity > 0)
        chosen, left_out = choose(arguments.options, ARCHITECTURES, trial)
        hardware = Hardware.find(arguments.options)
        work = []
        for name in arguments.datasets:
            sample = find_images(
                name, arguments.options.reading, data_dir=arguments.options.data_dir, console=console, waiting=waiting
            )
            waiting.say("Trying the nets before anything trains:")
            fitted = fit_all(
                chosen,
                sample,
                trial=trial,
                hardware=hardware,
                folder=ARCHITECTURES,
                left_out=None if arguments.options.patterns else left_out,
                examines=arguments.options.doctor,
                watch=waiting.count_to(len(chosen)),
            )
            work.append((name, sample, fitted))
    show_notes(trial.notes, console)
    show_left_out(left_out.lines, console)
    found = [diagnosis for *_, fitted in work for diagnosis in fitted.diagnoses]
    ill = show_examined(found, console, names_data=len(work) > 1)
    return _run(arguments, work, hardware, console) or int(bool(left_out.broken or ill))


def _run(arguments: Arguments, work: Sequence[tuple[str, Sample, Fitted]], hardware: Hardware, console: Console) -> int:
    """Train what was found fit, dataset by dataset, into one report; 1 when a run failed."""
    from bench.studies.experiment import open_experiment
    from bench.studies.sequential import compare, find_comparison
    from reports.console.lists import show_comparison, show_study

    failed = 0
    for number, (name, sample, fitted) in enumerate(work, 1):
        options = dataclasses.replace(arguments.options, dataset=name)
        with open_experiment(options, fitted, sample=sample, hardware=hardware) as experiment:
            events = experiment.events_without_nets()
            if fitted.nets:
                comparison = find_comparison(experiment)
                show_study(experiment, console, comparison)
                if arguments.tune is not None:
                    return _tune(experiment, arguments, arguments.tune)
                if options.plan_only:
                    show_comparison(experiment, comparison, console)
                events = compare(experiment, comparison)
            if not options.plan_only:
                from reports.console.follow import follow_study, show_end

                keeper, more = follow_study(events, experiment, verbosity=arguments.verbosity, console=console)
                failed += more
                if number == len(work):
                    failed = show_end(keeper, failed, console)
    return int(failed > 0)


def _doctor(arguments: Arguments) -> int:
    """Examine architectures and train nothing; 1 when one has an error."""
    from reports.console.live import Waiting

    console = _console(arguments)
    with Waiting(console, "Starting") as waiting:
        from bench.system.process import prepare

        prepare(to_train=True)
        from bench.models.doctor.trial import Trial
        from bench.studies.choosing import choose_each, diagnose_all
        from reports.console.doctor import show_diagnoses, show_total
        from reports.console.lists import show_left_out
        from reports.console.start import find_images
        from reports.write import write_doctor

        trial = Trial()
        chosen, diagnoses = choose_each(arguments.options, ARCHITECTURES, trial)
        left_out: list[str] = []
        for name in arguments.datasets:
            sample = find_images(
                name, arguments.options.reading, data_dir=arguments.options.data_dir, console=console, waiting=waiting
            )
            waiting.say("Examining the nets:")
            diagnoses += diagnose_all(
                chosen,
                sample,
                trial=trial,
                left_out=None if arguments.options.patterns else left_out,
                watch=waiting.count_to(len(chosen)),
            )
    show_left_out(left_out, console)
    show_diagnoses(diagnoses, console, names_data=len(arguments.datasets) > 1)
    show_total(diagnoses, write_doctor(diagnoses, arguments.options.results), console)
    return int(any(diagnosis.errors for diagnosis in diagnoses))


def _tune(experiment: Experiment, arguments: Arguments, tune_options: TuneOptions) -> int:
    """Tune and train; 1 when an architecture has no winner."""
    from bench.studies.tuning.study import TuningWork
    from reports.console.lists import show_tuning

    console = _console(arguments)
    tuning = TuningWork(experiment=experiment, tune_options=tune_options)
    show_tuning(tune_options, tuning.cost(), console=console)
    if experiment.options.plan_only:
        console.print("Nothing was done.")
        return 0
    from reports.console.follow import follow_study, show_end

    keeper, failed = follow_study(tuning.events(), experiment, verbosity=arguments.verbosity, console=console)
    code = show_end(keeper, failed, console)
    return code or int(bool(tuning.without_winner))


def _check(arguments: Arguments, gate_options: GateOptions) -> int:
    """Hold architectures against their references."""
    from bench.system.process import prepare

    prepare(to_train=not arguments.options.plan_only)
    from bench.studies.gate.check import open_check
    from reports.console.gate import show_foreseen, show_outcome, show_promise
    from reports.console.lists import show_plan, show_study
    from reports.console.live import Waiting
    from reports.console.start import find_images
    from reports.writers.gate import remove_gate, write_gate

    console, options = _console(arguments), arguments.options
    if not options.plan_only:
        remove_gate(options.results)  # a check that cannot begin must not leave the verdict of another
    with contextlib.ExitStack() as stack:
        with Waiting(console, "Starting: trying the nets before anything trains") as waiting:
            find = functools.partial(find_images, data_dir=arguments.options.data_dir, console=console, waiting=waiting)
            opened = open_check(options, gate_options, folder=ARCHITECTURES, find_dataset=find)
            work = stack.enter_context(opened)
        experiment = work.experiment
        show_study(experiment, console)
        references = [work.thresholds.references[net.name] for net in experiment.architectures]
        show_promise(references, gate_options.drop, console=console)
        if options.plan_only:
            plan = experiment.plan(work.first_requests())
            show_foreseen(work.judged.values(), console=console)
            show_plan(plan, jobs=experiment.workplace.jobs, timing_seconds=0, console=console)
            return 0
        from reports.console.follow import follow_study

        keeper, _ = follow_study(work.events(), experiment, verbosity=arguments.verbosity, console=console)
        outcome = work.outcome(file=str(gate_options.file), drop=gate_options.drop)
        code = 0 if outcome.passed else 1 if outcome.regressed else 2
        try:  # say, store and write it in this order: a full disk must not swallow a verdict
            show_outcome(outcome, os.environ, promised=arguments.verbosity >= 0)
        except (BrokenPipeError, SystemExit):  # rich exits where nobody listens any more; the files are still wanted
            drop_output()
        try:
            work.keep(outcome)
            write_gate(outcome, results=experiment.options.results, surroundings=os.environ)
        except BenchError as fault:
            say(str(fault))
            code = code or 2
        return _write_report(keeper, console, code)


def _record(arguments: Arguments, gate_options: GateOptions) -> int:
    """Record the gate's references; 1 when an architecture could not be."""
    from bench.system.process import prepare

    prepare(to_train=not arguments.options.plan_only)
    from bench.studies.gate.record import open_recording
    from reports.console.gate import show_recorded
    from reports.console.lists import show_plan, show_study
    from reports.console.live import Waiting
    from reports.console.start import find_images

    console = _console(arguments)
    with contextlib.ExitStack() as stack:
        with Waiting(console, "Starting: trying the nets before anything trains") as waiting:
            find = functools.partial(find_images, data_dir=arguments.options.data_dir, console=console, waiting=waiting)
            opened = open_recording(arguments.options, gate_options, folder=ARCHITECTURES, find_dataset=find)
            recording = stack.enter_context(opened)
        experiment = recording.experiment
        show_study(experiment, console)
        if arguments.options.plan_only:
            plan = experiment.plan(recording.requests())
            show_plan(plan, jobs=experiment.workplace.jobs, timing_seconds=0, console=console)
            return 0
        from reports.console.follow import follow_study

        keeper, _ = follow_study(recording.events(), experiment, verbosity=arguments.verbosity, console=console)
        recording.write(gate_options.file)
        show_recorded(recording, gate_options, console=console)
        return _write_report(keeper, console, int(bool(recording.faults)))


def _report(arguments: Arguments) -> int:
    """Write the reports again."""
    from reports.console.live import Waiting

    with Waiting(_console(arguments), "Writing the report"):
        from bench.studies.load import load_earlier, load_study
        from reports.build import find_names
        from reports.console.ending import show_report
        from reports.write import write_report

        study, earlier = load_study(arguments.options), load_earlier(arguments.options, arguments.compare)
        names = find_names(study, arguments.only) if arguments.only else None
        report = write_report(study, arguments.options.results, only=names, earlier=earlier)
    show_report(report)
    return 0


def _write_report(keeper: ReportKeeper, console: Console, code: int) -> int:
    """Write the report of a check or recording that ended with this exit code; what was said stands if that fails."""
    try:
        console.print(f"Report: {keeper.finish(console).html}", markup=False, soft_wrap=True)
    except BenchError as fault:
        say(str(fault))
        return code or 2
    return code


def _list(arguments: Arguments) -> int:
    from bench.models.doctor.trial import Trial
    from bench.models.registry import discover
    from reports.console.lists import show_architectures
    from reports.console.live import Waiting

    with Waiting(_console(arguments), "Loading the nets"):
        registry = discover(ARCHITECTURES, Trial().load)
    faults = [str(error) for error in registry.broken.values()]
    show_architectures(registry.architectures, faults, _console(arguments))
    return int(bool(registry.broken))


def _prune(arguments: Arguments) -> int:
    from bench.studies.stored.prune import find_unused, prune
    from reports.console.lists import show_pruning

    options = arguments.options
    unused = find_unused(options)
    show_pruning(unused, plan_only=options.plan_only, console=_console(arguments))
    if not options.plan_only:
        prune(options, unused)
    return 0


def _forget(arguments: Arguments) -> int:
    from bench.studies.stored.prune import forget
    from bench.system.text import listing

    study, nets = forget(arguments.options, arguments.forget or "")
    stay = "the runs stay stored, and --arch brings them back without training"
    _console(arguments).print(f"Taken out of study {study}: {listing(nets)}; {stay}.", markup=False, soft_wrap=True)
    return _report(arguments)


def _export(arguments: Arguments) -> int:
    """Write the runs of a study, or its nets."""
    if arguments.use is not None:
        return _export_nets(arguments, arguments.use)
    from bench.core.errors import DamagedStoreError
    from bench.studies.load import load_remains, load_study
    from reports.exports import write_export

    if arguments.export == "compact":
        from bench.studies.stored.compact import write_compact

        _console().print(f"Export: {write_compact(arguments.options)}", markup=False, soft_wrap=True)
        return 0
    code = 0
    try:
        study = load_study(arguments.options)
    except DamagedStoreError as fault:
        study, code = load_remains(arguments.options), 2
        if not study.records:
            raise
        say(one_line(str(fault)))
    path = write_export(study, arguments.options.results, arguments.export or "csv")
    _console().print(f"Export: {path}", markup=False, soft_wrap=True)
    return code


def _export_nets(arguments: Arguments, use: UseOptions) -> int:
    """Write nets as ONNX; 1 when one could not be."""
    from bench.system.program import require_extra
    from reports.console.live import Waiting

    require_extra("onnx", what="--export onnx")
    console, failed = _console(arguments), False
    with Waiting(console, "Starting"):
        from bench.deploy.export import export_nets
        from reports.console.using import show_exported

    for found in export_nets(arguments.options, use):
        if isinstance(found, BenchError):
            failed = True
            say(one_line(str(found)))
        elif isinstance(found, str):
            console.print(found, markup=False, soft_wrap=True)
        else:
            show_exported(found, console)
    return int(failed)


def _predict(arguments: Arguments) -> int:
    """Say what nets make of pictures; 2 when one of these could not be read."""
    from bench.deploy.predict import Fault, Prediction, predict_given, write_csv, write_json
    from reports.console.using import show_predictions

    assert arguments.use is not None  # noqa: S101 - of this action
    predictions: list[Prediction] = []
    failed = False
    for found in predict_given(arguments.options, arguments.use):
        if isinstance(found, Fault):
            failed = True
            say(one_line(found.text))
        elif isinstance(found, Prediction):
            predictions.append(found)
        elif arguments.verbosity >= 0 and arguments.use.format is None:
            _console().print(found, markup=False, soft_wrap=True)
    if arguments.use.format is None:
        show_predictions(predictions, _console())
    else:
        sys.stdout.write((write_csv if arguments.use.format == "csv" else write_json)(predictions))
    return 2 if failed else 0


def _serve(arguments: Arguments) -> int:
    """Serve until it is interrupted, which is how it ends well."""
    from bench.deploy.serving.server import serve
    from reports.console.using import show_serving

    use = arguments.use
    assert use is not None  # noqa: S101 - of this action

    def started(playground: Playground, address: str) -> None:
        loaded = playground.current()
        nets = [(net.run, net.runtime) for net in loaded.nets]
        said = [*loaded.chosen.notes, *loaded.faults]
        show_serving(nets, said, address=address, alone=use.is_loopback, console=_console())

    with contextlib.suppress(KeyboardInterrupt):
        serve(arguments.options, use, started=started)
    return 0


def _merge(arguments: Arguments) -> int:
    from bench.studies.stored.merge import merge

    merged = merge(arguments.merge or Path(), results=arguments.options.results, store_url=arguments.options.store_url)
    _console().print(str(merged), markup=False, soft_wrap=True)
    return _report(arguments)


def _console(arguments: Arguments | None = None) -> Console:
    """Where things are said; nothing under --quiet, which leaves what is said without the arguments."""
    from rich.console import Console

    return Console(quiet=arguments is not None and arguments.verbosity < 0, highlight=False)


_ACTIONS = {
    "train": _train,
    "doctor": _doctor,
    "report": _report,
    "list": _list,
    "forget": _forget,
    "prune": _prune,
    "export": _export,
    "predict": _predict,
    "serve": _serve,
    "merge": _merge,
}

if __name__ == "__main__":
    sys.exit(start())
