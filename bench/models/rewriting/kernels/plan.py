"""A chain for one shape of images: what the compiled kernels are told of its stages, and where every map lies."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from bench.models.rewriting.kernels.stages import slide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from bench.models.rewriting.kernels.library import Kernels
    from bench.models.rewriting.kernels.stages import Stage

_FEW_TAPS = 32
"""Up to so many, computing a convolution again takes less time than keeping what it gave and reading it."""
_ALIGNED = 16  # floats: 64 bytes


class _Frame(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in "channels height width border_h border_w".split()]

    def vectors(self) -> int:
        """Of a block."""
        plane: int = (self.height + 2 * self.border_h) * (self.width + 2 * self.border_w)
        return int(self.channels) * plane


class _Maps(ctypes.Structure):
    _fields_ = [("frame", _Frame), ("at", ctypes.c_int64), ("step", ctypes.c_int64)]


_INTEGERS = (
    "convolves kernel_h kernel_w stride_h stride_w padding_h padding_w norm relu pools pool_h pool_w pool_stride_h "
    "pool_stride_w pool_padding_h pool_padding_w wants_input_gradient passing"
).split()
_PARAMETERS = "weight bias gamma beta".split()
_BUFFERS = "running_mean running_variance mean deviation".split()
_GRADIENTS = [f"{name}_gradient" for name in _PARAMETERS]


class _Stage(ctypes.Structure):
    """`Stage` of stage.h, field by field."""

    _fields_ = [
        *((name, _Maps) for name in ("source", "raw", "pooled", "out")),
        *((name, ctypes.c_int32) for name in _INTEGERS),
        *((name, ctypes.c_float) for name in ("epsilon", "momentum")),
        *((name, ctypes.c_void_p) for name in (*_PARAMETERS, *_BUFFERS, *_GRADIENTS)),
    ]


_OF_BATCH, _OF_RUNNING = 1, 2


class _Memory:
    """Hands out places in the memory of a pass, counted in floats."""

    def __init__(self, lanes: int, images: int) -> None:
        self.floats = 0
        self._lanes, self._blocks = lanes, -(-images // lanes)

    def take(self, count: int) -> int:
        """The place of so many floats."""
        place = self.floats
        self.floats += _align(count)
        return place

    def maps(self, shape: tuple[int, int, int], border: tuple[int, int] = (0, 0), *, kept: bool) -> _Maps:
        """Maps (C, H, W) of all blocks where they are kept, else of one that all take turns in."""
        frame = _Frame(*shape, *border)
        floats = frame.vectors() * self._lanes
        return _Maps(frame, self.take(floats * (self._blocks if kept else 1)), floats if kept else 0)


def _empty(*shape: int) -> Tensor:
    """Memory of floats, whatever a net has made torch's default."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")


