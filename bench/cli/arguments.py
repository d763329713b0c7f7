"""The command line as data: what may be typed, read into values that are known to be good. Needs no torch."""

from __future__ import annotations

import collections
import dataclasses
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.parser import ACTIONS, CHOOSING, FLAGS, GATE, RECIPE_FLAGS, TRAINING, TUNING_FLAGS, make_parser
from bench.core.errors import ActionError, UnknownNameError, UsageError
from bench.core.options import DEFAULT_DROP, REFERENCE_RUNS, ClaimOptions, GateOptions, StudyOptions, TuneOptions
from bench.core.reading import ReadingOptions
from bench.core.recipe import Budget, parse_augmentation
from bench.core.seeds import MOST_REFERENCE_SEEDS, SeedPlan
from bench.data.catalogue import check_dataset_name, is_path
from bench.data.directories import own_data_directory
from bench.system.program import program_words
from bench.system.text import find_unprintable, hide_password, hide_passwords, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from bench.cli.parser import Flag

DEFAULT_SEEDS = "6"
CLAIM_SEEDS = "10:20"
FEWEST_REFERENCE_RUNS = 6
_ADDRESS = re.compile(r"(tcp|tls)://([\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """What the user asked for, checked as far as it can be without loading anything.

    Attributes:
        action: "train" or one of `bench.cli.parser.ACTIONS`.
        options: What is compared, how and where.
        tune: How to tune; None to train without.
        gate: How to check, or what to record; None unless that is the action.
        claims: Which claims are run again; None unless that is the action.
        export: One of `EXPORT_FORMATS`; None unless that is the action.
        forget: What to take out of the study, by name or glob; None unless that is the action.
        merge: Another results directory; None unless that is the action.
        datasets: What is trained on, one after the other, by name or path.
        only: Architectures that a report shows, by name or glob; empty for all.
        compare: A results directory that a report is set beside, or `bench.studies.load.PREVIOUS`; None for none.
        verbosity: -1 quiet, 0, 1 verbose.
    """

    action: str
    options: StudyOptions
    tune: TuneOptions | None
    gate: GateOptions | None
    claims: ClaimOptions | None
    export: str | None
    forget: str | None
    merge: Path | None
    datasets: tuple[str, ...]
    only: tuple[str, ...]
    compare: str | None
    verbosity: int


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: A flag or value cannot be used.
        RecipeError: A recipe or budget cannot be trained.
        SystemExit: After `--help` or `--version`.
    """
    parser = make_parser()
    given = parser.parse_args(argv)
    for flag in FLAGS:
        _check_value(flag, getattr(given, flag.key))
    if given.cluster is not None and not _ADDRESS.fullmatch(given.cluster):
        raise UsageError(
            f"--cluster '{hide_passwords(given.cluster)}' is no address; write tcp://HOST:8786, or tls://HOST:8786."
        )
    datasets = _find_datasets(given)
    action = _find_action(given)
    _check_idle(given, action, parser)
    options = _find_options(given, action, argv)
    gate = _find_gate(given, action) if action in GATE else None
    tune = _find_tuning(given) if given.tune else None
    only = tuple(filter(None, (part.strip() for part in (given.only or "").split(","))))
    if given.only and not only:
        raise UsageError(f"--only '{given.only}' names no architecture; leave it out, or name some: conv16k,bn25k.")
    _check_together(given, action, options)
    return Arguments(
        action=action,
        options=options,
        tune=tune,
        gate=gate,
        claims=None if given.claims is None else _find_claims(given),
        export=given.export,
        forget=given.forget,
        merge=None if given.merge is None else Path(given.merge),
        datasets=datasets,
        only=only,
        compare=given.compare,
        verbosity=given.verbose - given.quiet,
    )


def spell_command(argv: Sequence[str]) -> str:
    """The command line as it may be stored and published: without the password of a store."""
    from bench.system.urls import name_place  # noqa: PLC0415 - --help does not pay for SQLAlchemy

    words, is_url = [*program_words()], False
    for word in argv:
        flag, found, url = word.partition("=") if word.startswith("--store=") else ("", "", word)
        hidden = "@" in url and (is_url or bool(found)) and not url.startswith("sqlite")
        words.append(f"{flag}{found}{name_place(url) if hidden else url}")
        is_url = word == "--store"
    return shlex.join(words)


def _check_value(flag: Flag, value: Any) -> None:
    """Refuse text that names nothing, as an unset variable of a shell, or cannot be shown; values out of range."""
    for text in value if flag.name == "--arch" else [value]:
        if text == []:  # what argparse makes of `--lr=--`
            raise UsageError(f"{flag.name}=-- gives no value; leave it out, or give one.")
        if not isinstance(text, str):
            continue
        if not text.strip():
            usual = f", or alone for {flag.options['const']}" if "const" in flag.options else ""
            raise UsageError(f"{flag.name} '{printable(text)}' is empty; leave it out{usual}, or give a value.")
        if found := find_unprintable(text):
            shown = printable(hide_password(text) if flag.name == "--store" else text)
            raise UsageError(f"{flag.name} '{shown}' holds the character {found}, which no name may hold; take it out.")
    if value is not None and flag.choices and value not in flag.choices:
        raise UnknownNameError("export format" if flag.name == "--export" else flag.key, value, flag.choices)
    if value is not None and not flag.allows(value):
        raise UsageError(f"{flag.name} {f'{value:g}' if isinstance(value, float) else value}: {flag.range}")


def _find_action(given: argparse.Namespace) -> str:
    training = given.all or bool(given.arch)
    chosen = [action for action in ACTIONS if getattr(given, action.replace("-", "_")) not in (None, False)]
    if given.all and given.arch:
        raise ActionError("--all and --arch exclude each other; --all takes every architecture, --arch some.")
    if training and not set(chosen) & set(CHOOSING):  # what is checked or recorded is chosen by the same two
        chosen.append("train")
    if not chosen:
        raise ActionError(
            "Nothing to do. Give an action: --all, --arch NAME, --check, --write-thresholds, --claims, --doctor, "
            "--report, --list, --forget NET, --prune, --export FORMAT or --merge DIR."
        )
    if len(chosen) > 1 or (training and chosen[0] not in CHOOSING):
        flags = " and ".join("--all or --arch" if name == "train" else f"--{name}" for name in chosen)
        raise ActionError(f"{flags} exclude each other; give one action.")
    return chosen[0]


def _check_idle(given: argparse.Namespace, action: str, parser: argparse.ArgumentParser) -> None:
    """Refuse what does nothing beside the action, or contradicts it: an option without effect would only mislead."""
    values = {flag: getattr(given, flag.key) for flag in FLAGS}
    changed = {flag: value for flag, value in values.items() if value != parser.get_default(flag.key)}
    for flag, value in changed.items():
        if flag in TUNING_FLAGS and not given.tune:
            raise UsageError(f"{flag.name} does nothing without --tune; add it.")
        if flag.name == f"--{action}" or action in flag.goes_with:
            why = flag.refused.get(action) or (flag.refused.get("tune") if given.tune else None)
            if why:
                raise UsageError(why.format(value=value, action=action))
        elif len(flag.goes_with) == 1 and flag.goes_with != ("train",):
            stored = ", when the runs are stored" if flag.goes_with == ("report",) else ""
            raise UsageError(f"{flag.name} goes with --{flag.goes_with[0]}{stored}; leave it out here.")
        else:
            instead = "" if action in TRAINING else ", or train with --all or --arch NAME"
            raise UsageError(f"{flag.name} does nothing beside --{action}; leave it out{instead}.")


def _check_together(given: argparse.Namespace, action: str, options: StudyOptions) -> None:
    """Refuse values that are good alone but not together."""
    if action in GATE:
        _check_gate(given, action, options)
    if given.variants and not given.all:
        beside = f" beside --{action}" if action in GATE else ""
        raise UsageError(f"--variants{beside} goes with --all; name variants by --arch.")
    if given.time_again and not given.timing:
        raise UsageError("--time-again and --no-timing exclude each other; leave one of them out.")
    if given.tune and len(options.seed_plan.looks) > 1:
        raise UsageError(f"--seeds {given.seeds} beside --tune: give a fixed number of seeds, as --seeds 10.")
    if given.tune and len(options.budgets) > 1:
        raise UsageError(f"--epochs {given.epochs} beside --tune: tune under one budget at a time.")
    if action in GATE:  # the recipe is the file's but for what is typed, and the file is not read yet
        return
    recipe = options.recipe()  # a recipe that cannot be trained is found here
    if not options.published:
        if given.momentum is not None and recipe.optimizer != "sgd":
            raise UsageError(f"--momentum {given.momentum:g} does nothing for {recipe.optimizer}; add --optimizer sgd.")
        if given.plateau_patience is not None and recipe.schedule != "plateau":
            raise UsageError(f"--plateau-patience does nothing for {recipe.schedule}; add --schedule plateau.")


def _check_gate(given: argparse.Namespace, action: str, options: StudyOptions) -> None:
    if len(options.budgets) > 1:
        raise UsageError(f"--epochs {given.epochs} beside --{action}: a gate has one budget.")
    if len(given.datasets) > 1:
        raise UsageError(f"--dataset {','.join(given.datasets)} beside --{action}: a gate has one dataset.")


def _find_options(given: argparse.Namespace, action: str, argv: Sequence[str]) -> StudyOptions:
    from bench.system.urls import store_in  # noqa: PLC0415 - --help and wrong flags do not pay for SQLAlchemy

    results = Path(given.results)
    changes = {flag.key: value for flag in RECIPE_FLAGS if (value := getattr(given, flag.key)) is not None}
    if "augmentation" in changes:
        changes["augmentation"] = parse_augmentation(changes["augmentation"])
    return StudyOptions(
        results=results,
        store_url=given.store or store_in(results),
        data_dir=Path(given.data_dir) if given.data_dir else own_data_directory(),
        study=given.study,
        command=spell_command(argv),
        patterns=tuple(given.arch),
        variants=given.variants,
        dataset=given.dataset,
        reading=_find_reading(given),
        seed_plan=SeedPlan.parse(_find_seeds(given, action)),
        budgets=_find_budgets(given),
        published=given.recipe == "published",
        recipe_changes=changes,
        margin_changes=_find_margin_changes(given),
        device=given.device,
        engine=given.engine,
        cluster=given.cluster,
        jobs=given.jobs,
        run_timeout_seconds=given.run_timeout,
        fresh=given.fresh,
        timing=given.timing,
        time_again=given.time_again,
        plan_only=given.plan,
        shows_output=given.verbose > given.quiet,
        doctor=given.examine,
    )


def _find_seeds(given: argparse.Namespace, action: str) -> str:
    """Seeds as they are typed, or as they usually are beside the action."""
    if action in GATE:
        return DEFAULT_SEEDS  # the rule has its own
    return given.seeds or (CLAIM_SEEDS if action == "claims" else DEFAULT_SEEDS)


def _find_claims(given: argparse.Namespace) -> ClaimOptions:
    """Ids, or a file: what ends as one, or holds the name of a folder."""
    text, bounded = given.claims.strip(), given.seeds is None
    if text.endswith((".toml", ".py")) or "/" in text:
        return ClaimOptions(file=Path(text), bounded=bounded)
    ids = tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split(",")))))
    if not ids:
        raise UsageError(f"--claims '{given.claims}' names no claim; leave it out for all, or name some: C1,E6.")
    return ClaimOptions(ids=() if ids == ("all",) else ids, bounded=bounded)


