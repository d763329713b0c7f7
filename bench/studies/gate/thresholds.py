"""The thresholds file: TOML that people review, checked by a JSON Schema, written so that their comments stay."""

from __future__ import annotations

import dataclasses
import statistics
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from bench.core.errors import BenchError, ThresholdsError, reason
from bench.core.reading import ReadingOptions
from bench.core.recipe import Recipe, format_augmentation, parse_augmentation
from bench.core.work.gate import ALLOWED_DEVIATIONS, Reference, Thresholds
from bench.store.codec import from_json
from bench.system.files import write_atomically
from bench.system.toml_file import Fault, TomlKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence

    from bench.core.work.gate import Measurement

_BESIDE_RECIPE = ("dataset", "data_hash", "device", "epochs")
_WHERE_FROM = ("images", "reading")
_ROUNDED = 2e-6
"""Mean and deviation are written to six decimals."""
_AGAIN = "fix it, or move the file away and record anew with --write-thresholds"
_KIND = TomlKind(schema=Path(__file__).with_name("thresholds.schema.json"), error=ThresholdsError, again=_AGAIN)


def read_thresholds(path: Path) -> Thresholds:
    """Read and check a thresholds file.

    Raises:
        ThresholdsError: It is missing, or a line of it cannot be used.
    """
    return _parse(path, _read_text(path))


def _parse(path: Path, text: str) -> Thresholds:
    """What the text of a file holds, checked."""
    stored = _KIND.parse(path, text)
    for unlike in _KIND.find_faults(stored):
        raise _KIND.blame(path, text, unlike)
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


def _read_text(path: Path) -> str:
    if path.suffix == ".py":
        raise ThresholdsError(f"'{path}' is the file of a net; write --arch {path} --check.")
    missing = f"No thresholds at '{path}'; --write-thresholds {path} in place of --check records them."
    return _KIND.read_text(path, missing=missing)


def _error(path: Path, text: str, keys: Sequence[str | int], said: str) -> BenchError:
    return _KIND.blame(path, text, Fault(keys=tuple(keys), said=said))


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
