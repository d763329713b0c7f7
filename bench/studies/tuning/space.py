"""The search space: which hyperparameters are searched, and where; read from TOML, checked before anything trains."""

from __future__ import annotations

import dataclasses
import itertools
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.architecture import Choice, Range
from bench.core.errors import BenchError, RecipeError, UnknownNameError, UsageError, reason
from bench.core.recipe import CLASS_WEIGHTS, OPTIMIZERS, SCHEDULES, Recipe, format_augmentation, parse_augmentation
from bench.system.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.core.architecture import Knob

SHARED_SPACE = Path(__file__).with_name("space.toml")

_NOT_SEARCHED = ("patience", "stop_at_accuracy", "keep")
"""Fields of a recipe that decide how much is trained or when one looks: they are rules, not hyperparameters."""
_MOST_CHECKED = 200_000
_MOST_BYTES = 1 << 20
_ONLY_WITH = {
    "momentum": ("optimizer", "sgd"),
    "nesterov": ("optimizer", "sgd"),
    "plateau_patience": ("schedule", "plateau"),
}
_KNOWN = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "class_weights": CLASS_WEIGHTS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """What is searched of the recipe, and of the architecture when that is asked for.

    Attributes:
        base: The recipe that the searched fields are changed in.
        fields: Knobs of the recipe, by the name of its field.
        knobs: Knobs of the architecture, by name; empty unless it is tuned too.
        declared: Their values in the net as declared, where they are known.

    Raises:
        RecipeError: Some combination is no recipe.
    """

    base: Recipe
    fields: Mapping[str, Knob]
    knobs: Mapping[str, Knob] = dataclasses.field(default_factory=dict)
    declared: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.fields and not self.knobs:
            raise UsageError("Nothing is left to search; leave out some of the recipe's flags, or give a larger space.")
        if both := sorted(self.fields.keys() & self.knobs.keys()):
            raise RecipeError(f"Knob '{both[0]}' is the name of a recipe's field; give it another name.")
        for name, knob in self.all.items():
            self._check_factors(name, knob)
        corners = itertools.product(*(knob.extremes for knob in self.fields.values()))
        for values in itertools.islice(corners, _MOST_CHECKED):
            sampled = dict(zip(self.fields, values, strict=True))
            try:
                self.recipe(sampled)
            except BenchError as fault:
                shown = ", ".join(f"{name} {value}" for name, value in sampled.items())
                raise RecipeError(f"The search space contradicts itself ({shown}): {fault}") from None
        for name, (field, value) in _ONLY_WITH.items():
            owner = self.fields.get(field)
            possible = owner.extremes if owner else (getattr(self.base, field),)
            if name in self.fields and value not in possible:
                raise RecipeError(f"The search space holds {name}, which does nothing without {field} {value}.")

    def _check_factors(self, name: str, knob: Knob) -> None:
        """Refuse factors for what is no value of another hyperparameter: they would silently do nothing."""
        for other, of in knob.times.items() if isinstance(knob, Range) else ():
            searched = self.all.get(other)
            if searched is None and other not in self.base.to_json():
                raise UnknownNameError(f"hyperparameter in times of {name}", other, [*self.all, *self.base.to_json()])
            known = [str(value) for value in searched.values] if isinstance(searched, Choice) else _KNOWN.get(other, ())
            for value in of:
                if value not in known and value not in _KNOWN.get(other, ()):
                    raise UnknownNameError(f"{other} in times of {name}", value, known)

    @property
    def all(self) -> dict[str, Knob]:
        """Every knob, those of the recipe first."""
        return {**self.fields, **self.knobs}

    def recipe(self, sampled: Mapping[str, Any]) -> Recipe:
        """The recipe that sampled values stand for."""
        changes = {name: self._as_trained(name, sampled) for name in self.fields}
        if "augmentation" in changes:
            changes["augmentation"] = parse_augmentation(changes["augmentation"])
        return dataclasses.replace(self.base, **changes)

    def variation(self, sampled: Mapping[str, Any]) -> dict[str, Any]:
        """What sampled values stand for in the architecture."""
        return {name: self._as_trained(name, sampled) for name in self.knobs}

    def hyperparameters(self, sampled: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that is searched, as trained and as people write it, by name."""
        return {name: self._as_trained(name, sampled) for name in self.all}

    def sampled(self, recipe: Recipe) -> dict[str, Any] | None:
        """The values that stand for a recipe with the architecture as declared; None where the space lacks it."""
        sampled: dict[str, Any] = {}
        for name, knob in self.all.items():
            value: Any = getattr(recipe, name) if name in self.fields else self.declared.get(name)
            value = format_augmentation(value) if name == "augmentation" else value
            if value is None:
                return None
            if isinstance(knob, Range):
                value /= knob.factor({other: getattr(recipe, other, None) for other in knob.times})
            if not (value in knob.values if isinstance(knob, Choice) else knob.low <= value <= knob.high):
                return None
            sampled[name] = value
        return sampled if self.recipe(sampled) == recipe else None

    def describe(self) -> dict[str, str]:
        """One line a hyperparameter, by name."""
        return {name: str(knob) for name, knob in self.all.items()}

    def to_json(self) -> str:
        """All of it, to tell one space from another."""
        parts = {name: dataclasses.asdict(knob) for name, knob in self.all.items()}
        return json.dumps({"base": self.base.to_json(), "space": parts}, sort_keys=True, default=str)

    def _as_trained(self, name: str, sampled: Mapping[str, Any]) -> Any:
        """A value as people write it: numbers scaled and rounded, choices as they stand."""
        knob, value = self.all[name], sampled[name]
        return knob.value(value, {**self.base.to_json(), **sampled}) if isinstance(knob, Range) else value


def load_space(
    path: Path,
    *,
    base: Recipe,
    fixed: set[str],
    knobs: Mapping[str, Knob] | None = None,
    declared: Mapping[str, Any] | None = None,
) -> SearchSpace:
    """Read a search space from TOML such as `SHARED_SPACE`; fixed fields, which the user set, are not searched.

    Raises:
        UsageError: The file cannot be read, or names what cannot be searched.
        RecipeError: An entry or a combination of entries is no recipe.
    """
    try:
        entries = tomllib.loads(read_regular(path, most_bytes=_MOST_BYTES).decode())
    except OSError as fault:
        raise UsageError(f"Search space {path} cannot be read ({reason(fault)}); give another --space.") from None
    except (ValueError, RecursionError) as fault:  # the latter of brackets in brackets without end
        raise UsageError(f"Search space {path} is no TOML: {fault}; see bench/studies/tuning/space.toml.") from None
    if not entries and not knobs:
        raise UsageError(f"Search space {path} is empty; bench/studies/tuning/space.toml shows what one holds.")
    fields = {name: _read_knob(path, name, entry) for name, entry in entries.items()}
    return SearchSpace(
        base=base,
        fields={name: knob for name, knob in fields.items() if name not in fixed},
        knobs=dict(knobs or {}),
        declared=dict(declared or {}),
    )


def _read_knob(path: Path, name: str, entry: object) -> Knob:
    known = [field.name for field in dataclasses.fields(Recipe) if field.name not in _NOT_SEARCHED]
    if name not in known:
        raise UnknownNameError(f"hyperparameter to search in {path}", name, known)
    if not isinstance(entry, dict) or ("choices" in entry) == bool({"low", "high"} & entry.keys()):
        raise UsageError(f"Search space {path}, {name}: either choices, or low and high are needed.")
    allowed = {"choices"} if "choices" in entry else {"low", "high", "log", "times"}
    for option in entry:
        if option not in allowed:
            raise UnknownNameError(f"option of {name} in {path}", option, allowed)
    try:
        knob = Choice(values=entry["choices"]) if "choices" in entry else Range(**entry)
    except BenchError as fault:
        raise RecipeError(f"Search space {path}, {name}: {fault}") from None
    except (TypeError, AttributeError, ValueError):
        raise UsageError(
            f"Search space {path}, {name}: choices take a list, low and high numbers, log true or false."
        ) from None
    _check_kind(path, name, knob)
    return knob


def _check_kind(path: Path, name: str, knob: Knob) -> None:
    """Refuse values of another kind than the recipe's field has: a range for an optimizer, a word for a rate."""
    default = getattr(Recipe(), name)
    if isinstance(knob, Range):
        if not isinstance(default, float):
            raise UsageError(f"Search space {path}, {name}: it takes choices, not a range.")
        return
    kind = str if name == "augmentation" else type(default)
    for value in knob.values:
        if type(value) not in ((int, float) if kind is float else (kind,)):
            raise UsageError(f"Search space {path}, {name}: {value!r} is no {kind.__name__}; {default!r} would be one.")
