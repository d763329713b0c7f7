"""Whole runs of nets as people write them: nothing reaches another run, and what was cut short ends alike."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from bench.core.metadata import PLAIN, Proof
from bench.data.datasets import find_dataset, take_sample
from bench.data.tensors import standardise
from bench.execution.worker import train_run
from bench.models.build import build_model
from bench.models.doctor.proof import prove
from bench.models.registry import load_file
from bench.store.store import open_store
from tests import ROOT
from tests.bench.runs import NOWHERE, make_task, make_workplace, stored_bits

if TYPE_CHECKING:
    from pathlib import Path

    from bench.core.records import RunRecord
    from bench.core.run import Task, Workplace
    from bench.spec import Architecture

FIELD = ROOT / "tests" / "field"

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def load(file: str, name: str = "") -> Architecture:
    return next(net for net in load_file(FIELD / f"{file}.py") if name in ("", net.name))


def proved(architecture: Architecture, *, epochs: int = 1, seed: int = 0) -> Task:
    """A task as a study hands it out."""
    sample = take_sample(find_dataset("mnist5k", NOWHERE))
    proof = prove(architecture, sample, device="cpu", blamed=lambda _: contextlib.nullcontext())
    return dataclasses.replace(make_task(architecture, epochs=epochs, seed=seed), proof=proof)


def train(task: Task, workplace: Workplace) -> RunRecord:
    return train_run(task, workplace, lambda _message: None)


def bits(task: Task, results: Path) -> list[Any]:
    """What a run ends with in a store of its own."""
    workplace = make_workplace(results)
    assert train(task, workplace).status == "ok"
    return stored_bits(workplace, task.run_id)


def renamed(architecture: Architecture, name: str) -> Architecture:
    """Under a name that gives it the random streams of another; without a file, which would be loaded again."""
    return dataclasses.replace(architecture, name=name, file=None)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What tiny ends with when nothing trains beside it."""
    return bits(proved(load("tiny")), tmp_path_factory.mktemp("alone"))


TRAIN_NOW = [
    ("first_relu", ""), ("inplace_input", "rescaling"), ("preact", ""), ("relu_inplace_skip", ""), ("viewnet", ""),
    ("softmax", "softmax-end"), ("lazylinear", ""), ("hooks", "tapped"), ("hooks", "hook-stat"), ("backhook", ""),
    ("tuple_between", ""), ("inputgrad", ""), ("bf16", "bf16-buffer"), ("bf16", "autocast"), ("bf16", "bf16-net"),
    ("bf16", "double"), ("train_override", ""), ("plain_state", "always"), ("more_kinds", "SpatialTransformer"),
    ("kinds", "GramByView"), ("more_kinds", "WeightsByView"), ("more_kinds", "KeepsItsLastBatch"),
    ("more_kinds", "UnderAutocast"), ("more_kinds", "Volumes"), ("more_kinds", "SetsWhatHoldsForAll"),
    ("kinds", "HooksEverywhere"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "name"), TRAIN_NOW)
def test_it_trains_and_leaves_everything_else_alone(file: str, name: str, alone: list[Any], tmp_path: Path) -> None:
    """Beside it, in one process and on one set of images, a net trains to the very bits that it has alone."""
    tiny = proved(load("tiny"))
    workplace = make_workplace(tmp_path / "beside")
    threads = torch.get_num_threads()
    record = train(proved(load(file, name)), workplace)
    assert (record.status, record.error) == ("ok", "")
    assert record.test_accuracy is not None
    assert record.test_accuracy > 0.12, "more than chance: each learns something in 25 steps"
    train(tiny, workplace)
    assert stored_bits(workplace, tiny.run_id) == alone
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, torch.float32)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_net_that_changes_its_input_trains_as_one_that_takes_a_copy(tmp_path: Path) -> None:
    nets = (renamed(load("inplace_input", name), "rescaling") for name in ("rescaling", "rescaling-safe"))
    unsafe, safe = (bits(proved(net), tmp_path / str(number)) for number, net in enumerate(nets))
    assert unsafe[1] == safe[1], "weights"
    assert unsafe[3:] == safe[3:], "scores, curve and predictions"


