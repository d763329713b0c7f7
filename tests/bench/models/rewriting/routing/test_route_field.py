"""Nets of the kinds that people publish give the printed net's step when they are routed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from bench.models.build import build_model
from bench.models.determinism import fixed_arithmetic
from bench.models.doctor.step import find_difference, is_roughly_near, take_step
from bench.models.registry import load_file
from bench.models.rewriting.routing.routable import is_routable
from bench.models.rewriting.routing.route import route
from tests import ROOT
from tests.bench.models.doctor.proving import NETS, load

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

OWN = [net for file in sorted((ROOT / "architectures").glob("[!_]*.py")) for net in load_file(file)]
ALL = NETS | {net.name: net for net in [*OWN, *load("cifar", "torchvision_models", "lazy_in_forward")]}
FAILS = {"CustomFunction": "expected shape compatible with", "DoubleBackward": "no second derivative"}
"""One hands a value that is not computed yet to a function of its own, one wants more than the kernels give: errors,
which the proof finds."""
ROUTED = """preact relu-inplace-skip viewnet cifar-res cifar-tutorial softmax-end lazylinear tuple-between p-plain
p-sums
InPlaceResidual ModuleListLoop Checkpointed SpatialTransformer DoubleBackward squeezenet KeepsItsLastBatch TensorHook
bn25k conv16k fc3136 lenet21k""".split()


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.use_deterministic_algorithms(mode=False)


@pytest.mark.parametrize("name", ALL)
def test_a_routed_net_takes_the_printed_step(name: str) -> None:
    net = ALL[name]
    with fixed_arithmetic("cpu"):
        generator = torch.Generator().manual_seed(4)
        images = torch.randn(4, *net.input_shape, generator=generator)
        labels = torch.randint(0, net.classes, (4,), generator=generator)
        wanted = take_step(build_model(net, 0), images, labels)
    with fixed_arithmetic("cpu"):  # the step may have set another type for the whole process
        model = build_model(net, 0)
        route(model)
        if name in FAILS:
            with pytest.raises(RuntimeError, match=FAILS[name]):
                take_step(model, images, labels)
            return
        found = take_step(model, images, labels)
    assert not find_difference(found, wanted) or is_roughly_near(found, wanted)
    assert found.buffers.keys() == wanted.buffers.keys()


@pytest.mark.parametrize("name", ROUTED)
def test_nets_of_every_style_are_routed(name: str, chains: list[str]) -> None:
    with fixed_arithmetic("cpu"):
        model = build_model(ALL[name], 0)
        assert is_routable(model)
        route(model)
        model.eval()
        with torch.no_grad():
            model(torch.randn(4, *ALL[name].input_shape))
    assert chains
