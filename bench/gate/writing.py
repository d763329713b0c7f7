"""The writing of the thresholds file, so that people's comments, floors and order stay."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from bench.errors import ThresholdsError
from bench.files import write_atomically
from bench.gate.file import no_toml, parse_thresholds, read_text
from bench.gate.references import ALLOWED_DEVIATIONS
from bench.recipe import format_augmentation

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from pathlib import Path

    from bench.gate.references import Measurement, Reference, Thresholds
    from bench.recipe import Recipe

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
            f"'{path}' cannot be written ({fault.strerror}); name another file: what was trained is stored."
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
