"""Claims in TOML: read as they are written, and every fault by its line while the others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.core.errors import ClaimsError
from bench.core.recipe import Recipe
from bench.core.work.claims.claim import Arm
from bench.studies.claims.toml_claims import read_toml
from bench.system.toml_file import find_line

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
version = 1
source = "a paper"

[[claims]]
id = "T1"
claim = "99.05 % after 20 epochs"
rule = "value"
claimed = "99.05 %"
[[claims.cases]]
net = "lenet21k"
epochs = 20
recipe = {optimizer = "sgd", lr = 0.01, augmentation = "shift:2"}
[[claims.cases]]
label = "my own"
net = "nets/mine.py:Mine"

[[claims]]
id = "T2"
source = "another paper"
claim = "Adam beats SGD"
rule = "better"
[[claims.cases]]
net = "lenet21k"
epochs = 3
[claims.cases.against]
recipe.optimizer = "sgd"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "claims.toml"
    path.write_text(text)
    return path


def test_a_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    (first, second), faults = read_toml(write(tmp_path, GOOD))
    assert faults == []
    sgd = Recipe(optimizer="sgd", lr=0.01, augmentation=(("shift", 2.0),))
    assert first.cases[0].arm == Arm(net="lenet21k", recipe=sgd, epochs=20)
    assert (first.cases[0].label, first.cases[1].label) == ("lenet21k", "my own")
    assert first.cases[1].arm.net == f"{tmp_path}/nets/mine.py:Mine", "looked for beside the file"
    assert (first.source, second.source, first.dataset) == ("a paper", "another paper", "mnist")
    assert second.cases[0].against == Arm(net="lenet21k", recipe=Recipe(optimizer="sgd"), epochs=3)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('claimed = "99.05 %"', 'claimed = "99.05"', 8, "claims.0.claimed: claimed holds '99.05', which lies outside"),
        ('rule = "value"', 'rule = "vlaue"', 7, "claims.0.rule: No rule of a claim 'vlaue'"),
        ("epochs = 20", "epochs = 20.0", 11, "claims.0.cases.0.epochs: 20.0 is not of type 'integer'"),
        ("lr = 0.01", "lr = -1", 12, "claims.0.cases.0.recipe: learning rate is -1"),
        ('"shift:2"', '"shove:2"', 12, "claims.0.cases.0.recipe: No augmentation 'shove'"),
        ('label = "my own"', 'labl = "my own"', 14, "claims.0.cases.1.labl: No field 'labl'. Did you mean 'label'?"),
        ("epochs = 20", "epochs = inf", 11, "claims.0.cases.0.epochs"),
        ('claimed = "99.05 %"', "claimed = 0.9905", 8, "claims.0.claimed: 0.9905 is found; wanted: text as printed"),
    ],
)
def test_a_fault_of_a_claim_costs_that_one(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert GOOD.count(old) == 1
    path = write(tmp_path, GOOD.replace(old, new))
    claims, faults = read_toml(path)
    assert [claim.id for claim in claims] == ["T2"]
    (fault,) = faults
    assert fault.startswith(f"{path}, line {line}, {said}")
    assert fault.lower().endswith(" see the example in docs/claims.md.")
    assert "\n" not in fault


def test_faults_of_the_file_itself(tmp_path: Path) -> None:
    for text, said in (
        ("version = 2\nclaims = []\n", "line 1, version: 2 is found, 1 was expected"),
        ("version = 1\n", "'claims' is a required property"),
        ("version = 1\nclaims = 3\n", "is not of type 'array'"),
        ("version = ", "is no TOML"),
        (GOOD.replace("source", "sauce", 1), "sauce"),
    ):
        with pytest.raises(ClaimsError) as refusal:
            read_toml(write(tmp_path, text))
        assert said in str(refusal.value)
    with pytest.raises(ClaimsError, match=r"No claims at '.*gone.toml'; name a file that has some, or ids"):
        read_toml(tmp_path / "gone.toml")
    (tmp_path / "claims.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ClaimsError, match="is no text"):
        read_toml(tmp_path / "claims.toml")


def test_lines_within_arrays_of_tables_in_arrays_of_tables() -> None:
    lines = {
        ("claims", 0): 4,
        ("claims", 0, "cases", 0): 9,
        ("claims", 0, "cases", 1, "net"): 15,
        ("claims", 1): 17,
        ("claims", 1, "cases", 0, "epochs"): 24,
        ("claims", 1, "cases", 0, "against", "recipe", "optimizer"): 26,
        ("claims", 1, "claimed"): 17,
    }
    assert {path: find_line(GOOD, path) for path in lines} == lines
