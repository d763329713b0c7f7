"""Exact counts: parameters, multiply-accumulates (MACs) and the table of layers.

A MAC is one multiplication and one addition in a convolution or matrix product. Biases, normalisation, activations and
pooling are not counted; the operations that the count leaves out are listed by name.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import torch
import torchinfo
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from bench.facts import ArchitectureFacts, LayerRow
from bench.nets.fingerprint import architecture_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn
    from torchinfo.layer_info import LayerInfo

    from bench.spec import Architecture


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


def count_macs(model: nn.Module, images: torch.Tensor) -> MacCount:
    """Count a forward pass in eval mode (`torch.utils.flop_counter.FlopCounterMode`, two FLOPs a MAC).

    Args:
        model: The net; it is left in eval mode.
        images: One image, (1, channels, height, width).
    """
    model.eval()
    recorder, counter = _Recorder(), FlopCounterMode(display=False)
    with torch.no_grad(), recorder, counter:  # the inner mode hands the recorder what it has decomposed
        model(images)
    known = set(counter.flop_registry)
    uncounted = {
        op.name().removeprefix("aten::").partition(".")[0]
        for op in recorder.operations
        if op.overloadpacket not in known and not op.is_view and not op.name().startswith("aten::empty")
    }
    root = type(model).__name__
    by_module = {
        name.removeprefix(root).removeprefix("."): sum(flops.values()) // 2
        for name, flops in counter.get_flop_counts().items()
    }
    return MacCount(
        total=counter.get_total_flops() // 2, by_module=by_module, uncounted_operations=tuple(sorted(uncounted))
    )


def summarise(model: nn.Module, input_shape: tuple[int, int, int], *, batch_size: int = 1) -> torchinfo.ModelStatistics:
    """The summary of torchinfo summary in eval mode; its multiply-adds count biases and normalisation too."""
    return torchinfo.summary(model, input_size=(batch_size, *input_shape), verbose=0, device="cpu", mode="eval")


def count_architecture(architecture: Architecture) -> ArchitectureFacts:
    """Build an architecture once and count it. No random stream of the caller moves.

    Returns:
        Its facts. Parameters of layers and their MACs add up to the totals: what lies outside leaf layers has a last
        row of its own.
    """
    with torch.random.fork_rng(devices=[]):
        model = architecture.build().cpu()
        count = count_macs(model, torch.zeros(1, *architecture.input_shape))
        summary = summarise(model, architecture.input_shape)
    parameters = list(model.parameters())
    params = sum(parameter.numel() for parameter in parameters)
    layers = _layers(model, summary.summary_list, count.by_module)
    rest = params - sum(row.params for row in layers), count.total - sum(row.macs for row in layers)
    if any(rest):
        row = LayerRow(name="", kind="outside the layers above", output_shape=(), params=rest[0], macs=rest[1])
        layers.append(row)
    return ArchitectureFacts(
        architecture=architecture.name,
        architecture_hash=architecture_hash(architecture),
        summary=architecture.summary,
        source=architecture.source,
        variant_of=architecture.variant_of,
        input_shape=architecture.input_shape,
        params=params,
        trainable_params=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        macs=count.total,
        uncounted_operations=count.uncounted_operations,
        layers=tuple(layers),
    )


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
        expected = counted + _beyond_macs(info)
        rows.append(
            LayerRow(
                name=name,
                kind=info.class_name + ("" if info.macs == expected else f" (torchinfo counts {info.macs:,})"),
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
