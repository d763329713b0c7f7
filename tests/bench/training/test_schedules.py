"""Learning rates against hand-worked values and against the library's schedulers stepped in a real loop."""

from __future__ import annotations

import math

import pytest
import torch

from bench.core.recipe import Recipe
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


END = 0.25 / 25 / 1e4  # of every cycle that peaks at 0.25


@pytest.mark.parametrize(
    ("rows", "rates", "momenta"),
    [
        (1, [0.25], [0.85]),
        (2, [0.25, END], [0.85, 0.95]),
        (3, [0.25, (0.25 + END) / 2, END], [0.85, 0.90, 0.95]),  # half a cosine stands half way in its middle
    ],
)
def test_a_cycle_without_room_for_a_warm_up_falls_from_the_peak_to_its_end(
    rows: int, rates: list[float], momenta: list[float]
) -> None:
    for optimizer in ("adam", "sgd"):
        table = schedule_table(Recipe(optimizer=optimizer, lr=0.25), rows)
        assert [lr for lr, _ in table] == pytest.approx(rates, rel=1e-12)
        assert [momentum for _, momentum in table] == pytest.approx(momenta, rel=1e-12)
    plain = schedule_table(Recipe(optimizer="sgd", momentum=0.0, lr=0.25), rows)
    assert [lr for lr, _ in plain] == pytest.approx(rates, rel=1e-12)
    assert {momentum for _, momentum in plain} == {None}


@pytest.mark.parametrize("rows", [2, 3, 4, 5, 6, 7, 100])
def test_every_cycle_of_several_steps_ends_at_a_250_000th_of_its_peak(rows: int) -> None:
    assert schedule_table(Recipe(lr=0.25), rows)[-1][0] == pytest.approx(END, rel=1e-9)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_weight_decay_is_on_biases_and_batch_norm_too(optimizer: str) -> None:
    """What reports say of it: a step without any gradient but the decay's own changes each of them."""
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    for parameter in net.parameters():
        torch.nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    make_optimizer(Recipe(optimizer=optimizer, lr=0.1, weight_decay=0.5), list(net.parameters())).step()
    # SGD and AdamW: 1 − 0.1 · 0.5; Adam's first step is the rate, whatever the gradient's size.
    expected = 0.9 if optimizer == "adam" else 0.95
    for name, parameter in net.named_parameters():
        assert parameter.detach().flatten().tolist() == pytest.approx([expected] * parameter.numel(), rel=1e-6), name
