"""The thresholds file: TOML that people review, checked by a JSON Schema, written so that their comments stay."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
import math
import statistics
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import best_match
from tomlkit.exceptions import TOMLKitError

from bench.core.errors import BenchError, ThresholdsError, reason
from bench.core.gate import ALLOWED_DEVIATIONS, Reference, Thresholds
from bench.core.recipe import Recipe, format_augmentation, parse_augmentation
from bench.store.codec import from_json
from bench.system.files import read_regular, write_atomically
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence

    from jsonschema.exceptions import ValidationError

    from bench.core.gate import Measurement

Keys = tuple[str | int, ...]


def find_line(text: str, path: Sequence[str | int]) -> int:
    """The line, from 1, of the key that a path leads to; where it is not written, that of what should hold it.

    Args:
        text: Good TOML whose keys each begin a line.
        path: Keys from the top, a number for an item of an array of tables.
    """
    places: dict[Keys, int] = {}
    for keys, line in _places(text):
        places.setdefault(keys, line)
    nearest = (places.get(tuple(path[:length])) for length in range(len(path), 0, -1))
    return next((line for line in nearest if line is not None), 1)


def _places(text: str) -> Iterator[tuple[Keys, int]]:
    """The keys of every table and of every line that sets one, from the top, and where they stand."""
    table: Keys = ()
    items = collections.Counter[Keys]()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if words.startswith("["):
            table = _first_keys(words)
            if words.startswith("[["):
                items[table] += 1
                table += (items[table] - 1,)
            yield table, number
        elif "=" in words:
            keys = _first_keys(f"{words.partition('=')[0]} = 0")
            for length in range(1, len(keys) + 1):
                yield table + keys[:length], number


def _first_keys(words: str) -> Keys:
    """The dotted keys of a header or of a line that sets one; nothing when it is neither."""
    try:
        found: object = tomllib.loads(words)
    except tomllib.TOMLDecodeError:
        return ()
    keys: Keys = ()
    while isinstance(found, dict | list) and found:
        if isinstance(found, list):
            found = found[0]
        else:
            key, found = next(iter(found.items()))
            keys += (key,)
    return keys


_SCHEMA = Path(__file__).with_name("thresholds.schema.json")
_ROUNDED = 2e-6
"""Mean and deviation are written to six decimals."""
_MOST_BYTES = 16 << 20
"""Far more than thousands of architectures need."""
_AGAIN = "fix it, or move the file away and record anew with --write-thresholds"


def read_thresholds(path: Path) -> Thresholds:
    """Read and check a thresholds file.

    Raises:
        ThresholdsError: It is missing, or a line of it cannot be used.
    """
    return parse_thresholds(path, read_text(path))


def parse_thresholds(path: Path, text: str) -> Thresholds:
    """Check what a thresholds file holds.

    Args:
        path: What to call it in messages.
        text: What it holds.

    Raises:
        ThresholdsError: A line of it cannot be used.
    """
    try:
        stored = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # the latter of brackets in brackets without end
        raise no_toml(path, fault) from None
    unlike = best_match(_validator().iter_errors(stored))
    if unlike is not None:
        found = f"{unlike.instance!r} is found, " if unlike.validator == "const" else ""  # the others name the value
        raise _error(path, text, [*unlike.absolute_path, *_unknown_key(unlike)], found + unlike.message)
    for place, number in _find_not_finite(stored):
        raise _error(path, text, place, f"{number} is no finite number")
    gate = stored["gate"]
    try:
        recipe = _read_recipe(gate["recipe"])
    except BenchError as fault:
        raise _error(path, text, ("gate", "recipe"), str(fault).rstrip(".")) from None
    references = {name: _read_reference(name, entry) for name, entry in stored["architectures"].items()}
    thresholds = Thresholds(
        dataset=gate["dataset"],
        data_hash=gate["data_hash"],
        device=gate["device"],
        recipe=recipe,
        epochs=gate["epochs"],
        references=references,
    )
    for name, reference in references.items():
        for key, said in _contradictions(reference, thresholds):
            raise _error(path, text, ("architectures", name, *key), said)
    return thresholds


def _contradictions(reference: Reference, thresholds: Thresholds) -> Iterator[tuple[tuple[str, ...], str]]:
    """What of a reference cannot be true beside the rest of the file."""
    if reference.now.trained != thresholds.trained:
        was, said = reference.now.trained, thresholds.trained
        yield ("trained",), f"recorded with '{was}', while [gate] says '{said}': the reference means nothing there"
    floor = reference.floors.accuracy
    if floor is not None and floor > reference.now.mean:
        yield ("floors", "accuracy"), f"the floor {floor} lies above the references' mean {reference.now.mean}"
    yield from _disagreements(reference.now)


def _disagreements(now: Measurement) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where the accuracies that are kept are not those that mean and deviation were taken from."""
    if not now.accuracies:
        return
    if len(now.accuracies) != now.runs:
        yield ("accuracies",), f"{len(now.accuracies)} accuracies stand beside runs = {now.runs}"
        return
    mean, deviation = statistics.fmean(now.accuracies), statistics.stdev(now.accuracies)
    if abs(mean - now.mean) > _ROUNDED:
        yield ("accuracies",), f"their mean is {mean:.6f}, beside mean = {now.mean}"
    # Runs that are all equal are recorded with a deviation of one image.
    elif deviation - now.deviation > _ROUNDED or (deviation > 0 and now.deviation - deviation > _ROUNDED):
        yield ("accuracies",), f"their deviation is {deviation:.6f}, beside deviation = {now.deviation}"


