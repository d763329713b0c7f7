"""Learning rates over a run, by the library's own schedulers, made into a table before training starts.

A table has no state: a resumed run looks up the same rows, and a run measured in seconds looks rows up by the share of
its budget that is spent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

if TYPE_CHECKING:
    from bench.core.recipe import Recipe

SECONDS_ROWS = 1_000
"""Rows of the table of a run whose number of steps nobody knows in advance."""
SHORTEST_CYCLE = 4
"""Steps from which a cycle has a warm-up: it takes 30 % of them less one, which of 3 is nothing."""


def schedule_table(recipe: Recipe, rows: int) -> list[tuple[float, float | None]]:
    """Learning rate and momentum for each row of a run: for each optimizer step, or `SECONDS_ROWS` of them.

    One-cycle is `torch.optim.lr_scheduler.OneCycleLR` and cosine `CosineAnnealingLR` to zero, with their defaults;
    constant and plateau have no table: the rate stays, or is lowered between epochs by `ReduceLROnPlateau`. Under
    `SHORTEST_CYCLE` steps a cycle has no room for its warm-up and is the way down alone, from the peak to the rate at
    which every cycle ends; a single step is taken at the peak.

    Returns:
        One (learning rate, momentum or Adam's first beta) per row; momentum is None where it is not cycled. Empty for
        the schedules that need no table.
    """
    if recipe.schedule in ("constant", "plateau"):
        return []
    cycled = recipe.schedule == "one-cycle" and (recipe.optimizer != "sgd" or recipe.momentum > 0)
    if recipe.schedule == "one-cycle" and rows < SHORTEST_CYCLE:
        return _way_down(recipe.lr, rows, cycled=cycled)
    optimizer = make_optimizer(recipe, [torch.nn.Parameter(torch.zeros(1))])
    scheduler: LRScheduler
    if recipe.schedule == "one-cycle":
        scheduler = OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=rows, cycle_momentum=cycled)
    else:
        scheduler = CosineAnnealingLR(optimizer, T_max=rows)
    table = []
    for _ in range(rows):
        group = optimizer.param_groups[0]
        momentum = (group["betas"][0] if "betas" in group else group["momentum"]) if cycled else None
        table.append((float(group["lr"]), momentum))
        if len(table) < rows:
            optimizer.step()
            scheduler.step()
    return table


def _way_down(peak: float, rows: int, *, cycled: bool) -> list[tuple[float, float | None]]:
    """From the peak down to the end by half a cosine, with the end and the momentum of `OneCycleLR`'s defaults."""
    end = peak / 25 / 1e4
    table = []
    for row in range(rows):
        left = (1 + math.cos(math.pi * row / (rows - 1))) / 2 if rows > 1 else 1.0  # of the way down, 1 to 0
        table.append((end + (peak - end) * left, 0.95 - 0.10 * left if cycled else None))
    return table


def parameters_of(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Those that an optimizer is given: frozen ones too, as in the usual loop, which a net may thaw later.

    Without a gradient they are left alone. Whole numbers never have one.
    """
    return [p for p in model.parameters() if p.is_floating_point() or p.is_complex()]


def make_optimizer(recipe: Recipe, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The recipe's optimizer, fused where the parameters' device has it."""
    fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
    lr, decay = recipe.lr, recipe.weight_decay
    if recipe.optimizer == "sgd":
        momentum, nesterov = recipe.momentum, recipe.nesterov
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=decay, fused=fused)
    kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, lr=lr, weight_decay=decay, fused=fused)


def apply_row(optimizer: torch.optim.Optimizer, row: tuple[float, float | None]) -> None:
    """Set the learning rate, and the momentum where it is cycled, for the next step."""
    lr, momentum = row
    for group in optimizer.param_groups:
        group["lr"] = lr
        if momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum
