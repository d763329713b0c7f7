"""Consecutive layers of a net run by the kernels in one go, forward and backward.

Layers stay the net's own: a chain holds no parameter, reads weights where they lie when it is run, and wherever the
kernels do not fit what it is given, the layers run in torch as printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from bench.models.rewriting.kernels.library import load_kernels
from bench.models.rewriting.kernels.plan import Plan, make_plan
from bench.models.rewriting.kernels.stages import Layer, fits, knows, make_stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_MOST_PLANS = 16


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
        self.stages = make_stages(self.layers)
        self.was_taken = False
        # Without a convolution, packing costs more than the kernels save.
        self._pays = any(stage.conv is not None for stage in self.stages)
        self._convolutions = [stage.conv for stage in self.stages if stage.conv is not None]
        self._norms = [stage.norm for stage in self.stages if stage.norm is not None]
        self._plans: dict[object, Plan | None] = {}

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

    def _plan(self, images: Tensor) -> Plan | None:
        """How to run images of this shape; None where the kernels do not fit."""
        if not self._pays or not fits(images) or not all(map(knows, self.layers)):
            return None
        grad = torch.is_grad_enabled()
        if grad and not all(norm.training for norm in self._norms):
            return None  # the kernels have no way back through running statistics
        wanted = grad and images.requires_grad
        # What a net may change of its layers as it trains.
        norms = [(norm.training, norm.momentum, norm.eps) for norm in self._norms]
        convolutions = [(conv.stride, conv.padding) for conv in self._convolutions]
        key = (images.shape, grad, wanted, *norms, *convolutions)
        if key not in self._plans:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            shape = tuple(images.shape)
            self._plans[key] = make_plan(load_kernels(), self.stages, shape, grad=grad, wanted=wanted)
        return self._plans[key]


class _Run(torch.autograd.Function):
    """A plan as a step of torch's graph."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, images: Tensor, *parameters: Tensor) -> Tensor:
        result, memory = plan.forward(images, parameters)
        ctx.plan, ctx.memory, ctx.shape = plan, memory, images.shape
        ctx.save_for_backward(*parameters)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # of a gradient that itself has one; torch's own mark for this is not always heard
            raise RuntimeError("The kernels have no second derivative; choose --engine torch.")
        plan, wanted = ctx.plan, ctx.needs_input_grad[1:]
        found, gradients = plan.backward(ctx.memory, ctx.saved_tensors, gradient, wanted, ctx.shape)
        return (None, found, *gradients)
