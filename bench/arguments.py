"""The command line as data: what may be typed, read into values that are known to be good. Needs no torch."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich_argparse import RichHelpFormatter

from bench.data.catalogue import check_dataset_name
from bench.environment import project_version
from bench.errors import ActionError, UnknownNameError, UsageError
from bench.looks import SeedPlan
from bench.recipe import DEFAULT_EPOCHS, OPTIMIZERS, SCHEDULES, Budget, Recipe, format_augmentation, parse_augmentation
from bench.records import Settings
from bench.spec import COMPARISON_SEEDS
from bench.tuning.settings import PRUNERS, SAMPLERS, TuneSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_SEEDS = "6"
MAX_TIMEOUT_SECONDS = 30 * 86_400
DEVICES = ("auto", "cpu", "cuda", "mps")
EXPORT_FORMATS = ("csv", "json", "parquet")

_RECIPE_FLAGS = {
    "--optimizer": {"help": f"one of {', '.join(OPTIMIZERS)} (default adam)"},
    "--lr": {"type": float, "metavar": "RATE", "help": "learning rate, the peak one under one-cycle (default 6e-3)"},
    "--batch-size": {"type": int, "metavar": "N", "help": "images per step (default 128)"},
    "--schedule": {"help": f"one of {', '.join(SCHEDULES)} (default one-cycle)"},
    "--momentum": {"type": float, "metavar": "M", "help": "of SGD (default 0.9)"},
    "--nesterov": {"action": "store_true", "default": None, "help": "Nesterov momentum for SGD"},
    "--weight-decay": {"type": float, "metavar": "D", "help": "default 0"},
    "--label-smoothing": {"type": float, "metavar": "S", "help": "default 0"},
    "--augmentation": {"metavar": "LIST", "help": "of shift, rotation, crop, with strengths: shift:2,rotation:10"},
    "--patience": {"type": int, "metavar": "EPOCHS", "help": "stop early after so many epochs without a gain"},
    "--stop-at-accuracy": {"type": float, "metavar": "A", "help": "stop once validation accuracy, in [0, 1], is there"},
    "--keep": {"help": "last or best: the weights that are kept (default last)"},
    "--plateau-patience": {"type": int, "metavar": "EPOCHS", "help": "of the plateau schedule (default 10)"},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """What the user asked for, checked as far as it can be without loading anything.

    Attributes:
        action: "train", "report", "list", "prune", "export" or "merge".
        export: One of `EXPORT_FORMATS`; None unless that is the action.
        merge: Another results directory; None unless that is the action.
        only: Architectures that a report shows, by name or glob; empty for all.
        compare: A results directory that a report is set beside; None for none.
        patterns: Architectures by name, glob or file; empty for all.
        variants: Whether `--all` takes variants too.
        dataset: Name of the dataset, or "auto".
        data_dir: Where datasets lie.
        seed_plan: Seeds of the runs, and when they are judged.
        budgets: The shared budgets, one or several; empty when none was given.
        settings: How results are judged; None when the user set nothing.
        tune: How to tune; None to train without.
        published: Whether each source's own recipe and budget are used.
        recipe_changes: Fields of the recipe that the user set.
        device: One of `DEVICES`.
        jobs: Parallel runs; None for one a core.
        run_timeout_seconds: When one try at a run counts as hung; None for the default.
        results: The results directory.
        study: Name of the study, or None for the last one run.
        store: URL of the results database, or None for the one in the results directory.
        fresh: Train again what is stored.
        plan_only: Say what would be done and stop.
        timing: Whether speed and memory are measured after training.
        verbosity: -1 quiet, 0, 1 verbose.
    """

    action: str
    export: str | None
    merge: Path | None
    only: tuple[str, ...]
    compare: Path | None
    patterns: tuple[str, ...]
    variants: bool
    dataset: str
    data_dir: Path
    seed_plan: SeedPlan
    budgets: tuple[Budget, ...]
    settings: Settings | None
    tune: TuneSettings | None
    published: bool
    recipe_changes: dict[str, object]
    device: str
    jobs: int | None
    run_timeout_seconds: float | None
    results: Path
    study: str | None
    store: str | None
    fresh: bool
    plan_only: bool
    timing: bool
    verbosity: int

    def recipe(self, base: Recipe | None = None) -> Recipe:
        """The base recipe (the shared one by default) with the user's changes."""
        return dataclasses.replace(base or Recipe(), **self.recipe_changes)  # type: ignore[arg-type]

    @property
    def store_url(self) -> str:
        """URL of the results database."""
        if self.store:
            return self.store
        from sqlalchemy import URL  # noqa: PLC0415 - --help does not pay for it

        return URL.create("sqlite", database=str(self.results / "bench.db")).render_as_string()

    @property
    def recipe_name(self) -> str:
        """What people call the recipe: its base, and what the user changed."""
        changes = [f"{name}={_spell(value)}" for name, value in self.recipe_changes.items()]
        return " ".join(["published" if self.published else "shared", *changes])


