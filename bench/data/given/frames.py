"""Finds the paper within a frame: the dark edge of a scan, the window of a screenshot, a box around a drawing.

A frame has one colour and goes all around; what lies within it begins with another colour all around, which is that of
the paper if little of it differs. A box in a margin is two frames, and the innermost paper counts. What is drawn is not
taken for a frame: strokes do not border on what lies around them in a rectangle. Where they do, as those of a display's
eight, what lies between them is too much to be drawn on a paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.data.arrays import Images

_MOST_FRAMES = 3
_PLAIN = 0.95
"""Share of a row or column that has the colour of the frame; its corners may be worn."""
_AROUND = 0.9
"""Share of the pixels just within a frame that have another colour."""
_CLEAN = 0.99
"""Share of the outermost pixels of paper that nothing is drawn on."""
_MOST_INK, _MOST_IN_DOUBT = 0.5, 0.25
"""Share of a paper that strokes cover at most; where the picture may be a paper as it is, and the frame a stroke."""
_LEAST_SIDE = 8
"""Pixels of a paper's side."""


def cut_frame(pixels: Images, *, contrast: int) -> Images | None:
    """The paper within a frame, without its outermost pixels, which may be half of the frame; None where there is none.

    Args:
        pixels: The picture, (C, H, W).
        contrast: Grey levels from which two colours are told apart.
    """
    most = _MOST_IN_DOUBT if _is_paper(pixels, contrast, _MOST_INK) else _MOST_INK
    inner, paper = _cut_one(pixels, contrast), None
    for _ in range(_MOST_FRAMES):
        if inner is None:
            break
        if _is_paper(clean := inner[:, 1:-1, 1:-1], contrast, most):
            paper = np.ascontiguousarray(clean)
        inner = _cut_one(inner, contrast)
    return paper


def _is_paper(pixels: Images, contrast: int, most_ink: float) -> bool:
    """Whether something is drawn on it, not too much, and nothing at its edge."""
    differs = _differ(pixels, contrast)
    return differs is not None and differs.mean() <= most_ink and outermost(differs).mean() <= 1 - _CLEAN


def outermost(plane: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels of (H, W)."""
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])


def _cut_one(pixels: Images, contrast: int) -> Images | None:
    """What lies within a frame; None where there is none."""
    differs = _differ(pixels, contrast)
    if differs is None:
        return None
    top, bottom = _count_plain(differs)
    left, right = _count_plain(differs.T)
    height, width = differs.shape
    inner = differs[top : height - bottom, left : width - right]
    if not min(top, bottom, left, right) or min(inner.shape) < _LEAST_SIDE or outermost(inner).mean() < _AROUND:
        return None
    return pixels[:, top : height - bottom, left : width - right]


def _differ(pixels: Images, contrast: int) -> NDArray[np.bool_] | None:
    """Which pixels differ from the outermost ones, (H, W), by half as much as any does; None where all are alike."""
    planes = pixels.astype(np.float32)
    ground = np.array([np.median(outermost(plane)) for plane in planes])[:, None, None]
    away = np.abs(planes - ground).max(axis=0)
    return None if away.max() < contrast else away > away.max() / 2


def _count_plain(differs: NDArray[np.bool_]) -> tuple[int, int]:
    """How many rows in a row, from the first and from the last, have the colour of the frame."""
    other = np.flatnonzero(differs.mean(axis=1) > 1 - _PLAIN)
    return (int(other[0]), len(differs) - 1 - int(other[-1])) if len(other) else (0, 0)
