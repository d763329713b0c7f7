"""Portraits: what is kept of a net is what its layers computed, of training images only, and it never fails a study."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from runs import NOWHERE, make_task, make_workplace
from torch import nn
from torch.nn import functional

from bench import experiment, gallery
from bench.arguments import parse_arguments
from bench.data.datasets import Dataset, find_dataset
from bench.errors import ArchitectureError, DataError, StoreError
from bench.experiment import Experiment
from bench.facts import DatasetFacts
from bench.gallery import portray, take_pictures
from bench.portraits import paint
from bench.recording import Outcome, make_record
from bench.spec import Architecture
from bench.store.store import Store, open_store
from bench.training.checkpoint import keep_weights
from bench.training.loop import build_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from bench.pictures import Portrait, StageMaps
    from bench.records import RunRecord
    from bench.spec import RunRequest
    from bench.task import Workplace

MEAN, DEVIATION = 0.25, 0.5
CLASSES = 10


class ClosedTestSet:
    """Raises at whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"the test set was looked at: {name}")

    def __len__(self) -> int:
        raise AssertionError("the test set was counted")

    def __getitem__(self, key: object) -> Any:
        raise AssertionError(f"a test image was taken: {key}")


def make_dataset(labels: Sequence[int] = tuple(range(CLASSES)) * 4) -> Dataset:
    """Random 8×8 images whose test set cannot be looked at."""
    images = np.random.default_rng(5).integers(256, size=(len(labels), 1, 8, 8)).astype(np.uint8)
    facts = DatasetFacts(
        name="tiny",
        data_hash="data",
        pool_images=len(labels),
        test_images=7,
        validation_images=10,
        image_shape=(1, 8, 8),
        classes=tuple(map(str, range(CLASSES))),
        mean=(MEAN,),
        deviation=(DEVIATION,),
        origin="here",
    )
    closed: Any = ClosedTestSet()
    return Dataset(
        facts=facts,
        pool_images=images,
        pool_labels=np.array(labels, dtype=np.int64),
        test_images=closed,
        test_labels=closed,
    )


def make_usual() -> nn.Sequential:
    """Every kind of layer that is kept, and those that are not."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Identity(),
        nn.Flatten(),
        nn.Linear(36, 6),
        nn.ReLU(),
        nn.Linear(6, CLASSES),
    )


class Unruly(nn.Module):
    """Declares its layers in another order than it runs them, one not at all and one twice."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(40 * 64, CLASSES)
        self.never = nn.Conv2d(1, 2, 1)
        self.second = nn.Conv2d(40, 40, 3, padding=1)
        self.activation = nn.ReLU()
        self.first = nn.Conv2d(1, 40, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        features = self.activation(self.first(images))
        logits: Tensor = self.last(self.activation(self.second(features)).flatten(1))
        return logits


class Shy(nn.Module):
    """Does not run when somebody watches its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 8)
        self.last = nn.Linear(2, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        features = self.conv(images)
        if self.last._forward_hooks:
            raise RuntimeError("no hooks here\nplease")
        logits: Tensor = self.last(features.flatten(1))
        return logits


class Bare(nn.Module):
    """Computes by functions alone."""

    def __init__(self, pixels: int = 64) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(CLASSES, pixels))

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return functional.linear(images.flatten(1), self.weights)


class Noisy(nn.Module):
    """Draws in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 8)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.conv(images + torch.randn_like(images)).flatten(1)
        return logits


def fit(
    build: Any, results: Path, *, seed: int = 0, changes: Any = None, name: str = "net"
) -> tuple[RunRecord, Architecture, nn.Module]:
    """A run that has ended and whose weights are on disk; `changes` is done to its net before."""
    architecture = Architecture(name=name, build=build)
    task = make_task(architecture, seed=seed)
    model = build_model(architecture, seed)
    if changes is not None:
        with torch.no_grad():
            changes(model)
    outcome = Outcome(weights=keep_weights(model, results, task.weights))
    return make_record(task, outcome, jobs=1, environment={}), architecture, model.eval()


def train_a_little(model: nn.Module) -> None:
    """Weights and statistics that no fresh net has."""
    generator = torch.Generator().manual_seed(1)
    for value in (*model.parameters(), *model.buffers()):
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator) + 0.1)


def values_of(stage: StageMaps) -> np.ndarray:
    """What the levels stand for."""
    span = (stage.highs - stage.lows)[:, None, None, None]
    return stage.lows[:, None, None, None] + stage.maps / 255 * span


