"""Multiply-accumulates (MACs) of one forward pass, on the kernels that the counter knows.

Fused kernels hide their products: an LSTM of oneDNN, the fast path of a transformer's layer and fused attention are one
operation each, of which `torch.utils.flop_counter` knows nothing. So the pass is run without them, which computes the
same by plain products. A product of complex numbers is counted by the real ones that it is made of: four in a matrix
product; a complex convolution is run by torch as three real ones and counts as three. Products that are not counted
even so are named: `bench.facts.find_products` finds them among the operations that ran.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import TYPE_CHECKING, Any, Self

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import nn

    Formula = Callable[..., int]

_COMPLEX = 4
"""Real products in one of complex numbers: (a + bi)(c + di) = ac − bd + (ad + bc)i."""

_ROOT = "/"
"""Before the path of a module, to tell it from what the counter itself calls "Global"."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MacCount:
    """MACs of one forward pass.

    Attributes:
        total: Of the whole net.
        by_module: Of each module, by its path in the net; what its children compute is included.
        uncounted_operations: Operations that ran and count nothing, sorted; views and allocations are left out.
    """

    total: int
    by_module: Mapping[str, int]
    uncounted_operations: tuple[str, ...]


class _Recorder(TorchDispatchMode):
    """Notes every operation that runs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: set[Any] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations.add(func)
        return func(*args, **(kwargs or {}))


class _Tracker(ModuleTracker):
    """Knows which modules are running, as the counter wants it, without hooks on gradients.

    Those of torch's own tracker fail in a net that takes gradients within its forward.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._names = {module: f"{_ROOT}{name}" for name, module in model.named_modules()}

    def __enter__(self) -> Self:
        self._handles = [
            register_module_forward_pre_hook(lambda module, _: self._note(module)),
            register_module_forward_hook(lambda module, *_: self._forget(module), always_call=True),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _note(self, module: nn.Module) -> None:
        if module in self._names:
            self.parents.add(self._names[module])

    def _forget(self, module: nn.Module) -> None:
        self.parents.discard(self._names.get(module, ""))


@contextlib.contextmanager
def plain_kernels() -> Iterator[None]:
    """Without oneDNN, the fast path of transformers, fused attention and compiled code, each as it was afterwards."""
    fast, onednn = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    torch.backends.mha.set_fastpath_enabled(False)
    # Not `mkldnn.flags(enabled=False)`: it sets the precision on Intel GPUs too, of which torch warns without one.
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        with sdpa_kernel(SDPBackend.MATH), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        torch.backends.mkldnn.enabled = onednn
        torch.backends.mha.set_fastpath_enabled(fast)


def count_macs(model: nn.Module, images: torch.Tensor) -> MacCount:
    """Count a forward pass in eval mode (`torch.utils.flop_counter.FlopCounterMode`, two FLOPs a MAC).

    Args:
        model: The net; it is left in eval mode.
        images: One image, (1, channels, height, width).
    """
    model.eval()
    recorder, counter = _Recorder(), FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    counter.mod_tracker = _Tracker(model)
    # The inner mode hands the recorder what it has decomposed.
    with plain_kernels(), torch.no_grad(), recorder, counter:
        model(images)
    known = set(counter.flop_registry)
    uncounted = {
        op.name().removeprefix("aten::").partition(".")[0]
        for op in recorder.operations
        if op.overloadpacket not in known and not op.is_view and not op.name().startswith("aten::empty")
    }
    by_module = {
        name.removeprefix(_ROOT): sum(flops.values()) // 2
        for name, flops in counter.get_flop_counts().items()
        if name.startswith(_ROOT)
    }
    return MacCount(
        total=counter.get_total_flops() // 2, by_module=by_module, uncounted_operations=tuple(sorted(uncounted))
    )


def _product(first: int, second: int) -> Formula:
    """FLOPs of a matrix product: as many MACs as its first factor has elements times its second one's columns.

    Args:
        first: Position of the first factor, (…, rows, shared), among the operation's arguments.
        second: Position of the second one, (…, shared, columns), or a vector (shared).
    """

    def flops(*args: Any, **_others: Any) -> int:
        left: torch.Tensor = args[first]
        right: torch.Tensor = args[second]
        columns = right.shape[-1] if right.ndim > 1 else 1
        return 2 * math.prod(left.shape) * columns * (_COMPLEX if left.is_complex() else 1)

    flops._get_raw = True  # type: ignore[attr-defined]  # noqa: SLF001 - asks the counter for tensors, not their shapes
    return flops


_aten = torch.ops.aten
_FORMULAS = {
    **dict.fromkeys((_aten.mm, _aten.bmm, _aten.mv, _aten.dot, _aten.vdot), _product(0, 1)),
    **dict.fromkeys((_aten.addmm, _aten.baddbmm, _aten.addmv, _aten.addbmm), _product(1, 2)),
}
"""Matrix products, those of complex numbers and vectors among them; convolutions are the library's."""
