"""What is compared: a net that can be built, what its file declares of it, and what a search may change."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from bench.core.errors import ArchitectureError, RecipeError
from bench.core.recipe import Budget, Recipe, spell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import nn

    from bench.core.metadata import DatasetMetadata


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """One of some values: at least one, each once."""

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
        factors = [factor for by_value in self.times.values() for factor in by_value.values()]
        if not all(isinstance(factor, int | float) and 0 < factor < math.inf for factor in factors):
            raise RecipeError(f"times holds {factors}; factors are numbers above 0, as times.optimizer.sgd = 20.")

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values by which a space is checked."""
        return (self.low, self.high)

    def factor(self, others: Mapping[str, Any]) -> float:
        """What a sampled number is multiplied by, beside these values of the other hyperparameters."""
        return math.prod(by_value.get(str(others.get(name)), 1.0) for name, by_value in self.times.items())

    def value(self, sampled: float, others: Mapping[str, Any]) -> float:
        """What is trained for a sampled number."""
        return float(f"{sampled * self.factor(others):.3g}")

    def __str__(self) -> str:
        scale = ", logarithmic" if self.log else ""
        pairs = [pair for by_value in self.times.values() for pair in by_value.items()]
        factors = [f", times {factor:g} for {value}" for value, factor in pairs]
        return f"{self.low:g} to {self.high:g}{scale}{''.join(factors)}"


Knob: TypeAlias = Choice | Range


_OF_IMAGES, _OF_CLASSES = ("input_shape", "in_channels"), ("classes", "num_classes")
FROM_DATASET = (*_OF_IMAGES, *_OF_CLASSES)
"""Arguments of `build` that the dataset gives it: (channels, height, width), channels, and classes by two names."""


