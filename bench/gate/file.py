"""The thresholds file: TOML that people review, checked by a JSON Schema; writing keeps their comments and floors."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import best_match
from tomlkit.exceptions import TOMLKitError

from bench.errors import BenchError, ThresholdsError
from bench.files import write_atomically
from bench.gate.lines import Keys, find_line
from bench.gate.records import Floors, Measurement, Reference, Thresholds
from bench.recipe import Recipe, format_augmentation, parse_augmentation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence

DEFAULT_FILE = Path("thresholds.toml")

_SCHEMA = Path(__file__).with_name("thresholds.schema.json")
_AGAIN = "mend it, or record it anew with --write-thresholds"
_HEADER = """\
What `python runner.py --all --check` holds every change against.
Recorded by `python runner.py --all --write-thresholds`; a new reference is a reviewed change of this file.
Accuracies are fractions of the validation images right. Only floors are written by hand, below an architecture:
    [architectures.NAME.floors]
    accuracy = 0.98       # no stage may have a lower mean
    epochs_to_95 = 1.5    # nor a later median\
"""


def read_thresholds(path: Path) -> Thresholds:
    """Read and check a thresholds file.

    Raises:
        ThresholdsError: It is missing, or a line of it cannot be used.
    """
    text = _read(path)
    try:
        stored = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # the latter of brackets in brackets without end
        raise _no_toml(path, fault) from None
    unlike = best_match(_validator().iter_errors(stored))
    if unlike is not None:
        found = f"{unlike.instance!r} is found, " if unlike.validator == "const" else ""  # the others name the value
        raise _error(path, text, list(unlike.absolute_path), found + unlike.message)
    for place, number in _find_not_finite(stored):
        raise _error(path, text, place, f"{number} is no finite number")
    gate = stored["gate"]
    try:
        recipe = _read_recipe(gate["recipe"])
    except BenchError as fault:
        raise _error(path, text, ("gate", "recipe"), str(fault).rstrip(".")) from None
    references = {name: _read_reference(name, entry) for name, entry in stored["architectures"].items()}
    for name, reference in references.items():
        floor = reference.floors.accuracy
        if floor is not None and floor > reference.now.mean:
            place = ("architectures", name, "floors", "accuracy")
            raise _error(path, text, place, f"the floor {floor} lies above the references' mean {reference.now.mean}")
    return Thresholds(
        dataset=gate["dataset"],
        data_hash=gate["data_hash"],
        device=gate["device"],
        recipe=recipe,
        epochs=gate["epochs"],
        references=references,
    )


def write_thresholds(path: Path, thresholds: Thresholds) -> None:
    """Write a thresholds file, or bring the one that is there up to date; comments, floors and order stay.

    Args:
        path: Where it stands.
        thresholds: All that it shall hold.

    Raises:
        ThresholdsError: What is there cannot be read.
        OSError: It cannot be written.
    """
    try:
        document = tomlkit.parse(_read(path)) if path.exists() else _new_document()
    except TOMLKitError as fault:  # it was edited while references were trained
        raise _no_toml(path, fault) from None
    document["version"] = 1
    gate = {
        "dataset": thresholds.dataset,
        "data_hash": thresholds.data_hash,
        "device": thresholds.device,
        "epochs": thresholds.epochs,
        "recipe": _recipe_entry(thresholds.recipe),
    }
    _update(document.setdefault("gate", tomlkit.table()), gate)
    entries = document.setdefault("architectures", tomlkit.table(is_super_table=True))
    for name in [name for name in entries if name not in thresholds.references]:
        del entries[name]
    for name, reference in thresholds.references.items():
        _update(entries.setdefault(name, tomlkit.table()), _reference_entry(reference))
    write_atomically(path, tomlkit.dumps(document).encode())


def _update(table: MutableMapping[str, Any], entries: Mapping[str, Any]) -> None:
    """Set what differs and leave the rest as it stands, comments included."""
    for key, value in entries.items():
        if table.get(key) != value:
            table[key] = value


def _find_not_finite(value: object, place: Keys = ()) -> Iterator[tuple[Keys, float]]:
    """Where a number is nan or inf, which TOML allows and every comparison would silently let pass."""
    if isinstance(value, float) and not math.isfinite(value):
        yield place, value
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _find_not_finite(item, (*place, key))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ThresholdsError(
            f"No thresholds at '{path}'; record them with `python runner.py --all --write-thresholds {path}`."
        ) from None
    except OSError as fault:
        raise ThresholdsError(f"'{path}' cannot be read ({fault.strerror}); name another file.") from None
    except UnicodeDecodeError:
        raise ThresholdsError(f"'{path}' is no text; {_AGAIN}.") from None


@functools.cache
def _validator() -> Draft202012Validator:
    """The schema's, but 3.0 is no whole number: a seed or a number of epochs that is a float trains nothing."""
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    strict = validators.extend(Draft202012Validator, type_checker=types)  # type: ignore[no-untyped-call]
    validator: Draft202012Validator = strict(json.loads(_SCHEMA.read_text(encoding="utf-8")))
    return validator


def _error(path: Path, text: str, place: Sequence[str | int], said: str) -> ThresholdsError:
    where = f"{path}, line {find_line(text, place)}"
    fault = f"{where}, {'.'.join(map(str, place)) or 'top'}: {said}; {_AGAIN}."
    return ThresholdsError("".join(c if c.isprintable() else "\ufffd" for c in fault))  # keys may hold line ends


def _no_toml(path: Path, fault: Exception) -> ThresholdsError:
    return ThresholdsError(f"{path} is no TOML: {fault}; {_AGAIN}.")


def _new_document() -> tomlkit.TOMLDocument:
    document = tomlkit.document()
    for line in _HEADER.splitlines():
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    return document


def _read_recipe(entry: dict[str, Any]) -> Recipe:
    fields = dict(entry)
    if "augmentation" in fields:
        fields["augmentation"] = parse_augmentation(fields["augmentation"])
    return Recipe(**fields)


def _recipe_entry(recipe: Recipe) -> dict[str, Any]:
    """Every field that has a value, so that a later default changes no gate."""
    fields = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    fields["augmentation"] = format_augmentation(recipe.augmentation)
    return {name: value for name, value in fields.items() if value is not None}


def _read_reference(name: str, entry: dict[str, Any]) -> Reference:
    fields = dict(entry)
    seeds, floors, history = fields.pop("first_seeds"), fields.pop("floors", {}), fields.pop("history", [])
    return Reference(
        architecture=name,
        now=Measurement(**fields),
        first_seeds=tuple(seeds),
        floors=Floors(**floors),
        history=tuple(Measurement(**earlier) for earlier in history),
    )


def _reference_entry(reference: Reference) -> dict[str, Any]:
    """What a recording sets; floors are the user's."""
    entry = dataclasses.asdict(reference.now) | {"first_seeds": list(reference.first_seeds)}
    if reference.history:
        history = tomlkit.aot()
        for earlier in reference.history:
            history.append(tomlkit.item(dataclasses.asdict(earlier)))
        history[-1].add(tomlkit.nl())
        entry["history"] = history
    return entry
