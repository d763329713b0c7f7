"""What nets do to the process that examines them: named as an error of the net, or put back and said."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from bench.core.errors import MisfitError
from bench.models.doctor.trial import Trial
from bench.models.registry import load_architecture
from bench.spec import Architecture
from tests import ROOT
from tests.bench.models.doctor.test_check import sample
from tests.bench.models.doctor.test_trial import HANGS, LINES, NET, write

if TYPE_CHECKING:
    from pathlib import Path

    from bench.core.metadata import Diagnosis, Finding

SAMPLE = sample()


def examined(path: Path, *, limit_seconds: float = 60.0) -> Diagnosis:
    trial = Trial(limit_seconds=limit_seconds)
    (net,) = trial.load(path)
    return trial.examine(net, SAMPLE)


def only_error(path: Path, *, limit_seconds: float = 60.0) -> Finding:
    (error,) = examined(path, limit_seconds=limit_seconds).errors
    assert error.check == "runs"
    return error


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (HANGS, "trying it did not end within 5 s; fix the file, or allow more seconds with BENCH_TRIAL_SECONDS"),
        ("os._exit(3)", "trying it ended its process with exit code 3; fix the file and run again"),
        ("os.abort()", "trying it was killed by SIGABRT; fix the file and run again"),
    ],
)
def test_a_net_that_hangs_or_ends_its_process_in_forward_is_an_error_with_its_line(
    statement: str, said: str, tmp_path: Path
) -> None:
    error = only_error(write(tmp_path, "running", statement), limit_seconds=5 if statement == HANGS else 60)
    line = "" if "_exit" in statement else f":{LINES['running']}"  # it leaves without a trace
    assert (error.message, error.place) == (said, f"net.py{line}")


def test_a_net_that_leaves_by_exit_is_an_error_with_its_line(tmp_path: Path) -> None:
    error = only_error(write(tmp_path, "running", "exit()"))
    assert "raised SystemExit" in error.message
    assert error.place == f"net.py:{LINES['running']}"


def test_a_net_that_needs_more_memory_than_there_is_is_named_before_it_is_tried(tmp_path: Path) -> None:
    error = only_error(write(tmp_path, "building", "self.large = nn.Linear(10**6, 10**7)"))
    assert "its weights take 40,000.0 GB" in error.message
    # 32 images of 784 values, each with each of 10^9 others: 4 · 32 · 784 · 10^9 bytes
    wide = "images = (images.flatten(1).unsqueeze(2) * torch.ones(10**9, device=images.device)).mean(2)"
    error = only_error(write(tmp_path, "running", wide))
    assert "a forward pass of 32 images makes 100,35" in error.message


def test_what_a_net_prints_is_advice(tmp_path: Path) -> None:
    found = examined(write(tmp_path, "running", "print('hello')"))
    assert found.errors == ()
    (printed,) = [finding for finding in found.advice if finding.check == "prints"]
    assert printed.message.endswith(" lines while it was examined, the last one 'hello': leave print out")


def test_settings_of_torch_are_put_back_and_said(tmp_path: Path) -> None:
    import torch

    file = write(tmp_path, "running", "torch.set_num_threads(3); torch.set_default_dtype(torch.float64)")
    net = Architecture(name="here", build=load_architecture(file, "hostile").build)  # examined in this process
    before = torch.get_num_threads()
    found = Trial().examine(net, SAMPLE)
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (before, torch.float32)
    assert found.errors == ()
    (settings,) = [finding for finding in found.advice if finding.check == "settings"]
    assert settings.message.startswith(
        "it sets the number of threads (3), the default type (torch.float64) for the whole process, which is put back"
    )


def test_what_a_net_replaces_of_torch_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NET.replace("# while building", "; nn.functional.relu = lambda x: x"))
    (error,) = [error for error in examined(path).errors if error.check == "settings"]
    assert "replaces torch.nn.functional.relu, which holds for every net" in error.message


def test_images_that_the_net_cannot_take_are_no_fault_of_it(tmp_path: Path) -> None:
    (net,) = Trial().load(write(tmp_path, "running", "pass"))
    with pytest.raises(MisfitError, match="hostile takes 1×28×28 images in 10 classes; letters has"):
        Trial().examine(net, sample("letters", classes=26))


def test_the_process_is_left_as_it_was() -> None:
    import datetime as dt
    import time

    from torch import nn

    before = time.time, dt.datetime, sys.stdout
    found = Trial().examine(
        Architecture(name="here", build=lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10))), SAMPLE
    )
    assert found.errors == ()
    assert (time.time, dt.datetime, sys.stdout) == before


def test_the_registered_nets_have_no_error() -> None:
    trial = Trial()
    for path in sorted((ROOT / "architectures").glob("[!_]*.py")):
        for net in trial.load(path):
            assert trial.examine(net, SAMPLE).errors == ()
