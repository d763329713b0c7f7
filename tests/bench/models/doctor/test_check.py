"""Every net that cannot work, planted, with the line that refuses it."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from bench.core.errors import ArchitectureError, MisfitError
from bench.core.metadata import DatasetMetadata
from bench.models.doctor.check import check
from bench.models.registry import load_architecture
from bench.spec import Architecture
from tests import ROOT
from tests.bench.runs import noise

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from bench.data.datasets import Sample

ARCHITECTURES = ROOT / "architectures"


def sample(name: str = "mnist", *, shape: tuple[int, int, int] = (1, 28, 28), classes: int = 10) -> Sample:
    """Images of noise."""
    metadata = DatasetMetadata(
        name=name,
        data_hash="0",
        pool_images=10,
        test_images=10,
        validation_images=2,
        image_shape=shape,
        classes=tuple(map(str, range(classes))),
        mean=(0.5,) * shape[0],
        deviation=(0.3,) * shape[0],
        origin="made up",
    )
    return noise(metadata)


class Flat(nn.Module):
    """One linear layer whose fault is chosen."""

    def __init__(self, *, fault: str = "", outputs: int = 10) -> None:
        super().__init__()
        if fault == "build":
            raise ValueError("no such width\nand more")
        self.out = nn.Linear(784, outputs)
        self.fault = fault
        if fault == "frozen":
            self.requires_grad_(requires_grad=False)

    def forward(self, images: Tensor) -> Any:
        """Logits of images."""
        if self.fault == "view":
            images = images.reshape(-1, 392).repeat(1, 2)  # (2N, 784), the mistake of the flatten-bug project
        if self.fault == "forward" or (self.fault == "training" and self.training):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        logits = self.out(images.flatten(1))
        return (logits, logits) if self.fault == "tuple" else logits


def net(**options: Any) -> Architecture:
    declared = {name: options.pop(name) for name in ("params", "macs") if name in options}
    return Architecture(name="flat", build=partial(Flat, **options), **declared)


def refusal(architecture: Architecture, on: Sample | None = None) -> str:
    with pytest.raises(ArchitectureError) as caught:
        check(architecture, on or sample(), device="cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_sound_net_passes_and_its_counts_come_back() -> None:
    state = torch.get_rng_state()
    metadata = check(net(params=7_850, macs=7_840), sample(), device="cpu")
    assert (metadata.params, metadata.macs) == (7_850, 7_840)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("file", "name"), [("four_conv.py", "conv16k"), ("batchnorm.py", "bn25k")])
def test_own_architectures_pass(file: str, name: str) -> None:
    architecture = load_architecture(ARCHITECTURES / file, name)
    assert check(architecture, sample(), device="cpu").params == architecture.params


def test_a_dataset_that_the_net_cannot_take_shows_both_sides() -> None:
    conv16k = load_architecture(ARCHITECTURES / "four_conv.py", "conv16k")
    message = refusal(conv16k, sample("cifar10", shape=(3, 32, 32)))
    assert message.startswith("conv16k takes 1×28×28 images in 10 classes; cifar10 has 3×32×32 in 10;")
    message = refusal(conv16k, sample("letters", classes=26))
    assert message.startswith("conv16k takes 1×28×28 images in 10 classes; letters has 1×28×28 in 26;")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("build", "flat: building the net raised ValueError: no such width; fix"),
        ("forward", "flat: a batch of shape (2, 1, 28, 28) in training mode raised RuntimeError: mat1 and mat2"),
        ("training", "in training mode raised RuntimeError: mat1"),
        ("view", "flat: logits have shape (4, 10) for a batch of shape (2, 1, 28, 28), expected (2, 10); this reshape"),
        ("view", "turns 64 images into 128 rows: 1×28×28 = 784 features arrive at a reshape to 392; flatten from dim"),
        ("tuple", "flat: in eval mode the net returned a tuple, expected logits as one tensor of shape (2, 10)"),
        ("frozen", "flat: the net has no parameter that can be trained"),
    ],
)
def test_a_faulty_net_is_one_line(fault: str, message: str) -> None:
    assert re.search(re.escape(message), refusal(net(fault=fault)))


BROKEN = """from torch import nn
from bench.spec import Architecture
def stop(error):
    raise error
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(784, 10)
        # while building
    def train(self, mode=True):
        return super().train(mode)
    def forward(self, images):
        images = images.flatten(1)
        # while running
        return self.out(images)
