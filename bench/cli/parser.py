"""Every flag of the command line, declared once: how it is typed, what `--help` says, and what it goes with."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any, NoReturn

from rich_argparse import RichHelpFormatter

from bench.core.errors import UsageError
from bench.core.options import (
    DEFAULT_DROP,
    DEVICES,
    ENGINES,
    LOOPBACK,
    PREDICTION_FORMATS,
    PRUNERS,
    REFERENCE_RUNS,
    SAMPLERS,
)
from bench.core.recipe import (
    AUGMENTATIONS,
    CLASS_WEIGHTS,
    DEFAULT_IMAGES,
    MOST_DEFAULT_EPOCHS,
    OPTIMIZERS,
    SCHEDULES,
)
from bench.core.records import METRICS
from bench.core.work.gate import DEFAULT_THRESHOLDS
from bench.system.environment import project_version
from bench.system.program import program_name, program_words
from bench.system.text import hide_passwords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RUN_FORMATS, MODEL_FORMATS, COMPACT = ("csv", "json", "parquet"), ("onnx",), "compact"
EXPORT_FORMATS = (*RUN_FORMATS, COMPACT, *MODEL_FORMATS)
"""Of `--export`: those that write the runs of a study, and those that write its nets."""
RECIPES = ("shared", "published")
MAX_TIMEOUT_SECONDS = 30 * 86_400

GATE = ("check", "write-thresholds")
TRAINING = ("train", *GATE)
CHOOSING = (*TRAINING, "doctor")
"""Actions beside which `--all` and `--arch` choose architectures."""
RUNNING = (*TRAINING, "claims")
"""Actions that train something, by whatever recipe."""
USING = ("export", "predict", "serve")
"""Use what was trained; `--export` does beside one of `MODEL_FORMATS`."""
LOOKING = (*RUNNING, "doctor", *USING)
"""Actions that need images, or choose nets by them."""
ACTIONS = (*GATE, "claims", "doctor", "report", "list", "forget", "prune", "merge", *USING)
"""What a flag of its own asks for; "train" is what `--all` and `--arch` ask for without one of these."""
ANY = ("train", *ACTIONS)


@dataclasses.dataclass(frozen=True, eq=False)
class Flag:
    """One flag.

    Attributes:
        name: As it is typed.
        help: What `--help` says.
        options: What else argparse is told.
        goes_with: Actions beside which it means something.
        choices: What its value may be; empty for anything.
        allows: Says whether a number is in range.
        range: The range in words.
        refused: Why it cannot be given beside an action or "tune", with room for `{value}` and `{action}`.
    """

    name: str
    help: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    _: dataclasses.KW_ONLY
    goes_with: tuple[str, ...] = TRAINING
    choices: tuple[str, ...] = ()
    allows: Callable[[Any], bool] = lambda _: True
    range: str = ""
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> str:
        """Name of its value among what argparse gives."""
        return str(self.options.get("dest", self.name[2:].replace("-", "_")))


_SWITCH = {"action": "store_true"}
_MAYBE = {"action": "store_true", "default": None}
_FILE = {"nargs": "?", "const": DEFAULT_THRESHOLDS, "metavar": "FILE"}
_COUNT = {"action": "count", "default": 0}


def _text(metavar: str, default: str | None = None) -> dict[str, Any]:
    return {"metavar": metavar, "default": default}


def _integer(metavar: str) -> dict[str, Any]:
    return {"type": int, "metavar": metavar}


def _number(metavar: str) -> dict[str, Any]:
    return {"type": float, "metavar": metavar}


def _beside_gate(why: str) -> dict[str, str]:
    return dict.fromkeys(GATE, why)


_EQUAL_TRIALS = "beside --tune: trials get equal numbers of images; leave it out."

_SEEDS_HELP = (
    "how many: 6 (default) trains seeds 0 to 5; which ones: 0,3,7, or 7, for one alone; until decided: 6:30 trains 6 "
    "first, then more, up to 30, for pairs still open. Fewer than 6 give no verdict. Beside --write-thresholds: how "
    f"many reference runs (default {REFERENCE_RUNS})"
)

TUNING_FLAGS = (
    Flag("--trials", "trials of each architecture, in all (default 20)", _integer("N")),
    Flag("--tune-seeds", "seeds that every trial trains (default 1)", _integer("N")),
    Flag("--tune-seconds", "no further trial begins after so long", _number("S")),
    Flag("--tune-for", "accuracy (default), or a front: accuracy,macs or accuracy,latency", _text("WHAT")),
    Flag("--tune-architecture", "search the knobs that the net declares too", _MAYBE),
    Flag("--space", "another search space (default bench/studies/tuning/space.toml)", _text("FILE")),
    Flag("--sampler", f"one of {', '.join(SAMPLERS)} (default tpe)", _text("NAME")),
    Flag("--pruner", f"one of {', '.join(PRUNERS)} (default halving)", _text("NAME")),
)
RECIPE_FLAGS = (
    Flag("--optimizer", f"one of {', '.join(OPTIMIZERS)} (default adam)"),
    Flag("--lr", "learning rate, the peak one under one-cycle (default 6e-3)", _number("RATE")),
    Flag("--batch-size", "images per step (default 128)", _integer("N")),
    Flag("--schedule", f"one of {', '.join(SCHEDULES)} (default one-cycle)"),
    Flag("--momentum", "of SGD (default 0.9)", _number("M")),
    Flag("--nesterov", "Nesterov momentum for SGD", _MAYBE),
    Flag("--weight-decay", "default 0; on all, biases and BatchNorm's too", _number("D")),
    Flag("--label-smoothing", "default 0", _number("S")),
    Flag("--class-weights", f"one of {', '.join(CLASS_WEIGHTS)}: of losses, for classes of unlike size (default none)",
         _text("WHICH")),
    Flag("--augmentation", f"of {', '.join(AUGMENTATIONS)}, with strengths: shift:2,rotation:10", _text("LIST")),
    Flag("--patience", "stop early after so many epochs without a gain", _integer("EPOCHS"),
         refused={"tune": f"--patience {_EQUAL_TRIALS}"}),
    Flag("--stop-at-accuracy", "stop once validation accuracy, in [0, 1], is there", _number("A"),
         refused={"tune": f"--stop-at-accuracy {_EQUAL_TRIALS}"}),
    Flag("--keep", "last or best: the weights that are kept (default last)"),
    Flag("--plateau-patience", "of the plateau schedule (default 10)", _integer("EPOCHS")),
)  # fmt: skip
GROUPS: Mapping[str, tuple[Flag, ...]] = {
    "Train and compare": (
        Flag("--all", "train every architecture, compare, write the reports", _SWITCH, goes_with=(*CHOOSING, *USING)),
        Flag("--arch", "train one or more: a name, a glob, a net's file.py, a plain class of it, file.py:MyNet, or "
             "torchvision:resnet18; with other knobs or another recipe: 'bn25k hidden=32 lr=3e-3'",
             {"action": "append", "default": [], "metavar": "NAME"}, goes_with=(*CHOOSING, *USING)),
        Flag("--variants", "with --all: variants too", _SWITCH, goes_with=CHOOSING),
        Flag("--epochs", f"the shared budget, or several (1,3,10) (default {DEFAULT_IMAGES:,} training images, at most "
             f"{MOST_DEFAULT_EPOCHS} epochs)", _text("N")),
        Flag("--train-seconds", "a budget by the training clock instead", _number("S"),
             refused=_beside_gate("--train-seconds beside --{action}: seconds never gate; leave it out.")
             | {"tune": "--train-seconds beside --tune: trials get equal numbers of images; give --epochs."}),
        Flag("--fresh", "train again what is already stored", _SWITCH, goes_with=RUNNING,
             refused={"tune": "--fresh beside --tune: trials are not made twice; name another --study to tune anew."}),
        Flag("--no-timing", "leave out the quiet phase that measures speed and memory",
             {"dest": "timing", "action": "store_false"}, goes_with=("train",)),
        Flag("--time-again", "measure speed and memory again, as after a busy phase", _SWITCH, goes_with=("train",)),
        Flag("--plan", "say what would be trained and how long it takes; do nothing", _SWITCH,
             goes_with=(*RUNNING, "prune")),
        Flag("--doctor", "examine architectures, all or those of --arch, and train nothing: what is wrong, in which "
             "layer, and the fix; exit 1 where there is an error", _SWITCH),
        Flag("--no-doctor", "train without that; without it, a net with an error is not trained",
             {"dest": "examine", "action": "store_false"}),
        Flag("--list", "say which architectures there are", _SWITCH),
    ),
    "Train by another recipe": (
        Flag("--recipe", "shared: one for all; published: each source's own", _text("WHICH", "shared"),
             choices=RECIPES,
             refused=_beside_gate("--recipe {value} beside --{action}: a gate has one recipe for all; leave it out.")
             | {"tune": "--recipe {value} beside --tune: tuning starts from the shared recipe; leave it out."}),
        *RECIPE_FLAGS,
    ),
    "Judge": (
        Flag("--seeds", _SEEDS_HELP, _text("SEEDS"), goes_with=RUNNING,
             refused={"check": "--seeds {value} beside --check: the rule has its own seeds; leave it out."}),
        Flag("--margin", "accuracy differences within it do not matter (default 0.1 pp)", _number("PP"),
             goes_with=("train", "report"), allows=lambda margin: 0 < margin <= 50,
             range="percentage points above 0, at most 50, are needed."),
        Flag("--margin-epochs", "the same of epochs to 95 %% (default 0.05 epochs)", _number("E"),
             goes_with=("train", "report"), allows=lambda margin: 0 < margin <= 1_000,
             range="epochs above 0, at most 1,000, are needed."),
        Flag("--metric", "what verdicts are on: accuracy (default), or balanced_accuracy, in which every class counts "
             "alike", _text("NAME"), goes_with=("train", "report"), choices=METRICS),
    ),
    "Tune": (
        Flag("--tune", "with --all or --arch: tune each architecture, then compare tuned with default", _SWITCH,
             refused=_beside_gate("--tune beside --{action}: give one of them.")),
        *TUNING_FLAGS,
    ),
    "Gate": (
        Flag("--check", f"did a change make a net worse than FILE's references ({DEFAULT_THRESHOLDS})? Alone or beside "
             "--all or --arch", _FILE),
        Flag("--drop", f"the drop that --check shall catch, in percentage points (default {DEFAULT_DROP:g})",
             _number("PP"), goes_with=("check",), allows=lambda drop: 0.001 <= drop <= 50,
             range="from 0.001 to 50 percentage points are needed."),
        Flag("--write-thresholds",
             f"record these references ({REFERENCE_RUNS} runs each unless --seeds says otherwise)", _FILE),
        Flag("--force", "record although tracked files are changed", _SWITCH, goes_with=("write-thresholds",)),
    ),
    "Claims": (
        Flag("--claims", "run again and judge what the source projects claim: all, some by id (C1,E6), or those of a "
             "FILE (.toml or .py)", {"nargs": "?", "const": "all", "metavar": "IDS or FILE"}),
    ),
    "Report": (
        Flag("--report", "write the reports again from stored results", _SWITCH),
        Flag("--only", "with --report: some architectures: conv16k,bn25k or 'fc*'", _text("NAMES"),
             goes_with=("report",)),
        Flag("--compare", "with --report: set the study beside that of another results directory; previous: each "
             "edited net beside itself before the edit", _text("DIR"),
             goes_with=("report",)),
        Flag("--export", f"the runs of a study, typed, as one of {', '.join(RUN_FORMATS)}; {COMPACT}: small files that "
             "--merge reads back; or its nets, which take raw pixels: onnx", _text("FORMAT"), choices=EXPORT_FORMATS),
        Flag("--quiet", "only the summary", _COUNT, goes_with=ANY),
        Flag("--verbose", "more", _COUNT, goes_with=ANY),
    ),
    "Use what was trained": (
        Flag("--predict", "what the nets say of pictures: files, folders, globs, IDX files, .npz, - for standard input",
             {"nargs": "+", "metavar": "IMAGE"}),
        Flag("--format", f"with --predict: one of {', '.join(PREDICTION_FORMATS)}, for programs", _text("FORMAT"),
             goes_with=("predict",), choices=PREDICTION_FORMATS),
        Flag("--serve", "the report and a playground to draw in, in a browser on this machine", _SWITCH),
        Flag("--port", "with --serve: (default 8080; 0 for any that is free)", _integer("N"), goes_with=("serve",),
             allows=lambda port: 0 <= port <= 65_535, range="from 0 (any that is free) to 65,535."),
        Flag("--host", f"with --serve: the address to listen on (default {LOOPBACK[0]}, this machine alone)",
             _text("ADDRESS"), goes_with=("serve",)),
        Flag("--rate", "with --serve: requests a second that an address may make (default 20, this machine's own any)",
             _number("N"), goes_with=("serve",), allows=lambda rate: 0 < rate <= 1e6,
             range="requests a second above 0, at most 1,000,000, are needed."),
        Flag("--seed", "which run is exported, asked or served (default the best-validated one of each net)",
             _integer("N"), goes_with=("train", *USING), allows=lambda seed: 0 <= seed <= 10_000_000,
             range="from 0 to 10,000,000.",
             refused={"train": "--seed {value} chooses among trained runs; to train it, give --seeds {value},"}),
    ),
    "Data": (
        Flag("--dataset", "mnist, mnist5k, …, or your own images: a folder of class folders, a .npz, .csv, .parquet, "
             "IDX files, a .py; several by commas (default auto: MNIST if it is to be had)", _text("NAME", "auto"),
             goes_with=LOOKING),
        Flag("--image-size", "bring images to 32, to 28x40, or to 32:pad instead of cutting", _text("SIZE"),
             goes_with=CHOOSING),
        Flag("--skip-broken", "leave out pictures that cannot be read", _SWITCH, goes_with=CHOOSING),
        Flag("--drop-duplicates", "keep one of equal images, that of the test set first", _SWITCH, goes_with=CHOOSING),
        Flag("--group-by", "keep images together in every split: a column of a table, or folder", _text("NAME"),
             goes_with=CHOOSING),
        Flag("--data-dir", "where datasets lie, read only (default $BENCH_DATA_DIR, else data/)", _text("DIR"),
             goes_with=(*RUNNING, "doctor", "export")),
    ),
    "Where": (
        Flag("--device", "auto, cpu, cuda or mps (default auto: an accelerator where there is one)",
             _text("KIND", "auto"), choices=DEVICES, goes_with=RUNNING),
        Flag("--engine", "auto, torch, or lanes: the suite's own kernels for CPUs (default auto: lanes where they can "
             "be built)", _text("NAME", "auto"), choices=ENGINES, goes_with=RUNNING),
        Flag("--jobs", "runs that train at once (default one per core, one on an accelerator)", _integer("N"),
             goes_with=RUNNING, allows=lambda jobs: 1 <= jobs <= 1024, range="from 1 to 1024 runs can train at once."),
        Flag("--cluster", "train on the workers of a Dask scheduler: tcp://HOST:8786 or tls://…", _text("ADDRESS"),
             goes_with=RUNNING),
        Flag("--run-timeout",
             "when a run counts as hung and is tried again (default ten times its estimate, at least 1 h)",
             _number("S"), goes_with=RUNNING, allows=lambda seconds: 1 <= seconds <= MAX_TIMEOUT_SECONDS,
             range=f"from 1 s to {MAX_TIMEOUT_SECONDS:,} s (30 days)."),
        Flag("--results", "everything a study writes (default results/)", _text("DIR", "results"), goes_with=ANY),
        Flag("--study", "what is judged together, of several in a results directory; a new name begins another "
             "(default the last one run)", _text("NAME"),
             goes_with=ANY),
        Flag("--store", "results database (default sqlite in the results directory)", _text("URL"), goes_with=ANY),
        Flag("--merge", "bring another results directory into --results; contradictions are refused", _text("DIR")),
        Flag("--forget", "take a net out of the study; its runs stay stored", _text("NET")),
        Flag("--prune", "free disk: delete weights that no study compares any more", _SWITCH),
    ),
}  # fmt: skip
"""What `--help` shows, by what one wants to do."""
FLAGS = tuple(flag for flags in GROUPS.values() for flag in flags)


_DESCRIPTION = (
    "Trains small image classifiers under the same seeds and budgets and says which is better, by how much, at what "
    "cost. One action a command: --all or --arch NAME, alone or with --tune, --check, --write-thresholds or --doctor; "
    "else --claims, --report, --list, --forget, --export, --predict, --serve, --merge or --prune."
)


class _HelpFormatter(RichHelpFormatter):
    """Titles as they are written here: `Train and compare`, not `Train And Compare`."""

    group_name_formatter = str


class Parser(argparse.ArgumentParser):
    """Raises what is wrong as our own error instead of exiting."""

    def error(self, message: str) -> NoReturn:
        """Say what argparse found wrong, and where to look."""
        message = hide_passwords(message)
        raise UsageError(
            f"{message[0].upper()}{message[1:]}; `{' '.join(program_words())} --help` lists what there is."
        )


def make_parser() -> Parser:
    """The command line as it may be typed, in the order of `--help`."""
    parser = Parser(
        prog=" ".join(program_words()),
        usage="%(prog)s ACTION [OPTIONS]",
        description=_DESCRIPTION,
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="help", help="show this and exit")
    parser.add_argument(
        "--version", action="version", version=f"{program_name()} {project_version()}", help="show the version and exit"
    )
    for title, flags in GROUPS.items():
        group = parser.add_argument_group(title)
        for flag in flags:
            group.add_argument(flag.name, help=flag.help, **flag.options)
    return parser
