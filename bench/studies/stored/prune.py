"""Takes nets out of a study, and deletes weights that no study compares any more; every number stays."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from bench.core.errors import StoreError, UnknownNameError, UsageError
from bench.core.recipe import spell_settings
from bench.store.store import open_store
from bench.studies.load import keep_verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.options import StudyOptions
    from bench.core.records import RunRecord


def forget(options: StudyOptions, pattern: str) -> tuple[str, list[str]]:
    """Take nets, by name or glob, out of the study shown; its name, and theirs.

    Raises:
        StoreError: There is no store, or no study in it.
        UnknownNameError: There is no study of that name, or nothing in it has the name.
        UsageError: A net was tuned in it, and its trials would stay.
    """
    with open_store(options.store_url, create=False, whole=True) as store:
        name = options.study or store.studies.last()
        if name is None:
            raise StoreError(f"No study in {store.place} yet; train one with --all or --arch NAME.")
        study = store.studies.load(name, with_details=False)
        roles: dict[str, set[str]] = {}
        for record in study.records:
            roles.setdefault(record.architecture, set()).add(study.roles[record.run_id])
        compared = [net for net in roles if "compare" in roles[net]]
        compared += [each.architecture for each in study.diagnoses if each.architecture not in roles]
        spelt = spell_settings(pattern)
        nets = [net for net in compared if net == spelt] or fnmatch.filter(compared, spelt)
        if not nets:
            raise UnknownNameError(f"architecture of study {name}", pattern, compared)
        if tuned := next((net for net in nets if "tune" in roles.get(net, ())), None):
            raise UsageError(f"--forget {tuned}: it was tuned in study {name}; begin one without it by --study NAME.")
        keep_verdicts(store, study)
        store.studies.forget(name, nets)
    return name, sorted(nets)


def find_unused(options: StudyOptions) -> list[RunRecord]:
    """The runs whose weights they are."""
    with open_store(options.store_url, create=False, whole=True) as store:
        return store.runs.unused_checkpoints()


def prune(options: StudyOptions, unused: Sequence[RunRecord]) -> None:
    """Delete the weights of these runs."""
    with open_store(options.store_url, create=False) as store:
        for record in unused:
            (options.results / record.checkpoint).unlink(missing_ok=True)
        store.runs.forget_checkpoints([record.run_id for record in unused])
