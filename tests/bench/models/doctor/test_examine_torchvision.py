"""Every classification model of torchvision up to 60 million parameters passes, on 32×32 or the least it takes."""

from __future__ import annotations

import dataclasses

import pytest

from bench.core.errors import MisfitError
from bench.data.published.download import import_torchvision
from bench.models.doctor.contract import make_up
from bench.models.doctor.examine import examine
from bench.models.torchvision_nets import PREFIX, find_torchvision_net

MODELS = import_torchvision("models")
SIDES = (32, 33, 64, 75, 128, 224)
MOST = 60_000_000


def parameters(model: str) -> int:
    """As torchvision tells it of the published weights."""
    return int(next(iter(MODELS.get_model_weights(model))).meta["num_params"])


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
        if any(error.check in ("runs", "shapes") for error in found.errors) and side < SIDES[-1]:
            continue  # too small for it
        assert found.errors == ()
        return
    pytest.fail("no side fits")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["googlenet", "inception_v3"])
def test_auxiliary_heads_are_noted_and_trained_on_the_first(model: str) -> None:
    from bench.spec import Architecture

    side = 96
    net = Architecture(
        name=model,
        build=lambda: MODELS.get_model(model, weights=None, num_classes=10, init_weights=True),
        input_shape=(3, side, side),
    )
    found = examine(net, make_up((3, side, side), 10))
    assert found.errors == ()
    assert "auxiliary-heads" in {finding.check for finding in found.findings}
