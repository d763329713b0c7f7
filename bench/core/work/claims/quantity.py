"""What is read of a run, and numbers as somebody printed them."""

from __future__ import annotations

import dataclasses
import re
from typing import Self

from bench.core.errors import ClaimsError, UnknownNameError

CLAIM_MARGIN = {"accuracy": 0.001, "loss": 0.01, "whole epochs": 0.5, "epochs": 0.05, "seconds": 0.1}
"""Half width of the range of equivalence by kind of quantity: 0.10 pp, 0.05 epochs as in every comparison."""

_AT_END = {
    "test_accuracy": "accuracy",
    "last_test_accuracy": "accuracy",
    "train_accuracy": "accuracy",
    "val_accuracy": "accuracy",
    "train_loss": "loss",
    "batch_loss": "loss",
    "best_epoch": "whole epochs",
    "epochs": "whole epochs",
}
_AFTER = {
    "test_accuracy": "accuracy",
    "train_accuracy": "accuracy",
    "val_accuracy": "accuracy",
    "train_loss": "loss",
    "batch_loss": "loss",
}
_TO_TARGET = {f"{unit}_to_{target}": unit for target in (90, 95, 98, 99) for unit in ("epochs", "seconds")}
COUNTS = ("parameters", "layer_parameters", "macs", "torchinfo_madds_batch_64", "torchinfo_mb_batch_64")
"""What is exact: parameters in all and of each layer that has some; multiply-accumulates of an image; torchinfo's
multiply-adds, and its sizes in MB of input, forward and backward pass, parameters and all of it, at batch 64."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantity:
    """What is read of a run: a name and, where it is read on the way, the epoch or the batch (from 1).

    Attributes:
        kind: One of `CLAIM_MARGIN`, or "count".
    """

    name: str
    at: int | None = None
    kind: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `test_accuracy`, `train_loss@3`, `batch_loss@101`, `epochs_to_95` or `parameters`.

        Raises:
            ClaimsError: There is no such quantity, or none at such a place.
        """
        name, at_sign, place = text.partition("@")
        known = _AFTER if at_sign else _AT_END | _TO_TARGET | dict.fromkeys(COUNTS, "count")
        if name == "accuracy":
            raise ClaimsError(
                f"quantity is '{text}'; test_accuracy, train_accuracy or val_accuracy is wanted", field="quantity"
            )
        if name not in known:
            spelt = [f"{each}@1" if at_sign else each for each in known]
            raise ClaimsError(str(UnknownNameError("quantity", text, spelt)), field="quantity")
        if at_sign and not (place.isascii() and place.isdigit() and 1 <= int(place) < 10**6):
            raise ClaimsError(
                f"quantity is '{text}'; behind @ a number from 1 is needed, as {name}@3", field="quantity"
            )
        return cls(name=name, at=int(place) if at_sign else None, kind=known[name])

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is what people want."""
        return self.kind == "accuracy"

    def __str__(self) -> str:
        return self.name if self.at is None else f"{self.name}@{self.at}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Printed:
    """A number as somebody printed it: accuracies are fractions here, whatever they were printed as.

    Attributes:
        half: Half of the last printed digit, twice that of "about".
    """

    value: float
    half: float
    text: str

    @property
    def low(self) -> float:
        """The least that would be printed so."""
        return self.value - self.half

    @property
    def high(self) -> float:
        """The most."""
        return self.value + self.half


_NUMBER = re.compile(r"(about |≈ ?|~ ?)?([0-9][0-9,]*(?:\.[0-9]+)?)\s*(%|K|M|MB|k)?", re.IGNORECASE)
_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "mb": 1.0}


def read_printed(text: str, kind: str) -> Printed:
    """What a number says that was printed as `99.35 %`, `0.9935`, `about 98 %`, `31.21 M` or `21,840`.

    Raises:
        ClaimsError: It is no number, lies outside what its kind can be, or mixes percent and fractions up.
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        fix = "write it as printed: '99.35 %', 'about 98 %', '0.0646', '31.21 M'"
        raise ClaimsError(f"claimed holds '{text}', which is no number; {fix}", field="claimed")
    about, digits, unit = found[1], found[2].replace(",", ""), (found[3] or "").lower()
    value, half = float(digits), 0.5 * 10.0 ** -len(digits.partition(".")[2])
    if kind == "accuracy":
        value, half = _read_accuracy(text, value, half, unit)
    elif unit == "%":
        raise ClaimsError(f"claimed holds '{text}', which is a share; this quantity is none", field="claimed")
    else:
        value, half = value * _FACTORS[unit], half * _FACTORS[unit]
    return Printed(value=value, half=half * (2 if about else 1), text=text.strip())


def _read_accuracy(text: str, value: float, half: float, unit: str) -> tuple[float, float]:
    """Value and half a digit as fractions."""
    if unit == "%":
        if 0 < value <= 1:
            fix = f"write '{100 * value:.12g} %' or '{value:.12g}'"
            raise ClaimsError(f"claimed holds '{text}': a fraction beside a percent sign; {fix}", field="claimed")
        value, half = value / 100, half / 100
    elif value > 1:
        fix = (
            f"write '{value:.12g} %'" if value <= 100 else "an accuracy is a fraction from 0 to 1, or has a % behind it"
        )
        raise ClaimsError(f"claimed holds '{text}', which lies outside 0 to 1; {fix}", field="claimed")
    if value > 1:
        raise ClaimsError(f"claimed holds '{text}': more than 100 %", field="claimed")
    return value, half
