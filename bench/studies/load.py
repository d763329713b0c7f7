"""Which stored study a command shows, read with its tunings and judged as the command line asks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from bench.analysis.conditions import find_conditions, shown_verdicts
from bench.core.errors import StoreError
from bench.core.records import Study
from bench.store.database.copied import copied_store
from bench.store.database.damage import damaged, read_remains
from bench.store.store import open_store
from bench.system.urls import read_url, store_in

if TYPE_CHECKING:
    from bench.core.options import StudyOptions
    from bench.store.store import Store


def load_study(options: StudyOptions, *, with_details: bool = True) -> Study:
    """The study to show: the one named, else the last; its runs, roles and answers alone without details.

    Raises:
        StoreError: There is no store, or no study in it.
        UnknownNameError: There is no study of that name.
    """
    with open_store(options.store_url, create=False, whole=True) as store:
        name = options.study or store.studies.last()
        if name is None:
            raise StoreError(f"No study in {store.place} yet; train one with --all or --arch NAME.")
        if with_details:
            return read_study(store, name, options)
        return store.studies.load(name, with_details=False, with_answers=True)


def keep_verdicts(store: Store, study: Study) -> None:
    """Keep the verdicts that a study shows, or showed when it was loaded, beside a change of what is judged.

    Not while it is incomplete: what it showed on the way is no report to hold the next against.
    """
    if not study.missing and (shown := shown_verdicts(find_conditions(study))):
        store.studies.keep_shown(study.name, shown)


def load_remains(options: StudyOptions) -> Study:
    """Every run of a damaged store that is as it was written, of whatever study, as one study; it may be empty."""
    remains = read_remains(Path(read_url(options.store_url).database or ""))
    return Study(
        name=options.study or "saved",
        command="",
        records=remains.records,
        roles=remains.roles,
        curves={},
        architectures={},
        datasets={},
        timings=(),
    )


PREVIOUS = "previous"
"""In place of another directory: each edited net as it was before its last edit. A folder called so is ./previous."""


def load_earlier(options: StudyOptions, compare: str | None) -> tuple[str, Study] | None:
    """The study to set beside, and where it lies: the one of the same name in another directory, else its last.

    Of `PREVIOUS` it is the study itself before its nets were edited, and its place is empty.

    Raises:
        StoreError: There is no store, or no study in it, or no net that was edited.
    """
    if compare is None:
        return None
    if compare == PREVIOUS:
        return "", _load_previous(options)
    # Opening a store brings it up to date, and this one is not ours.
    with copied_store(Path(compare) / "bench.db") as folder:
        other = dataclasses.replace(options, results=folder, store_url=store_in(folder))
        with open_store(other.store_url, create=False, whole=True) as store:
            names = store.studies.names()
            if not names:
                raise StoreError(f"No study in '{compare}' yet; name another directory with --compare.")
            name = options.study if options.study in names else names[0]
            return compare, read_study(store, name, other)


def _load_previous(options: StudyOptions) -> Study:
    with open_store(options.store_url, create=False, whole=True) as store:
        previous = store.studies.load_previous(options.study or store.studies.last() or "")
    if not previous.records:
        raise StoreError(
            f"--compare {PREVIOUS}: no net of study {previous.name} was edited and trained again; do that first, or "
            "name another results directory."
        )
    return previous


def read_study(store: Store, name: str, options: StudyOptions) -> Study:
    """A study with its tunings, judged as the options ask; raises UnknownNameError."""
    study = store.studies.load(name)
    for what, wanted, found in (
        ("what was counted of an architecture", {run.architecture_hash for run in study.records}, study.architectures),
        ("what is known of a dataset", {run.data_hash for run in study.records}, study.datasets),
    ):
        if wanted - found.keys():  # it is stored before anything trains
            raise damaged(store.place, f"{what} is missing")
    if "tune" in study.roles.values():
        from bench.studies.tuning.results import read_tunings  # noqa: PLC0415 - most studies do without Optuna

        study = dataclasses.replace(study, tunings=read_tunings(study, options.store_url))
    return dataclasses.replace(study, margins=options.judged_by(study.margins))
