"""The command line as data: what may be typed, read into values that are known to be good. Needs no torch."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.gate import check_gate, read_gate
from bench.cli.parser import DEFAULT_FILE, EXPORT_FORMATS, RECIPE_FLAGS, make_parser
from bench.cli.tuning import check_tuning, read_tuning
from bench.core.errors import ActionError, UnknownNameError, UsageError
from bench.core.options import StudyOptions
from bench.core.recipe import Budget, parse_augmentation
from bench.core.records import Settings
from bench.core.seeds import SeedPlan
from bench.data.catalogue import check_dataset_name
from bench.data.directories import own_data_directory
from bench.system.text import find_unprintable, hide_password, hide_passwords, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from bench.core.options import GateOptions, TuneOptions

DEFAULT_SEEDS = "6"
MAX_TIMEOUT_SECONDS = 30 * 86_400
_ADDRESS = re.compile(r"(tcp|tls)://([\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """What the user asked for, checked as far as it can be without loading anything.

    Attributes:
        action: "train", "check", "write-thresholds", "report", "list", "prune", "export" or "merge".
        options: What is compared, how and where.
        tune: How to tune; None to train without.
        gate: How to check, or what to record; None unless that is the action.
        export: One of `EXPORT_FORMATS`; None unless that is the action.
        merge: Another results directory; None unless that is the action.
        only: Architectures that a report shows, by name or glob; empty for all.
        compare: A results directory that a report is set beside; None for none.
        verbosity: -1 quiet, 0, 1 verbose.
    """

    action: str
    options: StudyOptions
    tune: TuneOptions | None
    gate: GateOptions | None
    export: str | None
    merge: Path | None
    only: tuple[str, ...]
    compare: Path | None
    verbosity: int


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: A flag or value cannot be used.
        RecipeError: A recipe or budget cannot be trained.
        SystemExit: After `--help` or `--version`.
    """
    given = make_parser().parse_args(argv)
    _check_texts(given)
    if given.device not in DEVICES:
        raise UnknownNameError("device", given.device, DEVICES)
    if given.export is not None and given.export not in EXPORT_FORMATS:
        raise UnknownNameError("export format", given.export, EXPORT_FORMATS)
    if given.jobs is not None and not 1 <= given.jobs <= 1024:
        raise UsageError(f"--jobs {given.jobs}: from 1 to 1024 runs can train at once.")
    if given.cluster is not None and not _ADDRESS.fullmatch(given.cluster):
        raise UsageError(
            f"--cluster '{hide_passwords(given.cluster)}' is no address; write tcp://HOST:8786, or tls://HOST:8786."
        )
    if given.run_timeout is not None and not 1 <= given.run_timeout <= MAX_TIMEOUT_SECONDS:
        raise UsageError(f"--run-timeout {given.run_timeout:g}: from 1 s to {MAX_TIMEOUT_SECONDS:,} s (30 days).")
    check_dataset_name(given.dataset)
    changes = {
        flag[2:].replace("-", "_"): value
        for flag in RECIPE_FLAGS
        if (value := getattr(given, flag[2:].replace("-", "_"))) is not None
    }
    if "augmentation" in changes:
        changes["augmentation"] = parse_augmentation(changes["augmentation"])
    from bench.system.urls import store_in  # noqa: PLC0415 - --help and wrong flags do not pay for SQLAlchemy

    action = _find_action(given)
    gate = read_gate(given, action)
    results = Path(given.results)
    options = StudyOptions(
        results=results,
        store_url=given.store or store_in(results),
        data_dir=Path(given.data_dir) if given.data_dir else own_data_directory(),
        study=given.study,
        command=spell_command(argv),
        patterns=tuple(given.arch),
        variants=given.variants,
        dataset=given.dataset,
        seed_plan=SeedPlan.parse(DEFAULT_SEEDS if given.seeds is None or gate else given.seeds),
        budgets=_find_budgets(given),
        published=_is_published(given.recipe),
        recipe_changes=changes,
        margins=_find_margins(given),
        device=given.device,
        cluster=given.cluster,
        jobs=given.jobs,
        run_timeout_seconds=given.run_timeout,
        fresh=given.fresh,
        timing=given.timing,
        plan_only=given.plan,
        shows_output=given.verbose > given.quiet,
    )
    arguments = Arguments(
        action=action,
        options=options,
        tune=read_tuning(given),
        gate=gate,
        export=given.export,
        merge=None if given.merge is None else Path(given.merge),
        only=_read_names(given.only),
        compare=None if given.compare is None else Path(given.compare),
        verbosity=given.verbose - given.quiet,
    )
    _check_together(given, arguments)
    return arguments


def spell_command(argv: Sequence[str]) -> str:
    """The command line as it may be stored and published: without the password of a store."""
    from bench.system.urls import name_place  # noqa: PLC0415 - --help does not pay for SQLAlchemy

    words, is_url = ["python", "runner.py"], False
    for word in argv:
        flag, found, url = word.partition("=") if word.startswith("--store=") else ("", "", word)
        hidden = "@" in url and (is_url or bool(found)) and not url.startswith("sqlite")
        words.append(f"{flag}{found}{name_place(url) if hidden else url}")
        is_url = word == "--store"
    return shlex.join(words)


