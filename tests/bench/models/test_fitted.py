"""Declared nets whose `build` takes the images and classes of a dataset: fitted, varied, sent and hashed."""

from __future__ import annotations

import dataclasses
import functools
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from bench.core.architecture import find_dataset_arguments
from bench.models.doctor.trial import Trial
from bench.models.fingerprint import architecture_hash
from bench.models.loading import load_file
from bench.models.registry import Registry, discover
from bench.spec import Architecture
from tests import ROOT
from tests.factories import MNIST

if TYPE_CHECKING:
    from pathlib import Path

DECLARED = """
from functools import partial
from torch import nn
from bench.spec import Architecture, Choice

class Net(nn.Sequential):
    def __init__(self, *, hidden=4, input_shape, classes):
        channels, height, width = input_shape
        super().__init__(
            nn.Flatten(), nn.Linear(channels * height * width, hidden), nn.ReLU(), nn.Linear(hidden, classes))

class Fixed(nn.Sequential):
    def __init__(self, num_classes=10):
        super().__init__(nn.Flatten(), nn.Linear(784, num_classes))

A = Architecture(name="mine", build=Net, params=3190, knobs={"hidden": Choice(values=(4, 8))})
B = Architecture(name="classes-only", build=Fixed)
C = Architecture(name="bound", build=partial(Fixed, num_classes=10))
"""
COLOUR = dataclasses.replace(
    MNIST, name="colour", image_shape=(3, 6, 5), classes=("a", "b", "c"), mean=(0.5,) * 3, deviation=(0.2,) * 3
)
LETTERS = dataclasses.replace(MNIST, name="letters", classes=tuple("abcdefghijklmnopqrstuvwxyz"))


@pytest.fixture(params=["here", "in another process"])
def nets(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Architecture]:
    """What the file declares, loaded here or described by a process of its own."""
    file = tmp_path / "mine.py"
    file.write_text(DECLARED)
    found = load_file(file) if request.param == "here" else Trial().load(file)
    return {net.name: net for net in found}


def parameters(net: Architecture) -> int:
    return sum(parameter.numel() for parameter in net.build().parameters())


def test_build_is_given_what_it_takes_of_the_dataset(nets: dict[str, Architecture]) -> None:
    mine = nets["mine"]
    assert (mine.takes, mine.input_shape, mine.classes, mine.params) == (
        ("input_shape", "classes"), (1, 28, 28), 10, 3190
    )  # fmt: skip
    same, other = mine.fitted_to(MNIST), mine.fitted_to(COLOUR)
    # 784·4 + 4 + 4·10 + 10 and 90·4 + 4 + 4·3 + 3
    assert (same.params, same.fitted_from, parameters(same)) == (3190, None, 3190)
    assert (other.params, other.fitted_from, parameters(other)) == (None, ((1, 28, 28), 10), 379)
    assert (other.input_shape, other.classes) == ((3, 6, 5), 3)
    back = other.fitted_to(MNIST)
    assert (back.input_shape, back.fitted_from, parameters(back)) == ((1, 28, 28), None, 3190)


def test_what_build_does_not_take_stays_as_it_is_declared(nets: dict[str, Architecture]) -> None:
    letters = nets["classes-only"].fitted_to(LETTERS)
    assert (letters.input_shape, letters.classes, parameters(letters)) == ((1, 28, 28), 26, 785 * 26)
    colour = nets["classes-only"].fitted_to(COLOUR)
    assert (colour.input_shape, colour.classes) == ((1, 28, 28), 3)
    assert nets["bound"].takes == ()
    assert nets["bound"].fitted_to(LETTERS) is nets["bound"]


def test_knobs_recipes_and_images_go_together(nets: dict[str, Architecture]) -> None:
    registry = Registry(architectures=tuple(nets.values()), broken={})
    [chosen] = registry.select(["mine hidden=8 lr=3e-3"])
    fitted = chosen.fitted_to(COLOUR)
    assert (fitted.name, fitted.values, fitted.recipe_changes) == (
        "mine hidden=8 lr=0.003", (("hidden", 8),), (("lr", 0.003),)
    )  # fmt: skip
    assert parameters(fitted) == 90 * 8 + 8 + 8 * 3 + 3
    colour = nets["mine"].fitted_to(COLOUR)  # as tuning does: first fitted, then varied
    assert colour.declared_values == {"hidden": 4}
    assert parameters(colour.varied({"hidden": 8})) == 90 * 8 + 8 + 8 * 3 + 3
    assert colour.varied({"hidden": 4}) is colour
    for net in (fitted, colour.varied({"hidden": 8})):
        sent = pickle.loads(pickle.dumps(net))  # noqa: S301 - what has just been pickled
        assert (sent.name, sent.input_shape, sent.classes, sent.fitted_from) == (
            net.name, (3, 6, 5), 3, ((1, 28, 28), 10)
        )  # fmt: skip
        assert parameters(sent) == parameters(net)
        assert architecture_hash(sent) == architecture_hash(net)


def test_the_hash_knows_other_images_and_stays_what_it_is_on_those_that_are_declared(
    nets: dict[str, Architecture],
) -> None:
    mine = nets["mine"]
    hashes = {architecture_hash(mine.fitted_to(dataset)) for dataset in (MNIST, COLOUR, LETTERS)}
    assert len(hashes) == 3
    assert architecture_hash(mine.fitted_to(MNIST)) == architecture_hash(mine)


def positional(classes: int = 10, /) -> nn.Module:
    return nn.Linear(1, classes)


def only_others(**classes: Any) -> nn.Module:
    return nn.Linear(**classes)


def by_keyword(*_: Any, in_channels: int = 1, classes: int = 10, **_others: Any) -> nn.Module:
    return nn.Linear(in_channels, classes)


@pytest.mark.parametrize(
    ("build", "takes"),
    [
        (by_keyword, ("in_channels", "classes")),
        (functools.partial(by_keyword, classes=3), ("in_channels",)),
        (positional, ()),
        (only_others, ()),
        (dict, ()),  # whose signature nobody knows
    ],
)
def test_what_a_function_takes_of_a_dataset(build: Any, takes: tuple[str, ...]) -> None:
    assert find_dataset_arguments(build) == takes


def test_a_net_that_is_made_in_a_program_is_fitted_and_hashed_as_well() -> None:
    net = Architecture(name="here", build=by_keyword)
    colour = net.fitted_to(COLOUR)
    assert isinstance(layer := colour.build(), nn.Linear)
    assert layer.weight.shape == torch.Size((3, 3))
    assert architecture_hash(colour) != architecture_hash(net)
    assert (colour.can_be_sent, discover(ROOT / "architectures").architectures[0].can_be_sent) == (False, True)


def test_a_registered_net_with_a_knob_is_fitted_and_arrives_the_same() -> None:
    [net] = discover(ROOT / "architectures", Trial().load).select(["bn25k hidden=32 lr=3e-3"])
    cifar = net.fitted(input_shape=(3, 32, 32), classes=10)
    sent = pickle.loads(pickle.dumps(cifar))  # noqa: S301 - what has just been pickled
    # 448 + 32 + 4,640 + 64, then 2,048·32 + 32 and 32·10 + 10
    assert parameters(cifar) == parameters(sent) == 5_184 + 65_568 + 330
    assert (sent.name, sent.declared_name) == ("bn25k hidden=32 lr=0.003", "bn25k")