class _Parser(argparse.ArgumentParser):
    """Raises what is wrong as our own error instead of exiting."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[0].upper()}{message[1:]}; `python runner.py --help` lists what there is.")


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: A flag or value cannot be used.
        RecipeError: A recipe or budget cannot be trained.
        SystemExit: After `--help` or `--version`.
    """
    given = _make_parser().parse_args(argv)
    if given.device not in DEVICES:
        raise UnknownNameError("device", given.device, DEVICES)
    if given.export is not None and given.export not in EXPORT_FORMATS:
        raise UnknownNameError("export format", given.export, EXPORT_FORMATS)
    if given.jobs is not None and not 1 <= given.jobs <= 1024:
        raise UsageError(f"--jobs {given.jobs}: from 1 to 1024 runs can train at once.")
    if given.run_timeout is not None and not 1 <= given.run_timeout <= MAX_TIMEOUT_SECONDS:
        raise UsageError(f"--run-timeout {given.run_timeout:g}: from 1 s to {MAX_TIMEOUT_SECONDS:,} s (30 days).")
    check_dataset_name(given.dataset)
    changes = {
        flag[2:].replace("-", "_"): value
        for flag in _RECIPE_FLAGS
        if (value := getattr(given, flag[2:].replace("-", "_"))) is not None
    }
    if "augmentation" in changes:
        changes["augmentation"] = parse_augmentation(changes["augmentation"])
    arguments = Arguments(
        action=_find_action(given),
        export=given.export,
        merge=None if given.merge is None else Path(given.merge),
        only=tuple(filter(None, given.only.split(","))),
        compare=None if given.compare is None else Path(given.compare),
        patterns=tuple(given.arch),
        variants=given.variants,
        dataset=given.dataset,
        data_dir=Path(given.data_dir or os.environ.get("BENCH_DATA_DIR") or "data"),
        seed_plan=_parse_seeds(given.seeds),
        budgets=_find_budgets(given),
        settings=_find_settings(given),
        tune=_find_tuning(given),
        published=_is_published(given.recipe),
        recipe_changes=changes,
        device=given.device,
        jobs=given.jobs,
        run_timeout_seconds=given.run_timeout,
        results=Path(given.results),
        study=given.study,
        store=given.store,
        fresh=given.fresh,
        plan_only=given.plan,
        timing=given.timing,
        verbosity=given.verbose - given.quiet,
    )
    _check_together(given, arguments)
    return arguments


