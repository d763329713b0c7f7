"""The loop against a plain loop written here, its stopping rules, its probes and its resumption."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import types
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional

from bench.core.errors import DivergedError, RecipeError
from bench.core.run import RunRequest
from bench.core.seeds import Stream, derive_seed
from bench.data.pixels import Pixels
from bench.data.tensors import TrainingData
from bench.models.build import build_model
from bench.spec import Architecture, Budget, Recipe
from bench.training import clock
from bench.training.loop import Training, balance_classes


class SmallNet(nn.Module):
    """Conv, ReLU, MaxPool, Dropout, Linear: every kind of layer that has a random stream or a rewriting."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.dropout = nn.Dropout(0.25)
        self.head = nn.Linear(36, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, 1, 8, 8) to logits (N, 3)."""
        logits: torch.Tensor = self.head(self.dropout(self.stages(images)))
        return logits


SMALL = Architecture(name="small", build=SmallNet, input_shape=(1, 8, 8), classes=3)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Three classes of noisy 8×8 patterns: 700 images to train on, 100 for validation."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (800,), generator=generator)
    patterns = torch.randn(3, 1, 8, 8, generator=generator)
    pool = Pixels(patterns[labels] + 1.5 * torch.randn(800, 1, 8, 8, generator=generator))
    return TrainingData(
        pool=pool,
        labels=labels,
        train=torch.arange(700),
        validation_images=pool.choose(torch.arange(700, 800)),
        validation_labels=labels[700:],
        probe_images=pool.choose(torch.arange(700, 750)),
        probe_labels=labels[700:750],
        black=torch.full((1, 1, 1, 1), -0.4),
        white=torch.full((1, 1, 1, 1), 2.8),
    )


def _request(*, seed: int = 5, epochs: int | None = 2, seconds: float | None = None, **recipe: Any) -> RunRequest:
    return RunRequest(
        architecture=SMALL,
        architecture_hash="0",
        recipe=Recipe(**({"batch_size": 8} | recipe)),
        budget=Budget(epochs=epochs, seconds=seconds),
        dataset="patterns",
        data_hash="0",
        seed=seed,
        split_seed=seed,
        device="cpu",
        torch_version=torch.__version__,
        engine_version=1,
    )


def _finish(training: Training) -> Training:
    for _ in training.run():
        pass
    return training


def _whole(images: Pixels) -> torch.Tensor:
    return torch.cat(list(images.batches(100)))


def _weights(training: Training) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in training.model.state_dict().items()}


def _plain_loop(data: TrainingData, *, seed: int, epochs: int, weight: torch.Tensor | None = None) -> nn.Module:
    """The shared recipe as anyone would write it: the printed net, no rewriting, the library's scheduler."""
    model = build_model(SMALL, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    steps = 700 // 8
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=epochs * steps)
    for epoch in range(epochs):
        generator = torch.Generator().manual_seed(derive_seed(seed, Stream.ORDER, epoch=epoch))
        order = torch.randperm(700, generator=generator)
        torch.manual_seed(derive_seed(seed, Stream.DROPOUT, architecture="small", epoch=epoch))
        model.train()
        for step in range(steps):
            chosen = order[8 * step : 8 * step + 8]
            optimizer.zero_grad()
            logits = model(data.pool.gather(chosen))
            (
                functional.cross_entropy(logits, data.labels[chosen], weight=weight, reduction="sum") / len(chosen)
            ).backward()
            optimizer.step()
            if epoch * steps + step < epochs * steps - 1:
                scheduler.step()
    return model


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_the_loop_trains_as_a_plain_loop_does(data: TrainingData, class_weights: str) -> None:
    weight = None
    if class_weights == "balanced":
        data = _uneven(data)
        found = compute_class_weight("balanced", classes=np.arange(3), y=data.labels[data.train].numpy())
        weight = torch.tensor(found, dtype=torch.float32)
    with torch.random.fork_rng():
        ours = _finish(Training(_request(class_weights=class_weights), data))
        plain = _plain_loop(data, seed=5, epochs=2, weight=weight)
    # Weights that the loss cannot see (a bias before BatchNorm) drift with rounding, so what the nets say is compared.
    with torch.inference_mode():
        ours_says, plain_says = (model.eval()(_whole(data.validation_images)) for model in (ours.model, plain))
    torch.testing.assert_close(ours_says, plain_says, atol=0.01, rtol=0.01)
    right = (plain_says.argmax(1) == data.validation_labels).float().mean().item()
    assert ours.curve[-1].val_accuracy == pytest.approx(right, abs=0.011)
    assert right > 0.6  # three classes: it learned something, so the comparison means something


