"""Every flag of the command line, as argparse takes it; what they mean together is `bench.cli.arguments`' business."""

from __future__ import annotations

import argparse
from typing import NoReturn, TypeAlias

from rich_argparse import RichHelpFormatter

from bench.core.errors import UsageError
from bench.core.options import DEFAULT_DROP, PRUNERS, REFERENCE_RUNS, SAMPLERS
from bench.core.recipe import DEFAULT_EPOCHS, OPTIMIZERS, SCHEDULES
from bench.system.environment import project_version
from bench.system.text import hide_passwords

Group: TypeAlias = argparse._ArgumentGroup  # noqa: SLF001 - argparse gives it no public name

DEFAULT_FILE = "thresholds.toml"
EXPORT_FORMATS = ("csv", "json", "parquet")

RECIPE_FLAGS = {
    "--optimizer": {"help": f"one of {', '.join(OPTIMIZERS)} (default adam)"},
    "--lr": {"type": float, "metavar": "RATE", "help": "learning rate, the peak one under one-cycle (default 6e-3)"},
    "--batch-size": {"type": int, "metavar": "N", "help": "images per step (default 128)"},
    "--schedule": {"help": f"one of {', '.join(SCHEDULES)} (default one-cycle)"},
    "--momentum": {"type": float, "metavar": "M", "help": "of SGD (default 0.9)"},
    "--nesterov": {"action": "store_true", "default": None, "help": "Nesterov momentum for SGD"},
    "--weight-decay": {"type": float, "metavar": "D", "help": "default 0; on all, biases and BatchNorm's too"},
    "--label-smoothing": {"type": float, "metavar": "S", "help": "default 0"},
    "--augmentation": {"metavar": "LIST", "help": "of shift, rotation, crop, with strengths: shift:2,rotation:10"},
    "--patience": {"type": int, "metavar": "EPOCHS", "help": "stop early after so many epochs without a gain"},
    "--stop-at-accuracy": {"type": float, "metavar": "A", "help": "stop once validation accuracy, in [0, 1], is there"},
    "--keep": {"help": "last or best: the weights that are kept (default last)"},
    "--plateau-patience": {"type": int, "metavar": "EPOCHS", "help": "of the plateau schedule (default 10)"},
}


class Parser(argparse.ArgumentParser):
    """Raises what is wrong as our own error instead of exiting."""

    def error(self, message: str) -> NoReturn:
        """Say what argparse found wrong, and where to look."""
        message = hide_passwords(message)
        raise UsageError(f"{message[0].upper()}{message[1:]}; `python runner.py --help` lists what there is.")


def make_parser() -> Parser:
    """The command line as it may be typed, in the order of `--help`."""
    parser = Parser(
        prog="runner.py",
        description="Trains small image classifiers under the same seeds and budgets and compares them.",
        formatter_class=RichHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"runner.py {project_version()}")
    _add_actions(parser.add_argument_group("actions (one of them)"))
    _add_comparison(parser.add_argument_group("what is compared"))
    _add_tuning(parser.add_argument_group("tuning"))
    _add_gate(parser.add_argument_group("the gate"))
    _add_shown(parser.add_argument_group("what --report shows"))
    _add_recipe(parser.add_argument_group("how it is trained"))
    _add_place(parser.add_argument_group("where"))
    return parser


def _add_actions(group: Group) -> None:
    group.add_argument("--all", action="store_true", help="train every architecture, compare, write the reports")
    group.add_argument(
        "--arch", action="append", default=[], metavar="NAME", help="one or more: a name, a glob or a net's file.py"
    )
    group.add_argument(
        "--check",
        nargs="?",
        const=DEFAULT_FILE,
        metavar="FILE",
        help=f"the gate: did a change make a net worse than FILE's references ({DEFAULT_FILE})",
    )
    group.add_argument(
        "--write-thresholds",
        nargs="?",
        const=DEFAULT_FILE,
        metavar="FILE",
        help=f"record the gate's references ({REFERENCE_RUNS} runs each unless --seeds says otherwise)",
    )
    group.add_argument("--report", action="store_true", help="write the reports again from stored results")
    group.add_argument("--list", action="store_true", help="the registered architectures")
    group.add_argument("--prune", action="store_true", help="free disk: delete weights that no study compares any more")
    group.add_argument(
        "--export", metavar="FORMAT", help=f"the runs of a study, typed, as one of {', '.join(EXPORT_FORMATS)}"
    )
    group.add_argument(
        "--merge", metavar="DIR", help="bring another results directory into --results; contradictions are refused"
    )