def _find_datasets(given: argparse.Namespace) -> tuple[str, ...]:
    """What is named by `--dataset`, one or several by commas; a path may hold a comma itself."""
    whole = given.dataset
    names = (whole,) if is_path(whole) and os.path.lexists(whole) else tuple(part.strip() for part in whole.split(","))
    for name in names:
        check_dataset_name(name)
    if len(set(names)) < len(names):
        raise UsageError(f"--dataset '{whole}' names one twice; name each once.")
    called = collections.Counter(_call_dataset(name) for name in names)
    if twice := [name for name in names if called[_call_dataset(name)] > 1]:
        raise UsageError(
            f"--dataset '{whole}': {' and '.join(twice)} are both called '{_call_dataset(twice[0])}', and reports "
            "would take them for one; rename a folder."
        )
    if len(names) > 1 and given.tune:
        raise UsageError(f"--dataset {whole} beside --tune: tune on one dataset at a time.")
    if len(names) > 1 and given.claims is not None:
        raise UsageError(f"--dataset {whole} beside --claims: a claim is about one dataset; name one, or none.")
    given.dataset, given.datasets = names[0], names
    return names


def _call_dataset(name: str) -> str:
    """What reports call it."""
    if not is_path(name):
        return name
    from bench.data.own.load import name_dataset  # noqa: PLC0415 - numpy takes a moment

    return name_dataset(Path(name))