def _uneven(data: TrainingData) -> TrainingData:
    """The same images, most of the first class now called the second: weights that say something."""
    labels = torch.where((data.labels == 0) & (torch.arange(800) % 4 > 0), 1, data.labels)
    return dataclasses.replace(data, labels=labels, validation_labels=labels[700:], probe_labels=labels[700:750])


def test_classes_weigh_the_same_as_scikit_learn_has_it() -> None:
    labels = torch.tensor([0] * 5 + [1] * 20 + [3])
    found = balance_classes(labels, classes=5)
    wanted = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels.numpy())
    assert found[[0, 1, 3]].tolist() == pytest.approx(wanted.tolist())
    assert found[[2, 4]].tolist() == [0, 0]
    assert (found[labels].reshape(-1).sum() / len(labels)).item() == pytest.approx(1)


def test_the_same_request_gives_the_same_bits_and_another_seed_does_not(data: TrainingData) -> None:
    first, again, other = (_finish(Training(_request(seed=seed), data)) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(_weights(first).values(), _weights(again).values(), strict=True))
    assert not torch.equal(_weights(first)["head.weight"], _weights(other)["head.weight"])


def test_probes_stand_where_the_methodology_puts_them(data: TrainingData) -> None:
    training = _finish(Training(_request(epochs=3), data))
    # 87 steps an epoch: a twentieth is 4, but probes are at least 20 steps apart, and only in epochs 1 and 2.
    probes = [point.step for point in training.curve if point.probe]
    assert probes == [20, 40, 60, 80, 107, 127, 147, 167]
    ends = [point for point in training.curve if not point.probe]
    assert [point.step for point in ends] == [87, 174, 261]
    assert [point.epoch for point in ends] == [1.0, 2.0, 3.0]
    assert [point.images for point in ends] == [696, 1392, 2088]
    assert all(0 < (point.train_loss or 0) < 2 and 0.3 < (point.train_accuracy or 0) <= 1 for point in ends)
    clocks = [(point.train_seconds, point.evaluation_seconds) for point in training.curve]
    assert clocks == sorted(clocks)


def test_training_accuracy_is_counted_on_the_images_as_trained(data: TrainingData) -> None:
    training = _finish(Training(_request(epochs=1, lr=1e-12, optimizer="sgd"), data))
    point = training.curve[-1]
    with torch.random.fork_rng(), torch.no_grad():
        model = build_model(SMALL, 5)
        order = torch.randperm(700, generator=torch.Generator().manual_seed(derive_seed(5, Stream.ORDER)))
        torch.manual_seed(derive_seed(5, Stream.DROPOUT, architecture="small"))
        logits = torch.cat([model(data.pool.gather(chosen)) for chosen in order[:696].split(8)])
    labels = data.labels[order[:696]]
    assert point.train_accuracy == pytest.approx((logits.argmax(1) == labels).float().mean().item(), abs=1e-6)
    assert point.train_loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-4)


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"schedule": "plateau", "plateau_patience": 1},
        {"keep": "best", "patience": 2, "optimizer": "sgd", "schedule": "cosine", "nesterov": True, "lr": 0.05},
        {"augmentation": (("shift", 1.0), ("rotation", 10.0)), "label_smoothing": 0.1, "optimizer": "adamw"},
        {"augmentation": (("flip", 0.5), ("jitter", 0.3)), "class_weights": "balanced"},
    ],
)
def test_a_run_resumed_after_an_epoch_ends_with_the_same_bits(data: TrainingData, recipe: dict[str, Any]) -> None:
    request = _request(epochs=4, **recipe)
    whole = _finish(Training(request, data))
    first = Training(request, data)
    for at_epoch_end in first.run():
        if at_epoch_end and first.epoch == 2:
            break
    state = copy.deepcopy(first.state_dict())
    torch.manual_seed(999)  # whatever else the process drew in between
    second = Training(request, data)
    second.load_state_dict(state)
    _finish(second)
    assert second.finish() == whole.finish()
    assert all(torch.equal(a, b) for a, b in zip(_weights(whole).values(), _weights(second).values(), strict=True))
    scores = [[(p.step, p.val_loss, p.train_loss, p.val_accuracy) for p in t.curve] for t in (whole, second)]
    assert scores[0] == scores[1]


