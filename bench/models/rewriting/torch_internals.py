"""What torch knows of tensors, modules and modes and has no public name for."""
# ruff: noqa: SLF001

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.module import _has_any_global_hook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

make_subclass = torch.Tensor._make_subclass
is_autocast_enabled = torch._C._is_any_autocast_enabled

_transforms, _saving_hooks = (
    torch._C._functorch.peek_interpreter_stack,
    torch._C._autograd._top_saved_tensors_default_hooks,
)


def has_hooks(module: nn.Module) -> bool:
    """Whether hooks of its own see what goes through a module."""
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


def is_heard(module: nn.Module) -> bool:
    """Whether hooks, its own or those of all modules, see what goes through a module."""
    return has_hooks(module) or bool(_has_any_global_hook())


def is_transformed() -> bool:
    """Whether values are of another precision, batched, differentiated by functions, or kept in another way."""
    ignoring_traces = True
    return bool(is_autocast_enabled() or _transforms() is not None or _saving_hooks(ignoring_traces) is not None)


def is_watched(modules: Iterable[nn.Module]) -> bool:
    """Whether somebody records or follows all that is computed, or gradients at the ends of these modules."""
    return bool(
        torch._C._len_torch_function_stack()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._get_tracing_state() is not None
        or torch.compiler.is_compiling()
        or torch.autograd.forward_ad._current_level >= 0
        or _has_any_global_hook()
        or any(module._backward_hooks or module._backward_pre_hooks for module in modules)
    )


def version(values: Tensor | None) -> int:
    """How often values were changed in place; -1 where torch does not count."""
    return -1 if values is None or values.is_inference() else values._version


def parameters_of(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """A module's own parameters as they are now, which is faster than to ask for an attribute."""
    return module._parameters


def state_of(layer: nn.Module) -> tuple[Any, ...]:
    """What decides what a convolution or batch norm gives, as far as it shows without reading values."""
    weight, bias = layer._parameters["weight"], layer._parameters["bias"]
    found = (id(weight), version(weight), id(bias), version(bias))
    return (*found, layer.training, layer.momentum, layer.eps) if type(layer) is nn.BatchNorm2d else found