def _align(floats: int) -> int:
    return -(-floats // _ALIGNED) * _ALIGNED


class _Place(NamedTuple):
    """Where a parameter belongs."""

    stage: _Stage
    name: str  # as the kernels call it
    module: nn.Module
    attribute: str  # as the module calls it


class Plan:
    """Stages with every size and place, ready to be called; made by `make_plan`."""

    def __init__(self, kernels: Kernels, stages: Sequence[Stage], filled: Sequence[_Stage], memory: _Memory) -> None:
        self._kernels = kernels
        self._filled = (_Stage * len(filled))(*filled)
        self._norms = [(one, stage.norm) for one, stage in zip(self._filled, stages, strict=True) if stage.norm]
        self._statistics = [(memory.take(norm.num_features), memory.take(norm.num_features)) for _, norm in self._norms]
        self._floats = memory.floats
        self._places = [
            _Place(one, name, module, attribute)
            for one, stage in zip(self._filled, stages, strict=True)
            for module, names in ((stage.conv, ("weight", "bias")), (stage.norm, ("gamma", "beta")))
            for name, attribute in zip(names, ("weight", "bias"), strict=True)
            if module is not None and getattr(module, attribute) is not None
        ]

    def parameters(self) -> list[Tensor]:
        """Those that the stages read, in a fixed order."""
        return [getattr(place.module, place.attribute) for place in self._places]

    def forward(self, images: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """What the chain gives for images (N, C, H, W), and the memory that `backward` asks for."""
        frame = self._filled[-1].out.frame
        memory = _empty(self._floats)
        result = _empty(len(images), frame.channels, frame.height, frame.width)
        self._point(memory, parameters)
        for _, norm in self._norms:
            if norm.training and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.add_(1)
        self._call(self._kernels.forward, memory, images, result)
        return result, memory

    def backward(
        self,
        memory: Tensor,
        parameters: Sequence[Tensor],
        gradient: Tensor,
        wanted: Sequence[bool],
        shape: Sequence[int],
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Gradients of the images and of the parameters, each None where it is not wanted.

        Args:
            memory: Of the way forward.
            parameters: As `parameters` gives them.
            gradient: Of what the chain gave.
            wanted: Whether the images' gradient is wanted, and that of each parameter.
            shape: Of the images.
        """
        self._point(memory, parameters)
        sizes = [_align(value.numel()) * want for value, want in zip(parameters, wanted[1:], strict=True)]
        gradients: list[Tensor | None] = []
        parts = _empty(sum(sizes)).split(sizes)
        for place, value, want, part in zip(self._places, parameters, wanted[1:], parts, strict=True):
            setattr(place.stage, f"{place.name}_gradient", part.data_ptr() if want else None)
            gradients.append(part[: value.numel()].view(value.shape) if want else None)
        of_images = _empty(*shape) if wanted[0] else None
        self._call(self._kernels.backward, memory, gradient, of_images)
        return of_images, gradients

    def _point(self, memory: Tensor, parameters: Sequence[Tensor]) -> None:
        """Tell the stages where this call's values lie."""
        for place, value in zip(self._places, parameters, strict=True):
            setattr(place.stage, place.name, value.data_ptr())
        start = memory.data_ptr()
        for (one, norm), (mean, deviation) in zip(self._norms, self._statistics, strict=True):
            one.mean, one.deviation = start + 4 * mean, start + 4 * deviation
            if norm.running_mean is not None and norm.running_var is not None:
                one.running_mean, one.running_variance = norm.running_mean.data_ptr(), norm.running_var.data_ptr()

    def _call(self, function: Any, memory: Tensor, given: Tensor, result: Tensor | None) -> None:
        given = given.contiguous()
        target = None if result is None else result.data_ptr()
        if function(self._filled, len(self._filled), memory.data_ptr(), len(given), given.data_ptr(), target):
            raise MemoryError("not enough memory for the kernels")


def make_plan(
    kernels: Kernels, stages: Sequence[Stage], shape: tuple[int, ...], *, grad: bool, wanted: bool
) -> Plan | None:
    """Sizes and places of every map for images of a shape (N, C, H, W); None where torch would refuse them.

    Args:
        kernels: What runs it.
        stages: Of the chain.
        shape: Of the images.
        grad: Whether there will be a way back, so that maps are kept.
        wanted: Whether the images' gradient is wanted.
    """
    if kernels.stage_bytes != ctypes.sizeof(_Stage):
        raise RuntimeError(f"The kernels' stages have {kernels.stage_bytes} bytes, ours {ctypes.sizeof(_Stage)}.")
    images, *sides = shape
    whole = grad or any(_norm_kind(stage) == _OF_BATCH for stage in stages)
    memory = _Memory(kernels.lanes, images if whole else 1)
    filled = list[_Stage]()
    source = memory.maps((sides[0], sides[1], sides[2]), _border(stages[0]), kept=whole)
    for stage, border in zip(stages, (*map(_border, stages[1:]), (0, 0)), strict=True):
        given = source.frame.channels, source.frame.height, source.frame.width
        raw, out = _raw_shape(stage, given), _out_shape(stage, _raw_shape(stage, given))
        if min(*raw, *out) < 1 or not _has_channels(stage, given[0], values=images * raw[1] * raw[2]):
            return None
        one = _describe(stage)
        one.wants_input_gradient = wanted or bool(filled)
        one.source, one.out = source, memory.maps(out, border, kept=whole)
        one.raw = source
        if stage.conv is not None:
            is_last = stage.norm is None and stage.pool is None
            one.passing = stage.pool is not None and (not grad or _taps(stage.conv) <= _FEW_TAPS)
            one.raw = one.out if is_last else memory.maps(raw, kept=whole and not one.passing)
        one.pooled = one.raw
        if stage.pool is not None:
            one.pooled = one.out if stage.norm is None else memory.maps(out, kept=whole)
        source = one.out
        filled.append(one)
    return Plan(kernels, stages, filled, memory)


def _has_channels(stage: Stage, given: int, *, values: int) -> bool:
    """Whether a stage takes so many channels, and a batch norm has more than one value of each."""
    if stage.conv is not None and stage.conv.in_channels != given:
        return False
    channels = given if stage.conv is None else stage.conv.out_channels
    return stage.norm is None or (stage.norm.num_features == channels and values > 1)


def _taps(conv: nn.Conv2d) -> int:
    return conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1]


def _norm_kind(stage: Stage) -> int:
    if stage.norm is None:
        return 0
    return _OF_BATCH if stage.norm.training or stage.norm.running_mean is None else _OF_RUNNING


def _border(stage: Stage) -> tuple[int, int]:
    """What the stage's convolution reads around its input."""
    return stage.conv.padding if stage.conv else (0, 0)  # type: ignore[return-value]


def _raw_shape(stage: Stage, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    if stage.conv is None:
        return shape
    conv = stage.conv
    return conv.out_channels, *slide(shape[1:], conv.kernel_size, conv.stride, _border(stage))


def _out_shape(stage: Stage, raw: tuple[int, int, int]) -> tuple[int, int, int]:
    return raw if stage.pool is None else (raw[0], *stage.pool.reach(raw[1:]))


def _describe(stage: Stage) -> _Stage:
    one = _Stage(relu=stage.relu, norm=_norm_kind(stage))
    if stage.conv:
        one.convolves = 1
        one.kernel_h, one.kernel_w = stage.conv.kernel_size
        one.stride_h, one.stride_w = stage.conv.stride
        one.padding_h, one.padding_w = _border(stage)
    if stage.norm:
        one.epsilon, one.momentum = stage.norm.eps, stage.norm.momentum
    if stage.pool:
        one.pools = 1
        one.pool_h, one.pool_w = stage.pool.kernel
        one.pool_stride_h, one.pool_stride_w = stage.pool.stride
        one.pool_padding_h, one.pool_padding_w = stage.pool.padding
    return one