def test_a_net_that_gives_the_same_memory_for_every_answer_is_judged_by_its_answers(tmp_path: Path) -> None:
    reusing, plain = (
        bits(proved(renamed(load("changing", name), "one")), tmp_path / name) for name in ("reusing", "plain")
    )
    assert reusing[1] == plain[1], "weights"
    assert reusing[3:] == plain[3:], "scores, curve and predictions"


def test_a_layer_that_is_thawed_later_is_trained_as_in_the_usual_loop(tmp_path: Path) -> None:
    """The optimizer knows it from the beginning, as `Adam(model.parameters())` does."""
    thawing = renamed(load("changing", "thawing"), "one")
    task, workplace = proved(thawing), make_workplace(tmp_path)
    record = train(task, workplace)
    assert (record.status, record.error) == ("ok", "")
    fresh, trained = build_model(thawing, 0), torch.load(tmp_path / task.weights, weights_only=True)
    assert not torch.equal(fresh.state_dict()["first.weight"], trained["first.weight"])


def test_a_layer_that_is_made_later_is_a_failed_run_by_name(tmp_path: Path) -> None:
    record = train(proved(load("changing", "swapping")), make_workplace(tmp_path))
    assert record.status == "failed"
    assert "its forward makes last.weight and last.bias, which are never trained" in record.error


def test_a_net_that_keeps_its_last_batch_has_that_batch(tmp_path: Path) -> None:
    class Keeping(nn.Module):
        def __init__(self, *, copies: bool) -> None:
            super().__init__()
            self.copies, self.last = copies, torch.zeros(())
            self.out = nn.Linear(784, 10)

        def forward(self, images: torch.Tensor) -> Any:
            """Logits, of which those of the batch before are a part."""
            shown = images + 0.3 * self.last if self.last.shape == images.shape else images
            if self.training:
                self.last = images.clone() if self.copies else images
            return self.out(shown.flatten(1))

    base = renamed(load("tiny"), "keeping")
    nets = [dataclasses.replace(base, build=functools.partial(Keeping, copies=copies)) for copies in (True, False)]
    copied, kept = (bits(proved(net), tmp_path / str(number)) for number, net in enumerate(nets))
    assert copied[1] == kept[1]
    assert copied[3:] == kept[3:]


@pytest.mark.parametrize("file", ["preact", "relu_inplace_skip", "hooks", "backhook", "first_relu"])
def test_the_printed_net_with_the_stored_weights_has_the_stored_accuracy(file: str, tmp_path: Path) -> None:
    task, workplace = proved(load(file)), make_workplace(tmp_path)
    record = train(task, workplace)
    model = build_model(task.request.architecture, 0)
    model.load_state_dict(torch.load(tmp_path / record.checkpoint, weights_only=True))
    model.eval()
    dataset = find_dataset("mnist5k", NOWHERE)
    images, labels = standardise(dataset.test_images, dataset.metadata), torch.from_numpy(dataset.test_labels)
    with torch.no_grad():
        right = sum(
            int((model(batch.clone()).argmax(1) == of).sum())
            for batch, of in zip(images.split(100), labels.split(100), strict=True)
        )
    assert record.test_accuracy == right / 1_000
    assert record.layout == task.proof.layout


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("npdepth", "np-depth"), ("npdepth", "np-init"), ("plain_state", "annealed"), ("plain_state", "running"),
        ("plain_state", "always"), ("kinds", "OldSpectralNorm"), ("kinds", "Parametrised"), ("kinds", "Pruned"),
        ("more_kinds", "KeepsItsLastBatch"), ("lazylinear", "lazylinear"), ("changing", "thawing"),
    ],
)  # fmt: skip
def test_the_same_request_gives_the_same_bits_also_when_it_was_cut_short(file: str, name: str, tmp_path: Path) -> None:
    task = proved(load(file, name), epochs=3)
    assert task.proof.resumable
    whole = bits(task, tmp_path / "whole")
    assert bits(task, tmp_path / "again") == whole
    workplace = make_workplace(tmp_path / "cut")
    for epoch in (1, 2):
        paused = train(dataclasses.replace(task, pause_after_epoch=epoch), workplace)
        assert (paused.status, paused.steps) == ("interrupted", 25 * epoch)
    assert train(task, workplace).status == "ok"
    assert stored_bits(workplace, task.run_id) == whole


