"""Portraits: what is kept of a net is what its layers computed, and of training images only."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.core.errors import ArchitectureError, StoreError
from bench.studies.pictures import paint, take_pictures
from tests.bench.studies.portrait_nets import (
    CLASSES,
    DEVIATION,
    MEAN,
    Bare,
    Judging,
    Noisy,
    Shy,
    Unruly,
    fit,
    make_dataset,
    make_usual,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from bench.core.metadata import StageMaps
    from bench.data.datasets import Dataset


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
    portrait, said = paint(record, architecture, dataset=dataset, results=tmp_path)
    assert said == ""
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
    portrait, _ = paint(record, architecture, dataset=make_dataset(), results=tmp_path)
    assert portrait.run_id == record.run_id
    assert portrait.filters.shape == (4, 1, 3, 3)
    assert portrait.filters.tobytes() == model.state_dict()["0.weight"].numpy().tobytes()


def test_layers_come_in_order_of_execution_once_with_32_channels(tmp_path: Path) -> None:
    record, architecture, model = fit(Unruly, tmp_path)
    dataset = make_dataset()
    portrait, _ = paint(record, architecture, dataset=dataset, results=tmp_path)
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
    portrait, said = paint(record, architecture, dataset=make_dataset(), results=tmp_path)
    assert (portrait.stages, portrait.filters.shape) == ((), filters)
    assert said == f"net: its layers cannot be shown ({reason}); its runs are stored."


def test_a_layer_that_gives_a_single_number_hides_no_other(tmp_path: Path) -> None:
    record, architecture, _ = fit(Judging, tmp_path)
    portrait, said = paint(record, architecture, dataset=make_dataset(), results=tmp_path)
    assert [stage.layer for stage in portrait.stages] == ["conv", "last"]
    assert said == ""


def test_a_layer_that_is_flat_or_overflows_is_shown_all_the_same(tmp_path: Path) -> None:
    def overflow(model: nn.Module) -> None:
        model.get_parameter("0.bias").copy_(torch.tensor([-torch.inf, torch.nan, 0.0, 0.0]))

    def flat(model: nn.Module) -> None:
        model.get_parameter("0.weight").zero_()
        model.get_parameter("0.bias").fill_(3.0)

    record, architecture, _ = fit(make_usual, tmp_path, changes=flat)
    stage = paint(record, architecture, dataset=make_dataset(), results=tmp_path)[0].stages[0]
    assert (stage.maps.max(), stage.lows.tolist(), stage.highs.tolist()) == (0, [3.0] * 3, [3.0] * 3)
    record, architecture, _ = fit(make_usual, tmp_path, changes=overflow)
    stage = paint(record, architecture, dataset=make_dataset(), results=tmp_path)[0].stages[0]
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
    portrait, _ = paint(record, architecture, dataset=dataset, results=tmp_path)
    assert portrait.images.tolist() == [0, 1, 3]
    weights = torch.load(tmp_path / record.checkpoint)
    convolved = functional.conv2d(standardised(dataset, [1, 3, 2]), weights["0.weight"], weights["0.bias"])
    assert_shows(portrait.stages[0], convolved)


def test_painting_repeats_itself_and_leaves_torch_as_it_was(tmp_path: Path) -> None:
    record, architecture, _ = fit(Noisy, tmp_path)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    first, _ = paint(record, architecture, dataset=make_dataset(), results=tmp_path)
    assert (torch.get_num_threads(), torch.get_rng_state().tolist()) == (threads, state.tolist())
    torch.rand(3)
    again, _ = paint(record, architecture, dataset=make_dataset(), results=tmp_path)
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
