"""A plain class of a file that imports nothing of the suite: found by name, fitted to the data, sent, and hashed."""

from __future__ import annotations

import dataclasses
import pickle
import re
from typing import TYPE_CHECKING

import pytest
import torch

from bench.core.errors import ArchitectureError, UnknownNameError
from bench.models.doctor.trial import Trial
from bench.models.fingerprint import architecture_hash
from bench.models.loading import load_file
from bench.models.registry import discover
from tests import ROOT
from tests.factories import MNIST

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = """
import torch
from torch import nn

class MyNet(nn.Module):
    def __init__(self, num_classes=10, in_channels=1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))

    def forward(self, images):
        return self.layers(images)

class Other(nn.Module):
    pass

class Needy(nn.Module):
    def __init__(self, input_shape, hidden, *, depth):
        super().__init__()

def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

ready = make()
LIST = [1]
"""
COLOUR = dataclasses.replace(
    MNIST, name="colour", image_shape=(3, 32, 32), classes=("a", "b", "c"), mean=(0.5,) * 3, deviation=(0.2,) * 3
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_net.py"
    path.write_text(PLAIN)
    return path


def test_the_dataset_gives_shape_and_classes(file: Path) -> None:
    [net] = discover(ROOT / "architectures").select([f"{file}:MyNet"])
    assert (net.name, net.file, net.takes) == ("MyNet", file, ("num_classes", "in_channels"))
    gray, colour = net.fitted_to(MNIST), net.fitted_to(COLOUR)
    assert (gray.input_shape, gray.classes, colour.input_shape, colour.classes) == ((1, 28, 28), 10, (3, 32, 32), 3)
    # Conv2d 3·4·9 + 4, Linear 4·3 + 3
    assert sum(parameter.numel() for parameter in colour.build().parameters()) == 112 + 15
    assert colour.build()(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def test_it_is_the_same_after_a_journey_and_described_from_another_process(file: Path) -> None:
    [net] = Trial().load(file, "MyNet")
    colour = net.fitted_to(COLOUR)
    sent = pickle.loads(pickle.dumps(colour))  # noqa: S301 - what has just been pickled
    assert (sent.input_shape, sent.classes) == ((3, 32, 32), 3)
    for each in (colour, sent):
        assert each.build()(torch.zeros(1, 3, 32, 32)).shape == (1, 3)


def test_its_hash_hears_its_own_class_and_its_shape_alone(file: Path) -> None:
    def hashed(dataset: object = MNIST) -> str:
        [net] = load_file(file, "MyNet")
        return architecture_hash(net.fitted_to(dataset))  # type: ignore[arg-type]

    before = hashed()
    assert hashed(COLOUR) != before
    file.write_text(PLAIN.replace("hidden", "width").replace("LIST = [1]", "LIST = [2]"))
    assert hashed() == before
    file.write_text(PLAIN.replace("4, 3)", "4, 5)"))
    assert hashed() != before


def test_a_declaration_of_the_name_comes_first(file: Path) -> None:
    declared = "from bench.spec import Architecture\nA = Architecture(name='MyNet', build=make, summary='declared')\n"
    file.write_text(PLAIN + declared)
    assert [net.summary for net in load_file(file, "MyNet")] == ["declared"]
    assert [net.takes for net in load_file(file, "make")] == [()]
    assert [net.name for net in load_file(file)] == ["MyNet"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("MyNets", "No architecture, class or function in {file} 'MyNets'. Did you mean 'MyNet'?"),
        ("Needy", "Needy cannot be built without hidden and depth; give each a default (the dataset gives input_shape"),
        ("ready", "'ready' is no class of torch.nn.Module, nor a function that makes one."),
        ("LIST", "'LIST' is no class"),
    ],
)
def test_what_cannot_be_trained_is_one_line(file: Path, name: str, said: str) -> None:
    with pytest.raises((ArchitectureError, UnknownNameError), match=re.escape(said.format(file=file))) as caught:
        load_file(file, name)
    assert "\n" not in str(caught.value)


def test_a_file_without_a_declaration_says_which_classes_can_be_named(file: Path) -> None:
    said = "declares no architecture; name what makes one, as --arch \\S*my_net.py:MyNet or --arch \\S*my_net.py:Other"
    with pytest.raises(ArchitectureError, match=said):
        load_file(file)
