"""Memory that training a net takes, read inside a process that does nothing else."""

from __future__ import annotations

import contextlib
import importlib
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch
from torch.nn import functional

from bench.models.build import build_model
from bench.models.rewrite import rewrite
from bench.training.schedules import make_optimizer, parameters_of

if TYPE_CHECKING:
    from bench.execution.profiling.speed import TimingRequest

_STEPS = 10


def measure_memory(request: TimingRequest) -> tuple[int, int]:
    """Train a few steps on random images with a recipe's optimizer and batch size; call it in a process of its own.

    Bytes before the net is built, with everything imported that training needs, and at the peak from then on: of the
    allocator on "cuda", elsewhere of the process's resident memory.
    """
    architecture, recipe, device = request.architecture, request.recipe, request.device
    torch.set_num_threads(1)
    importlib.import_module("torch._dynamo")  # a first optimizer does so: 77 MB that are no net's
    with contextlib.suppress(OSError):  # importing takes more for a moment than it leaves
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    base = int(torch.cuda.memory_allocated() if device == "cuda" else psutil.Process().memory_info().rss)
    model = build_model(architecture, 0)
    rewrite(model, request.layout)
    model.to(device)
    model.train()  # a net's own train() may return nothing
    optimizer = make_optimizer(recipe, parameters_of(model))
    images = torch.randn(recipe.batch_size, *architecture.input_shape, device=device)
    labels = torch.randint(architecture.classes, (recipe.batch_size,), device=device)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        functional.cross_entropy(model(images.clone()), labels).backward()
        optimizer.step()
    return base, _peak_bytes(device)


def _peak_bytes(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count what the parent had before this process was its own
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
