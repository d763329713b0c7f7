"""What a claim may say: numbers as they are printed, quantities, and what does not go together."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bench.core.errors import ClaimsError
from bench.core.recipe import Recipe
from bench.core.records import TARGETS
from bench.core.run import PROTOCOLS
from bench.core.work.claims.claim import AS_CLAIMED, Arm, AskedClaim, Case, Claim
from bench.core.work.claims.quantity import CLAIM_MARGIN, Quantity, read_printed
from bench.store.codec import from_json, to_json

ARM = Arm(net="lenet21k", recipe=Recipe(augmentation=(("crop", 4.0),)), epochs=3, usual_epochs=1.5)


def claim(**fields: Any) -> Claim:
    known: dict[str, Any] = {
        "id": "C1a", "source": "a paper", "text": "so good", "rule": "value", "claimed": ("99.35 %",),
        "cases": (Case(label="as it is", arm=ARM),),
    }  # fmt: skip
    return Claim(**known | fields)


@pytest.mark.parametrize(
    ("text", "kind", "value", "half"),
    [
        ("99.35 %", "accuracy", 0.9935, 0.00005),
        ("99.50%", "accuracy", 0.995, 0.00005),
        ("0.9935", "accuracy", 0.9935, 0.00005),
        ("about 98 %", "accuracy", 0.98, 0.01),
        ("≈ 98.5 %", "accuracy", 0.985, 0.001),
        ("0.0646", "loss", 0.0646, 0.00005),
        ("21,840", "count", 21_840, 0.5),
        ("31.21 M", "count", 31_210_000, 5_000),
        ("about 25K", "count", 25_000, 1_000),
        ("3.64 MB", "count", 3.64, 0.005),
        ("13", "whole epochs", 13, 0.5),
    ],
)
def test_numbers_as_they_are_printed(text: str, kind: str, value: float, half: float) -> None:
    found = read_printed(text, kind)
    assert found.value == pytest.approx(value)
    assert found.half == pytest.approx(half)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("99.35", "accuracy", "claimed holds '99.35', which lies outside 0 to 1; write '99.35 %'"),
        ("0.9935 %", "accuracy", "a fraction beside a percent sign; write '99.35 %' or '0.9935'"),
        ("102 %", "accuracy", "more than 100 %"),
        ("9935", "accuracy", "an accuracy is a fraction from 0 to 1, or has a % behind it"),
        ("99 %", "loss", "which is a share; this quantity is none"),
        ("very good", "accuracy", "claimed holds 'very good', which is no number; write it as printed"),
        ("-0.5", "loss", "which is no number"),
    ],
)
def test_numbers_that_mix_percent_and_fractions_up(text: str, kind: str, said: str) -> None:
    with pytest.raises(ClaimsError) as refusal:
        read_printed(text, kind)
    assert said in str(refusal.value)
    assert refusal.value.field == "claimed"


def test_quantities() -> None:
    assert str(Quantity.parse("train_loss@3")) == "train_loss@3"
    assert Quantity.parse("batch_loss@101").at == 101
    for target in TARGETS:
        assert Quantity.parse(f"epochs_to_{round(100 * target)}").kind == "epochs"
    assert {Quantity.parse(f"seconds_to_{round(100 * target)}").kind for target in TARGETS} == {"seconds"}
    assert CLAIM_MARGIN.keys() == {"accuracy", "loss", "epochs", "whole epochs", "seconds"}
    for text, said in (
        ("test_acuracy", "Did you mean 'test_accuracy'?"),
        ("train_loss@0", "a number from 1"),
        ("epochs@3", "No quantity 'epochs@3'"),
    ):
        with pytest.raises(ClaimsError) as refusal:
            Quantity.parse(text)
        assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"rule": "valeu"}, "rule", "No rule of a claim 'valeu'. Did you mean 'value'?"),
        ({"protocol": "peek"}, "protocol", "No protocol of a claim 'peek'."),
        ({"id": "C 1"}, "id", "id is 'C 1'"),
        ({"source": " "}, "source", "a text is needed"),
        ({"cases": ()}, "cases", "one case at least"),
        ({"claimed": ()}, "claimed", "claimed holds 0 numbers; 1 are needed here"),
        ({"rule": "range", "claimed": ("98 %", "95 %")}, "claimed", "the range runs from 98 % down to 95 %"),
        ({"rule": "series", "claimed": ("98 %",), "protocol": AS_CLAIMED}, "at", "names in at where it is read"),
        ({"rule": "falls", "claimed": (), "at": (10,), "protocol": AS_CLAIMED}, "at", "names the two epochs"),
        ({"rule": "better", "claimed": ()}, "cases", "is held against nothing"),
        ({"quantity": "parameters"}, "quantity", "rule 'value' does not go with quantity 'parameters'"),
        ({"quantity": "test_accuracy@3"}, "quantity", "is not seen on the way under 'select'"),
        ({"quantity": "val_accuracy", "protocol": AS_CLAIMED}, "quantity", "there are no validation images"),
        ({"quantity": "batch_loss", "protocol": AS_CLAIMED}, "quantity", "batch_loss is read at a batch"),
        ({"rule": "confusions", "claimed": ("49",)}, "claimed", "write true class > said class"),
        ({"rule": "defect", "cases": ()}, "defect", "a defect names what is built"),
        ({"cases": (Case(label="x", arm=ARM), Case(label="x", arm=ARM))}, "cases", "two cases have the label 'x'"),
    ],
)
def test_what_does_not_go_together(fields: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(ClaimsError) as refusal:
        claim(**fields)
    assert said in str(refusal.value)
    assert refusal.value.field == field


def test_parts_of_a_compound_claim_share_a_group_and_arms_are_each_once() -> None:
    assert [claim(id=name).group for name in ("C1a", "C1", "table-2", "T2b")] == ["C1", "C1", "table-2", "T2"]
    twice = claim(cases=(Case(label="a", arm=ARM), Case(label="b", arm=ARM)))
    assert twice.arms == (ARM,)
    assert not claim().is_selected_on_test
    watching = claim(protocol=AS_CLAIMED)
    assert (watching.watches_test, watching.is_selected_on_test) == (True, False), "nothing is chosen by what it sees"
    for rule in ({"keep": "best"}, {"patience": 3}, {"stop_at_accuracy": 0.9}, {"schedule": "plateau"}):
        arm = dataclasses.replace(ARM, recipe=Recipe(**rule))
        assert claim(protocol=AS_CLAIMED, cases=(Case(label="a", arm=arm),)).is_selected_on_test
    assert AS_CLAIMED in PROTOCOLS


def test_a_store_gives_a_claim_back() -> None:
    against = Case(label="x", arm=ARM, against=Arm(net="other"), quantity="epochs_to_95")
    asked = AskedClaim(claim=claim(rule="better", claimed=(), cases=(against,)), seed_plan="10:20", trouble="why")
    assert from_json(AskedClaim, to_json(asked), "a claim") == asked
