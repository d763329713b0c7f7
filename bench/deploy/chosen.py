"""Which stored run stands for each architecture of a study: the one that was validated best, or that of a seed.

The test set has no part in it: the accuracy that is shown beside a net is that of one chosen without it. It needs no
torch.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import math
import re
import shlex
from typing import TYPE_CHECKING, Final

from bench.analysis.stats.estimates import estimate_accuracy
from bench.core.errors import StoreError, UnknownNameError, UsageError
from bench.core.recipe import spell_settings
from bench.core.work.claims.claim import AS_CLAIMED
from bench.system.text import listing, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.metadata import ArchitectureMetadata, DatasetMetadata
    from bench.core.options import StudyOptions, UseOptions
    from bench.core.records import RunRecord, Study
    from bench.store.store import Store

BEST: Final = "best-validated"
_FILE = re.compile(r"(.+?\.py)(?=$|[: ])")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChosenRun:
    """A run that stands for its architecture.

    Attributes:
        how: Why this one, in words: "best-validated of 6 runs".
        metadata: What is exact about its architecture; None where that is not stored.
    """

    record: RunRecord
    dataset: DatasetMetadata
    how: str
    metadata: ArchitectureMetadata | None = None

    @property
    def name(self) -> str:
        """The architecture's."""
        return self.record.architecture

    @property
    def accuracy(self) -> tuple[float, float, float] | None:
        """Test accuracy of this very net and the ends of Wilson's 95 % interval over the images; None without one."""
        if self.record.test_accuracy is None:
            return None
        found = estimate_accuracy([self.record.test_accuracy], images=self.dataset.test_images)
        if found.mean is None or found.low is None or found.high is None:
            return None
        return found.mean, found.low, found.high


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chosen:
    """What a study has for use.

    Attributes:
        study: Its name.
        command: The command line that repeats it.
        runs: One an architecture, by name.
        notes: What a user must know of the choice, in sentences.
    """

    study: str
    command: str
    runs: tuple[ChosenRun, ...]
    notes: tuple[str, ...] = ()

    @property
    def dataset(self) -> DatasetMetadata:
        """What all of them were trained on."""
        return self.runs[0].dataset

    @property
    def net_files(self) -> list[str]:
        """Files of nets that the study's command names."""
        words = shlex.split(self.command)
        named = [value for word, value in itertools.pairwise(words) if word == "--arch"]
        return files_in([*named, *(word.removeprefix("--arch=") for word in words if word.startswith("--arch="))])


def files_in(patterns: Sequence[str]) -> list[str]:
    """Paths of net files among patterns of architectures: of `my_net.py:MyNet` the file, each once."""
    found = [_FILE.match(pattern) for pattern in patterns]
    return list(dict.fromkeys(match[1] for match in found if match))


def choose_runs(store: Store, options: StudyOptions, use: UseOptions) -> Chosen:
    """The runs to use of the study that is named, else the last.

    Args:
        store: Where it is.
        options: Its name, and architectures by name, glob or file; all without.
        use: Seed and dataset.

    Raises:
        StoreError: There is no study, or no finished run with weights in it.
        UnknownNameError: The study has no such name, dataset or architecture.
        UsageError: An architecture has no run of that seed, or none was validated and no seed is named.
    """
    name = options.study or store.studies.last(compares=True) or store.studies.last()
    if name is None:
        raise StoreError(f"No study in {store.place} yet; train one with --all or --arch NAME.")
    study = store.studies.load(name, with_details=False)
    finished = [run for run in study.records if run.status == "ok" and study.roles[run.run_id] != "tune"]
    compared = [run for run in finished if study.roles[run.run_id] == "compare"] or finished
    whole = [run for run in compared if run.checkpoint]
    if not whole:
        lost = "its weights were deleted (--prune)" if compared else "none has finished"
        raise StoreError(f"No run of study {name} can be used: {lost}; train with --all or --arch NAME.")
    records, notes = _of_one_dataset(whole, use.dataset)
    names = _find_names(options.patterns, records)
    runs = tuple(_choose(net, records, study, use.seed) for net in names)
    return Chosen(study=name, command=study.command, runs=runs, notes=tuple(notes))


def _of_one_dataset(records: Sequence[RunRecord], wanted: str | None) -> tuple[list[RunRecord], list[str]]:
    names = list(dict.fromkeys(run.dataset for run in reversed(records)))
    if wanted is not None and wanted not in names:
        raise UnknownNameError("dataset of this study", wanted, names)
    last = next(run for run in reversed(records) if wanted in {None, run.dataset})
    notes = []
    if wanted is None and len(names) > 1:
        notes.append(f"Nets trained on {last.dataset}, the last of {listing(names)}; --dataset names another.")
    return [run for run in records if run.data_hash == last.data_hash], notes


def _find_names(patterns: Sequence[str], records: Sequence[RunRecord]) -> list[str]:
    names = sorted({run.architecture for run in records})
    found: dict[str, None] = {}
    for pattern in map(spell_settings, patterns):
        if pattern.endswith(".py"):  # which nets a file declares is known once it is loaded; a study has few
            found |= dict.fromkeys(names)
            continue
        wanted = pattern.rpartition(".py:")[2]
        matches = [name for name in names if name == wanted] or fnmatch.filter(names, wanted)
        if not matches:
            raise UnknownNameError("trained architecture", pattern, names)
        found |= dict.fromkeys(matches)
    return list(found) if patterns else names


def _choose(name: str, records: Sequence[RunRecord], study: Study, seed: int | None) -> ChosenRun:
    own = [run for run in records if run.architecture == name]
    candidates = own if seed is None else [run for run in own if run.seed == seed]
    if not candidates:
        seeds = ", ".join(map(str, sorted({run.seed for run in own})))
        raise UsageError(f"No run of {name} with seed {seed} in study {study.name}; it has seeds {seeds}.")
    best = max(candidates, key=_validated)
    if seed is None and best.val_accuracy is None:
        raise UsageError(
            f"No run of {name} in study {study.name} was validated (they were selected on test), so that none is known "
            "to be the best; name one with --seed."
        )
    how = f"{BEST} of {plural(len(own), 'run')}" if seed is None else f"seed {seed}, as asked for"
    if seed is not None and len(candidates) > 1 and best.val_accuracy is not None:
        how += f", the {BEST} of {len(candidates)} with it"
    if best.protocol == AS_CLAIMED:
        how += ", selected on test"
    return ChosenRun(
        record=best,
        dataset=study.datasets[best.data_hash],
        how=how,
        metadata=study.architectures.get(best.architecture_hash),
    )


def _validated(run: RunRecord) -> tuple[float, float, int]:
    """How well a run was validated: by accuracy, of equal ones by loss, then the smaller seed."""
    accuracy = -math.inf if run.val_accuracy is None else run.val_accuracy
    loss = math.inf if run.val_loss is None else run.val_loss
    return accuracy, -loss, -run.seed
