"""Images as they are given out: the bits of the whole pool standardised at once, and memory of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.core.errors import DataError
from bench.data.datasets import Dataset, load_dataset
from bench.data.directories import own_data_directory
from bench.data.pixels import Pixels
from bench.data.splits import probe_of, split
from bench.data.tensors import to_device, training_data

CPU = torch.device("cpu")


def at_once(images: np.ndarray, mean: tuple[float, ...], deviation: tuple[float, ...]) -> torch.Tensor:
    """How the suite standardised until it kept bytes, written out: runs that are stored were given these floats."""
    scale = (torch.tensor(values)[None, :, None, None] for values in (mean, deviation))
    first, second = scale
    return torch.from_numpy(images).float().div_(255).sub_(first).div_(second)


def bits(images: torch.Tensor) -> torch.Tensor:
    return images.contiguous().view(torch.int32)


@pytest.fixture(scope="module", params=["mnist5k", "mnist"])
def dataset(request: pytest.FixtureRequest) -> Dataset:
    """The embedded one and, where it is at hand, the one that real studies have."""
    try:
        return load_dataset(request.param, own_data_directory(), may_download=False)
    except DataError as fault:
        if request.param == "mnist5k":
            raise
        pytest.skip(str(fault))


def test_batches_have_the_bits_of_the_whole_pool_standardised_at_once(dataset: Dataset) -> None:
    wanted = at_once(dataset.pool_images, dataset.metadata.mean, dataset.metadata.deviation)
    pool = to_device(dataset, CPU).pool
    order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(0))
    for chosen in order[:6_400].split(128):
        assert torch.equal(bits(pool.gather(chosen)), bits(wanted[chosen]))
    for start, batch in enumerate(pool.batches(125)):
        assert torch.equal(bits(batch), bits(wanted[125 * start : 125 * start + 125]))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_every_value_of_a_pixel_keeps_its_bits_wherever_it_stands(channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean, deviation = (torch.tensor(rng.uniform(0.05, 0.6, channels).astype(np.float32)) for _ in range(2))
    values = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1), channels, axis=1)  # (1, C, 256, 1)
    images = np.concatenate([np.roll(values, turn, axis=2) for turn in range(37)])  # every value at many places
    pool = Pixels(torch.from_numpy(images), scale=(mean[None, :, None, None], deviation[None, :, None, None]))
    found = pool.gather(torch.arange(len(images)))
    for channel in range(channels):
        by_value = [
            (np.float32(value) / np.float32(255) - mean[channel].numpy()) / deviation[channel].numpy()
            for value in range(256)
        ]
        for turn in (0, 1, 36):
            assert found[turn, channel, :, 0].tolist() == np.roll(np.array(by_value, np.float32), turn).tolist()


@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_whatever_is_given_out_is_memory_of_its_own(kind: str) -> None:
    values = torch.arange(40, dtype=torch.uint8).reshape(10, 1, 2, 2)
    scale = torch.full((1, 1, 1, 1), 0.5), torch.full((1, 1, 1, 1), 2.0)
    pool = Pixels(values, scale=scale) if kind == "bytes" else Pixels(values.float())
    chosen = pool.choose(torch.tensor([7, 3, 3, 0, 9]))
    before = [pool.gather(torch.arange(10)), chosen.gather(torch.arange(5))]
    for batch in (*pool.batches(4), *chosen.batches(2), pool.gather(torch.tensor([1]))):
        batch.fill_(1e9)
    after = [pool.gather(torch.arange(10)), chosen.gather(torch.arange(5))]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_those_that_are_chosen_come_in_their_order_and_size() -> None:
    pool = Pixels(torch.arange(10.0).reshape(10, 1, 1, 1))
    chosen = pool.choose(torch.tensor([7, 3, 3, 0, 9]))
    assert (len(pool), len(chosen)) == (10, 5)
    assert [batch.flatten().tolist() for batch in chosen.batches(2)] == [[7, 3], [3, 0], [9]]
    assert chosen.choose(torch.tensor([4, 0])).gather(torch.tensor([1, 0])).flatten().tolist() == [7, 9]


def test_a_run_sees_its_split_and_its_probe() -> None:
    dataset = load_dataset("mnist5k", Path("data"))
    data = to_device(dataset, CPU)
    parts = split(data.classes, validation_images=800, split_seed=3)
    probe = parts.validation[::7]
    seen = training_data(data, parts, probe)
    wanted = at_once(dataset.pool_images, dataset.metadata.mean, dataset.metadata.deviation)
    validation = torch.cat(list(seen.validation_images.batches(125)))
    assert torch.equal(bits(validation), bits(wanted[torch.from_numpy(parts.validation)]))
    assert torch.equal(bits(torch.cat(list(seen.probe_images.batches(50)))), bits(wanted[torch.from_numpy(probe)]))
    assert torch.equal(seen.validation_labels, torch.from_numpy(dataset.pool_labels[parts.validation]))
    assert len(probe_of(parts, data.classes, 3)) == 800


def test_a_dataset_on_a_cpu_stays_where_it_is() -> None:
    dataset = load_dataset("mnist5k", Path("data"))
    data = to_device(dataset, CPU)
    dataset.pool_images[0] = 255
    dataset.test_images[0] = 255
    white = (1 - dataset.metadata.mean[0]) / dataset.metadata.deviation[0]
    for images in (data.pool, data.test[0]):
        assert images.gather(torch.tensor([0])).flatten()[5].item() == pytest.approx(white)