def _find_reading(given: argparse.Namespace) -> ReadingOptions:
    """How images are read; what does nothing for the dataset is refused."""
    changes = {name: getattr(given, name) for name in ("skip_broken", "drop_duplicates", "group_by")}
    if given.image_size is not None:
        changes["image_size"], changes["fit"] = ReadingOptions.parse_size(given.image_size)
    reading = ReadingOptions(**changes)
    if not any(map(is_path, given.datasets)):
        for flag in reading.flags:
            if flag != "--image-size":
                raise UsageError(f"{flag} is for images of your own; {given.dataset} is read as it was published.")
    return reading


def _find_budgets(given: argparse.Namespace) -> tuple[Budget, ...]:
    if given.epochs is not None and given.train_seconds is not None:
        raise UsageError("--epochs and --train-seconds exclude each other; a budget is one of the two.")
    if given.train_seconds is not None:
        return (Budget(seconds=given.train_seconds),)
    if given.epochs is None:
        return ()
    try:
        epochs = [int(part) for part in given.epochs.split(",")]
    except ValueError:
        raise UsageError(f"--epochs '{given.epochs}': give whole epochs, one budget (3) or several (1,3,10).") from None
    if len(set(epochs)) < len(epochs):
        raise UsageError(f"--epochs '{given.epochs}': a budget stands there twice; name each once.")
    return tuple(Budget(epochs=count) for count in epochs)


