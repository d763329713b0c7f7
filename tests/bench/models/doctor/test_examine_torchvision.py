"""Every classification model of torchvision up to 60 million parameters passes, on 32×32 or the least it takes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bench.core.errors import MisfitError
from bench.data.published.download import import_torchvision
from bench.models.build import take_logits
from bench.models.doctor.contract import make_up
from bench.models.doctor.examine import examine
from bench.models.torchvision_nets import PREFIX, find_torchvision_net
from bench.spec import Architecture

MODELS = import_torchvision("models")
SIDES = (32, 33, 64, 75, 128, 224)
MOST = 60_000_000


def parameters(model: str) -> int:
    """As torchvision tells it of the published weights."""
    return int(next(iter(MODELS.get_model_weights(model))).meta["num_params"])


def can_train(net: Architecture) -> bool:
    """Whether torch alone runs it forward and backward, and an image in eval mode."""
    try:
        model = net.build().train()
        take_logits(model(torch.rand(8, *net.input_shape))).sum().backward()
        model.eval()
        model(torch.rand(1, *net.input_shape))
    except (MisfitError, RuntimeError, ValueError):
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS.list_models(module=MODELS))
def test_a_model_of_torchvision_passes(model: str) -> None:
    if parameters(model) > MOST:
        pytest.skip("larger than nets here are")
    declared = find_torchvision_net(f"{PREFIX}{model}")
    for side in SIDES:
        shape = (1, side, side)
        net = dataclasses.replace(declared.fitted(shape, 10), fitted_from=None)
        try:
            found = examine(net, make_up(shape, 10))
        except MisfitError:
            continue
        if not found.errors:
            return
        assert not can_train(net), found.errors
    pytest.fail("no side fits")


@pytest.mark.slow
@pytest.mark.parametrize(("model", "side"), [("googlenet", 96), ("inception_v3", 299)])
def test_auxiliary_heads_are_noted_and_trained_on_the_first(model: str, side: int) -> None:
    net = Architecture(
        name=model,
        build=lambda: MODELS.get_model(model, weights=None, num_classes=10, init_weights=True),
        input_shape=(3, side, side),
    )
    found = examine(net, make_up((3, side, side), 10))
    assert found.errors == ()
    assert "auxiliary-heads" in {finding.check for finding in found.findings}
