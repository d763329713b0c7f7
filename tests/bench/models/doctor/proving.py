"""Nets to be proved before they train, and their proof."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bench.models.doctor.proof import prove
from bench.models.registry import load_file
from bench.spec import Architecture
from tests import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from bench.core.metadata import Proof
    from bench.data.datasets import Sample

FIELD = ROOT / "tests" / "field"


def load(*files: str) -> list[Architecture]:
    return [architecture for file in files for architecture in load_file(FIELD / f"{file}.py")]


OTHERS = load(
    "preact", "relu_inplace_skip", "viewnet", "softmax", "capsule5d", "lazylinear", "hooks", "backhook",
    "tuple_between", "inputgrad", "bf16", "train_override", "first_relu", "pools", "npdepth", "plain_state",
)  # fmt: skip
NETS = {net.name: net for net in [*load("kinds", "more_kinds"), *OTHERS]}


def tried(architecture: Architecture, sample: Sample, *, engine: str = "torch") -> Proof:
    return prove(architecture, sample, device="cpu", engine=engine, blamed=lambda _: contextlib.nullcontext())


def net(build: Callable[[], nn.Module], name: str = "net") -> Architecture:
    return Architecture(name=name, build=build)