def _check_together(given: argparse.Namespace, arguments: Arguments) -> None:
    """Refuse values that are good alone but not together: an option that does nothing would only mislead."""
    recipe = arguments.recipe()  # a recipe that cannot be trained is found here
    if not arguments.published:
        if given.momentum is not None and recipe.optimizer != "sgd":
            raise UsageError(f"--momentum {given.momentum:g} does nothing for {recipe.optimizer}; add --optimizer sgd.")
        if given.plateau_patience is not None and recipe.schedule != "plateau":
            raise UsageError(f"--plateau-patience does nothing for {recipe.schedule}; add --schedule plateau.")
    if arguments.tune is not None:
        _check_tuning(given, arguments)
    if given.variants and given.arch:
        raise UsageError("--variants goes with --all; name variants by --arch.")
    if arguments.action != "train":
        _check_idle(given, arguments.action)
    elif arguments.only or arguments.compare:
        flag = "only" if arguments.only else "compare"
        raise UsageError(f"--{flag} goes with --report, when the runs are stored; leave it out here.")
    for flag in ("results", "study", "store", "data_dir", "merge", "compare"):
        if getattr(given, flag) == "":
            raise UsageError(f"--{flag.replace('_', '-')} '' is empty; leave it out or give a value.")


_ANYWHERE = {"results", "study", "store", "quiet", "verbose"}
_ALSO = {"report": {"margin", "margin_epochs", "only", "compare"}, "prune": {"plan"}}


def _check_idle(given: argparse.Namespace, action: str) -> None:
    """Refuse options that say how to train where nothing is trained."""
    parser = _make_parser()
    for name, value in vars(given).items():
        if value != parser.get_default(name) and name not in {action, *_ANYWHERE, *_ALSO.get(action, set())}:
            flag = "--no-timing" if name == "timing" else f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{flag} does nothing beside --{action}; leave it out, or train with --all or --arch NAME."
            )


def _spell(value: object) -> str:
    """A recipe's value as the user would type it."""
    if isinstance(value, tuple):
        return format_augmentation(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _find_action(given: argparse.Namespace) -> str:
    training = given.all or bool(given.arch)
    actions = ("report", "list", "prune", "export", "merge")
    chosen = [name for name in actions if getattr(given, name) not in (None, False)] + ["train"] * training
    if given.all and given.arch:
        raise ActionError("--all and --arch exclude each other; --all takes every architecture, --arch some.")
    if not chosen:
        raise ActionError(
            "Nothing to do. Give an action: --all, --arch NAME, --report, --list, --prune, --export FORMAT "
            "or --merge DIR."
        )
    if len(chosen) > 1:
        flags = " and ".join("--all or --arch" if name == "train" else f"--{name}" for name in chosen)
        raise ActionError(f"{flags} exclude each other; give one action.")
    return chosen[0]


def _parse_seeds(text: str) -> SeedPlan:
    """`6` is the first six, `0,3,7` are these three, `6:30` six to thirty, until decided."""
    try:
        numbers = tuple(int(part) for part in re.split("[,:]", text.removesuffix(",")))
    except ValueError:
        raise UsageError(f"--seeds '{text}': give how many (6), which ones (0,3,7) or until decided (6:30).") from None
    if min(numbers) < 0:
        raise UsageError(f"--seeds '{text}': {min(numbers)} is negative; seeds count from 0.")
    if ":" in text:
        if len(numbers) != 2 or "," in text or numbers[1] > COMPARISON_SEEDS:
            raise UsageError(f"--seeds '{text}': until decided takes two numbers, at most {COMPARISON_SEEDS:,}: 6:30.")
        return SeedPlan.until_decided(*numbers)
    if "," not in text:
        if not 1 <= numbers[0] <= COMPARISON_SEEDS:
            raise UsageError(f"--seeds {text}: from 1 to {COMPARISON_SEEDS:,} seeds; `--seeds 5,` is seed 5 alone.")
        return SeedPlan.fixed(tuple(range(numbers[0])))
    if max(numbers) >= COMPARISON_SEEDS:
        raise UsageError(f"--seeds '{text}': {max(numbers)} is too high; seeds of comparisons go to 9,999.")
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"--seeds '{text}': a seed stands there twice; name each once.")
    return SeedPlan.fixed(numbers)


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


