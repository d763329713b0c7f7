"""Memory that training a net takes, read inside a process that does nothing else."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch
from torch import nn
from torch.nn import functional

from bench.models.build import build_model, take_logits
from bench.models.rewriting.rewrite import rewrite
from bench.training.schedules import make_optimizer, parameters_of

if TYPE_CHECKING:
    from bench.execution.profiling.speed import TimingRequest

_STEPS = 10


def measure_memory(request: TimingRequest) -> tuple[int, int]:
    """Train a few steps on random images with a recipe's optimizer and batch size; call it in a process of its own.

    Bytes before the net is built, after a smallest net was trained (what every net takes is no net's), and at the peak
    from then on: of the allocator on "cuda", elsewhere of the process's resident memory (on macOS the peak since it
    began, which nothing there resets).
    """
    architecture, device = request.architecture, request.device
    torch.set_num_threads(1)
    channels, height, width = architecture.input_shape
    convolution, linear = nn.Conv2d(channels, 1, 3, padding=1), nn.Linear(height * width, architecture.classes)
    _train(nn.Sequential(convolution, nn.Flatten(), linear), request)
    with contextlib.suppress(OSError):  # its peak is no other net's
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    base = int(torch.cuda.memory_allocated() if device == "cuda" else psutil.Process().memory_info().rss)
    model = build_model(architecture, 0)
    rewrite(model, request.layout)
    _train(model, request)
    return base, _peak_bytes(device)


def _train(model: nn.Module, request: TimingRequest) -> None:
    recipe, architecture, device = request.recipe, request.architecture, request.device
    model.to(device)
    model.train()  # a net's own train() may return nothing
    images = torch.randn(recipe.batch_size, *architecture.input_shape, device=device)
    labels = torch.randint(architecture.classes, (recipe.batch_size,), device=device)
    optimizer = make_optimizer(recipe, parameters_of(model))
    for _ in range(_STEPS):
        optimizer.zero_grad()
        functional.cross_entropy(take_logits(model(images.clone())), labels).backward()
        optimizer.step()


def _peak_bytes(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count what the parent had before this process was its own
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
