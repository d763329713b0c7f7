"""Classification models of torchvision as nets: found by name, adapted, hashed and sent, with nothing downloaded."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from bench.core.errors import MisfitError, UnknownNameError
from bench.data.published.download import import_torchvision
from bench.models.fingerprint import architecture_hash
from bench.models.registry import discover
from bench.models.torchvision_nets import find_torchvision_net
from tests import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from bench.spec import Architecture


@pytest.fixture(autouse=True)
def _no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("weights are downloaded")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)


def select(pattern: str) -> Architecture:
    [net] = discover(ROOT / "architectures").select([pattern])
    return net


def on_meta(net: Architecture) -> nn.Module:
    with torch.device("meta"):
        return net.build().eval()


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_as_published_it_is_the_library_s_own() -> None:
    net = select("torchvision:resnet18")
    assert (net.name, net.input_shape, net.classes) == ("torchvision:resnet18", (3, 224, 224), 1000)
    theirs = import_torchvision("models").resnet18(weights=None)
    assert [(k, v.shape) for k, v in on_meta(net).state_dict().items()] == [
        (k, v.shape) for k, v in theirs.state_dict().items()
    ]
    assert count(on_meta(net)) == 11_689_512  # as its page says


@pytest.mark.parametrize(
    ("model", "shape", "classes", "published", "less"),
    [
        # What goes: of the first convolution (3 − channels)·filters·k², of the last layer (1,000 − classes)·(in + 1).
        ("resnet18", (1, 28, 28), 10, 11_689_512, 2 * 64 * 49 + 990 * 513),
        ("densenet121", (4, 32, 32), 1000, 7_978_856, -64 * 49),
        ("mobilenet_v3_small", (1, 28, 28), 7, 2_542_856, 2 * 16 * 9 + 993 * 1025),
        ("vgg11", (3, 32, 32), 2, 132_863_336, 998 * 4097),
        # Without its two auxiliary heads the published 13,004,888 are 6,624,904.
        ("googlenet", (3, 32, 32), 10, 6_624_904, 990 * 1025),
        ("squeezenet1_1", (1, 28, 28), 10, 1_235_496, 2 * 64 * 9 + 990 * 513),
        # 197 positions of 768 become 5.
        ("vit_b_16", (3, 32, 32), 1000, 86_567_656, 192 * 768),
    ],
)
def test_channels_classes_and_sizes_are_the_dataset_s(
    model: str, shape: tuple[int, int, int], classes: int, published: int, less: int
) -> None:
    built = on_meta(select(f"torchvision:{model}").fitted(shape, classes))
    assert count(built) == published - less
    assert built(torch.zeros(2, *shape, device="meta")).shape == (2, classes)


def test_in_training_it_gives_logits_alone_and_one_seed_gives_one_net() -> None:
    net = select("torchvision:googlenet").fitted((1, 28, 28), 10)
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        states.append(net.build().state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    logits = on_meta(net).train()(torch.zeros(2, 1, 28, 28, device="meta"))
    assert isinstance(logits, torch.Tensor)


@pytest.mark.parametrize(
    ("model", "shape", "said"),
    [
        ("alexnet", (3, 32, 32), "it takes 63×63 and larger ones, as torchvision says"),
        ("vgg16_bn", (1, 28, 28), "it takes 32×32 and larger ones"),
        ("inception_v3", (3, 74, 80), "it takes 75×75 and larger ones"),
        ("vit_b_16", (3, 28, 28), "it takes square images whose side is a multiple of its patches of 16 pixels"),
        ("vit_b_32", (3, 32, 64), "it takes square images"),
    ],
)
def test_images_that_are_too_small_for_a_model_are_refused(model: str, shape: tuple[int, int, int], said: str) -> None:
    with pytest.raises(MisfitError, match=re.escape(said)):
        on_meta(select(f"torchvision:{model}").fitted(shape, 10))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet1", "No classification model of torchvision 'resnet1'. Did you mean 'resnet18'?"),
        ("fasterrcnn_resnet50_fpn", "No classification model of torchvision 'fasterrcnn_resnet50_fpn'."),
        ("resnet18 depth=3", "No knob or recipe field of torchvision:resnet18 'depth'."),
    ],
)
def test_names_that_torchvision_does_not_have_are_one_line(name: str, said: str) -> None:
    with pytest.raises(UnknownNameError, match=re.escape(said)) as caught:
        select(f"torchvision:{name}")
    assert "\n" not in str(caught.value)


def test_it_takes_recipes_of_its_own_and_arrives_in_another_process_the_same(tmp_path: Path) -> None:
    net = select("torchvision:shufflenet_v2_x0_5 lr=3e-3").fitted((1, 28, 28), 10)
    assert (net.name, net.recipe_changes) == ("torchvision:shufflenet_v2_x0_5 lr=0.003", (("lr", 0.003),))
    (tmp_path / "pickled").write_bytes(pickle.dumps(net))
    program = (
        "import pickle, sys, pathlib; net = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes());"
        "from bench.models.fingerprint import architecture_hash;"
        "print(net.name, net.input_shape, sum(p.numel() for p in net.build().parameters()), architecture_hash(net))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "pickled")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{net.name} (1, 28, 28) 351610 {architecture_hash(net)}"


def test_its_hash_knows_model_images_recipe_and_the_library_s_version(monkeypatch: pytest.MonkeyPatch) -> None:
    net = find_torchvision_net("torchvision:resnet18")
    others = [
        net.fitted((1, 28, 28), 10),
        net.fitted((1, 28, 28), 11),
        net.trained_with({"lr": 0.1}),
        find_torchvision_net("torchvision:resnet34"),
    ]
    hashes = {architecture_hash(each) for each in (net, *others)}
    assert len(hashes) == 5
    found = []
    for version in ("0.28.0", "0.28.0+cpu", "0.28.1"):
        monkeypatch.setattr("bench.models.fingerprint.version", lambda _, version=version: version)
        found.append(architecture_hash(net))
    assert found[0] == found[1] != found[2]