def _find_settings(given: argparse.Namespace) -> Settings | None:
    """The margins that the user set, beside the default of the other."""
    settings = Settings()
    if given.margin is None and given.margin_epochs is None:
        return None
    if given.margin is not None:
        if not 0 < given.margin <= 50:
            raise UsageError(f"--margin {given.margin:g}: percentage points above 0, at most 50, are needed.")
        settings = dataclasses.replace(settings, margin=given.margin / 100)
    if given.margin_epochs is not None:
        if not 0 < given.margin_epochs <= 1_000:
            raise UsageError(f"--margin-epochs {given.margin_epochs:g}: epochs above 0, at most 1,000, are needed.")
        settings = dataclasses.replace(settings, margin_epochs=given.margin_epochs)
    return settings


_TUNING_FLAGS = ("trials", "tune_seeds", "tune_for", "tune_seconds", "tune_architecture", "sampler", "pruner", "space")


def _find_tuning(given: argparse.Namespace) -> TuneSettings | None:
    """How to tune, what the user left out being the default."""
    values = {name: value for name in _TUNING_FLAGS if (value := getattr(given, name)) is not None}
    if not given.tune:
        if values:
            raise UsageError(f"--{next(iter(values)).replace('_', '-')} does nothing without --tune; add it.")
        return None
    renamed = {"tune_seeds": "seeds", "tune_for": "objectives", "tune_seconds": "seconds"}
    fields = {renamed.get(name, name.removeprefix("tune_")): value for name, value in values.items()}
    if "objectives" in fields:
        fields["objectives"] = tuple(filter(None, fields["objectives"].split(","))) or ("",)
    if given.pruner not in (None, "none") and len(fields.get("objectives", ())) > 1:
        raise UsageError(
            f"--pruner {given.pruner} beside --tune-for {given.tune_for}: with two objectives none can prune."
        )
    if "space" in fields:
        fields["space"] = Path(fields["space"])
    return TuneSettings(**fields)


def _check_tuning(given: argparse.Namespace, arguments: Arguments) -> None:
    """Refuse what a tuning cannot do."""
    if arguments.published:
        raise UsageError("--recipe published beside --tune: tuning starts from the shared recipe; leave it out.")
    if len(arguments.seed_plan.looks) > 1:
        raise UsageError(f"--seeds {given.seeds} beside --tune: give a fixed number of seeds, as --seeds 10.")
    if given.train_seconds is not None:
        raise UsageError("--train-seconds beside --tune: trials get equal numbers of images; give --epochs.")
    if len(arguments.budgets) > 1:
        raise UsageError(f"--epochs {given.epochs} beside --tune: tune under one budget at a time.")
    for flag in ("patience", "stop_at_accuracy"):
        if getattr(given, flag) is not None:
            raise UsageError(
                f"--{flag.replace('_', '-')} beside --tune: trials get equal numbers of images; leave it out."
            )
    if given.fresh:
        raise UsageError("--fresh beside --tune: trials are not made twice; name another --study to tune anew.")


def _is_published(name: str) -> bool:
    if name not in ("shared", "published"):
        raise UnknownNameError("recipe", name, ("shared", "published"))
    return name == "published"


