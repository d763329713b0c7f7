"""Exact counts: parameters, multiply-accumulates (MACs), bytes of the weights, and the table of layers.

A MAC is one multiplication and one addition in a convolution or matrix product. Biases, normalisation, activations and
pooling are not counted; the operations that the count leaves out are listed by name. Where a product is among them
(`bench.core.metadata.find_products`), a larger number that the net's file declares is taken, and the difference has a
row. A complex matrix product counts as four real ones; torch runs a complex convolution as three real ones.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
import torchinfo
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

from bench.core.metadata import ArchitectureMetadata, LayerRow, find_products
from bench.models.build import build_model, hash_initial
from bench.models.determinism import kept_generators
from bench.models.fingerprint import architecture_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torchinfo.layer_info import LayerInfo

    from bench.core.architecture import Architecture

    Formula = Callable[..., int]


class MemoryNeed(NamedTuple):
    """Bytes of a net's parameters, and the most that lives at once of what one forward pass makes, to train by it."""

    weights: int
    values: int


def count_bytes(architecture: Architecture, images: int) -> MemoryNeed:
    """What a net and a forward pass of so many images take, on the device `meta`: shapes without memory.

    0 for what cannot be built or run there; it may be a good net all the same.
    """
    weights, recorder = 0, _Bytes()
    try:
        with torch.device("meta"), torch.enable_grad(), kept_generators():
            model: object = architecture.build()
            if not isinstance(model, nn.Module):
                return MemoryNeed(0, 0)
            made = [parameter for parameter in model.parameters() if not nn.parameter.is_lazy(parameter)]
            weights = sum(int(parameter.numel()) * parameter.element_size() for parameter in made)
            with recorder:
                model(torch.zeros(images, *architecture.input_shape))
    except BaseException:  # noqa: BLE001 - what a net raises is said when it is built and run in earnest
        return MemoryNeed(weights, 0)
    return MemoryNeed(weights, recorder.most)


