"""What a hyperparameter may be: one of some choices, or a number in a range. Data; whoever samples reads it."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, TypeAlias

from bench.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """One of some values.

    Attributes:
        values: At least one, each once.
    """

    values: Sequence[Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise RecipeError("there is nothing to choose from; give at least one value.")
        for value in self.values:
            if not isinstance(value, bool | int | float | str):
                raise RecipeError(f"{value!r} is no choice; words, numbers, true and false are.")
        words = [str(value) for value in self.values]  # a net is named by them
        twice = [value for value, word in zip(self.values, words, strict=True) if words.count(word) > 1]
        if twice:
            raise RecipeError(f"{twice[0]!r} stands there twice; name each choice once.")

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values by which a space is checked."""
        return tuple(self.values)

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Range:
    """A number from `low` to `high`, both included, rounded to three significant digits so that people can type it.

    Attributes:
        low: Smallest.
        high: Largest.
        log: Whether it is sampled evenly in its logarithm.
        times: Factors for values of other hyperparameters: `{"optimizer": {"sgd": 20}}` trains SGD at twenty times what
            is sampled, where its useful values lie that much higher; the sampler then learns on one scale.
    """

    low: float
    high: float
    log: bool = False
    times: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise RecipeError(f"low is {self.low:g} and high is {self.high:g}; low must be below high.")
        if self.log and self.low <= 0:
            raise RecipeError(f"low is {self.low:g} on a logarithmic scale; it must be above 0.")
        if not isinstance(self.log, bool):
            raise RecipeError(f"log is {self.log!r}; true or false is needed.")
        factors = [factor for of in self.times.values() for factor in of.values()]
        if not all(isinstance(factor, int | float) and 0 < factor < math.inf for factor in factors):
            raise RecipeError(f"times holds {factors}; factors are numbers above 0, as times.optimizer.sgd = 20.")

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values by which a space is checked."""
        return (self.low, self.high)

    def factor(self, others: Mapping[str, Any]) -> float:
        """What a sampled number is multiplied by, beside these values of the other hyperparameters."""
        return math.prod(of.get(str(others.get(name)), 1.0) for name, of in self.times.items())

    def value(self, sampled: float, others: Mapping[str, Any]) -> float:
        """What is trained for a sampled number."""
        return float(f"{sampled * self.factor(others):.3g}")

    def __str__(self) -> str:
        scale = ", logarithmic" if self.log else ""
        factors = "".join(
            f", times {factor:g} for {value}" for of in self.times.values() for value, factor in of.items()
        )
        return f"{self.low:g} to {self.high:g}{scale}{factors}"


Knob: TypeAlias = Choice | Range
