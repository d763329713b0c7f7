"""Exact counts: parameters, multiply-accumulates (MACs) and the table of layers.

A MAC is one multiplication and one addition in a convolution or matrix product (`bench.nets.macs`). Biases,
normalisation, activations and pooling are not counted; the operations that the count leaves out are listed by name.
Where a product is among them, a larger number that the net's file declares is taken, and the difference has a row.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torchinfo

from bench.facts import ArchitectureFacts, LayerRow, find_products
from bench.nets.fingerprint import architecture_hash
from bench.nets.initial import hash_initial
from bench.nets.macs import count_macs, plain_kernels
from bench.training.building import build_model
from bench.training.generators import kept_generators

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn
    from torchinfo.layer_info import LayerInfo

    from bench.nets.macs import MacCount
    from bench.spec import Architecture


def summarise(model: nn.Module, input_shape: tuple[int, int, int], *, batch_size: int = 1) -> torchinfo.ModelStatistics:
    """The summary of torchinfo summary in eval mode; its multiply-adds count biases and normalisation too."""
    return torchinfo.summary(model, input_size=(batch_size, *input_shape), verbose=0, device="cpu", mode="eval")


def count_architecture(architecture: Architecture) -> ArchitectureFacts:
    """Build an architecture once and count it. No random stream of the caller moves.

    Returns:
        Its facts. Parameters of layers and their MACs add up to the totals: what lies outside leaf layers has a last
        row of its own.
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
    declared = _declared_beside(architecture, count)
    if declared:
        layers.append(_row_outside("declared, not counted", params=0, macs=declared))
    return ArchitectureFacts(
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


def _declared_beside(architecture: Architecture, count: MacCount) -> int:
    """MACs that are declared beyond those counted, where a product is known to be missing among these; else 0."""
    incomplete = bool(find_products(count.uncounted_operations))
    return max(0, (architecture.macs or 0) - count.total) if incomplete else 0


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
