"""The reading of the thresholds file: TOML that people review, checked by a JSON Schema."""

from __future__ import annotations

import functools
import json
import math
import statistics
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import best_match

from bench.errors import BenchError, ThresholdsError
from bench.files import read_regular
from bench.gate.lines import Keys, find_line
from bench.gate.references import Floors, Reference, Thresholds, read_measurement
from bench.recipe import Recipe, parse_augmentation
from bench.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jsonschema.exceptions import ValidationError

    from bench.gate.references import Measurement

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
    return Reference(
        architecture=name,
        now=read_measurement(fields),
        first_seeds=tuple(seeds),
        floors=Floors(**floors),
        history=tuple(read_measurement(earlier) for earlier in history),
    )