def _add_comparison(group: Group) -> None:
    group.add_argument("--variants", action="store_true", help="with --all: variants too")
    group.add_argument(
        "--dataset", default="auto", metavar="NAME", help="mnist, mnist5k, … (default auto: MNIST if it is to be had)"
    )
    group.add_argument(
        "--data-dir", metavar="DIR", help="where datasets lie, read only (default $BENCH_DATA_DIR, else data/)"
    )
    group.add_argument("--seeds", metavar="N", help="how many (6), which ones (0,3,7) or until decided (6:30)")
    group.add_argument(
        "--epochs", metavar="N", help=f"the shared budget, or several (1,3,10) (default {DEFAULT_EPOCHS})"
    )
    group.add_argument("--train-seconds", type=float, metavar="S", help="a budget by the training clock instead")
    group.add_argument(
        "--margin", type=float, metavar="PP", help="accuracy differences within it do not matter (default 0.1 pp)"
    )
    group.add_argument(
        "--margin-epochs", type=float, metavar="E", help="the same of epochs to 95 %% (default 0.05 epochs)"
    )


def _add_tuning(group: Group) -> None:
    group.add_argument("--tune", action="store_true", help="tune each architecture, then compare tuned with default")
    group.add_argument("--trials", type=int, metavar="N", help="trials of each architecture, in all (default 20)")
    group.add_argument("--tune-seeds", type=int, metavar="N", help="seeds that every trial trains (default 1)")
    group.add_argument("--tune-seconds", type=float, metavar="S", help="no further trial begins after so long")
    group.add_argument(
        "--tune-for", metavar="WHAT", help="accuracy (default), or a front: accuracy,macs or accuracy,latency"
    )
    group.add_argument(
        "--tune-architecture", action="store_true", default=None, help="search the knobs that the net declares too"
    )
    group.add_argument("--space", metavar="FILE", help="another search space (default bench/studies/tuning/space.toml)")
    group.add_argument("--sampler", metavar="NAME", help=f"one of {', '.join(SAMPLERS)} (default tpe)")
    group.add_argument("--pruner", metavar="NAME", help=f"one of {', '.join(PRUNERS)} (default halving)")


def _add_gate(group: Group) -> None:
    group.add_argument(
        "--drop",
        type=float,
        metavar="PP",
        help=f"the drop that --check shall catch, in percentage points (default {DEFAULT_DROP:g})",
    )
    group.add_argument("--force", action="store_true", help="record although tracked files are changed")


def _add_shown(group: Group) -> None:
    group.add_argument("--only", metavar="NAMES", help="some architectures: conv16k,bn25k or 'fc*'")
    group.add_argument("--compare", metavar="DIR", help="set the study beside that of another results directory")


def _add_recipe(group: Group) -> None:
    group.add_argument(
        "--recipe", default="shared", metavar="WHICH", help="shared: one for all; published: each source's own"
    )
    for flag, options in RECIPE_FLAGS.items():
        group.add_argument(flag, **options)  # type: ignore[arg-type]


def _add_place(group: Group) -> None:
    group.add_argument("--device", default="auto", metavar="KIND", help="auto, cpu, cuda or mps")
    group.add_argument(
        "--cluster", metavar="ADDRESS", help="train on the workers of a Dask scheduler: tcp://HOST:8786 or tls://…"
    )
    group.add_argument("--jobs", type=int, metavar="N", help="runs that train at once (default one per core)")
    group.add_argument(
        "--run-timeout",
        type=float,
        metavar="S",
        help="when a run counts as hung and is tried again (default ten times its estimate, at least 1 h)",
    )
    group.add_argument(
        "--results", default="results", metavar="DIR", help="everything a study writes (default results/)"
    )
    group.add_argument(
        "--study", metavar="NAME", help="one of several in a results directory (default the last one run)"
    )
    group.add_argument("--store", metavar="URL", help="results database (default sqlite in the results directory)")
    group.add_argument("--fresh", action="store_true", help="train again what is already stored")
    group.add_argument(
        "--plan", action="store_true", help="say what would be trained and how long it takes; do nothing"
    )
    group.add_argument(
        "--no-timing",
        dest="timing",
        action="store_false",
        help="leave out the quiet phase that measures speed and memory",
    )
    group.add_argument("--quiet", action="count", default=0, help="only the summary")
    group.add_argument("--verbose", action="count", default=0, help="more")