def test_a_net_that_cannot_be_resumed_starts_over(tmp_path: Path) -> None:
    (tmp_path / "drawing.py").write_text(
        "import numpy as np\nfrom torch import nn\nfrom bench.spec import Architecture\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.out, self.source = nn.Linear(784, 10), np.random.default_rng(0)\n"
        "    def forward(self, x):\n"
        "        return self.out(x.flatten(1)) * (self.source.random() if self.training else 1)\n"
        "A = Architecture(name='drawing', build=Net)\n"
    )
    (net,) = load_file(tmp_path / "drawing.py")
    task = proved(net, epochs=2)
    assert not task.proof.resumable
    whole = bits(task, tmp_path / "whole")
    workplace = make_workplace(tmp_path / "cut")
    train(dataclasses.replace(task, pause_after_epoch=1), workplace)
    assert not list((tmp_path / "cut").glob("checkpoints/*.unfinished"))
    train(task, workplace)
    assert stored_bits(workplace, task.run_id) == whole


def test_what_a_file_keeps_at_module_level_begins_anew_with_every_run(tmp_path: Path) -> None:
    """Seeds in another order, or one seed alone, end alike though each build and each step moves the file's state."""
    (tmp_path / "counting.py").write_text(
        "import torch\nfrom torch import nn\nfrom bench.spec import Architecture\nbuilt = [0]\n"
        "DRAWN = torch.rand(784)\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        built[0] += 1\n        self.out = nn.Linear(784, 10)\n        self.scale = built[0]\n"
        "    def forward(self, x):\n        built[0] += self.training\n"
        "        return self.out(x.flatten(1) * DRAWN) / (self.scale + built[0])\n"
        "A = Architecture(name='counting', build=Net)\n"
    )
    (net,) = load_file(tmp_path / "counting.py")
    found = []
    for order in ((0, 1), (1, 0), (1,)):
        workplace = make_workplace(tmp_path / "".join(map(str, order)))
        tasks = {seed: make_task(net, epochs=1, seed=seed) for seed in order}
        for task in tasks.values():
            train(task, workplace)
        found.append(stored_bits(workplace, tasks[1].run_id))
    assert found[0] == found[1] == found[2]


def test_every_parameter_of_lazy_layers_is_trained(tmp_path: Path) -> None:
    task = proved(load("lazylinear", "lazylinear"))
    fresh = build_model(task.request.architecture, 0).state_dict()
    record = train(task, make_workplace(tmp_path))
    kept = torch.load(tmp_path / record.checkpoint, weights_only=True)
    assert sum(value.numel() for value in kept.values()) == 56_714  # 160 + 4,640 + 51,264 + 650
    assert not [name for name, value in fresh.items() if torch.equal(value, kept[name])]


def test_a_fallback_is_stored_with_the_run(tmp_path: Path) -> None:
    workplace = make_workplace(tmp_path)
    task = proved(load("viewnet"))
    train(task, workplace)
    with open_store(workplace.store_url) as store:
        record = store.runs.find(task.run_id)
    assert record is not None
    assert record.layout == PLAIN
    assert "view size is not compatible" in task.proof.rejected[0]
    assert Proof().layout == PLAIN, "nobody has proved anything: the printed net"
