"""Learning rates against hand-worked values and against the library's schedulers stepped in a real loop."""

from __future__ import annotations

import math

import pytest
import torch

from bench.recipe import Recipe
from bench.training.schedules import apply_row, make_optimizer, schedule_table


def test_one_cycle_by_hand() -> None:
    table = schedule_table(Recipe(lr=6e-3), 1_001)
    rates = [lr for lr, _ in table]
    betas = [beta for _, beta in table]
    assert rates[0] == pytest.approx(6e-3 / 25)
    assert rates[-1] == pytest.approx(6e-3 / 25 / 1e4)
    # The warm-up is 30 % of the steps: 0.3 × 1001 − 1 = 299.3.
    assert max(rates) == pytest.approx(6e-3, rel=1e-4)
    assert rates.index(max(rates)) in (299, 300)
    assert betas[0] == pytest.approx(0.95)
    assert min(beta for beta in betas if beta is not None) == pytest.approx(0.85, abs=1e-4)
    assert betas[-1] == pytest.approx(0.95)


def test_cosine_by_hand() -> None:
    rates = [lr for lr, _ in schedule_table(Recipe(schedule="cosine", lr=0.1), 10)]
    assert rates == pytest.approx([0.05 * (1 + math.cos(math.pi * step / 10)) for step in range(10)])
    assert all(momentum is None for _, momentum in schedule_table(Recipe(schedule="cosine"), 10))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_table_equals_the_library_in_a_loop(optimizer: str) -> None:
    recipe, steps = Recipe(optimizer=optimizer, lr=0.01), 57
    library = make_optimizer(recipe, [torch.nn.Parameter(torch.ones(3))])
    scheduler = torch.optim.lr_scheduler.OneCycleLR(library, max_lr=0.01, total_steps=steps)
    ours = make_optimizer(recipe, [torch.nn.Parameter(torch.ones(3))])
    for step, row in enumerate(schedule_table(recipe, steps)):
        apply_row(ours, row)
        wanted, got = library.param_groups[0], ours.param_groups[0]
        assert got["lr"] == wanted["lr"]
        assert got.get("betas") == wanted.get("betas")
        assert got.get("momentum") == wanted.get("momentum")
        if step < steps - 1:
            library.step()
            scheduler.step()


def test_plain_sgd_has_no_momentum_to_cycle() -> None:
    assert {momentum for _, momentum in schedule_table(Recipe(optimizer="sgd", momentum=0.0), 20)} == {None}


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_schedules_without_a_table(schedule: str) -> None:
    assert schedule_table(Recipe(schedule=schedule), 10) == []


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
def test_the_shortest_runs_have_a_rate_at_every_step(rows: int) -> None:
    table = schedule_table(Recipe(), rows)
    assert len(table) == rows
    assert all(0 < lr <= 6e-3 for lr, _ in table)