def test_stopping_at_an_accuracy(data: TrainingData) -> None:
    training = _finish(Training(_request(epochs=50, stop_at_accuracy=0.6), data))
    ends = [point.val_accuracy for point in training.curve if not point.probe]
    assert training.epoch < 50
    assert ends[-1] >= 0.6
    assert all(accuracy < 0.6 for accuracy in ends[:-1])


def test_patience_and_the_best_weights(data: TrainingData) -> None:
    training = _finish(Training(_request(epochs=60, patience=3, keep="best", schedule="constant", lr=0.03), data))
    ends = [point.val_accuracy for point in training.curve if not point.probe]
    best = int(np.argmax(ends)) + 1
    assert len(ends) == best + 3 < 60
    assert training.finish() == best
    with torch.inference_mode():
        logits = training.model.eval()(_whole(data.validation_images))
    assert (logits.argmax(1) == data.validation_labels).float().mean().item() == pytest.approx(max(ends))


def test_plateau_divides_the_rate(data: TrainingData) -> None:
    training = _finish(Training(_request(epochs=30, schedule="plateau", plateau_patience=0, lr=0.03), data))
    assert training.optimizer.param_groups[0]["lr"] < 0.03 / 9


def test_divergence_names_the_epoch(data: TrainingData) -> None:
    training = Training(_request(optimizer="sgd", lr=100.0, schedule="constant", momentum=0.99), data)
    with torch.no_grad():
        next(training.model.parameters()).fill_(1e38)
    with pytest.raises(DivergedError, match=r"epoch 1 \(by step 20\)"):
        _finish(training)


def test_weights_that_overflow_in_the_last_step_are_a_divergence(data: TrainingData) -> None:
    training = Training(_request(epochs=1, batch_size=700, optimizer="sgd", lr=100.0, schedule="constant"), data)
    with torch.no_grad():
        training.model.get_parameter("head.weight").mul_(1e20)
    with pytest.raises(DivergedError, match=r"validation loss is no longer finite in epoch 1 \(by step 1\)"):
        _finish(training)


def test_a_budget_of_seconds_ends_by_the_training_clock(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()  # a clock that passes a millisecond whenever it is read, however busy the machine is
    monkeypatch.setattr(clock, "time", types.SimpleNamespace(perf_counter=lambda: 0.001 * next(ticks)))
    training = _finish(Training(_request(epochs=None, seconds=0.3), data))
    assert 0.3 <= training.training_clock.seconds < 0.32
    assert training.curve[-1].step == training.steps > 20
    assert training.optimizer.param_groups[0]["lr"] < 6e-3 / 25  # annealed to the end of its own budget


def test_a_batch_larger_than_the_data_is_refused(data: TrainingData) -> None:
    with pytest.raises(RecipeError, match="Batch size 701 is more than the 700 training images of patterns"):
        Training(_request(batch_size=701), data)


def test_initialisation_follows_the_name_and_leaves_the_generator_alone() -> None:
    twin = Architecture(name="twin", build=SmallNet, input_shape=(1, 8, 8), classes=3)
    assert not torch.equal(next(build_model(SMALL, 0).parameters()), next(build_model(twin, 0).parameters()))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    build_model(SMALL, 0)
    assert torch.equal(torch.get_rng_state(), before)