def _find_margin_changes(given: argparse.Namespace) -> dict[str, float | str]:
    """How the user wants results judged, as far as it is said."""
    margin = None if given.margin is None else given.margin / 100
    asked = {"margin": margin, "margin_epochs": given.margin_epochs, "metric": given.metric}
    return {name: value for name, value in asked.items() if value is not None}


def _find_gate(given: argparse.Namespace, action: str) -> GateOptions:
    runs = given.seeds or str(REFERENCE_RUNS)  # `--check` takes no seeds
    digits = runs.isascii() and runs.isdigit() and len(runs) < 10
    if not digits or not FEWEST_REFERENCE_RUNS <= int(runs) <= MOST_REFERENCE_SEEDS:
        raise UsageError(
            f"--seeds {runs} beside --write-thresholds: a number of reference runs from {FEWEST_REFERENCE_RUNS} to "
            f"{MOST_REFERENCE_SEEDS:,} is needed."
        )
    return GateOptions(
        file=Path(given.check if action == "check" else given.write_thresholds),
        drop=(DEFAULT_DROP if given.drop is None else given.drop) / 100,
        runs=int(runs),
        force=given.force,
        every=given.all,
    )


def _find_tuning(given: argparse.Namespace) -> TuneOptions:
    """How to tune, what the user left out being the default."""
    values = {flag.key: value for flag in TUNING_FLAGS if (value := getattr(given, flag.key)) is not None}
    fields = {name.removeprefix("tune_"): value for name, value in values.items()}
    if "for" in fields:
        fields["objectives"] = tuple(filter(None, fields.pop("for").split(","))) or ("",)
    if given.pruner not in (None, "none") and len(fields.get("objectives", ())) > 1:
        raise UsageError(
            f"--pruner {given.pruner} beside --tune-for {given.tune_for}: with two objectives none can prune."
        )
    if "space" in fields:
        fields["space"] = Path(fields["space"])
    return TuneOptions(**fields)
