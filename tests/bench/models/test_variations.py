"""Nets with other knobs and under other recipes, by one syntax."""

from __future__ import annotations

import pickle
import re
from typing import TYPE_CHECKING

import pytest

from bench.core.errors import BenchError
from bench.models.fingerprint import architecture_hash
from bench.models.registry import discover
from tests import ROOT

if TYPE_CHECKING:
    from bench.spec import Architecture


def select(pattern: str) -> Architecture:
    [net] = discover(ROOT / "architectures").select([pattern])
    return net


def test_fields_of_the_recipe_are_told_from_knobs_of_the_net() -> None:
    net = select("bn25k lr=3e-3 hidden=32 batch-size=64 augmentation=shift:2")
    assert net.name == "bn25k hidden=32 lr=0.003 batch_size=64 augmentation=shift:2"
    assert net.values == (("hidden", 32),)
    assert net.recipe_changes == (("lr", 0.003), ("batch_size", 64), ("augmentation", (("shift", 2.0),)))
    assert (net.variant_of, net.declared_name) == ("bn25k", "bn25k")


def test_the_net_stays_what_it_is_under_another_recipe() -> None:
    plain, other = select("bn25k"), select("bn25k lr=3e-3")
    assert (other.params, other.macs, other.recipe) == (plain.params, plain.macs, plain.recipe)
    assert sum(value.numel() for value in other.build().parameters()) == 25_433
    assert architecture_hash(other) != architecture_hash(plain), "runs of the one never count for the other"
    sent = pickle.loads(pickle.dumps(other))  # noqa: S301 - what has just been pickled
    assert (sent.name, sent.recipe_changes, sent.declared_name) == ("bn25k lr=0.003", (("lr", 0.003),), "bn25k")
    assert select("bn24k lr=0.1").declared_name == "bn24k", "a declared variant"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("bn25k depth=3", "No knob or recipe field of bn25k 'depth'. Did you mean 'dropout'?"),
        ("bn25k learning-rate=3", "No knob or recipe field of bn25k 'learning-rate'."),
        ("bn25k lr=fast", "lr is 'fast'; a number is needed."),
        ("bn25k lr=500", "learning rate is 500; it must be above 0 and at most 100."),
        ("bn25k batch_size=1.5", "batch_size is '1.5'; a whole number is needed."),
        ("bn25k nesterov=yes", "nesterov is 'yes'; true or false is needed."),
        ("bn25k optimizer=adm", "No optimizer 'adm'. Did you mean 'adam'?"),
        ("bn25k lr=1 lr=2", "lr stands there twice; give one value."),
        ("bn* lr=1", "'bn*' means bn25k, bn24k, bn106k, bn207k; values of knobs go with one of them."),
    ],
)
def test_what_cannot_be_meant_is_one_line(pattern: str, said: str) -> None:
    with pytest.raises(BenchError, match=re.escape(said)) as caught:
        select(pattern)
    assert "\n" not in str(caught.value)