def _make_parser() -> _Parser:
    parser = _Parser(
        prog="runner.py",
        description="Trains small image classifiers under the same seeds and budgets and compares them.",
        formatter_class=RichHelpFormatter,
        allow_abbrev=False,
    )
    actions = parser.add_argument_group("actions (one of them)")
    actions.add_argument("--all", action="store_true", help="train every architecture, compare, write the reports")
    actions.add_argument(
        "--arch", action="append", default=[], metavar="NAME", help="one or more: a name, a glob or a net's file.py"
    )
    actions.add_argument("--report", action="store_true", help="write the reports again from stored results")
    actions.add_argument("--list", action="store_true", help="the registered architectures")
    actions.add_argument(
        "--prune", action="store_true", help="free disk: delete weights that no study compares any more"
    )
    actions.add_argument(
        "--export", metavar="FORMAT", help=f"the runs of a study, typed, as one of {', '.join(EXPORT_FORMATS)}"
    )
    actions.add_argument(
        "--merge", metavar="DIR", help="bring another results directory into --results; contradictions are refused"
    )
    parser.add_argument("--version", action="version", version=f"runner.py {project_version()}")

    what = parser.add_argument_group("what is compared")
    what.add_argument("--variants", action="store_true", help="with --all: variants too")
    what.add_argument(
        "--dataset", default="auto", metavar="NAME", help="mnist, mnist5k, … (default auto: MNIST if it is to be had)"
    )
    what.add_argument(
        "--data-dir", metavar="DIR", help="where datasets lie, read only (default $BENCH_DATA_DIR, else data/)"
    )
    what.add_argument(
        "--seeds", default=DEFAULT_SEEDS, metavar="N", help="how many (6), which ones (0,3,7) or until decided (6:30)"
    )
    what.add_argument(
        "--epochs", metavar="N", help=f"the shared budget, or several (1,3,10) (default {DEFAULT_EPOCHS})"
    )
    what.add_argument("--train-seconds", type=float, metavar="S", help="a budget by the training clock instead")
    what.add_argument(
        "--margin", type=float, metavar="PP", help="accuracy differences within it do not matter (default 0.1 pp)"
    )
    what.add_argument(
        "--margin-epochs", type=float, metavar="E", help="the same of epochs to 95 %% (default 0.05 epochs)"
    )

    tuning = parser.add_argument_group("tuning")
    tuning.add_argument("--tune", action="store_true", help="tune each architecture, then compare tuned with default")
    tuning.add_argument("--trials", type=int, metavar="N", help="trials of each architecture, in all (default 20)")
    tuning.add_argument("--tune-seeds", type=int, metavar="N", help="seeds that every trial trains (default 1)")
    tuning.add_argument("--tune-seconds", type=float, metavar="S", help="no further trial begins after so long")
    tuning.add_argument(
        "--tune-for", metavar="WHAT", help="accuracy (default), or a front: accuracy,macs or accuracy,latency"
    )
    tuning.add_argument(
        "--tune-architecture", action="store_true", default=None, help="search the knobs that the net declares too"
    )
    tuning.add_argument("--space", metavar="FILE", help="another search space (default bench/tuning/space.toml)")
    tuning.add_argument("--sampler", metavar="NAME", help=f"one of {', '.join(SAMPLERS)} (default tpe)")
    tuning.add_argument("--pruner", metavar="NAME", help=f"one of {', '.join(PRUNERS)} (default halving)")

    shown = parser.add_argument_group("what --report shows")
    shown.add_argument("--only", default="", metavar="NAMES", help="some architectures: conv16k,bn25k or 'fc*'")
    shown.add_argument("--compare", metavar="DIR", help="set the study beside that of another results directory")

    how = parser.add_argument_group("how it is trained")
    how.add_argument(
        "--recipe", default="shared", metavar="WHICH", help="shared: one for all; published: each source's own"
    )
    for flag, options in _RECIPE_FLAGS.items():
        how.add_argument(flag, **options)  # type: ignore[arg-type]

    where = parser.add_argument_group("where")
    where.add_argument("--device", default="auto", metavar="KIND", help="auto, cpu, cuda or mps")
    where.add_argument("--jobs", type=int, metavar="N", help="runs that train at once (default one per core)")
    where.add_argument(
        "--run-timeout",
        type=float,
        metavar="S",
        help="when a run counts as hung and is tried again (default ten times its estimate, at least 1 h)",
    )
    where.add_argument(
        "--results", default="results", metavar="DIR", help="everything a study writes (default results/)"
    )
    where.add_argument(
        "--study", metavar="NAME", help="one of several in a results directory (default the last one run)"
    )
    where.add_argument("--store", metavar="URL", help="results database (default sqlite in the results directory)")
    where.add_argument("--fresh", action="store_true", help="train again what is already stored")
    where.add_argument(
        "--plan", action="store_true", help="say what would be trained and how long it takes; do nothing"
    )
    where.add_argument(
        "--no-timing",
        dest="timing",
        action="store_false",
        help="leave out the quiet phase that measures speed and memory",
    )
    where.add_argument("--quiet", action="count", default=0, help="only the summary")
    where.add_argument("--verbose", action="count", default=0, help="more")
    return parser