def _unknown_key(unlike: ValidationError) -> list[str]:
    """The first key that the schema does not know, where that is what is wrong."""
    if unlike.validator != "additionalProperties" or not isinstance(unlike.schema, dict):
        return []
    known, written = unlike.schema.get("properties", {}), unlike.instance
    return [key for key in written if key not in known][:1] if isinstance(written, dict) else []


def _find_not_finite(value: object, place: Keys = ()) -> Iterator[tuple[Keys, float]]:
    """Where a number is nan or inf, which TOML allows and every comparison would silently let pass."""
    if isinstance(value, float) and not math.isfinite(value):
        yield place, value
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _find_not_finite(item, (*place, key))


def read_text(path: Path) -> str:
    """What a thresholds file holds.

    Raises:
        ThresholdsError: It is missing or no text.
    """
    if path.suffix == ".py":
        raise ThresholdsError(f"'{path}' is the file of a net; write --arch {path} --check.")
    try:
        return read_regular(path, most_bytes=_MOST_BYTES).decode()
    except FileNotFoundError:
        raise ThresholdsError(
            f"No thresholds at '{path}'; --write-thresholds {path} in place of --check records them."
        ) from None
    except OSError as fault:
        raise ThresholdsError(f"'{path}' cannot be read ({reason(fault)}); name another file.") from None
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
    return ThresholdsError(printable(f"{where}, {'.'.join(map(str, place)) or 'top'}: {said}; {_AGAIN}."))


def no_toml(path: Path, fault: Exception) -> ThresholdsError:
    """That a file is no TOML, and where."""
    return ThresholdsError(f"{path} is no TOML: {fault}; {_AGAIN}.")


def _read_recipe(entry: dict[str, Any]) -> Recipe:
    fields = dict(entry)
    if "augmentation" in fields:
        fields["augmentation"] = parse_augmentation(fields["augmentation"])
    return Recipe(**fields)


def _read_reference(name: str, entry: dict[str, Any]) -> Reference:
    fields = dict(entry)
    seeds, floors, history = fields.pop("first_seeds"), fields.pop("floors", {}), fields.pop("history", [])
    stored = {"architecture": name, "now": fields, "first_seeds": seeds, "floors": floors, "history": history}
    return from_json(Reference, stored, f"the reference of '{name}'")


_HEADER = """\
What `runner.py --check` holds every change against.
Recorded by `runner.py --write-thresholds`; a new reference is a reviewed change of this file. Whoever removes a net
removes its entry. What stands under [gate] belongs to the references: another recipe needs others.
Accuracies are fractions of the validation images right. Only floors are written by hand, below an architecture:
    [architectures.NAME.floors]
    accuracy = 0.98       # no stage may have a lower mean
    epochs_to_95 = 1.5    # nor a later median\
"""


def write_thresholds(path: Path, thresholds: Thresholds) -> None:
    """Write a thresholds file, or bring the one that is there up to date; comments, floors and order stay.

    Args:
        path: Where it stands.
        thresholds: All that it shall hold.

    Raises:
        ThresholdsError: What is there cannot be read or brought up to date, or nothing can be written there.
    """
    try:
        document = tomlkit.parse(read_text(path)) if path.exists() else _new_document()
    except TOMLKitError as fault:  # it was edited while references were trained
        raise no_toml(path, fault) from None
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
    text = tomlkit.dumps(document)
    if not _is_toml(text) or parse_thresholds(path, text) != thresholds:
        raise ThresholdsError(
            f"'{path}' is written in a way that cannot be brought up to date (tables in one line, say); move it "
            "away and record again: what was trained is stored."
        )
    try:
        write_atomically(path, text.encode())
    except OSError as fault:
        raise ThresholdsError(
            f"'{path}' cannot be written ({reason(fault)}); name another file: what was trained is stored."
        ) from None


def _is_toml(text: str) -> bool:
    """Whether what was written can be read: lines that are appended within a table of one line cannot."""
    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True


def _update(table: MutableMapping[str, Any], entries: Mapping[str, Any]) -> None:
    """Set what differs and leave the rest as it stands, comments included."""
    for key, value in entries.items():
        if table.get(key) != value:
            table[key] = value


def _new_document() -> tomlkit.TOMLDocument:
    document = tomlkit.document()
    for line in _HEADER.splitlines():
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    return document


def _recipe_entry(recipe: Recipe) -> dict[str, Any]:
    """Every field that has a value, so that a later default changes no gate."""
    fields = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    fields["augmentation"] = format_augmentation(recipe.augmentation)
    return {name: value for name, value in fields.items() if value is not None}


def _reference_entry(reference: Reference) -> dict[str, Any]:
    """What a recording sets; floors are the user's."""
    entry = _measurement_entry(reference.now) | {"first_seeds": list(reference.first_seeds)}
    if reference.history:
        history = tomlkit.aot()
        for earlier in reference.history:
            history.append(tomlkit.item(_measurement_entry(earlier)))
        history[-1].add(tomlkit.nl())
        entry["history"] = history
    return entry


def _measurement_entry(measured: Measurement) -> dict[str, Any]:
    """Every field; `allowed` and `accuracies` not for those recorded before there were such, whose lines stay."""
    entry = dataclasses.asdict(measured)
    accuracies, allowed = entry.pop("accuracies"), entry.pop("allowed")
    if accuracies or allowed != ALLOWED_DEVIATIONS:
        entry["allowed"] = allowed
    if accuracies:
        entry["accuracies"] = list(accuracies)
    return entry
