"""Consecutive layers of a net run by the kernels in one go, forward and backward.

Layers stay the net's own: a chain holds no parameter, reads weights where they lie when it is run, and wherever the
kernels do not fit what it is given, the layers run in torch as printed.
"""

from __future__ import annotations

import ctypes
import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.module import _has_any_global_hook

from bench.models.kernels.library import load_kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from bench.models.kernels.library import Kernels

_MOST_WEIGHTS = 128 * 128 * 9
"""Of a convolution: with more, channels fill oneDNN's vectors and the kernels' sums leave the cache."""
_FEW_TAPS = 32
"""Up to so many, computing a convolution again takes less time than keeping what it gave and reading it."""
_MOST_PLANS = 16
_ALIGNED = 16  # floats: 64 bytes


@dataclasses.dataclass(frozen=True)
class Relu:
    """A ReLU that is no module."""

    def __call__(self, images: Tensor) -> Tensor:
        return functional.relu(images)


@dataclasses.dataclass(frozen=True)
class Pool:
    """A max pool, each number one of height and one of width."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)

    @property
    def fits(self) -> bool:
        """Whether torch would take it, and the kernels."""
        pairs = zip(self.kernel, self.stride, self.padding, strict=True)
        return all(size >= 1 and step >= 1 and 0 <= 2 * pad <= size for size, step, pad in pairs)

    def __call__(self, images: Tensor) -> Tensor:
        return functional.max_pool2d(images, self.kernel, self.stride, self.padding)


Layer = nn.Module | Relu | Pool


@dataclasses.dataclass(frozen=True)
class Stage:
    """What the kernels do in one pass over a block of images, in this order; each part may be missing."""

    conv: nn.Conv2d | None = None
    norm: nn.BatchNorm2d | None = None
    relu: bool = False
    pool: Pool | None = None

    def extended(self, layer: Layer) -> Stage | None:
        """The stage with a layer behind it; None where that begins another stage."""
        if isinstance(layer, nn.Conv2d):
            return None if self != Stage() else Stage(conv=layer)
        if isinstance(layer, nn.BatchNorm2d):
            return None if self.norm or self.relu or self.pool else dataclasses.replace(self, norm=layer)
        if isinstance(layer, Relu | nn.ReLU):
            return dataclasses.replace(self, relu=True)  # behind a pool too: max(relu(x)) = relu(max(x))
        pool = layer if isinstance(layer, Pool) else pool_of(layer)
        return None if self.pool else dataclasses.replace(self, pool=pool)


def knows(layer: Layer) -> bool:
    """Whether the kernels can run a layer as it is now: nobody listens to it or has given it a forward of its own."""
    if isinstance(layer, Relu):
        return True
    if isinstance(layer, Pool):
        return layer.fits
    if _is_heard(layer):
        return False
    if type(layer) is nn.Conv2d:
        return _knows_convolution(layer)
    if type(layer) is nn.BatchNorm2d:
        has_backward = layer.training or not torch.is_grad_enabled()
        whole = (layer.running_mean is None) == (layer.running_var is None)
        return layer.momentum is not None and whole and has_backward and _are_plain(layer.weight, layer.running_mean)
    if type(layer) is nn.MaxPool2d:
        return layer.dilation in (1, (1, 1)) and not layer.ceil_mode and not layer.return_indices and pool_of(layer).fits
    return type(layer) is nn.ReLU


def pool_of(layer: nn.Module) -> Pool:
    """The numbers of an `nn.MaxPool2d`."""
    kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
    return Pool(*(value if isinstance(value, tuple) else (value, value) for value in (kernel, stride, padding)))  # type: ignore[arg-type]


def _is_heard(module: nn.Module) -> bool:
    hooks = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks  # noqa: SLF001
    return any(hooks) or bool(_has_any_global_hook())


def _knows_convolution(layer: nn.Conv2d) -> bool:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str) or layer.groups != 1 or layer.dilation != (1, 1):
        return False
    numbers = zip(layer.kernel_size, layer.stride, layer.padding, strict=True)
    if any(size > 7 or step not in (1, 2) or pad >= size for size, step, pad in numbers):
        return False
    return layer.weight.numel() <= _MOST_WEIGHTS and _are_plain(layer.weight, layer.bias)


def _are_plain(*values: Tensor | None) -> bool:
    """Whether parameters are what the kernels read: dense float32 on a CPU."""
    return all(
        value is None
        or (value.dtype == torch.float32 and value.device.type == "cpu" and value.is_contiguous() and not value.is_sparse)
        for value in values
    )


class Chain:
    """Layers that follow each other, as stages.

    Attributes:
        layers: As they are called.
        stages: The same, as the kernels run them.
        was_taken: Whether the kernels have run it.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        """Group the layers, each of which the kernels know (`knows`)."""
        self.layers = tuple(layers)
        stages, current = list[Stage](), Stage()
        for layer in self.layers:
            extended = current.extended(layer)
            if extended is None:
                stages.append(current)
                extended = Stage().extended(layer)
            assert extended is not None
            current = extended
        self.stages = (*stages, current)
        self.was_taken = False
        self._plans: dict[object, _Plan | None] = {}

    def pays(self) -> bool:
        """Whether there is a convolution: without one, packing costs more than the kernels save."""
        return any(stage.conv is not None for stage in self.stages)

    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) through all layers."""
        plan = self._plan(images)
        if plan is None:
            for layer in self.layers:
                images = layer(images)
            return images
        self.was_taken = True
        result: Tensor = _Run.apply(plan, images, *plan.parameters())  # type: ignore[no-untyped-call]
        return result

    def _plan(self, images: Tensor) -> _Plan | None:
        """How to run images of this shape; None where the kernels do not fit."""
        if not fits(images) or not all(map(knows, self.layers)):
            return None
        grad = torch.is_grad_enabled()
        modes = tuple(stage.norm.training for stage in self.stages if stage.norm)
        key = (tuple(images.shape), modes, grad, grad and images.requires_grad)
        if key not in self._plans:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            self._plans[key] = _make_plan(self.stages, tuple(images.shape), grad=grad, wanted=key[3])
        return self._plans[key]


def fits(images: Tensor) -> bool:
    """Whether the kernels can take images as they are: a batch of float32 on a CPU, outside of autocast and transforms."""
    plain = type(images) is torch.Tensor and images.dim() == 4 and images.dtype == torch.float32
    plain = plain and images.device.type == "cpu" and images.layout == torch.strided and images.shape[0] > 0
    return plain and not torch.is_autocast_enabled("cpu") and torch._C._functorch.peek_interpreter_stack() is None  # noqa: SLF001


class _Frame(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in "channels height width border_h border_w".split()]

    def floats(self, lanes: int) -> int:
        """Of a block."""
        plane: int = (self.height + 2 * self.border_h) * (self.width + 2 * self.border_w)
        return self.channels * plane * lanes


class _Maps(ctypes.Structure):
    _fields_ = [("frame", _Frame), ("at", ctypes.c_int64), ("step", ctypes.c_int64)]


_INTEGERS = (
    "convolves kernel_h kernel_w stride_h stride_w padding_h padding_w norm relu pools pool_h pool_w pool_stride_h "
    "pool_stride_w pool_padding_h pool_padding_w wants_input_gradient recomputes"
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
    """Hands out places in the maps' memory, counted in floats."""

    def __init__(self) -> None:
        self.floats = 0

    def take(self, count: int) -> int:
        place = self.floats
        self.floats += -(-count // _ALIGNED) * _ALIGNED
        return place


class _Plan:
    """A chain for one shape of input: stages with every size and place, ready to be called.

    Attributes:
        floats: Of the maps' memory, in all.
        result_shape: What the chain gives (N, C, H, W).
    """

    def __init__(self, kernels: Kernels, stages: Sequence[Stage], filled: Sequence[_Stage], images: int, floats: int) -> None:
        self._kernels, self._stages, self._images = kernels, stages, images
        self._filled = (_Stage * len(filled))(*filled)
        self._statistics: list[tuple[_Stage, int]] = []
        for place, stage in enumerate(stages):
            if stage.norm is not None:
                channels = -(-stage.norm.num_features // _ALIGNED) * _ALIGNED
                self._statistics.append((self._filled[place], floats))
                floats += 2 * channels
        self.floats = floats
        last = self._filled[-1].out.frame
        self.result_shape = (images, last.channels, last.height, last.width)
        self._norms = [stage.norm for stage in stages if stage.norm is not None]
        self._pairs = [
            (place, name, module, attribute)
            for place, stage in enumerate(stages)
            for module, names in ((stage.conv, ("weight", "bias")), (stage.norm, ("gamma", "beta")))
            if module is not None
            for name, attribute in zip(names, ("weight", "bias"), strict=True)
            if getattr(module, attribute) is not None
        ]

    def parameters(self) -> list[Tensor]:
        """Those that the stages read, in a fixed order."""
        return [getattr(module, attribute) for _, _, module, attribute in self._pairs]

    def forward(self, images: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The result, and the maps' memory."""
        memory, result = torch.empty(self.floats), torch.empty(self.result_shape)
        self._point(memory, parameters)
        for norm in self._norms:
            if norm.training and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.add_(1)
        self._call(self._kernels.forward, memory, images, result)
        return result, memory

    def backward(
        self, memory: Tensor, parameters: Sequence[Tensor], gradient: Tensor, wanted: Sequence[bool], shape: tuple[int, ...] | None
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """The gradients of the images, of this shape where they are wanted, and of those parameters that are wanted."""
        self._point(memory, parameters)
        sizes = [-(-value.numel() // _ALIGNED) * _ALIGNED if want else 0 for value, want in zip(parameters, wanted, strict=True)]
        parts = torch.empty(sum(sizes)).split(sizes)
        gradients: list[Tensor | None] = []
        for (place, name, _, _), value, want, part in zip(self._pairs, parameters, wanted, parts, strict=True):
            setattr(self._filled[place], f"{name}_gradient", part.data_ptr() if want else None)
            gradients.append(part[: value.numel()].view(value.shape) if want else None)
        of_images = None if shape is None else torch.empty(shape)
        self._call(self._kernels.backward, memory, gradient, of_images)
        return of_images, gradients

    def _point(self, memory: Tensor, parameters: Sequence[Tensor]) -> None:
        """Tell the stages where this call's values lie."""
        for (place, name, _, _), value in zip(self._pairs, parameters, strict=True):
            setattr(self._filled[place], name, value.data_ptr())
        start = memory.data_ptr()
        for (filled, place), norm in zip(self._statistics, self._norms, strict=True):
            filled.mean = start + 4 * place
            filled.deviation = start + 4 * (place + -(-norm.num_features // _ALIGNED) * _ALIGNED)
            if norm.running_mean is not None and norm.running_var is not None:
                filled.running_mean, filled.running_variance = norm.running_mean.data_ptr(), norm.running_var.data_ptr()

    def _call(self, function: Any, memory: Tensor, given: Tensor, result: Tensor | None) -> None:
        given = given.contiguous()
        target = None if result is None else result.data_ptr()
        if function(self._filled, len(self._filled), memory.data_ptr(), self._images, given.data_ptr(), target):
            raise MemoryError("not enough memory for the kernels' scratch")


class _Run(torch.autograd.Function):
    """A plan as a step of torch's graph."""

    @staticmethod
    def forward(ctx: Any, plan: _Plan, images: Tensor, *parameters: Tensor) -> Tensor:
        result, memory = plan.forward(images, parameters)
        ctx.plan, ctx.memory, ctx.shape = plan, memory, tuple(images.shape)
        ctx.save_for_backward(*parameters)
        return result

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        _, of_images, *wanted = ctx.needs_input_grad
        shape = ctx.shape if of_images else None
        found, gradients = ctx.plan.backward(ctx.memory, ctx.saved_tensors, gradient, wanted, shape)
        return (None, found, *gradients)


def _make_plan(stages: Sequence[Stage], shape: tuple[int, ...], *, grad: bool, wanted: bool) -> _Plan | None:
    """Sizes and places of every map; None where torch would refuse the shapes."""
    kernels = load_kernels()
    images, channels, height, width = shape
    whole = grad or any(_norm_kind(stage) == _OF_BATCH for stage in stages)
    blocks = -(-images // kernels.lanes) if whole else 1
    memory, filled = _Memory(), list[_Stage]()

    def maps(frame: _Frame, *, kept: bool = True) -> _Maps:
        floats = frame.floats(kernels.lanes)
        kept = kept and whole
        return _Maps(frame, memory.take(floats * (blocks if kept else 1)), floats if kept else 0)

    source = maps(_Frame(channels, height, width, *_border(stages[0])))
    for place, stage in enumerate(stages):
        one = _describe(stage, wants_input_gradient=wanted or place > 0)
        border = _border(stages[place + 1]) if place + 1 < len(stages) else (0, 0)
        raw = _raw_shape(stage, (channels, height, width))
        channels, height, width = _out_shape(stage, raw)
        if (stage.conv and stage.conv.in_channels != source.frame.channels) or min(*raw, height, width) < 1:
            return None
        if stage.norm and (stage.norm.num_features != channels or images * raw[1] * raw[2] < 2):
            return None
        one.source, out = source, maps(_Frame(channels, height, width, *border))
        one.recomputes = grad and stage.conv is not None and stage.pool is not None and _taps(stage.conv) <= _FEW_TAPS
        finishes = stage.norm is None and stage.pool is None
        one.raw = source if stage.conv is None else out if finishes else maps(_Frame(*raw, 0, 0), kept=not one.recomputes)
        pooled = _Frame(channels, height, width, 0, 0)
        one.pooled = one.raw if stage.pool is None else out if stage.norm is None else maps(pooled)
        one.out = source = out
        filled.append(one)
    if kernels.stage_bytes != ctypes.sizeof(_Stage):
        raise AssertionError
    return _Plan(kernels, stages, filled, images, memory.floats)


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
    sizes = zip(shape[1:], conv.kernel_size, conv.stride, conv.padding, strict=True)
    height, width = ((size + 2 * int(pad) - kernel) // step + 1 for size, kernel, step, pad in sizes)
    return conv.out_channels, height, width


def _out_shape(stage: Stage, raw: tuple[int, int, int]) -> tuple[int, int, int]:
    if stage.pool is None:
        return raw
    sizes = zip(raw[1:], stage.pool.kernel, stage.pool.stride, stage.pool.padding, strict=True)
    height, width = ((size + 2 * pad - kernel) // step + 1 for size, kernel, step, pad in sizes)
    return raw[0], height, width


def _describe(stage: Stage, *, wants_input_gradient: bool) -> _Stage:
    one = _Stage(relu=stage.relu, norm=_norm_kind(stage), wants_input_gradient=wants_input_gradient)
    if stage.conv:
        one.convolves = 1
        one.kernel_h, one.kernel_w = stage.conv.kernel_size
        one.stride_h, one.stride_w = stage.conv.stride
        one.padding_h, one.padding_w = stage.conv.padding
    if stage.norm:
        one.epsilon, one.momentum = stage.norm.eps, stage.norm.momentum
    if stage.pool:
        one.pools = 1
        one.pool_h, one.pool_w = stage.pool.kernel
        one.pool_stride_h, one.pool_stride_w = stage.pool.stride
        one.pool_padding_h, one.pool_padding_w = stage.pool.padding
    return one
