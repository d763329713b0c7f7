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
from bench.core.reading import ReadingOptions
from bench.core.recipe import Recipe, format_augmentation, parse_augmentation
from bench.core.work.gate import ALLOWED_DEVIATIONS, Reference, Thresholds
from bench.store.codec import from_json
from bench.system.files import read_regular, write_atomically
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence

    from jsonschema.exceptions import ValidationError

    from bench.core.work.gate import Measurement

Keys = tuple[str | int, ...]


_BESIDE_RECIPE = ("dataset", "data_hash", "device", "epochs")
_WHERE_FROM = ("images", "reading")
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
    return _parse(path, _read_text(path))


def _parse(path: Path, text: str) -> Thresholds:
    """What the text of a file holds, checked."""
    try:
        stored = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # the latter of brackets in brackets without end
        raise ThresholdsError(f"{path} is no TOML: {fault}; {_AGAIN}.") from None
    unlike = best_match(_validator().iter_errors(stored))
    if unlike is not None:
        value = f"{unlike.instance!r} is found, " if unlike.validator == "const" else ""  # the others name the value
        raise _error(path, text, [*unlike.absolute_path, *_unknown_key(unlike)], value + unlike.message)
    for keys, number in _find_not_finite(stored):
        raise _error(path, text, keys, f"{number} is no finite number")
    gate = stored["gate"]
    fields = gate["recipe"]
    try:
        if "augmentation" in fields:
            fields |= {"augmentation": parse_augmentation(fields["augmentation"])}
        recipe = Recipe(**fields)
    except BenchError as fault:
        raise _error(path, text, ("gate", "recipe"), str(fault).rstrip(".")) from None
    references = {name: _read_reference(name, entry) for name, entry in stored["architectures"].items()}
    how = gate.get("reading", {})
    if "image_size" in how:
        how["image_size"] = tuple(how["image_size"])
    try:
        reading = ReadingOptions(**how)
    except BenchError as fault:
        raise _error(path, text, ("gate", "reading"), str(fault).rstrip(".")) from None
    thresholds = Thresholds(
        recipe=recipe,
        references=references,
        images=gate.get("images", ""),
        reading=reading,
        **{name: gate[name] for name in _BESIDE_RECIPE},
    )
    for name, reference in references.items():
        for key, said in _contradictions(reference, thresholds.trained):
            raise _error(path, text, ("architectures", name, *key), said)
    return thresholds


def _read_reference(name: str, entry: dict[str, Any]) -> Reference:
    fields = {key: entry.pop(key) for key in ("first_seeds", "floors", "history") if key in entry}
    return from_json(Reference, {"architecture": name, "now": entry, **fields}, f"the reference of {name}")