def standardised(dataset: Dataset, indices: Sequence[int]) -> Tensor:
    pixels = torch.from_numpy(dataset.pool_images[list(indices)]).double() / 255
    return ((pixels - MEAN) / DEVIATION).float()


def assert_shows(stage: StageMaps, expected: Tensor) -> None:
    """Every value within half a level of a layer's own range, the range itself exact but for rounding."""
    wanted = expected.detach().numpy().reshape(len(expected), -1)
    found = values_of(stage).reshape(len(expected), -1)
    assert stage.maps.dtype == np.uint8
    lows, highs = wanted.min(axis=1), wanted.max(axis=1)
    np.testing.assert_allclose(stage.lows, lows, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(stage.highs, highs, rtol=1e-5, atol=1e-5)
    assert (np.abs(found - wanted).max(axis=1) <= (highs - lows) * 0.502 / 255).all()
    assert stage.maps.reshape(len(expected), -1).min(axis=1).tolist() == [0] * len(expected)
    assert stage.maps.reshape(len(expected), -1).max(axis=1).tolist() == [255] * len(expected)


def test_maps_are_what_the_same_layers_give_by_hand(tmp_path: Path) -> None:
    record, architecture, model = fit(make_usual, tmp_path, changes=train_a_little)
    dataset = make_dataset()
    said: list[str] = []
    portrait = paint(record, architecture, dataset=dataset, results=tmp_path, announce=said.append)
    assert said == []
    weights = model.state_dict()
    convolved = functional.conv2d(standardised(dataset, [0, 3, 8]), weights["0.weight"], weights["0.bias"])
    scale = weights["1.weight"] / (weights["1.running_var"] + 1e-5).sqrt()
    shift = weights["1.bias"] - weights["1.running_mean"] * scale
    normalised = convolved * scale[:, None, None] + shift[:, None, None]
    activated = normalised.clamp(min=0)
    pooled = functional.max_pool2d(activated, 2)
    hidden = pooled.flatten(1) @ weights["7.weight"].T + weights["7.bias"]
    logits = hidden.clamp(min=0) @ weights["9.weight"].T + weights["9.bias"]
    expected = {
        ("0", "Conv2d"): convolved,
        ("1", "BatchNorm2d"): normalised,  # the ReLU behind it writes in place
        ("2", "ReLU"): activated,
        ("3", "MaxPool2d"): pooled,
        ("7", "Linear"): hidden[:, :, None, None],
        ("9", "Linear"): logits[:, :, None, None],
    }
    assert [(stage.layer, stage.kind) for stage in portrait.stages] == list(expected)
    for stage, values in zip(portrait.stages, expected.values(), strict=True):
        assert stage.maps.shape == tuple(values.shape)
        assert_shows(stage, values)


def test_filters_are_the_weights_to_the_bit(tmp_path: Path) -> None:
    record, architecture, model = fit(make_usual, tmp_path, changes=train_a_little)
    portrait = paint(record, architecture, dataset=make_dataset(), results=tmp_path)
    assert portrait.run_id == record.run_id
    assert portrait.filters.shape == (4, 1, 3, 3)
    assert portrait.filters.tobytes() == model.state_dict()["0.weight"].numpy().tobytes()


def test_layers_come_in_order_of_execution_once_with_32_channels(tmp_path: Path) -> None:
    record, architecture, model = fit(Unruly, tmp_path)
    dataset = make_dataset()
    portrait = paint(record, architecture, dataset=dataset, results=tmp_path)
    assert [stage.layer for stage in portrait.stages] == ["first", "activation", "second", "last"]
    assert [stage.maps.shape[1] for stage in portrait.stages] == [32, 32, 32, CLASSES]
    weights = model.state_dict()
    convolved = functional.conv2d(
        standardised(dataset, [0, 3, 8]), weights["first.weight"], weights["first.bias"], padding=1
    )
    assert_shows(portrait.stages[0], convolved[:, :32])
    assert_shows(portrait.stages[1], convolved[:, :32].clamp(min=0))
    assert portrait.filters.tobytes() == weights["first.weight"].numpy().tobytes()


@pytest.mark.parametrize(
    ("build", "filters", "reason"),
    [
        (Shy, (2, 1, 8, 8), "RuntimeError: no hooks here"),
        (Bare, (0, 0, 0, 0), "none of its layers is a module that can be watched"),
    ],
)
def test_a_net_that_cannot_be_watched_has_a_portrait_without_stages(
    build: Any, filters: tuple[int, ...], reason: str, tmp_path: Path
) -> None:
    record, architecture, _ = fit(build, tmp_path)
    said: list[str] = []
    portrait = paint(record, architecture, dataset=make_dataset(), results=tmp_path, announce=said.append)
    assert (portrait.stages, portrait.filters.shape) == ((), filters)
    assert said == [f"net: its layers cannot be shown ({reason}); its runs are stored."]


def test_a_layer_that_is_flat_or_overflows_is_shown_all_the_same(tmp_path: Path) -> None:
    def overflow(model: nn.Module) -> None:
        model.get_parameter("0.bias").copy_(torch.tensor([-torch.inf, torch.nan, 0.0, 0.0]))

    def flat(model: nn.Module) -> None:
        model.get_parameter("0.weight").zero_()
        model.get_parameter("0.bias").fill_(3.0)

    record, architecture, _ = fit(make_usual, tmp_path, changes=flat)
    stage = paint(record, architecture, dataset=make_dataset(), results=tmp_path).stages[0]
    assert (stage.maps.max(), stage.lows.tolist(), stage.highs.tolist()) == (0, [3.0] * 3, [3.0] * 3)
    record, architecture, _ = fit(make_usual, tmp_path, changes=overflow)
    stage = paint(record, architecture, dataset=make_dataset(), results=tmp_path).stages[0]
    assert np.isfinite(stage.lows).all()
    assert stage.maps[:, 0].max() == 0
    assert stage.maps[:, 1].min() == 255


def test_the_images_are_the_first_samples_of_three_classes(tmp_path: Path) -> None:
    record, architecture, _ = fit(make_usual, tmp_path)
    # Pool indices by class: 0 at 1; 3 at 3, 5; 5 at 2; 9 at 0, 4, 6, 7. No 8: the smallest other class takes its place.
    dataset = make_dataset([9, 0, 5, 3, 9, 3, 9, 9])
    closed: Any = dataset.pool_images[:0]
    pictures = take_pictures(dataclasses.replace(dataset, test_images=closed))
    assert pictures.sample_indices.tolist() == [1, 3, 5, 2, 0, 4, 6]
    assert pictures.sample_labels.tolist() == [0, 3, 3, 5, 9, 9, 9]
    np.testing.assert_array_equal(pictures.samples, dataset.pool_images[[1, 3, 5, 2, 0, 4, 6]])
    assert pictures.samples.dtype == pictures.sample_labels.dtype == np.uint8
    portrait = paint(record, architecture, dataset=dataset, results=tmp_path)
    assert portrait.images.tolist() == [0, 1, 3]
    weights = torch.load(tmp_path / record.checkpoint)
    convolved = functional.conv2d(standardised(dataset, [1, 3, 2]), weights["0.weight"], weights["0.bias"])
    assert_shows(portrait.stages[0], convolved)


def test_painting_repeats_itself_and_leaves_torch_as_it_was(tmp_path: Path) -> None:
    record, architecture, _ = fit(Noisy, tmp_path)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    first = paint(record, architecture, dataset=make_dataset(), results=tmp_path)
    assert (torch.get_num_threads(), torch.get_rng_state().tolist()) == (threads, state.tolist())
    torch.rand(3)
    again = paint(record, architecture, dataset=make_dataset(), results=tmp_path)
    assert first.stages[0].lows.tobytes() == again.stages[0].lows.tobytes()


def test_weights_and_nets_that_are_not_those_of_the_run_are_refused(tmp_path: Path) -> None:
    record, architecture, _ = fit(make_usual, tmp_path)
    edited = dataclasses.replace(record, architecture_hash="another")
    with pytest.raises(ArchitectureError, match="'net' was edited"):
        paint(edited, architecture, dataset=make_dataset(), results=tmp_path)
    (tmp_path / record.checkpoint).write_bytes(b"others")
    with pytest.raises(StoreError, match="are not those that were stored"):
        paint(record, architecture, dataset=make_dataset(), results=tmp_path)
    (tmp_path / record.checkpoint).unlink()
    with pytest.raises(StoreError, match=r"cannot be read \(No such file or directory\)"):
        paint(record, architecture, dataset=make_dataset(), results=tmp_path)


def make_plain() -> nn.Sequential:
    """A net for 28×28 images."""
    return nn.Sequential(nn.Conv2d(1, 2, 5), nn.ReLU(), nn.Flatten(), nn.Linear(1152, CLASSES))


FACTS = find_dataset("mnist5k", NOWHERE).facts


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return make_workplace(tmp_path)


@pytest.fixture
def store(workplace: Workplace) -> Iterator[Store]:
    with open_store(workplace.store_url) as opened:
        yield opened


def keep(store: Store, workplace: Workplace, *, name: str, seed: int, build: Any = make_plain) -> RunRequest:
    """A stored run and its request, of a study called "main"."""
    record, architecture, _ = fit(build, workplace.results, seed=seed, name=name)
    store.add_run(record)
    request = make_task(architecture, seed=seed).request
    store.plan_study("main", command="run", requests=[request], role="compare")
    return request


def portraits_of(store: Store) -> tuple[Portrait, ...]:
    return store.load_study("main").portraits


def test_a_cohort_is_painted_once_by_its_smallest_seed_that_has_weights(store: Store, workplace: Workplace) -> None:
    requests = [keep(store, workplace, name="a", seed=seed) for seed in (4, 1, 2)]
    requests += [keep(store, workplace, name="b", seed=3), make_task(Architecture(name="c", build=make_plain)).request]
    (workplace.results / f"checkpoints/{requests[1].id}.pt").unlink()
    assert list(portray(requests, facts=FACTS, workplace=workplace, store=store)) == []
    assert {portrait.run_id for portrait in portraits_of(store)} == {requests[2].id, requests[3].id}
    assert store.has_pictures(FACTS.data_hash)
    assert store.portrayed([request.id for request in requests]) == {requests[2].id, requests[3].id}


def test_what_is_stored_is_not_made_again(store: Store, workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [keep(store, workplace, name="a", seed=seed) for seed in (4, 5)]
    list(portray(requests, facts=FACTS, workplace=workplace, store=store))

    def load(*_words: object, **_options: object) -> Dataset:
        raise AssertionError("the data were read again")

    monkeypatch.setattr(gallery, "load_dataset", load)
    requests.append(keep(store, workplace, name="a", seed=0))  # another run of the same cohort
    assert list(portray(requests, facts=FACTS, workplace=workplace, store=store)) == []
    assert [portrait.run_id for portrait in portraits_of(store)] == [requests[0].id]


def test_a_run_that_cannot_be_painted_is_a_note_and_the_others_go_on(store: Store, workplace: Workplace) -> None:
    broken, whole = (keep(store, workplace, name=name, seed=0) for name in ("broken", "whole"))
    bare = keep(store, workplace, name="bare", seed=0, build=functools.partial(Bare, 784))
    path = workplace.results / f"checkpoints/{broken.id}.pt"
    path.write_bytes(b"others")
    notes = list(portray([broken, bare, whole], facts=FACTS, workplace=workplace, store=store))
    assert sorted(note.text.partition(":")[0] for note in notes) == ["bare", "broken"]
    assert all("\n" not in note.text and note.text.endswith("its runs are stored.") for note in notes)
    assert store.portrayed([broken.id, bare.id, whole.id]) == {bare.id, whole.id}


def test_data_that_are_gone_are_a_note(store: Store, workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    request = keep(store, workplace, name="a", seed=0)

    def load(*_words: object, **_options: object) -> Dataset:
        raise DataError("They are gone.")

    monkeypatch.setattr(gallery, "load_dataset", load)
    notes = list(portray([request], facts=FACTS, workplace=workplace, store=store))
    assert [note.text for note in notes] == ["The report goes without new pictures: They are gone."]
    assert not store.has_pictures(FACTS.data_hash)


def test_a_comparison_paints_after_its_runs_and_before_the_quiet_phase(
    store: Store, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, architecture, _ = fit(make_plain, workplace.results, name="a")
    done: list[str] = []

    def train(_plan: object, _workplace: object) -> Iterator[Any]:
        done.append("runs")
        keep(store, workplace, name="a", seed=0)
        yield from ()

    def time(_requests: object, _store: object) -> Iterator[Any]:
        done.append(f"timings after {len(portraits_of(store))} portrait")
        yield from ()

    monkeypatch.setattr("bench.suite.run", train)
    monkeypatch.setattr(experiment, "run_timings", time)
    work = Experiment(
        name="main",
        command="run",
        arguments=parse_arguments(["--arch", "a", "--seeds", "1", "--epochs", "3"]),
        architectures=[architecture],
        dataset=FACTS,
        device="cpu",
        facts={},
        workplace=workplace,
        store=store,
    )
    work.add_facts(architecture)
    assert list(work.events()) == []
    assert done == ["runs", "timings after 1 portrait"]
