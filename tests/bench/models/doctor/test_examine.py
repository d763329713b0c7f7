"""The doctor's checks: each finds a planted fault, passes the same net without it, and correct nets of many kinds."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from bench.core.metadata import CHECKS, Diagnosis
from bench.data.datasets import find_dataset, take_sample
from bench.models.doctor.contract import make_up
from bench.models.doctor.examine import examine
from bench.models.registry import load_file
from tests import ROOT
from tests.bench.runs import NOWHERE

if TYPE_CHECKING:
    from bench.spec import Architecture

FIELD = ROOT / "tests" / "field"
MENDED = ", mended"
PLANTED = {net.name: net for net in load_file(FIELD / "planted.py")}
ZOO = {
    f"{path.stem}: {net.name}": net
    for path in sorted((FIELD / "zoo").glob("*.py"))
    if path.stem != "parts"
    for net in load_file(path)
}
MNIST5K = take_sample(find_dataset("mnist5k", NOWHERE))
SPARSE = "numerical: SparseEmb"  # its gradients are no dense ones, which Adam refuses

FLATTEN_BUG = (
    "this view turns 64 images into 256 rows: 64×14×14 = 12,544 features arrive at a reshape to 3,136; pool once more "
    "or flatten from dimension 1"
)
FAULTS = {
    # name of the net: the check that finds it, the layer, and words of the message
    "flatten-bug": ("shapes", "", FLATTEN_BUG),
    "linear-320": ("shapes", "fc1", "fc1 expects 320 features, 512 arrive (32×4×4 = 512): make it nn.Linear(512, 20)"),
    "view-320": ("shapes", "", "this view asks for 320 features an image, 512 arrive (32×4×4)"),
    "flatten-0": ("shapes", "", "this flatten folds the batch into the features"),
    "batch-128": ("shapes", "", "this view is written for a batch of 128"),
    "channels": ("shapes", "1", "layer 1 (Conv2d) expects 8 channels, 4 arrive: make it nn.Conv2d(4, 4, …)"),
    "three-channels": ("shapes", "0", "layer 0 (Conv2d) expects 3 channels, 1 arrives"),
    "nine-logits": (
        "logits",
        "3",
        "layer 3 (Linear) gives 9 logits an image, and there are 10 classes: make it nn.Linear(16, 10)",
    ),
    "tuple": ("logits", "", "in eval mode the net returned a tuple"),
    "softmax-function": ("probabilities", "", "its outputs add up to 1 on 4 batches"),
    "softmax": ("probabilities", "4", "its outputs add up to 1 on 4 batches of unlike images, as after a softmax"),
    "softmax-by-hand": ("probabilities", "", "its outputs add up to 1"),
    "log-softmax": ("probabilities", "4", "the exponentials of its outputs add up to 1"),
    "log-softmax-function": ("probabilities", "", "as after a log_softmax"),
    "sigmoid": (
        "probabilities",
        "4",
        "its outputs lie between 0 and 1 on 4 batches",
    ),
    "log-of-zero": ("finite", "", "of its logits for 8 images are not finite in training mode"),
    "root-of-zero": ("finite", "fc1", "the gradient of fc1.weight and 1 more is not finite on the first step"),
    "unused": (
        "unused-parameters",
        "spare",
        "spare.bias and spare.weight: 272 trainable parameters never get a gradient",
    ),
    "detached": ("unused-parameters", "side", "it is used where gradients end (no_grad, detach or .data)"),
    "data": ("unused-parameters", "", "scale: 16 trainable parameters never get a gradient"),
    "no-grad": ("unused-parameters", "side", "set requires_grad_(False) where it shall stay as it is"),
    "all-no-grad": ("unused-parameters", "", "its logits have no gradient"),
    "registered-in-forward": (
        "new-layers",
        "side",
        "its forward makes side.weight and side.bias",
    ),
    "made-in-forward": ("new-layers", "", "its forward makes 272 parameters anew at every step (16×16, 16 …)"),
    "plain-list": ("unregistered-layers", "", "544 parameters in layers take part and are not registered"),
    "plain-dict": ("unregistered-layers", "", "272 parameters in layers take part and are not registered"),
    "batch-mean": ("leak", "", "in eval mode the logits of an image change by"),
    "batch-statistics": ("leak", "norm", "norm does, as it keeps no running statistics"),
    "rnn-over-batch": ("leak", "", "when other images stand beside it"),
    "divided-by-batch": ("leak", "", "the logits of an image alone and in a batch of 7 are apart by"),
    "squeeze": ("batch-size", "", "squeeze() drops a batch of one as well: write flatten(1) in its place"),
    "even-batches": ("batch-size", "", "in eval mode it fails on a batch of 3"),
    "running-in-eval": ("eval-state", "", "a pass in eval mode changes mean"),
    "dropout-in-eval": ("eval-random", "", "in eval mode its outputs are random"),
    "noise-in-eval": ("eval-random", "", "in eval mode its outputs are random"),
    "python-random": ("eval-random", "", "draw only if self.training"),
    "counts-calls": ("call-order", "", "each call gives others, as with a counter or a generator of its own"),
    "remembers": ("call-order", "", "in eval mode the same images give other outputs later"),
    "clock": ("call-order", "", "in eval mode its outputs depend on the clock"),
    "input-in-place": ("input", "", "it changes the images that it is given, in training and eval mode"),
    "unseeded": ("seed", "", "two builds from one seed have other weights (fc1.weight)"),
    "reseeded": ("seed", "", "building it sets the seed of torch's generator"),
    "shared": ("shared-weights", "", "its builds share 2.weight and 2.bias"),
    "plain-tensor": ("state-dict", "", "a fresh net with its state dict gives other outputs: turn is not in it"),
    "plain-counter": ("state-dict", "", "gives other outputs: steps is not in it"),
    "double": ("precision", "1.1", "1.1.weight and 3 more are float64"),
    "bfloat16": ("precision", "1.1", "1.1.weight and 3 more are bfloat16"),
    "stray-buffer": ("devices", "", "unit is made on meta and fc1.weight on cpu"),
    "declared": ("counts", "", "params=12_731 is declared, the net has 12_730"),  # 785·16 + 17·10
    "declared-macs": ("counts", "", "macs=12_705 is declared, the net has 12_704"),  # 784·16 + 16·10
    "raises-backward": ("runs", "", "a training step, forward and backward, raised ValueError: no way back"),
    "raises-training": ("runs", "", "in training mode raised ValueError: not while it trains"),
    "exits": ("runs", "", "take exit() out of it"),
}


@functools.cache
def diagnosis(net: Architecture) -> Diagnosis:
    """Of a net in a file, which does not change between tests."""
    return examine(net, MNIST5K)


def test_every_planted_net_is_expected_and_every_check_of_a_net_has_one() -> None:
    assert PLANTED.keys() == FAULTS.keys() | {f"{name}{MENDED}" for name in FAULTS}
    of_files = {"loads", "settings"}  # tests/program/test_doctor.py
    assert {check for check, _, _ in FAULTS.values()} == CHECKS.keys() - of_files


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_by_name(name: str) -> None:
    check, layer, words = FAULTS[name]
    errors = diagnosis(PLANTED[name]).errors
    assert {error.check for error in errors} == {check}
    assert any(error.layer == layer and words in error.message for error in errors), errors
    for error in errors:
        assert error.message == " ".join(error.message.split())
        assert not error.message.endswith(".")


@pytest.mark.parametrize("name", FAULTS)
def test_the_same_net_without_the_fault_passes(name: str) -> None:
    assert diagnosis(PLANTED[f"{name}{MENDED}"]).errors == ()


@pytest.mark.thorough
@pytest.mark.parametrize("name", ZOO)
def test_a_correct_net_passes(name: str) -> None:
    net = ZOO[name]
    images = MNIST5K if (net.input_shape, net.classes) == ((1, 28, 28), 10) else make_up(net.input_shape, net.classes)
    found = examine(net, images)
    assert found.errors == ()
    assert [finding for finding in found.findings if finding.check == "unchecked"] == [] or name == SPARSE


def test_the_zoo_is_large() -> None:
    assert len(ZOO) > 150


def test_findings_name_the_line() -> None:
    text = (FIELD / "planted.py").read_text().splitlines()
    (error,) = diagnosis(PLANTED["flatten-bug"]).errors
    file, _, line = error.place.partition(":")
    assert file == "planted.py"
    assert "x.view(-1, 64 * 7 * 7)" in text[int(line) - 1]
    (error,) = diagnosis(PLANTED["unused"]).errors
    assert "self.spare = nn.Linear(16, 16)" in text[int(error.place.partition(":")[2]) - 1]
