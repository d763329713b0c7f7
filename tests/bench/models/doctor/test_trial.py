"""What net files do to the process that imports or tries them: each costs that net alone, in one line."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.core.errors import ArchitectureError, UsageError
from bench.models.doctor.check import check
from bench.models.doctor.trial import Trial
from bench.models.registry import discover, load_file
from bench.spec import Architecture
from tests import ROOT
from tests.bench.models.doctor.test_check import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE = sample()
NET = """
import os, signal, sys, threading
import torch
from torch import nn
from bench.spec import Architecture

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(784, 10)  # while building

    def forward(self, images):
        return self.out(images.flatten(1))  # while running

# while importing
ARCHITECTURE = Architecture(name="hostile", build=Net)
"""
LINES = {
    where: number
    for number, line in enumerate(NET.splitlines(), start=1)
    if (where := line.rpartition("# while ")[2]) != line
}


def write(folder: Path, where: str, statement: str) -> Path:
    """The net with a statement before the place that its comment names."""
    path = folder / "net.py"
    lines = NET.splitlines()
    number = LINES[where] - 1
    indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
    lines.insert(number, indent + statement)
    path.write_text("\n".join(lines))
    return path


def try_out(path: Path, *, limit_seconds: float = 60.0) -> Trial:
    """Load and check what a file declares."""
    trial = Trial(limit_seconds=limit_seconds)
    for net in trial.load(path):
        trial.check(net, SAMPLE, device="cpu")
    return trial


def refusal(path: Path, *, limit_seconds: float = 60.0) -> str:
    with pytest.raises(ArchitectureError) as caught:
        try_out(path, limit_seconds=limit_seconds)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    """Nothing that a net does reaches this process."""

    def read() -> tuple[object, ...]:
        environment = [os.environ.get(name) for name in ("TZ", "HOME", "PYTHONPATH", "OMP_NUM_THREADS")]
        return Path.cwd(), environment, list(sys.path), sys.stdout, sys.argv, threading.active_count()

    before = read()
    yield
    assert read() == before


HANGS = "threading.Event().wait()"
LOOPS = "exec('while True: pass')"
DIES = {
    "__import__('ctypes').string_at(0)": "was killed by SIGSEGV",
    "os.abort()": "was killed by SIGABRT",
    "os._exit(3)": "ended its process with exit code 3",
    "os._exit(0)": "ended its process with exit code 0",
    "os.kill(os.getpid(), signal.SIGKILL)": "was killed by SIGKILL",
    "signal.raise_signal(signal.SIGALRM)": "was killed by SIGALRM",
    "signal.raise_signal(signal.SIGTERM)": "was killed by SIGTERM",
    "os.closerange(0, 1000)": "ended its process with exit code 70",
}
RAISES = {
    "raise KeyboardInterrupt": "raised KeyboardInterrupt",
    "signal.raise_signal(signal.SIGINT)": "raised KeyboardInterrupt",
    "raise BaseException('odd')": "raised BaseException: odd",
    "raise GeneratorExit": "raised GeneratorExit",
    "sys.exit(4)": "raised SystemExit: 4",
    "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})": "raised Mute: (its text cannot be read)",
    "(lambda f: f(f))(lambda f: f(f))": "raised RecursionError: maximum recursion depth exceeded",
    "raise MemoryError": "raised MemoryError",
    "torch.zeros(2, -1)": "raised RuntimeError: ",
}
DOING = {"importing": "importing it", "building": "building", "running": "a batch of shape (2, 1, 28, 28)"}


@pytest.mark.parametrize(
    ("where", "statement"), [("importing", HANGS), ("building", HANGS), ("running", HANGS), ("building", LOOPS)]
)
def test_a_net_that_hangs_is_ended_and_its_line_named(where: str, statement: str, tmp_path: Path) -> None:
    said = refusal(write(tmp_path, where, statement), limit_seconds=5)
    assert f"net.py, line {LINES[where]}" in said
    assert "did not end within 5 s; fix the file, or allow more seconds with BENCH_TRIAL_SECONDS." in said
    assert {"importing": "importing it", "building": "ing it", "running": "trying it"}[where] in said


@pytest.mark.parametrize(
    ("where", "statement"),
    [*(("importing", statement) for statement in DIES), ("building", "os._exit(3)"), ("running", "os.abort()")],
)
def test_a_net_that_ends_its_process_costs_itself_alone(where: str, statement: str, tmp_path: Path) -> None:
    said = refusal(write(tmp_path, where, statement))
    assert DIES[statement] in said
    assert "net.py" in said


@pytest.mark.parametrize(
    ("where", "statement"),
    [
        *(("running", statement) for statement in RAISES),
        *((where, "raise BaseException('odd')") for where in ("importing", "building")),
        *((where, "raise KeyboardInterrupt") for where in ("importing", "building")),
        ("importing", "(lambda f: f(f))(lambda f: f(f))"),
    ],
)
def test_whatever_a_net_raises_is_one_line(where: str, statement: str, tmp_path: Path) -> None:
    said = refusal(write(tmp_path, where, statement))
    assert RAISES[statement] in said
    assert f"net.py, line {LINES[where]}" in said or "signal" in statement
    assert DOING[where] in said or "signal" in statement


def test_values_for_which_there_is_no_memory_are_named_before_they_are_made(tmp_path: Path) -> None:
    said = refusal(write(tmp_path, "running", "torch.zeros(10**13)"))
    assert "a forward pass of 32 images makes 40,000.0 GB of values; this machine has" in said


@pytest.mark.parametrize(
    "statement",
    [
        "os.chdir('/')",
        "os.environ['TZ'] = 'Asia/Tokyo'; os.environ.pop('HOME', None)",
        "os.close(1); os.close(2)",
        "sys.stdout = sys.stderr = None",
        "sys.stdout.close()",
        "sys.argv = ['x', '--all']; sys.path.clear()",
        "threading.Thread(target=threading.Event().wait).start()",
        "os.fork()",
        "__import__('atexit').register(threading.Event().wait)",
        "__import__('warnings').simplefilter('error')",
        "__import__('logging').basicConfig(level=0)",
        "__import__('locale').setlocale(0, 'C')",
        "torch.set_num_threads(8)",
        "signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "signal.signal(signal.SIGALRM, signal.SIG_IGN); signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)",
        "__import__('__main__')",
        "__import__('subprocess').Popen(['sleep', '1000'])",
    ],
)
def test_a_net_that_changes_its_process_is_tried_all_the_same(statement: str, tmp_path: Path) -> None:
    (architecture,) = Trial().load(write(tmp_path, "importing", statement))
    assert Trial().check(architecture, SAMPLE, device="cpu").params == 7_850


def test_a_flood_of_output_is_counted_and_not_kept(tmp_path: Path) -> None:
    path = write(tmp_path, "running", "print(('x' * 99 + '\\n') * 100_000, file=sys.stderr)")
    trial = try_out(path)
    (note,) = trial.notes
    assert note.startswith("hostile printed ")
    assert note.endswith(" lines while it was tried; --verbose shows what nets print.")
    assert int(note.split()[2].replace(",", "")) % 100_001 == 0, "each pass prints so many lines"


def test_what_a_net_prints_is_shown_to_who_asks(tmp_path: Path) -> None:
    trial = Trial(verbose=True)
    trial.load(write(tmp_path, "importing", "print('hello'); print('from', 'here')"))
    assert trial.notes == ["net.py printed while it was tried: hello\nfrom here"]
    quiet = Trial()
    quiet.load(write(tmp_path, "importing", "print('hello')"))
    assert quiet.notes == ["net.py printed 1 line while it was tried; --verbose shows what nets print."]


def test_too_many_parameters_are_refused_before_they_are_made(tmp_path: Path) -> None:
    said = refusal(write(tmp_path, "building", "self.large = nn.Linear(10**6, 10**7)"))
    assert "hostile: its weights take 40,000.0 GB and training them 160,000.2 GB" in said
    assert "make the net smaller" in said


def test_a_parser_of_the_net_sees_nothing_of_the_command_line(tmp_path: Path) -> None:
    parser = (
        "import argparse; parser = argparse.ArgumentParser(); parser.add_argument('--epochs', {}); parser.parse_args()"
    )
    try_out(write(tmp_path, "importing", parser.format("default=3")))
    said = refusal(write(tmp_path, "importing", parser.format("required=True")))
    assert f"net.py, line {LINES['importing']}: importing it raised SystemExit: 2;" in said
    assert said.endswith("It printed: net.py: error: the following arguments are required: --epochs")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("torch.set_default_dtype(torch.float64)", "line {} sets torch's default type to torch.float64"),
        ("torch.set_default_device('meta')", "line {} sets torch's default device to meta"),
    ],
)
def test_a_default_of_torch_that_a_file_changes_is_named(statement: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, "importing", statement)
    said = refusal(path)
    assert said.startswith(f"{path}: {message.format(LINES['importing'])}, which holds for every net;")


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("params='12'", "params is '12'; a whole number is needed, or leave it out."),
        ("macs=1.5", "macs is 1.5; a whole number is needed, or leave it out."),
        ("params=True", "params is True; a whole number is needed, or leave it out."),
        ("source=7", "source is 7; a text is needed."),
        ("summary=b'x'", "summary is b'x'; a text is needed."),
        ("classes='10'", "classes is '10'; at least 2 are needed."),
        ("input_shape=(1, 28.0, 28)", "input_shape is (1, 28.0, 28); (channels, height, width) is needed."),
        ("input_shape=28", "input_shape is 28; (channels, height, width) is needed."),
        ("recipe={'lr': 1}", "recipe is a Recipe and budget a Budget of bench.spec, or left out."),
        ("knobs=['a']", "knobs is ['a']; knobs by name are needed."),
    ],
)
def test_a_declaration_of_the_wrong_kind_is_named_with_its_line(declaration: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NET.replace("build=Net", f"build=Net, {declaration}"))
    assert refusal(path) == f"{path}, line {LINES['importing'] + 1}: Architecture 'hostile': {message}"


def test_eval_or_train_that_raise_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    for method in ("train", "eval"):
        path.write_text(NET.replace("    def forward", f"    def {method}(self, *_):\n        1 / 0\n    def forward"))
        said = refusal(path)
        assert "hostile (net.py, line 13): " in said
        assert "raised ZeroDivisionError: division by zero" in said


@pytest.mark.parametrize(
    ("statement", "replaced"),
    [
        ("nn.Linear.forward = lambda self, x: x", "torch.nn.modules.linear.Linear.forward"),
        ("nn.functional.relu = lambda x: x", "torch.nn.functional.relu"),
        ("torch.flatten = lambda x, *_: x", "torch.flatten"),
    ],
)
def test_what_a_file_replaces_of_torch_is_named(statement: str, replaced: str, tmp_path: Path) -> None:
    path = write(tmp_path, "importing", statement)
    assert refusal(path).startswith(
        f"{path}: line {LINES['importing']} replaces {replaced}, which holds for every net;"
    )


def test_what_a_net_replaces_of_torch_while_it_is_built_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NET.replace("# while building", "; nn.functional.relu = lambda x: x"))
    said = refusal(path)
    assert said.startswith(f"hostile (net.py): line {LINES['building']} replaces torch.nn.functional.relu, which holds")


def test_one_net_does_not_reach_the_next(tmp_path: Path) -> None:
    """The first replaces a function of torch while it is built; the second is tried as if it were alone."""
    one, two = (tmp_path / name / "net.py" for name in ("one", "two"))
    for path in (one, two):
        path.parent.mkdir()
    one.write_text(NET.replace("# while building", "; nn.Linear.forward = lambda self, x: 1 / 0"))
    two.write_text(NET.replace("hostile", "harmless"))
    trial = Trial()
    assert "ZeroDivisionError" in refusal(one)
    assert [trial.check(net, SAMPLE, device="cpu").macs for net in trial.load(two)] == [7_840]


def test_the_registered_nets_are_described_and_counted_as_here() -> None:
    trial = Trial()
    folder = ROOT / "architectures"
    there, here = discover(folder, trial.load), discover(folder)
    assert [net.name for net in there.architectures] == [net.name for net in here.architectures]
    for other, net in zip(there.architectures, here.architectures, strict=True):
        assert other.declared_values == net.declared_values
        for field in ("summary", "source", "params", "macs", "recipe", "budget", "variant_of", "knobs", "file"):
            assert getattr(other, field) == getattr(net, field)
    net = there.select(["bn25k"])[0]
    assert trial.check(net, SAMPLE, device="cpu") == check(here.select(["bn25k"])[0], SAMPLE, device="cpu")
    assert trial.notes == []
    assert sum(parameter.numel() for parameter in net.build().parameters()) == 25_433


def test_a_variation_of_a_described_net_is_the_one_of_its_file() -> None:
    trial = Trial()
    folder = ROOT / "architectures"
    there, here = (discover(folder, load).select(["bn25k hidden=32"])[0] for load in (trial.load, load_file))
    assert there.name == here.name
    assert trial.check(there, SAMPLE, device="cpu") == check(here, SAMPLE, device="cpu")


def test_a_net_without_a_file_is_tried_here() -> None:
    from torch import nn

    net = Architecture(name="here", build=lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
    assert Trial().check(net, SAMPLE, device="cpu").params == 7_850


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan"])
def test_a_limit_that_is_no_number_of_seconds_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_TRIAL_SECONDS", text)
    with pytest.raises(UsageError, match=f"BENCH_TRIAL_SECONDS is '{text}'; a number of seconds above 0 is needed"):
        Trial()


def test_what_lies_behind_a_refusal_comes_back_with_it(tmp_path: Path) -> None:
    """The gate tells by it whether a net is at fault or the machine."""
    with pytest.raises(ArchitectureError) as caught:
        try_out(write(tmp_path, "building", "raise MemoryError('all of it')"))
    assert (type(caught.value.__cause__), str(caught.value.__cause__)) == (MemoryError, "all of it")
    with pytest.raises(ArchitectureError) as caught:
        try_out(write(tmp_path, "building", "open('/no/such/place')"))
    assert isinstance(caught.value.__cause__, OSError)