def find_dataset_arguments(build: Callable[..., object]) -> tuple[str, ...]:
    """Which of `FROM_DATASET` a class or function takes by keyword; what a `functools.partial` binds stays bound."""
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):  # of some built-in callables nothing is known
        return ()
    bound = build.keywords if isinstance(build, functools.partial) else {}
    by_keyword = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    return tuple(each.name for each in by_keyword if each.name in FROM_DATASET and each.name not in bound)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """A net that can be built, and what its file declares about it.

    Attributes:
        name: The one name of the net, in code, on the command line and in reports.
        build: Makes a fresh net that takes images (N, *input_shape) and returns logits (N, classes). Where it takes any
            of `FROM_DATASET`, the net is fitted to the dataset by them.
        summary: One sentence on the idea.
        source: Where it is from.
        input_shape: Channels, height, width; of a net that can be fitted, those that its counts are declared for.
        classes: How many; likewise.
        params: Number of parameters, checked when declared; a net that was fitted to other images is only counted.
        macs: Multiply-accumulates per image in eval mode, biases not counted; likewise.
        recipe: The recipe its source published.
        budget: The budget its source published.
        variant_of: Name of the architecture that this one varies; `--all` leaves variants out.
        knobs: What `--tune-architecture` may change of the net: arguments of `build`, by name.
        values: What was changed of the net that its file declares; empty for that net itself.
        recipe_changes: Fields of the recipe that are not as those beside it are trained with; its name says them.
        takes: Which of `FROM_DATASET` are arguments of `build`; found in its signature when None.
        undeclared: Whether it is a class that its file does not declare: input shape and classes are those of the
            dataset, whatever `build` takes.
        fitted_from: The declared input shape and classes of a net that was fitted to others; None for any other net.
        file: The file that declares it, set when the file is loaded.
        library: The installed library that it is from, for a net that no file declares.
    """

    name: str
    build: Callable[..., nn.Module]
    summary: str = ""
    source: str = ""
    input_shape: tuple[int, int, int] = (1, 28, 28)
    classes: int = 10
    params: int | None = None
    macs: int | None = None
    recipe: Recipe | None = None
    budget: Budget | None = None
    variant_of: str | None = None
    knobs: Mapping[str, Knob] = dataclasses.field(default_factory=dict, hash=False)
    values: tuple[tuple[str, Any], ...] = ()
    recipe_changes: tuple[tuple[str, Any], ...] = ()
    takes: tuple[str, ...] | None = None
    undeclared: bool = False
    fitted_from: tuple[tuple[int, int, int], int] | None = None
    file: Path | None = None
    library: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.strip() and self.name.isprintable() and len(self.name) <= 80):
            raise ArchitectureError(f"Architecture name {self.name!r}: 1 to 80 printable characters are needed.")
        if complaint := next(self._complaints(), None):  # each may rest on those before it
            raise ArchitectureError(f"Architecture '{self.name}': {complaint}")
        object.__setattr__(self, "input_shape", tuple(map(int, self.input_shape)))  # a list says the same
        object.__setattr__(self, "classes", int(self.classes))
        if self.takes is None:
            object.__setattr__(self, "takes", find_dataset_arguments(self.build))

    def _complaints(self) -> Iterator[str]:
        given = vars(self)  # of any type: people write these
        if not callable(given["build"]):
            yield "build must be callable and return a torch.nn.Module."
        for field in ("summary", "source", "variant_of"):
            text = given[field]
            if not (isinstance(text, str) or (text is None and field == "variant_of")):
                yield f"{field} is {text!r}; a text is needed."
        yield from self._wrong_numbers()
        if not (isinstance(given["recipe"], Recipe | None) and isinstance(given["budget"], Budget | None)):
            yield "recipe is a Recipe and budget a Budget of bench.spec, or left out."
        knobs = given["knobs"]
        if not (isinstance(knobs, Mapping) and all(isinstance(name, str) for name in knobs)):
            yield f"knobs is {knobs!r}; knobs by name are needed."
        for knob in knobs.values():
            if not isinstance(knob, Choice | Range):
                yield f"a knob is a Choice or a Range, not {knob!r}."

    def _wrong_numbers(self) -> Iterator[str]:
        given = vars(self)
        shape = given["input_shape"]
        if not (isinstance(shape, tuple | list) and len(shape) == 3 and all(_is_whole(size, 1) for size in shape)):
            yield f"input_shape is {shape}; (channels, height, width) is needed."
        if not _is_whole(given["classes"], 2):
            yield f"classes is {given['classes']!r}; at least 2 are needed."
        for field in ("params", "macs"):
            number = given[field]
            if number is not None and not _is_whole(number, 0):
                yield f"{field} is {number!r}; a whole number is needed, or leave it out."

    @property
    def declared_values(self) -> dict[str, Any]:
        """Value of each knob in the net as declared, where `build` has a default for it."""
        parameters = inspect.signature(self.build).parameters if self.knobs else {}
        found = {name: parameters[name].default for name in self.knobs if name in parameters}
        return {name: value for name, value in found.items() if value is not inspect.Parameter.empty}

    @property
    def can_be_fitted(self) -> bool:
        """Whether the dataset decides its input shape or its classes."""
        return self.undeclared or bool(self.takes)

    @property
    def can_be_sent(self) -> bool:
        """Whether another process can make it: it is known by a file or a library, not only to this program."""
        return bool(self.file or self.library)

    def fitted_to(self, dataset: DatasetMetadata) -> Self:
        """What is trained on a dataset: the net for its images and classes, as far as it takes them from a dataset."""
        takes = self.takes or ()
        fits_images = self.undeclared or any(name in takes for name in _OF_IMAGES)
        fits_classes = self.undeclared or any(name in takes for name in _OF_CLASSES)
        return self.fitted(
            dataset.image_shape if fits_images else self.input_shape,
            len(dataset.classes) if fits_classes else self.classes,
        )

    def fitted(self, input_shape: tuple[int, int, int], classes: int) -> Self:
        """The net for images (channels, height, width) and so many classes; itself where it cannot be fitted."""
        if not self.can_be_fitted:
            return self
        known = dict(zip(FROM_DATASET, (input_shape, input_shape[0], classes, classes), strict=True))
        build = functools.partial(self.build, **{name: known[name] for name in self.takes or ()})
        fitted = dataclasses.replace(self, build=build, input_shape=input_shape, classes=classes)
        declared = self.fitted_from or (self.input_shape, self.classes)
        if self.undeclared or declared == (fitted.input_shape, fitted.classes):
            return dataclasses.replace(fitted, fitted_from=None)
        return dataclasses.replace(fitted, fitted_from=declared, params=None, macs=None)

    @property
    def declared_name(self) -> str:
        """Its name in its file, of which its own may be a variation."""
        return self.variant_of or self.name if self.values or self.recipe_changes else self.name

    def trained_with(self, changes: Mapping[str, Any]) -> Self:
        """The same net under another recipe: a name that says so, and what it changes of the recipe of the others."""
        if not changes:
            return self
        spelt = " ".join(f"{name}={spell(value)}" for name, value in changes.items())
        declared, own = self.declared_name, tuple(changes.items())
        return dataclasses.replace(self, name=f"{self.name} {spelt}", variant_of=declared, recipe_changes=own)

    def varied(self, values: Mapping[str, Any]) -> Self:
        """Another architecture, with other arguments of `build` and a name that says so; itself where none is other."""
        declared = self.declared_values
        values = {name: value for name, value in values.items() if name not in declared or declared[name] != value}
        if not values:
            return self
        spelt = " ".join(f"{name}={value}" for name, value in values.items())
        return dataclasses.replace(
            self,
            name=f"{self.name} {spelt}",
            build=functools.partial(self.build, **values),
            params=None,
            macs=None,
            recipe=None,
            budget=None,
            variant_of=self.name,
            knobs={},
            values=tuple(values.items()),
        )


def _is_whole(number: object, least: int) -> bool:
    """Whether a number is whole, of whatever kind of integer, and no less than another."""
    return not isinstance(number, bool) and isinstance(number, Integral) and int(number) >= least
