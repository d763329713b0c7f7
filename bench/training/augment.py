"""Random changes of training images, a whole batch at once, every image with its own draw.

torchvision's v2 transforms draw once for a whole batch, which would move all its images alike; these draw per image
and are held against torchvision's functions, image by image, in the tests.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from bench.core.errors import RecipeError

if TYPE_CHECKING:
    from torch import Tensor


def augment(
    images: Tensor,
    augmentation: tuple[tuple[str, float], ...],
    *,
    black: Tensor,
    white: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Apply the recipe's augmentations, pairs (name, strength), in their order to standardised images (N, C, H, W).

    Args:
        images: They stay as they are.
        augmentation: Names of `bench.core.recipe.AUGMENTATIONS` with their strengths.
        black: A black pixel after standardisation, (1, C, 1, 1): what moves in from outside.
        white: A white one.
        generator: On the CPU, the augmentation stream of the epoch.

    Raises:
        RecipeError: A shift or a crop by a fraction of a pixel.
    """
    images = images - black
    for name, strength in augmentation:
        if name == "jitter":
            images = jitter(images / (white - black), strength, generator) * (white - black)
        else:
            images = _TRANSFORMS[name](images, strength, generator)
    return images + black


def shift(images: Tensor, pixels: float, generator: torch.Generator) -> Tensor:
    """Move each image by up to `pixels` whole pixels each way (`torchvision` RandomAffine with translate)."""
    moves = (torch.rand(len(images), 2, generator=generator) * 2 - 1) * _whole("shift", pixels)
    return translate(images, moves.round().long())


def crop(images: Tensor, padding: float, generator: torch.Generator) -> Tensor:
    """Pad each side and cut out the image's own size at random (`torchvision` RandomCrop with padding)."""
    width = _whole("crop", padding)
    return translate(images, torch.randint(-width, width + 1, (len(images), 2), generator=generator))


def _whole(name: str, pixels: float) -> int:
    """Refuse fractions here too: recipes that were not typed but declared by a net file come by no parser."""
    if not float(pixels).is_integer():
        raise RecipeError(f"Augmentation '{name}:{pixels:g}': {name} takes whole pixels; declare {name}:2, say.")
    return int(pixels)


def rotation(images: Tensor, degrees: float, generator: torch.Generator) -> Tensor:
    """Turn each image by up to `degrees` either way, bilinear (`torchvision` RandomRotation)."""
    return rotate(images, (torch.rand(len(images), generator=generator) * 2 - 1) * degrees)


def flip(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with a probability (`torchvision` RandomHorizontalFlip)."""
    mirrored = torch.rand(len(images), generator=generator) < probability
    return torch.where(mirrored.to(images.device)[:, None, None, None], images.flip(3), images)


def jitter(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and, of colours, saturation of each image (N, C, H, W) in [0, 1] times factors about 1.

    As `torchvision` ColorJitter without hue, always in this order. Factors lie evenly within `strength` of 1.
    """
    factors = 1 + (torch.rand(3, len(images), 1, 1, 1, generator=generator) * 2 - 1) * strength
    brightness, contrast, saturation = factors.to(images.device)
    images = (images * brightness).clamp(0, 1)
    images = _blend(images, _grey(images).mean((1, 2, 3), keepdim=True), contrast)
    return _blend(images, _grey(images), saturation) if images.shape[1] == 3 else images


def _grey(images: Tensor) -> Tensor:
    """Luma of colours by ITU-R BT.601, (N, 1, H, W); images of any other number of channels as they are."""
    if images.shape[1] != 3:
        return images
    return (images * torch.tensor((0.2989, 0.587, 0.114), device=images.device)[:, None, None]).sum(1, keepdim=True)


def _blend(images: Tensor, others: Tensor, share: Tensor) -> Tensor:
    return (share * images + (1 - share) * others).clamp(0, 1)


def translate(images: Tensor, moves: Tensor) -> Tensor:
    """Move each image (N, C, H, W) by whole pixels to the right and down, moves (N, 2) int64; zeros move in."""
    height, width = images.shape[-2:]
    reach = int(moves.abs().max()) if len(moves) else 0
    padded = functional.pad(images, (reach, reach, reach, reach))
    moves = moves.to(images.device)
    rows = torch.arange(height, device=images.device) + reach - moves[:, 1, None]  # (N, H)
    columns = torch.arange(width, device=images.device) + reach - moves[:, 0, None]  # (N, W)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)  # (N, H, W, C) → (N, C, H, W)


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Turn each image (N, C, H, W) counter-clockwise by its degrees (N,) about its middle, bilinear; zeros move in."""
    height, width = images.shape[-2:]
    angles = degrees * (math.pi / 180)
    cosine, sine, nothing = angles.cos(), angles.sin(), torch.zeros_like(angles)
    # Rows map a target position to its source in units of half the side, so sides of unlike length scale the sine.
    first = torch.stack((cosine, -sine * height / width, nothing), 1)
    second = torch.stack((sine * width / height, cosine, nothing), 1)
    matrices = torch.stack((first, second), 1).to(images.device)  # (N, 2, 3)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


_TRANSFORMS = {"shift": shift, "rotation": rotation, "crop": crop, "flip": flip}
