"""Batched augmentations against torchvision's own functions, image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from bench.core.errors import RecipeError
from bench.data.published.download import import_torchvision
from bench.training.augment import augment, crop, flip, jitter, rotate, rotation, shift, translate

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="module")
def vision() -> ModuleType:
    return import_torchvision("transforms.v2.functional")


def _images(*, height: int = 28, width: int = 28, channels: int = 1) -> torch.Tensor:
    return torch.rand(6, channels, height, width, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("shape", [(28, 28, 1), (20, 32, 3)])
def test_rotation_equals_torchvision(vision: ModuleType, shape: tuple[int, int, int]) -> None:
    images = _images(height=shape[0], width=shape[1], channels=shape[2])
    degrees = torch.tensor([0.0, 10.0, -10.0, 33.0, 90.0, -7.5])
    bilinear = import_torchvision("transforms.v2").InterpolationMode.BILINEAR
    for image, angle, turned in zip(images, degrees, rotate(images, degrees), strict=True):
        wanted = vision.rotate(image, angle.item(), interpolation=bilinear)
        torch.testing.assert_close(turned, wanted, atol=1e-4, rtol=1e-4)


def test_translation_equals_torchvision(vision: ModuleType) -> None:
    images = _images(height=12, width=17, channels=3)
    moves = torch.tensor([[0, 0], [2, 0], [0, 3], [-1, -4], [5, -2], [-6, 6]])
    for image, move, moved in zip(images, moves, translate(images, moves), strict=True):
        wanted = vision.affine(image, angle=0.0, translate=move.tolist(), scale=1.0, shear=[0.0, 0.0])
        assert torch.equal(moved, wanted)


def test_every_image_has_its_own_draw_within_the_strength() -> None:
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 14, 14] = 1.0
    images = image.repeat(500, 1, 1, 1)
    for change, reach in ((shift, 2), (crop, 4)):
        moved = change(images, reach, torch.Generator().manual_seed(0))
        rows, columns = moved[:, 0].flatten(1).argmax(1) // 28 - 14, moved[:, 0].flatten(1).argmax(1) % 28 - 14
        assert set(rows.tolist()) == set(columns.tolist()) == set(range(-reach, reach + 1))
        assert not torch.equal(rows, columns)
    turned = rotation(_images()[:1].repeat(50, 1, 1, 1), 10.0, torch.Generator().manual_seed(0))
    assert len({tuple(picture.flatten().tolist()) for picture in turned}) == 50


@pytest.mark.parametrize(("name", "pixels"), [("shift", 2.5), ("crop", 0.5)])
def test_a_declared_fraction_of_a_pixel_is_refused_not_cut(name: str, pixels: float) -> None:
    with pytest.raises(
        RecipeError, match=f"Augmentation '{name}:{pixels}': {name} takes whole pixels; declare {name}:2"
    ):
        augment(
            _images(),
            ((name, pixels),),
            black=torch.zeros(1, 1, 1, 1),
            white=torch.ones(1, 1, 1, 1),
            generator=torch.Generator(),
        )


def test_black_moves_in_and_the_stream_decides() -> None:
    black = torch.full((1, 1, 1, 1), -0.5)
    images = torch.full((20, 1, 8, 8), -0.5)
    changed = augment(
        images,
        (("crop", 4.0), ("rotation", 20.0)),
        black=black,
        white=-black,
        generator=torch.Generator().manual_seed(0),
    )
    assert torch.equal(changed, images)  # a black image stays black, whatever moves in
    first, second, other = (
        augment(_images(), (("shift", 2.0),), black=black, white=-black, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_flip_mirrors_its_share_of_the_images() -> None:
    images = _images(height=4, width=5, channels=3).repeat(100, 1, 1, 1)
    flipped = flip(images, 0.25, torch.Generator().manual_seed(0))
    mirrored = [torch.equal(one, other.flip(2)) for one, other in zip(flipped, images, strict=True)]
    same = [torch.equal(one, other) for one, other in zip(flipped, images, strict=True)]
    assert [a + b for a, b in zip(mirrored, same, strict=True)] == [1] * 600
    assert 0.2 < sum(mirrored) / 600 < 0.3
    assert torch.equal(flip(images, 1.0, torch.Generator()), images.flip(3))


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_equals_torchvision_factor_by_factor(vision: ModuleType, channels: int) -> None:
    images = _images(height=7, width=9, channels=channels)
    changed = jitter(images, 0.6, torch.Generator().manual_seed(4))
    factors = 1 + (torch.rand(3, 6, generator=torch.Generator().manual_seed(4)) * 2 - 1) * 0.6
    for at, image in enumerate(images):
        wanted = vision.adjust_brightness(image, factors[0, at].item())
        wanted = vision.adjust_contrast(wanted, factors[1, at].item())
        if channels == 3:
            wanted = vision.adjust_saturation(wanted, factors[2, at].item())
        torch.testing.assert_close(changed[at], wanted, atol=1e-5, rtol=1e-5)


def test_jitter_works_on_pixels_before_they_are_standardised() -> None:
    images = _images(channels=3)
    mean, deviation = (
        torch.tensor([0.2, 0.4, 0.6])[None, :, None, None],
        torch.tensor([0.1, 0.2, 0.3])[None, :, None, None],
    )
    changed = augment(
        (images - mean) / deviation,
        (("jitter", 0.4),),
        black=-mean / deviation,
        white=(1 - mean) / deviation,
        generator=torch.Generator().manual_seed(1),
    )
    wanted = jitter(images, 0.4, torch.Generator().manual_seed(1))
    torch.testing.assert_close(changed * deviation + mean, wanted, atol=1e-5, rtol=1e-5)
