"""The live view: what a person sees of a stream of events, on a terminal and off one."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from bench.core.events import (
    Note,
    Planned,
    RunFinished,
    RunProgress,
    RunStarted,
    StepStarted,
    TimingFinished,
    TimingStarted,
)
from reports.console.live import Board, LiveView, Verbosity, Waiting
from tests.factories import make_run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.core.events import Event


def _progress(epoch: float, *, net: str = "bn25k", accuracy: float | None = 0.9712) -> RunProgress:
    return RunProgress(
        run_id=f"{net}-3-0", architecture=net, seed=0, epoch=epoch, epochs=3.0, val_accuracy=accuracy,
        images_per_second=4321.4,
    )  # fmt: skip


def _stream() -> list[Event]:
    good = dataclasses.replace(make_run("bn25k", seed=0)[0], test_accuracy=0.9893, val_accuracy=0.9881)
    bad = dataclasses.replace(make_run("fc3136", seed=0, status="failed")[0], error="no memory\nleft")
    return [
        Note(text="mnist5k stands in for MNIST"),
        Planned(to_train=2, reused=1_000, estimate_seconds=125.0),
        RunStarted(run_id="bn25k-3-0", architecture="bn25k", seed=0),
        _progress(0.5),
        _progress(1.0),
        _progress(1.2),
        RunFinished(record=good, done=1, total=2, seconds_left=61.0),
        RunFinished(record=bad, done=2, total=2, seconds_left=0.0),
        TimingStarted(architectures=1, estimate_seconds=20.0),
        TimingFinished(architectures=1, quiet=False, seconds=9.7),
    ]


def _shown(events: Iterable[Event], *, verbosity: Verbosity, width: int = 80) -> list[str]:
    file = io.StringIO()
    with LiveView(Console(file=file, width=width, force_terminal=False), verbosity=verbosity) as view:
        for event in events:
            view.show(event)
    return file.getvalue().splitlines()


def test_off_a_terminal_each_finished_run_is_one_plain_line() -> None:
    assert _shown(_stream(), verbosity=Verbosity.NORMAL, width=40) == [
        "mnist5k stands in for MNIST",
        "2 runs to train, 1,000 stored already, about 2 min 05 s.",
        "[1/2] bn25k seed 0: test 98.93 %, validation 98.81 %, 37.0 s of training, 1 min 01 s left",
        "[2/2] fc3136 seed 0: failed: no memory left",
        "Timing 1 architecture, about 20 s; nothing trains meanwhile.",
        "Timed 1 architecture in 10 s; other work shared the machine, so the timings are marked and not compared.",
    ]


def test_quiet_says_nothing() -> None:
    assert _shown(_stream(), verbosity=Verbosity.QUIET) == []


def test_verbose_says_when_a_run_starts_and_each_whole_epoch_once() -> None:
    more = set(_shown(_stream(), verbosity=Verbosity.VERBOSE)) - set(_shown(_stream(), verbosity=Verbosity.NORMAL))
    assert more == {
        "bn25k seed 0: started (bn25k-3-0)",
        "bn25k seed 0: epoch 1 of 3, validation 97.12 %, 4,321 images/s",
        (
            "[1/2] bn25k seed 0: test 98.93 %, validation 98.81 %, 37.0 s of training, 4,050 images/s (bn25k-3-0), "
            "1 min 01 s left"
        ),
    }


def test_names_are_no_markup() -> None:
    record = dataclasses.replace(make_run("bn25k", seed=0)[0], architecture="[red]x[/red]")
    (line,) = _shown([RunFinished(record=record, done=1, total=1, seconds_left=None)], verbosity=Verbosity.NORMAL)
    assert line.startswith("[1/1] [red]x[/red] seed 0: test ")


def _drawn(board: Board, *, width: int, height: int = 24) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, height=height, color_system=None, force_terminal=True).print(board)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_board_stays_inside_narrow_terminals(width: int) -> None:
    board = Board(clock=lambda: 0.0)
    board.take(Planned(to_train=24, reused=0, estimate_seconds=None))
    board.take(_progress(1.5))
    board.take(_progress(0.1, net="a-net-with-quite-a-long-name-in-it", accuracy=None))
    lines = _drawn(board, width=width)
    assert len(lines) == 4
    assert max(map(len, lines)) <= width
    assert "1.5 of 3" in lines[1]
    assert "97.12" in lines[1]
    assert lines[-1] == "0 of 24 runs done"


def test_board_forgets_finished_runs_and_counts_time_down() -> None:
    now = [100.0]
    board = Board(clock=lambda: now[0])
    for event in _stream()[1:7]:
        board.take(event)
    assert _drawn(board, width=80) == ["1 of 2 runs done, about 1 min 01 s left"]
    now[0] += 40
    assert _drawn(board, width=80) == ["1 of 2 runs done, about 21 s left"]
    now[0] += 100
    assert _drawn(board, width=80) == ["1 of 2 runs done"], "it takes longer than thought"
    board.take(_stream()[7])
    assert _drawn(board, width=80) == ["2 of 2 runs done, 1 not ok"]


def test_board_counts_the_time_of_the_quiet_phase_down() -> None:
    now = [100.0]
    board = Board(clock=lambda: now[0])
    board.take(TimingStarted(architectures=4, estimate_seconds=80.0))
    assert _drawn(board, width=80) == ["Timing 4 architectures, alone on the machine, about 1 min 20 s left …"]
    now[0] += 70.4
    assert _drawn(board, width=80) == ["Timing 4 architectures, alone on the machine, about 10 s left …"]
    now[0] += 30
    assert _drawn(board, width=80) == ["Timing 4 architectures, alone on the machine …"]
    board.take(TimingFinished(architectures=4, quiet=True, seconds=101.0))
    assert _drawn(board, width=80) == ["0 of 0 runs done"]


def test_board_with_more_runs_than_lines_says_how_many_are_hidden() -> None:
    board = Board(clock=lambda: 0.0)
    for number in range(30):
        board.take(RunStarted(run_id=str(number), architecture="bn25k", seed=number))
    lines = _drawn(board, width=80, height=12)
    assert len(lines) <= 12
    assert lines[-2] == "and 22 more"


def test_on_a_terminal_the_table_moves_and_is_gone_at_the_end() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=True, force_interactive=True, color_system=None)
    with LiveView(console, verbosity=Verbosity.NORMAL) as view:
        for event in _stream()[:5]:
            view.show(event)
        assert "\x1b[?25l" in file.getvalue()  # cursor hidden
    text = file.getvalue()
    assert "1.0 of 3" in text
    assert text.rstrip("\n").endswith("\x1b[2K")  # last line of the table erased
    assert "\x1b[?25h" in text


def test_an_error_inside_gives_the_terminal_back() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, force_interactive=True)
    with pytest.raises(KeyboardInterrupt), LiveView(console, verbosity=Verbosity.NORMAL):
        raise KeyboardInterrupt
    assert file.getvalue().rindex("\x1b[?25h") > file.getvalue().rindex("\x1b[?25l")


def test_tty_interactive_0_keeps_a_terminal_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_INTERACTIVE", "0")
    file = io.StringIO()
    with LiveView(
        Console(file=file, width=200, force_terminal=True, color_system=None), verbosity=Verbosity.NORMAL
    ) as v:
        for event in _stream():
            v.show(event)
    assert "\x1b" not in file.getvalue()
    assert len(file.getvalue().splitlines()) == 6


def test_the_time_left_holds_what_follows_the_training() -> None:
    now = [0.0]
    board = Board(clock=lambda: now[0])
    planned = Planned(to_train=2, reused=0, estimate_seconds=50.0, then_seconds=20.0)
    board.take(planned)
    assert _drawn(board, width=80) == ["0 of 2 runs done, about 1 min 10 s left"]
    board.take(dataclasses.replace(_finished(1), seconds_left=25.0))
    now[0] += 5.0
    assert _drawn(board, width=80) == ["1 of 2 runs done, about 40 s left"]
    assert _shown([planned], verbosity=Verbosity.NORMAL) == [
        "2 runs to train, about 1 min 10 s in all: training 50 s, timing 20 s."
    ]
    with_report = Board(clock=lambda: now[0], report_seconds=9.0)
    with_report.take(planned)
    assert _drawn(with_report, width=80) == ["0 of 2 runs done, about 1 min 19 s left"]
    with_report.take(TimingStarted(architectures=2, estimate_seconds=20.0))
    assert _drawn(with_report, width=80) == ["Timing 2 architectures, alone on the machine, about 29 s left …"]
    nothing = dataclasses.replace(planned, to_train=0, reused=2, estimate_seconds=None)
    assert _shown([nothing], verbosity=Verbosity.NORMAL) == ["0 runs to train, 2 stored already."]


def _finished(done: int) -> RunFinished:
    return RunFinished(record=make_run("bn25k", seed=0)[0], done=done, total=2, seconds_left=None)


def test_a_step_between_two_phases_is_named_until_the_next_event() -> None:
    board = Board(clock=lambda: 0.0)
    for event in (Planned(to_train=2, reused=0, estimate_seconds=None), _finished(2), StepStarted(text="Keeping it")):
        board.take(event)
    assert _drawn(board, width=80) == ["Keeping it …"]
    board.take(TimingStarted(architectures=1, estimate_seconds=0.0))
    assert _drawn(board, width=80) == ["Timing 1 architecture, alone on the machine …"]
    assert _shown([StepStarted(text="Keeping it")], verbosity=Verbosity.VERBOSE) == [], "nothing moves off a terminal"


def _terminal(file: io.StringIO, *, quiet: bool = False) -> Console:
    return Console(file=file, width=80, force_terminal=True, force_interactive=True, color_system=None, quiet=quiet)


def test_one_line_says_what_is_waited_for_and_how_long() -> None:
    now = [100.0]
    waiting = Waiting(_terminal(io.StringIO()), "Writing the report", seconds=8.0, clock=lambda: now[0])

    def line() -> str:
        return waiting.__rich__().plain

    assert line() == "Writing the report, about 8 s left …"
    now[0] += 7.5
    assert line() == "Writing the report …", "it takes longer than thought"
    waiting.say("Trying")
    watch, said = waiting.count_to(3), []
    for done in range(4):
        watch(done)
        said.append(line())
        now[0] += 4.0
    assert said == [
        "Trying 0 of 3 done …",
        "Trying 1 of 3 done, about 8 s left …",
        "Trying 2 of 3 done, about 4 s left …",
        "Trying 3 of 3 done …",
    ]


def test_what_is_waited_for_is_gone_at_the_end_and_moves_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    with Waiting(_terminal(file), "Starting"):
        pass
    assert "Starting …" in file.getvalue()
    assert file.getvalue().endswith("\x1b[2K")
    for console in (Console(file=(plain := io.StringIO()), width=80), _terminal(plain, quiet=True)):
        with Waiting(console, "Starting"):
            pass
    monkeypatch.setenv("TTY_INTERACTIVE", "0")
    with Waiting(Console(file=plain, force_terminal=True), "Starting"):
        pass
    assert plain.getvalue() == ""