def _check_texts(given: argparse.Namespace) -> None:
    """Refuse text that names nothing, as an unset variable of a shell, or that no message and no file could show."""
    for name, value in vars(given).items():
        flag = f"--{name.replace('_', '-')}"
        for text in value if name == "arch" else [value]:
            if text == []:  # what argparse makes of `--lr=--`
                raise UsageError(f"{flag}=-- gives no value; leave it out, or give one.")
            if not isinstance(text, str):
                continue
            if not text.strip():
                usual = f", or alone for {DEFAULT_FILE}" if name in ("check", "write_thresholds") else ""
                raise UsageError(f"{flag} '{printable(text)}' is empty; leave it out{usual}, or give a value.")
            if found := find_unprintable(text):
                shown = printable(hide_password(text) if name == "store" else text)
                raise UsageError(f"{flag} '{shown}' holds the character {found}, which no name may hold; take it out.")


def _check_together(given: argparse.Namespace, arguments: Arguments) -> None:
    """Refuse values that are good alone but not together: an option that does nothing would only mislead."""
    if arguments.gate is not None:
        check_gate(given, arguments.action, arguments.options)
    else:
        _check_recipe(given, arguments.options)
    if arguments.tune is not None:
        check_tuning(given, arguments.options)
    if given.variants and given.arch:
        raise UsageError("--variants goes with --all; name variants by --arch.")
    if arguments.action not in _TRAINING:
        _check_idle(given, arguments.action)
    elif arguments.only or arguments.compare:
        flag = "only" if arguments.only else "compare"
        raise UsageError(f"--{flag} goes with --report, when the runs are stored; leave it out here.")


def _check_recipe(given: argparse.Namespace, options: StudyOptions) -> None:
    """Refuse what does nothing under the recipe's other values."""
    recipe = options.recipe()  # a recipe that cannot be trained is found here
    if not options.published:
        if given.momentum is not None and recipe.optimizer != "sgd":
            raise UsageError(f"--momentum {given.momentum:g} does nothing for {recipe.optimizer}; add --optimizer sgd.")
        if given.plateau_patience is not None and recipe.schedule != "plateau":
            raise UsageError(f"--plateau-patience does nothing for {recipe.schedule}; add --schedule plateau.")


_TRAINING = ("train", "check", "write-thresholds")
_ANYWHERE = {"results", "study", "store", "quiet", "verbose"}
_ALSO = {"report": {"margin", "margin_epochs", "only", "compare"}, "prune": {"plan"}}


def _check_idle(given: argparse.Namespace, action: str) -> None:
    """Refuse options that say how to train where nothing is trained."""
    parser = make_parser()
    for name, value in vars(given).items():
        if value != parser.get_default(name) and name not in {action, *_ANYWHERE, *_ALSO.get(action, set())}:
            flag = "--no-timing" if name == "timing" else f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{flag} does nothing beside --{action}; leave it out, or train with --all or --arch NAME."
            )


def _find_action(given: argparse.Namespace) -> str:
    training = given.all or bool(given.arch)
    actions = ("check", "write_thresholds", "report", "list", "prune", "export", "merge")
    chosen = [name.replace("_", "-") for name in actions if getattr(given, name) not in (None, False)]
    if given.all and given.arch:
        raise ActionError("--all and --arch exclude each other; --all takes every architecture, --arch some.")
    if training and not set(chosen) & set(_TRAINING):  # what is checked or recorded is chosen by the same two
        chosen.append("train")
    if not chosen:
        raise ActionError(
            "Nothing to do. Give an action: --all, --arch NAME, --check, --write-thresholds, --report, --list, "
            "--prune, --export FORMAT or --merge DIR."
        )
    if len(chosen) > 1 or (training and chosen[0] not in _TRAINING):
        flags = " and ".join("--all or --arch" if name == "train" else f"--{name}" for name in chosen)
        raise ActionError(f"{flags} exclude each other; give one action.")
    return chosen[0]


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


def _find_margins(given: argparse.Namespace) -> Settings | None:
    """The margins that the user set, beside the default of the other."""
    margins = Settings()
    if given.margin is None and given.margin_epochs is None:
        return None
    if given.margin is not None:
        if not 0 < given.margin <= 50:
            raise UsageError(f"--margin {given.margin:g}: percentage points above 0, at most 50, are needed.")
        margins = dataclasses.replace(margins, margin=given.margin / 100)
    if given.margin_epochs is not None:
        if not 0 < given.margin_epochs <= 1_000:
            raise UsageError(f"--margin-epochs {given.margin_epochs:g}: epochs above 0, at most 1,000, are needed.")
        margins = dataclasses.replace(margins, margin_epochs=given.margin_epochs)
    return margins


def _read_names(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    names = tuple(filter(None, (part.strip() for part in text.split(","))))
    if not names:
        raise UsageError(f"--only '{text}' names no architecture; leave it out, or name some: conv16k,bn25k.")
    return names


def _is_published(name: str) -> bool:
    if name not in ("shared", "published"):
        raise UnknownNameError("recipe", name, ("shared", "published"))
    return name == "published"
