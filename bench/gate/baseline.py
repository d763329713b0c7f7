"""What a recording starts from: what the thresholds file says already, and what the command line changes of it."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from bench.environment import PROJECT, find_checkout, is_checkout
from bench.errors import ActionError, ThresholdsError, UsageError
from bench.gate.file import read_thresholds
from bench.gate.seeds import find_commit
from bench.recipe import DEFAULT_EPOCHS
from bench.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.arguments import Arguments
    from bench.facts import DatasetFacts
    from bench.gate.references import Reference, Thresholds
    from bench.gate.settings import GateSettings
    from bench.nets.registry import Registry
    from bench.recipe import Recipe
    from bench.spec import Architecture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baseline:
    """What is to be recorded, and how.

    Attributes:
        nets: The architectures.
        dataset: Name of the dataset, or "auto".
        device: Kind of device, or "auto".
        recipe: How every run is trained.
        epochs: How long.
        before: References that the file holds, by name.
        kept: Those of them that stay as they are.
        commit: Commit of the checkout; empty without one.
        data_hash: Content hash of the images that the file's references saw; empty without a file.
        changed: What differs from how the references in the file were made, in words.
    """

    nets: tuple[Architecture, ...]
    dataset: str
    device: str
    recipe: Recipe
    epochs: int
    before: Mapping[str, Reference]
    kept: Mapping[str, Reference]
    commit: str
    data_hash: str = ""
    changed: tuple[str, ...] = ()


def find_baseline(arguments: Arguments, settings: GateSettings, registry: Registry) -> Baseline:
    """Read the file, if there is one; what the command line does not say stays as it is there.

    Args:
        arguments: What the user asked for.
        settings: The file, and whether changes are minded.
        registry: The registered architectures.

    Raises:
        UsageError: Tracked files are changed, or references of two recipes would stand in one file.
        ActionError: Nothing says what to record.
        ArchitectureError: A file of a net is broken.
        ThresholdsError: The file cannot be used.
    """
    _refuse_unwritable(settings.file)
    if not settings.force and (changed := _changed(settings.file)):
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UsageError(
            f"--write-thresholds: tracked files differ from the commit ({printable(changed[0])}{more}); commit them "
            "first, or record all the same with --force."
        )
    before = read_thresholds(settings.file) if settings.file.exists() else None
    references = before.references if before else {}
    nets = _choose(arguments, registry, references)
    budget, commit = arguments.budgets[0].epochs if arguments.budgets else None, find_commit(settings.file)
    baseline = Baseline(
        nets=nets,
        dataset=arguments.dataset if arguments.dataset != "auto" or before is None else before.dataset,
        device=arguments.device if arguments.device != "auto" or before is None else before.device,
        recipe=arguments.recipe(before.recipe if before else None),
        epochs=budget or (before.epochs if before else DEFAULT_EPOCHS),
        before=references,
        kept={} if arguments.all else {n: r for n, r in references.items() if n not in {net.name for net in nets}},
        commit=commit and commit + ("+changes" if _changed(settings.file) else ""),
        data_hash=before.data_hash if before else "",
    )
    return baseline if before is None else _against(baseline, before)


def on_data(baseline: Baseline, dataset: DatasetFacts) -> Baseline:
    """The baseline on the data that was found: other images under the old name change it too.

    Raises:
        UsageError: References of other images would stand in one file.
    """
    if baseline.data_hash in ("", dataset.data_hash):
        return baseline
    changed = (*baseline.changed, f"images {baseline.data_hash[:12]} → {dataset.data_hash[:12]}")
    return _unmixed(dataclasses.replace(baseline, changed=changed))


def _choose(arguments: Arguments, registry: Registry, references: Mapping[str, Reference]) -> tuple[Architecture, ...]:
    if arguments.patterns:
        return tuple(registry.select(arguments.patterns))
    for fault in registry.broken.values():
        raise fault
    if arguments.all:
        wanted = registry.all(variants=arguments.variants)
        recorded = [net for net in registry.architectures if net.name in references and net not in wanted]
        return (*wanted, *recorded)
    if not references:
        raise ActionError("--write-thresholds: nothing says which architectures; add --all or --arch NAME.")
    return tuple(registry.select(references))


def _refuse_unwritable(file: Path) -> None:
    """Find out before hours of training that their result has no place."""
    folder = file.parent
    if file.is_dir() or not folder.is_dir() or not os.access(file if file.exists() else folder, os.W_OK):
        raise ThresholdsError(f"'{file}' cannot be written; name a file in a folder that can.")


def _changed(file: Path) -> list[str]:
    """Tracked files, but for the thresholds, that differ from the commit: a reference must say of which code it is."""
    changed = []
    for place in (PROJECT, file.resolve().parent):
        checkout = find_checkout(place)
        if checkout is not None:
            changed += [name for name in checkout.changed if (checkout.folder / name) != file.resolve()]
        elif is_checkout(place):
            changed.append(f"whatever git would say of {place}")
    return list(dict.fromkeys(changed))


def _against(baseline: Baseline, before: Thresholds) -> Baseline:
    """The baseline with what it changes.

    Raises:
        UsageError: References made in two ways would stand in one file.
    """
    changed = tuple(
        f"{noun} {old} → {new}"
        for noun, old, new in (
            ("dataset", before.dataset, baseline.dataset),
            ("device", before.device, baseline.device),
            ("recipe", before.recipe.spelt, baseline.recipe.spelt),
            ("epochs", before.epochs, baseline.epochs),
        )
        if old != new
    )
    return _unmixed(dataclasses.replace(baseline, changed=changed))


def _unmixed(baseline: Baseline) -> Baseline:
    """One file holds references of one dataset, recipe and budget."""
    if baseline.changed and baseline.kept:
        kept = ", ".join(baseline.kept)
        raise UsageError(
            f"--write-thresholds: {', '.join(baseline.changed)}, while {kept} would keep references made before; "
            "record all of them in one command, or name another file."
        )
    return baseline
