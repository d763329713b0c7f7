"""Loads the net of a stored run with torch: by results directory and architecture, the best-validated or of a seed."""

from __future__ import annotations

import contextlib
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.core.errors import ArchitectureError, StoreError, UnknownNameError, UsageError
from bench.core.options import StudyOptions, UseOptions
from bench.data.directories import own_data_directory
from bench.deploy.chosen import BEST, ChosenRun, choose_runs, files_in
from bench.models.doctor.trial import Trial
from bench.models.registry import Registry, discover
from bench.models.trained.model import TrainedModel, load_weights
from bench.store.store import store_to_read
from bench.system.environment import PROJECT
from bench.system.text import first_ones, listing
from bench.system.urls import store_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.core.architecture import Architecture

_FOLDER = PROJECT / "architectures"


def load_model(
    results: str | Path = "results",
    architecture: str | None = None,
    *,
    seed: int | Literal["best-validated"] | None = BEST,
    study: str | None = None,
    dataset: str | None = None,
    file: str | Path | None = None,
    run_id: str | None = None,
) -> TrainedModel:
    """A trained net that takes images as people hold them, with its normalisation inside.

    It is the net as its source prints it, on the CPU, by torch alone.

    Args:
        results: The results directory.
        architecture: Its name; it may be left out where the study has one alone.
        seed: Of the run; the one that was validated best unless given, or when None.
        study: Name of the study; the last one used when None.
        dataset: What it was trained on, where the study has several; the last when None.
        file: The net's file, where the project's folder `architectures/` does not declare it.
        run_id: A run from `load_runs`, instead of all but `results` and `file`.

    Raises:
        StoreError: There is no such run, or its weights are not there or not those that were stored.
        UnknownNameError: There is no study, dataset or architecture of that name, or none in the file.
        UsageError: There is no run of that seed, or several architectures and none is named.
        ArchitectureError: The net's file must be given, or was edited since.

    Example:
        >>> import numpy as np
        >>> model = bench.load_model("results", "bn25k")
        >>> probabilities = model.predict(np.zeros((2, 28, 28), dtype=np.uint8))
        >>> probabilities.shape, model.architecture.name
        ((2, 10), 'bn25k')
    """
    if not isinstance(results, str | Path):
        raise UsageError(f"load_model() takes a results directory first, as load_model('results'); got {results!r}.")
    if file is not None and not Path(file).is_file():
        raise ArchitectureError(f"There is no file '{file}'; name the one that declares the net.")
    directory = Path(results)
    use = UseOptions(seed=_read_seed(seed), dataset=dataset)
    named = () if architecture is None else (architecture,)
    options = StudyOptions(
        results=directory, store_url=store_in(directory), data_dir=own_data_directory(), study=study, patterns=named
    )
    with store_to_read(options.store_url) as store:
        if run_id is not None:
            record = store.runs.find(run_id)
            if record is None:
                raise StoreError(
                    f"'{directory}' holds no run '{run_id}'; load_runs('{directory}') names those it holds."
                )
            found = store.artifacts.datasets([record.data_hash])[record.data_hash]
            return load_run(ChosenRun(record=record, dataset=found, how="named"), directory, NetFinder(_files(file)))
        chosen = choose_runs(store, options, use)
    if len(chosen.runs) > 1:
        names = listing(first_ones([run.name for run in chosen.runs]))
        raise UsageError(f"Study {chosen.study} has several architectures; name one of {names}.")
    files = [*_files(file), *files_in(named), *chosen.net_files]
    return load_run(chosen.runs[0], directory, NetFinder(files))


def _read_seed(seed: object) -> int | None:
    if seed in (None, BEST):
        return None
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise UsageError(f"seed={seed!r}: give a whole number, or '{BEST}'.")
    return int(seed)


def _files(file: str | Path | None) -> list[str]:
    return [] if file is None else [str(file)]


class NetFinder:
    """Finds nets by name: in the project's folder, which is looked through once, then in files."""

    def __init__(self, files: Iterable[str] = ()) -> None:
        load = Trial().load
        self._folder = discover(_FOLDER, load)
        self._alone = Registry(architectures=(), broken={}, load=load)
        self._files = [file for file in dict.fromkeys(files) if Path(file).is_file()]

    def find(self, name: str) -> Architecture:
        """The net of a name, of the folder or of the first file that has it; ArchitectureError where none has."""
        for registry, pattern in (
            (self._folder, name),
            *((self._alone, f"{file}:{name}") for file in self._files),
        ):
            with contextlib.suppress(UnknownNameError):
                if len(found := registry.select([pattern])) == 1:
                    return found[0]
        raise ArchitectureError(
            f"The project's folder has no net '{name}'; name its file, as --arch my_net.py:{name} or file='my_net.py'."
        )


def load_run(run: ChosenRun, results: Path, nets: NetFinder) -> TrainedModel:
    """The net of a run with its weights.

    Args:
        run: The run.
        results: Where its weights lie.
        nets: What finds its net.

    Raises:
        ArchitectureError: Nothing declares the net, or what does was edited since it was trained.
        StoreError: Its weights are not there, or not those that were stored.
    """
    architecture = nets.find(run.name).fitted_to(run.dataset)
    module = load_weights(run.record, architecture, results)
    return TrainedModel(module=module, architecture=architecture, record=run.record, dataset=run.dataset)
