"""What a recording starts from: what the thresholds file says already, and what the command line changes of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.environment import PROJECT, find_checkout
from bench.errors import ActionError, UsageError
from bench.gate.file import read_thresholds
from bench.gate.work import find_commit
from bench.recipe import DEFAULT_EPOCHS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.arguments import Arguments
    from bench.gate.records import Reference, Thresholds
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
    if not settings.force:
        _refuse_changed(settings.file)
    before = read_thresholds(settings.file) if settings.file.exists() else None
    references = before.references if before else {}
    nets = _choose(arguments, registry, references)
    budget = arguments.budgets[0].epochs if arguments.budgets else None
    baseline = Baseline(
        nets=nets,
        dataset=arguments.dataset if arguments.dataset != "auto" or before is None else before.dataset,
        device=arguments.device if arguments.device != "auto" or before is None else before.device,
        recipe=arguments.recipe(before.recipe if before else None),
        epochs=budget or (before.epochs if before else DEFAULT_EPOCHS),
        before=references,
        kept={} if arguments.all else {n: r for n, r in references.items() if n not in {net.name for net in nets}},
        commit=find_commit(settings.file),
    )
    return baseline if before is None else _against(baseline, before)


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


def _refuse_changed(file: Path) -> None:
    """A reference must say of which code it is."""
    for checkout in {found.folder: found for place in (PROJECT, file) if (found := find_checkout(place))}.values():
        changed = [name for name in checkout.changed if (checkout.folder / name) != file.resolve()]
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            raise UsageError(
                f"--write-thresholds: tracked files differ from the commit ({changed[0]}{more}); commit them first, or "
                "record all the same with --force."
            )


def _against(baseline: Baseline, before: Thresholds) -> Baseline:
    """The baseline with what it changes; one file holds references of one dataset, recipe and budget."""
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
    if changed and baseline.kept:
        raise UsageError(
            f"--write-thresholds: {', '.join(changed)}, while {', '.join(baseline.kept)} would keep references made "
            "before; record all of them with --all, or name another file."
        )
    return dataclasses.replace(baseline, changed=changed)
