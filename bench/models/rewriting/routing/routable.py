"""Which nets, and which of their layers, may be run by the kernels."""

from __future__ import annotations

import torch
from torch import nn

from bench.models.rewriting.kernels.stages import knows
from bench.models.rewriting.routing.own_code import is_risky
from bench.models.rewriting.torch_internals import has_hooks, parameters_of

_KINDS = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d)


def is_routable(model: nn.Module) -> bool:
    """Whether there is a convolution to run, and nothing notices that values come later than they are made."""
    is_own = "forward" in vars(model) or type(model) in _KINDS or any(map(goes_its_own_way, model.modules()))
    is_lazy = any(map(nn.parameter.is_lazy, [*model.parameters(), *model.buffers()]))
    has_convolution = any(type(layer) is nn.Conv2d for layer in known_layers(model))
    return has_convolution and not is_own and not is_lazy and not is_risky(model)


def known_layers(model: nn.Module) -> list[nn.Module]:
    """Layers that the kernels can run and that nobody listens to."""
    return [module for module in model.modules() if _is_known(module)]


def _is_known(module: nn.Module) -> bool:
    if type(module) not in _KINDS or "forward" in vars(module) or has_hooks(module) or not knows(module):
        return False
    parameters = list(parameters_of(module).values())
    is_plain = all(type(value) in (nn.Parameter, type(None)) for value in parameters)
    has_weight = "weight" in parameters_of(module) or isinstance(module, nn.ReLU | nn.MaxPool2d)
    return is_plain and has_weight


def goes_its_own_way(module: nn.Module) -> bool:
    """Whether a module copies what it holds to several devices, or is compiled."""
    is_compiled = type(module).__name__ == "OptimizedModule"  # importing torch._dynamo for its class takes seconds
    is_compiled |= getattr(module, "_compiled_call_impl", None) is not None
    return is_compiled or isinstance(module, torch.jit.ScriptModule | nn.DataParallel)