A = Architecture(name="a", build=Net)
"""


def declared_in(folder: Path, old: str, new: str) -> Architecture:
    assert old in BROKEN
    (folder / "net.py").write_text(BROKEN.replace(old, new))
    return load_architecture(folder / "net.py", "a")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# while building", "nn.Linear(-1, 2)", "a (net.py, line 9): building the net raised RuntimeError: "),
        (
            "# while building",
            "stop(ValueError('x'))",
            "a (net.py, line 4): building the net raised ValueError: x; fix",
        ),
        (
            "# while building",
            "raise KeyboardInterrupt",
            "a (net.py, line 9): building the net raised KeyboardInterrupt;",
        ),
        (
            "images.flatten(1)",
            "images.flatten(0)",
            "a (net.py, line 15): a batch of shape (2, 1, 28, 28) in training mode",
        ),
        (
            "# while running",
            "if not self.training: stop(KeyboardInterrupt())",
            "a (net.py, line 4): a batch of shape (2",
        ),
        ("# while running", "raise (\n            SystemExit(3))", "a (net.py, line 14): a batch of shape (2"),
        (
            "super().train(mode)",
            "self.nothing",
            "a (net.py, line 11): a batch of shape (2, 1, 28, 28) in training mode",
        ),
        (
            "# while running",
            "images = images.repeat(1, len(images)) if len(images) == 1 else 1 / 0",
            "line 14): a batch",
        ),
        (
            "flatten(1)",
            "squeeze().flatten(-2)",
            "a (net.py): logits have shape (10,) for a batch of shape (1, 1, 28, 28)",
        ),
        ("build=Net", "build=lambda: Net(1)", "a (net.py, line 16): building the net raised TypeError"),
    ],
)
def test_what_a_net_raises_names_the_line_of_its_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert message in refusal(declared_in(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# while building", "__import__('signal').raise_signal(2)"),
        ("# while running", "__import__('signal').raise_signal(2)"),
    ],
)
def test_ctrl_c_while_a_net_is_tried_is_no_fault_of_the_net(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        check(declared_in(tmp_path, old, new), sample(), device="cpu")


def test_an_interrupt_of_a_net_without_a_file_passes() -> None:
    def build() -> nn.Module:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(Architecture(name="here", build=build), sample(), device="cpu")


def test_too_few_logits_show_both_shapes() -> None:
    assert "logits have shape (2, 9) for a batch of shape (2, 1, 28, 28), expected (2, 10)" in refusal(net(outputs=9))


def test_something_that_is_no_module_is_named() -> None:
    architecture = Architecture(name="none", build=lambda: None)  # type: ignore[arg-type,return-value]
    assert "none: build returned a NoneType, expected a torch.nn.Module" in refusal(architecture)


def test_declared_counts_that_are_wrong_show_both_numbers() -> None:
    assert "params=7_851 is declared, the net has 7_850; correct" in refusal(net(params=7_851))
    message = refusal(net(params=1, macs=2))
    assert "params=1 is declared, the net has 7_850; macs=2 is declared, the net has 7_840; correct" in message


class Coloured(nn.Module):
    """A net for pictures of CIFAR-10's size, which begins with a convolution or flat."""

    def __init__(self, *, flat: bool) -> None:
        super().__init__()
        first = nn.Flatten() if flat else nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten())
        self.stages = nn.Sequential(first, nn.Linear((3 if flat else 4) * 32 * 32, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        logits: Tensor = self.stages(images)
        return logits


@pytest.mark.parametrize(
    ("flat", "needs"),
    [
        (False, "its first convolution takes 3 channels, not those of 1×28×28 images"),
        (True, "its first linear layer takes 3,072 values, where a 1×28×28 image has 784"),
    ],
)
def test_a_net_of_other_images_says_what_it_needs(flat: bool, needs: str) -> None:  # noqa: FBT001
    undeclared = Architecture(name="coloured", build=partial(Coloured, flat=flat))
    fix = "declare input_shape=(channels, height, width), and choose a --dataset of such images."
    assert refusal(undeclared).endswith(f"{needs}: {fix}")
    declared = dataclasses.replace(undeclared, input_shape=(3, 32, 32))
    takes = "coloured takes 3×32×32 images in 10 classes; mnist has 1×28×28 in 10"
    assert refusal(declared) == f"{takes}; choose --dataset cifar10, or leave this architecture out."
    assert check(declared, sample("cifar10", shape=(3, 32, 32)), device="cpu").architecture == "coloured"
    odd = dataclasses.replace(undeclared, input_shape=(3, 64, 64))
    assert "; choose a --dataset of such images, or leave" in refusal(odd)


class Pooled(nn.Sequential):
    """Two pools without padding, or a fault that no images mend."""

    def __init__(self, *, input_shape: tuple[int, int, int], classes: int, fault: bool = False, says: bool = False):
        side = input_shape[1] // 4 - 2  # 5 of 28
        if says and side < 1:
            raise MisfitError("nothing is left\nat all")
        super().__init__(
            nn.MaxPool2d(4), nn.Conv2d(input_shape[0], 2, 3), nn.Flatten(), nn.Linear(2 * max(side, 1) ** 2, classes)
        )
        if fault:
            self.append(nn.Softmax(dim=7))


def test_a_net_that_fails_on_these_images_and_runs_on_those_it_is_declared_for_is_no_broken_one() -> None:
    small = sample("small", shape=(1, 8, 8))
    pooled = Architecture(name="pooled", build=Pooled).fitted_to(small.metadata)
    with pytest.raises(MisfitError, match="pooled takes 1×28×28 images in 10 classes and cannot take 1×8×8") as caught:
        check(pooled, small, device="cpu")
    assert "in 10: pooled: a batch of shape (2, 1, 8, 8) in training mode raised " in str(caught.value)
    assert "\n" not in str(caught.value)
    letters = sample("letters", classes=26)
    # 20 of the convolution, 2·5·5 = 50 into the classes: 510 for ten, which are declared, 1,326 for 26, counted
    assert check(
        Architecture(name="pooled", build=Pooled, params=530).fitted_to(sample().metadata), sample(), device="cpu"
    )
    fitted = Architecture(name="pooled", build=Pooled, params=530).fitted_to(letters.metadata)
    assert check(fitted, letters, device="cpu").params == 20 + 1_326


def test_a_net_that_says_that_it_cannot_take_the_images_is_heard() -> None:
    small = sample("small", shape=(1, 8, 8))
    says = Architecture(name="says", build=partial(Pooled, says=True)).fitted_to(small.metadata)
    with pytest.raises(MisfitError) as caught:
        check(says, small, device="cpu")
    assert str(caught.value) == (
        "says cannot take 8×8 images: nothing is left; choose a --dataset of other images, or leave this architecture "
        "out."
    )
    # On the images that it is declared for it is the declaration that is wrong.
    wrong = Architecture(name="says", build=partial(Pooled, says=True), input_shape=(1, 8, 8))
    with pytest.raises(ArchitectureError, match="says: building the net raised nothing is left") as fault:
        check(wrong.fitted_to(small.metadata), small, device="cpu")
    assert not isinstance(fault.value, MisfitError)


def test_a_broken_net_is_broken_on_any_images() -> None:
    colour = sample("colour", shape=(3, 32, 32))
    faulty = Architecture(name="faulty", build=partial(Pooled, fault=True)).fitted_to(colour.metadata)
    with pytest.raises(ArchitectureError, match="faulty: a batch of shape") as fault:
        check(faulty, colour, device="cpu")
    assert not isinstance(fault.value, MisfitError)


def test_a_net_of_fixed_shape_on_other_images_is_no_broken_one() -> None:
    with pytest.raises(MisfitError, match="flat takes 1×28×28 images in 10 classes; letters has 1×28×28 in 26"):
        check(net(), sample("letters", classes=26), device="cpu")
