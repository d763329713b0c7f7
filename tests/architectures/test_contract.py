"""What every architecture promises. Files are found by themselves: a new one is held to this without being listed."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from bench.core.recipe import Recipe
from bench.models.counts import count_architecture
from bench.models.fingerprint import architecture_hash
from bench.models.registry import discover
from tests import ROOT

if TYPE_CHECKING:
    from bench.spec import Architecture

REGISTRY = discover(ROOT / "architectures")
EVERY = pytest.mark.parametrize("architecture", REGISTRY.architectures, ids=lambda architecture: architecture.name)


def build(architecture: Architecture, *, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return architecture.build()


def images_for(architecture: Architecture, n: int) -> torch.Tensor:
    return torch.randn(n, *architecture.input_shape, generator=torch.Generator().manual_seed(1))


def docstring(architecture: Architecture) -> str:
    assert architecture.file is not None
    spec = importlib.util.spec_from_file_location("read_docstring", architecture.file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.__doc__ or ""


def test_every_file_can_be_loaded() -> None:
    assert dict(REGISTRY.broken) == {}
    assert len(REGISTRY.architectures) >= 8


@EVERY
def test_docstring_has_idea_shapes_source_and_counts(architecture: Architecture) -> None:
    text = docstring(architecture)
    shapes = re.findall(r"\(N(?:, \d+)+\)", text)
    input_shape = ", ".join(map(str, architecture.input_shape))
    assert shapes[0] == f"(N, {input_shape})"
    assert f"(N, {architecture.classes}) logits" in text
    assert len(shapes) >= 4
    assert "Idea: " in text
    assert architecture.source in text.partition("Idea: ")[0]
    assert f"{architecture.params:,}" in text
    assert f"{architecture.macs:,}" in text


@EVERY
def test_declaration_is_filled(architecture: Architecture) -> None:
    assert len(architecture.summary) > 30
    assert architecture.summary.endswith(".")
    assert architecture.source
    assert isinstance(architecture.recipe, Recipe)
    assert architecture.name == architecture.name.lower()
    mains = {main.name for main in REGISTRY.all()}
    assert architecture.variant_of in mains or (architecture.variant_of is None and architecture.name in mains)


@EVERY
def test_declared_counts_are_the_recomputed_ones(architecture: Architecture) -> None:
    metadata = count_architecture(architecture)
    assert (architecture.params, architecture.macs) == (metadata.params, metadata.macs)
    assert metadata.params == metadata.trainable_params == sum(row.params for row in metadata.layers)
    assert metadata.macs == sum(row.macs for row in metadata.layers)
    assert not [row for row in metadata.layers if "torchinfo" in row.kind or not row.name]


@EVERY
def test_logits_have_one_row_an_image(architecture: Architecture) -> None:
    model, images = build(architecture).eval(), images_for(architecture, 7)
    with torch.no_grad():
        logits = model(images)
        alone = torch.cat([model(image[None]) for image in images])
    assert logits.shape == (7, architecture.classes)
    torch.testing.assert_close(logits, alone, rtol=1e-4, atol=1e-5)


@EVERY
def test_logits_are_no_probabilities(architecture: Architecture) -> None:
    with torch.no_grad():
        logits = build(architecture).eval()(images_for(architecture, 64))
    assert (logits < 0).any()
    assert not torch.allclose(logits.exp().sum(dim=1), torch.ones(64), atol=1e-3)  # log-probabilities


@EVERY
def test_gradients_reach_every_parameter(architecture: Architecture) -> None:
    model = build(architecture).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        logits = model(images_for(architecture, 32))
    nn.functional.cross_entropy(logits, torch.arange(32) % architecture.classes).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A convolution's bias before BatchNorm has a gradient of zero up to rounding; it must be reached all the same.
    assert [name for name in without if not name.endswith("bias")] == []
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@EVERY
def test_seed_decides_the_weights(architecture: Architecture) -> None:
    first, again, other = (build(architecture, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@EVERY
def test_eval_mode_repeats_and_keeps_its_state(architecture: Architecture) -> None:
    model, images = build(architecture), images_for(architecture, 8)
    with torch.no_grad():
        model.train()(images)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        first, second = model.eval()(images), model(images)
    assert torch.equal(first, second)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@EVERY
def test_every_value_of_a_knob_builds_a_net_that_gives_logits_and_has_a_name_of_its_own(
    architecture: Architecture,
) -> None:
    names = {architecture.name}
    for knob, allowed in architecture.knobs.items():
        for value in (extreme for extreme in allowed.extremes if extreme != architecture.declared_values[knob]):
            varied = architecture.varied({knob: value})
            logits = varied.build().eval()(torch.zeros(2, *varied.input_shape))
            assert logits.shape == (2, varied.classes)
            assert architecture_hash(varied) != architecture_hash(architecture)
            names.add(varied.name)
        assert architecture.varied({knob: architecture.declared_values[knob]}) is architecture
    declared = architecture.declared_values
    others = [v for knob, allowed in architecture.knobs.items() for v in allowed.extremes if v != declared[knob]]
    assert len(names) == 1 + len(others)