def _contradictions(reference: Reference, trained: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """What of a reference cannot be true beside the rest of the file, or beside the rest of its own fields."""
    now, floor = reference.now, reference.floors.accuracy
    if now.trained != trained:
        said = f"recorded with '{now.trained}', while [gate] says '{trained}': the reference means nothing there"
        yield ("trained",), said
    if floor is not None and floor > now.mean:
        yield ("floors", "accuracy"), f"the floor {floor} lies above the references' mean {now.mean}"
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


def _find_not_finite(value: object, keys: Keys = ()) -> Iterator[tuple[Keys, float]]:
    """Where a number is nan or inf, which TOML allows and every comparison would silently let pass."""
    if isinstance(value, float) and not math.isfinite(value):
        yield keys, value
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _find_not_finite(item, (*keys, key))


def _read_text(path: Path) -> str:
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


def _error(path: Path, text: str, keys: Sequence[str | int], said: str) -> ThresholdsError:
    where = f"{path}, line {find_line(text, keys)}"
    return ThresholdsError(printable(f"{where}, {'.'.join(map(str, keys)) or 'top'}: {said}; {_AGAIN}."))


def find_line(text: str, path: Sequence[str | int]) -> int:
    """The line, from 1, of the key that a path leads to; where it is not written, that of what should hold it.

    Args:
        text: Good TOML whose keys each begin a line.
        path: Keys from the top, a number for an item of an array of tables.
    """
    lines: dict[Keys, int] = {}
    table: Keys = ()
    items = collections.Counter[Keys]()
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line.startswith("["):
            table = _first_keys(line)
            if line.startswith("[["):
                items[table] += 1
                table += (items[table] - 1,)
            lines.setdefault(table, number)
        elif "=" in line:
            keys = _first_keys(f"{line.partition('=')[0]} = 0")
            for length in range(1, len(keys) + 1):
                lines.setdefault(table + keys[:length], number)
    nearest = (lines.get(tuple(path[:length])) for length in range(len(path), 0, -1))
    return next((line for line in nearest if line is not None), 1)


def _first_keys(line: str) -> Keys:
    """The dotted keys of a header or of a line that sets one; nothing when it is neither."""
    try:
        value: object = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    keys: Keys = ()
    while isinstance(value, dict | list) and value:
        if isinstance(value, list):
            value = value[0]
        else:
            key, value = next(iter(value.items()))
            keys += (key,)
    return keys


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

    Raises:
        ThresholdsError: What is there cannot be read or brought up to date, or nothing can be written there.
    """
    document = tomlkit.document()
    if path.exists():
        try:
            document = tomlkit.parse(_read_text(path))
        except TOMLKitError as fault:  # it was edited while references were trained
            raise ThresholdsError(f"{path} is no TOML: {fault}; {_AGAIN}.") from None
    else:
        for line in _HEADER.splitlines():
            document.add(tomlkit.comment(line))
        document.add(tomlkit.nl())
    document["version"] = 1
    gate, table = _gate_entry(thresholds), document.setdefault("gate", tomlkit.table())
    for name in [name for name in _WHERE_FROM if name in table and name not in gate]:
        del table[name]
    _update(table, gate)
    entries = document.setdefault("architectures", tomlkit.table(is_super_table=True))
    for name in [name for name in entries if name not in thresholds.references]:
        del entries[name]
    for name, reference in thresholds.references.items():
        _update(entries.setdefault(name, tomlkit.table()), _reference_entry(reference))
    text = tomlkit.dumps(document)
    try:
        tomllib.loads(text)  # lines that are appended within a table of one line are no TOML
        is_whole = _parse(path, text) == thresholds
    except tomllib.TOMLDecodeError:
        is_whole = False
    if not is_whole:
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


def _update(table: MutableMapping[str, Any], entries: Mapping[str, Any]) -> None:
    """Set what differs and leave the rest as it stands, comments included."""
    for key, value in entries.items():
        if table.get(key) != value:
            table[key] = value


def _gate_entry(thresholds: Thresholds) -> dict[str, Any]:
    """What [gate] holds."""
    recipe = {field.name: getattr(thresholds.recipe, field.name) for field in dataclasses.fields(Recipe)}
    recipe["augmentation"] = format_augmentation(thresholds.recipe.augmentation)
    gate = {name: getattr(thresholds, name) for name in _BESIDE_RECIPE} | _where_from(thresholds)
    # Every field that has a value, so that a later default changes no gate.
    return gate | {"recipe": {name: value for name, value in recipe.items() if value is not None}}


def _where_from(thresholds: Thresholds) -> dict[str, Any]:
    """What a dataset is made of and how; nothing for one that is as it was published."""
    if not thresholds.images:
        return {}
    usual = dataclasses.asdict(ReadingOptions())
    reading = {name: value for name, value in dataclasses.asdict(thresholds.reading).items() if value != usual[name]}
    if "image_size" in reading:
        reading["image_size"] = list(reading["image_size"])
    return {"images": thresholds.images} | ({"reading": reading} if reading else {})


def _reference_entry(reference: Reference) -> dict[str, Any]:
    """What a recording sets; floors are the user's."""
    entry = _measurement_entry(reference.now) | {"first_seeds": list(reference.first_seeds)}
    if reference.history:
        entry["history"] = tomlkit.aot()
        for earlier in reference.history:
            entry["history"].append(tomlkit.item(_measurement_entry(earlier)))
        entry["history"][-1].add(tomlkit.nl())
    return entry


def _measurement_entry(measured: Measurement) -> dict[str, Any]:
    """Every field; `allowed`, `accuracies` and `engine` not for those recorded before there were such: lines stay."""
    entry = dataclasses.asdict(measured)
    accuracies, allowed = entry.pop("accuracies"), entry.pop("allowed")
    if accuracies or allowed != ALLOWED_DEVIATIONS:
        entry["allowed"] = allowed
    if measured.engine == "torch":
        del entry["engine"]
    if accuracies:
        entry["accuracies"] = list(accuracies)
    return entry