class _Bytes(TorchDispatchMode):
    """How much of what operations make lives at once: what gradients need does, what is checkpointed does not."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = self._now = 0
        self._made: list[tuple[StorageWeakRef, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if not func.is_view and not func._schema.is_mutable:  # noqa: SLF001 - torch tells it nowhere else
            values = output if isinstance(output, tuple | list) else [output]
            for value in values:
                if isinstance(value, torch.Tensor) and value.layout == torch.strided:
                    storage = value.untyped_storage()
                    self._made.append((StorageWeakRef(storage), storage.nbytes()))
                    self._now += storage.nbytes()
        if self._now > self.most:
            self._made = [(storage, size) for storage, size in self._made if not storage.expired()]
            self._now = sum(size for _, size in self._made)
            self.most = max(self.most, self._now)
        return output


_COMPLEX = 4
"""Real products in one of complex numbers: (a + bi)(c + di) = ac − bd + (ad + bc)i."""

_ROOT = "/"
"""Before the path of a module, to tell it from what the counter itself calls "Global"."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MacCount:
    """MACs of one forward pass: of the whole net, and of each module by its path, with what its children compute.

    Operations that ran and count nothing are sorted; views and allocations are left out. `operations` is how many ran,
    all of them.
    """

    total: int
    by_module: Mapping[str, int]
    uncounted_operations: tuple[str, ...]
    operations: int


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = collections.Counter[Any]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations[func] += 1
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
    """Without oneDNN, the fast path of transformers, fused attention and compiled code, each as it was afterwards.

    Fused kernels hide their products: an LSTM of oneDNN or fused attention is one operation, of which the counter knows
    nothing.
    """
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
    """Count a forward pass of one image, (1, C, H, W), in eval mode, in which the net is left."""
    model.eval()
    recorder, counter = _Recorder(), FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    counter.mod_tracker = _Tracker(model)
    # The inner mode hands the recorder what it has decomposed.
    with plain_kernels(), torch.no_grad(), recorder, counter:
        model(images)
    uncounted = {
        op.name().removeprefix("aten::").partition(".")[0]
        for op in recorder.operations
        if op.overloadpacket not in counter.flop_registry and not op.is_view and not op.name().startswith("aten::empty")
    }
    flops = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items() if name.startswith(_ROOT)}
    return MacCount(
        total=counter.get_total_flops() // 2,  # two a MAC
        by_module={name.removeprefix(_ROOT): number // 2 for name, number in flops.items()},
        uncounted_operations=tuple(sorted(uncounted)),
        operations=recorder.operations.total(),
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


def summarise(model: nn.Module, input_shape: tuple[int, int, int], *, batch_size: int = 1) -> torchinfo.ModelStatistics:
    """The summary of torchinfo in eval mode; its multiply-adds count biases and normalisation too."""
    return torchinfo.summary(model, input_size=(batch_size, *input_shape), verbose=0, device="cpu", mode="eval")


def count_architecture(architecture: Architecture) -> ArchitectureMetadata:
    """Build an architecture once and count it. No random stream of the caller moves.

    Parameters of layers and their MACs add up to the totals: what lies outside leaf layers has a last row of its own.
    """
    with kept_generators():
        model = build_model(architecture, 0).cpu()
        count = count_macs(model, torch.zeros(1, *architecture.input_shape))
        with plain_kernels():  # the layers inside a fused one run as well
            summary = summarise(model, architecture.input_shape)
    parameters = list(model.parameters())
    params = sum(parameter.numel() for parameter in parameters)
    layers = _layers(model, summary.summary_list, count.by_module)
    rest = params - sum(row.params for row in layers), count.total - sum(row.macs for row in layers)
    if any(rest):
        layers.append(_row_outside("outside the layers above", params=rest[0], macs=rest[1]))
    # What is declared beyond the count is believed where a product is known to be missing in it.
    incomplete = bool(find_products(count.uncounted_operations))
    declared = max(0, (architecture.macs or 0) - count.total) if incomplete else 0
    if declared:
        layers.append(_row_outside("declared, not counted", params=0, macs=declared))
    return ArchitectureMetadata(
        architecture=architecture.name,
        architecture_hash=architecture_hash(architecture),
        summary=architecture.summary,
        source=architecture.source,
        variant_of=architecture.variant_of,
        input_shape=architecture.input_shape,
        params=params,
        trainable_params=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        macs=count.total + declared,
        uncounted_operations=count.uncounted_operations,
        layers=tuple(layers),
        declared_macs=declared,
        initial_hash=hash_initial(architecture),
    )


def _row_outside(kind: str, *, params: int, macs: int) -> LayerRow:
    return LayerRow(name="", kind=kind, output_shape=(), params=params, macs=macs)


def _layers(model: nn.Module, infos: list[LayerInfo], macs: Mapping[str, int]) -> list[LayerRow]:
    """Leaf layers that ran, each once, in order of execution; a parameter shared by layers counts in the first."""
    names = {id(module): name for name, module in model.named_modules()}
    seen: set[int] = set()
    rows = []
    for info in infos:
        if not info.is_leaf_layer or not info.executed or info.is_recursive:
            continue
        own = [parameter for parameter in info.module.parameters() if id(parameter) not in seen]
        seen.update(id(parameter) for parameter in own)
        name = names[id(info.module)]
        counted = macs.get(name, 0)
        unlike = "" if info.macs == counted + _beyond_macs(info) else f" (torchinfo counts {info.macs:,})"
        rows.append(
            LayerRow(
                name=name,
                kind=info.class_name + unlike,
                output_shape=tuple(info.output_size[1:]),
                params=sum(parameter.numel() for parameter in own),
                macs=counted,
            )
        )
    return rows


def _beyond_macs(info: LayerInfo) -> int:
    """What torchinfo adds to a layer's MACs: its one-dimensional parameters, in convolutions at every position."""
    positions = math.prod(info.output_size[2:]) if "Conv" in info.class_name else 1
    return positions * sum(parameter.numel() for parameter in info.module.parameters() if parameter.ndim == 1)
