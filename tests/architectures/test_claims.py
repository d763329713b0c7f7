"""The claims of the five sources: all of them, with their numbers, on nets that there are."""

from __future__ import annotations

import re

import pytest
import torch

from architectures.claims import batchnorm, fc3136, four_conv, lenet
from bench.models.counts import count_architecture
from bench.models.fingerprint import architecture_hash
from bench.models.registry import discover
from bench.studies.claims.declared import Declared
from bench.studies.claims.work import prepare_claims
from tests import ROOT

MODULES = (fc3136, lenet, four_conv, batchnorm)
CLAIMS = [claim for module in MODULES for claim in module.CLAIMS]
NETS = [*fc3136.NETS, *four_conv.NETS]
IDS = "A1 A2 A3 B1 B2 B3 C1 C2 C3 C4 C5 C6 C7 D1 D2 D3 D4 D5 E1 E2 E3 E4 E5 E6 E7 E8".split()


def test_every_claim_of_the_sources_is_declared_once() -> None:
    assert list(dict.fromkeys(sorted(claim.group for claim in CLAIMS))) == IDS
    ids = [claim.id for claim in CLAIMS]
    assert len(set(ids)) == len(ids)
    for claim in CLAIMS:
        letter = re.search(r"\((.)\)$", claim.source)
        assert letter is not None
        assert claim.id.startswith(letter[1])


@pytest.mark.parametrize(
    ("name", "claimed"),
    [
        ("A1a", ("99.18 %",)),
        ("A1b", ("99.15 %",)),
        ("A2b", ("0.1750", "0.0646", "0.0496", "0.0402", "0.0351")),
        ("B2", ("31.21 M",)),
        ("C1a", ("99.35 %",)),
        ("C2", ("99.31 %",)),
        ("D2", ("97.39 %",)),
        ("D5", ("2.305", "0.144", "0.158", "0.107", "0.082", "0.092")),
        ("E2a", ("94 %", "95 %")),
    ],
)
def test_numbers_are_those_that_were_printed(name: str, claimed: tuple[str, ...]) -> None:
    (claim,) = (claim for claim in CLAIMS if claim.id == name)
    assert claim.claimed == claimed


def test_contradictions_stand_beside_their_claims() -> None:
    found = {claim.id for claim in CLAIMS if claim.contradiction}
    assert {"C1a", "C1b", "E1a", "E3", "E2d"} <= found


def test_every_net_of_a_claim_can_be_found() -> None:
    prepared = prepare_claims(Declared(claims=list(CLAIMS), nets=list(NETS)), discover(ROOT / "architectures"))
    assert prepared.troubles == {}
    assert {net.name for net in NETS} <= prepared.nets.keys()
    assert "fc3136 dropout=0.0" in prepared.nets, "with knobs behind it"
    arms = {arm for claim in prepared.claims for arm in claim.arms}
    assert {arm.net for arm in arms} <= prepared.nets.keys()


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.name)
def test_nets_of_claims_have_the_counts_that_they_declare(net: object) -> None:
    from bench.spec import Architecture

    assert isinstance(net, Architecture)
    metadata = count_architecture(net)
    if net.params is not None:
        assert (net.params, net.macs) == (metadata.params, metadata.macs)
    with torch.no_grad():
        outputs = net.build().eval()(torch.zeros(3, *net.input_shape))
    assert outputs.shape == (3, net.classes)
    assert net.variant_of


def test_nets_of_claims_are_registered_nowhere() -> None:
    registered = {net.name for net in discover(ROOT / "architectures").architectures}
    assert not registered & {net.name for net in NETS}


def test_an_edited_claim_trains_no_net_again(tmp_path: object) -> None:
    from pathlib import Path

    from bench.models.loading import load_file

    assert isinstance(tmp_path, Path)
    text = (
        "from torch import nn\nfrom bench.spec import Architecture, Arm, Case, Claim\n"
        "def build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n"
        "NET = Architecture(name='mine', build=build)\n"
        "CASE = Case(label='x', arm=Arm(net='mine'))\n"
        "CLAIMS = [Claim(id='M1', source='me', text='good', rule='value', claimed=('98 %',), cases=(CASE,))]\n"
    )
    hashes = set()
    for claimed in ("98 %", "99 %"):
        path = tmp_path / "mine.py"
        path.write_text(text.replace("98 %", claimed))
        (net,) = load_file(path)
        hashes.add(architecture_hash(net))
    assert len(hashes) == 1
