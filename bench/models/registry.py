"""Which architectures there are: found in a folder, chosen by name, pattern or path, and able to travel to workers.

Nothing is listed by hand: a file that is dropped into the folder is found, and one that is broken fails alone, by name.
"""

from __future__ import annotations

import contextlib
import copyreg
import dataclasses
import fnmatch
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.architecture import Architecture, Choice
from bench.core.errors import ArchitectureError, UnknownNameError
from bench.core.recipe import Recipe, read_field
from bench.models.loading import load_file
from bench.models.torchvision_nets import PREFIX, find_torchvision_net
from bench.system.environment import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Registry", "discover", "load_architecture", "load_file"]


def load_architecture(path: Path, name: str) -> Architecture:
    """The net of one name of a file, as `bench.models.loading.load_file` finds it; UnknownNameError without one."""
    return load_file(path, name)[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Registry:
    """What a folder of net files holds.

    Attributes:
        architectures: Those that could be loaded, in the order of their files and declarations.
        broken: What is wrong with each file that could not be loaded.
        load: What loads other files that are asked for, whole or one name of them.
    """

    architectures: tuple[Architecture, ...]
    broken: Mapping[Path, ArchitectureError]
    load: Callable[..., list[Architecture]] = load_file

    def all(self, *, variants: bool = False) -> list[Architecture]:
        """Every architecture that is not a variant of another, or really every one."""
        return [architecture for architecture in self.architectures if variants or architecture.variant_of is None]

    def select(self, patterns: Iterable[str]) -> list[Architecture]:
        """The architectures that names, globs (`fc*`, variants included) and paths of net files choose.

        `bn25k hidden=32` is a net with other values of its knobs, `bn25k lr=3e-3` one under another recipe.
        `./my_net.py` is all that the file declares, `my_net.py:MyNet` one of it, be it a class without a declaration.
        `torchvision:resnet18` is a classification model of torchvision.
        Each once, in the order asked for.

        Raises:
            UnknownNameError: Nothing has that name or matches that pattern.
            ArchitectureError: A file asked for, or the broken one that has that name, cannot be loaded; or it declares
                a name that another file has, be it one of the folder that was not asked for.
        """
        chosen: dict[str, Architecture] = {}
        # The whole folder's names: a study tells nets by name, and would take a second one for the first, edited.
        taken = {architecture.name: architecture for architecture in self.architectures}
        for pattern in patterns:
            for architecture in self._matches(pattern):
                _refuse_second(taken.setdefault(architecture.name, architecture), architecture)
                chosen.setdefault(architecture.name, architecture)
        return list(chosen.values())

    def _variation(self, pattern: str, name: str, settings: Sequence[str]) -> Architecture:
        """`bn25k hidden=32 lr=3e-3`: a net with other knobs or under another recipe, by the name that it then has."""
        net, *others = self._matches(name)
        if others:
            names = ", ".join(architecture.name for architecture in (net, *others))
            raise ArchitectureError(f"--arch '{pattern}': '{name}' means {names}; values of knobs go with one of them.")
        values: dict[str, Any] = {}
        for key, text in (_read_key(net, setting) for setting in settings):
            if key in values:
                raise ArchitectureError(f"--arch '{pattern}': {key} stands there twice; give one value.")
            values[key] = _read_value(net, key, text)
        knobs = {key: value for key, value in values.items() if key in net.knobs}
        recipe = {key: value for key, value in values.items() if key not in net.knobs}
        Recipe(**{"optimizer": "sgd"} | recipe if "nesterov" in recipe else recipe)  # each value by itself
        return net.varied(knobs).trained_with(recipe)

    def _matches(self, pattern: str) -> list[Architecture]:
        if pattern.endswith(".py"):
            return self.load(Path(pattern))
        exact = [architecture for architecture in self.architectures if architecture.name == pattern]
        matches = exact or [a for a in self.architectures if fnmatch.fnmatchcase(a.name, pattern)]
        if matches:
            return matches
        words = pattern.split(" ")
        first = next((at for at, word in enumerate(words) if "=" in word), len(words))
        if 0 < first < len(words):
            return [self._variation(pattern, " ".join(words[:first]).strip(), " ".join(words[first:]).split())]
        file, _, of_file = pattern.rpartition(":")
        if file.endswith(".py"):
            return self.load(Path(file), of_file)
        if pattern.startswith(PREFIX):
            return [find_torchvision_net(pattern)]
        for path, error in self.broken.items():
            if path.stem == pattern or (path.is_file() and f'"{pattern}"' in path.read_text(errors="replace")):
                raise error
        _refuse_other_file(pattern)
        raise UnknownNameError("architecture", pattern, (architecture.name for architecture in self.architectures))


def _refuse_other_file(pattern: str) -> None:
    """Refuse a pattern that names a folder, or a file that is no Python file."""
    path, wanted = Path(pattern), "a Python file with a net is wanted"
    with contextlib.suppress(OSError, ValueError):  # no path can be named so
        if path.is_dir():
            raise ArchitectureError(
                f"'{pattern}' is a folder; {wanted}: name it and its class, as --arch {path / 'my_net.py'}:MyNet."
            )
        if path.suffix == ".ipynb" and path.is_file():
            convert = "make one by jupyter nbconvert --to script, and leave the net in"
            raise ArchitectureError(f"'{pattern}' is a notebook; {wanted}: {convert}.")
        if path.is_file():
            raise ArchitectureError(f"'{pattern}' is no Python file; {wanted}.")


_RECIPE_FIELDS = tuple(field.name for field in dataclasses.fields(Recipe))


def _read_key(net: Architecture, setting: str) -> tuple[str, str]:
    """Name and value of `lr=3e-3`: a knob of the net or, where it has none of that name, a field of the recipe."""
    name, _, text = setting.partition("=")
    field = name.replace("-", "_")  # as the flag is typed
    if name not in net.knobs and field not in _RECIPE_FIELDS:
        raise UnknownNameError(f"knob or recipe field of {net.name}", name, (*net.knobs, *_RECIPE_FIELDS))
    return name if name in net.knobs else field, text


def _read_value(architecture: Architecture, name: str, text: str) -> Any:
    """The value of a knob or of a field of the recipe that a text spells; an error says that it is none."""
    if name not in architecture.knobs:
        return read_field(name, text)
    knob = architecture.knobs[name]
    if isinstance(knob, Choice):
        spelt = {str(value): value for value in knob.values}
        if text not in spelt:
            raise UnknownNameError(f"{name} of {architecture.name}", text, spelt)
        return spelt[text]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not knob.low <= value <= knob.high:
        raise ArchitectureError(f"{architecture.name}: {name} is '{text}'; a number from {knob} is needed.")
    return value


def discover(folder: Path, load: Callable[..., list[Architecture]] = load_file) -> Registry:
    """Load every net file of a folder by `load`; files that begin with an underscore are none.

    Raises:
        ArchitectureError: The folder does not exist, or two of its files declare the same name.
    """
    if not folder.is_dir():
        raise ArchitectureError(f"No folder of architectures at {folder}; a folder of net files is needed.")
    found: dict[str, Architecture] = {}
    broken: dict[Path, ArchitectureError] = {}
    for path in sorted(folder.glob("[!_]*.py")):
        try:
            loaded = load(path)
        except ArchitectureError as error:
            broken[path] = error
            continue
        for architecture in loaded:
            _refuse_second(found.setdefault(architecture.name, architecture), architecture)
    return Registry(architectures=tuple(found.values()), broken=broken, load=load)


def _refuse_second(first: Architecture, second: Architecture) -> None:
    if first.file != second.file:
        other = f"give the one in {second.file or first.file} another name"
        raise ArchitectureError(f"The name '{second.name}' is taken by {first.file or first.library}; {other}.")


def _reduce(architecture: Architecture) -> tuple[Any, ...] | str:
    """How an architecture is pickled: by file and name, loaded again where it arrives; without a file as usual.

    A net file's classes live in a module that another process cannot import by name, the file it can read; in this
    project wherever that lies there.
    """
    if architecture.file is None:
        return architecture.__reduce_ex__(4)
    file = architecture.file.relative_to(PROJECT) if architecture.file.is_relative_to(PROJECT) else architecture.file
    shape = architecture.input_shape, architecture.classes
    return _load, (file, architecture.declared_name, architecture.values, architecture.recipe_changes, shape)


def _load(
    file: Path,
    name: str,
    values: tuple[tuple[str, Any], ...],
    recipe_changes: tuple[tuple[str, Any], ...],
    shape: tuple[tuple[int, int, int], int],
) -> Architecture:
    net = load_architecture(PROJECT / file, name).fitted(*shape)
    return net.varied(dict(values)).trained_with(dict(recipe_changes))


copyreg.pickle(Architecture, _reduce)
