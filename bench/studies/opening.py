"""From options to an experiment with an open store."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import NoStoreError
from bench.core.run import Workplace
from bench.store.store import open_store
from bench.studies.experiment import Experiment
from bench.system.files import check_could_be_made, make_writable_folder
from bench.system.urls import read_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.core.architecture import Architecture
    from bench.core.metadata import ArchitectureFacts
    from bench.core.options import StudyOptions
    from bench.data.datasets import Sample
    from bench.store.store import Store
    from bench.studies.machine import Hardware


@contextlib.contextmanager
def open_experiment(
    options: StudyOptions,
    *,
    architectures: Sequence[Architecture],
    facts: Mapping[str, ArchitectureFacts],
    sample: Sample,
    hardware: Hardware,
    is_gate: bool = False,
) -> Iterator[Experiment]:
    """What is trained, with a store that is open as long as the context.

    Args:
        options: How and where.
        architectures: What is trained.
        facts: What was counted of each, by name.
        sample: Images of the dataset that it is trained on.
        hardware: What trains.
        is_gate: Whether a study without a name is the gate's.

    Raises:
        BenchError: The results directory or the store cannot be used, or a worker of a cluster cannot reach them.
    """
    (check_could_be_made if options.plan_only else make_writable_folder)(options.results)
    workplace = Workplace(  # with whole paths: workers may run in other folders, and nets may change theirs
        results=options.results.resolve(),
        store_url=_with_whole_path(options.store_url),
        data_dir=options.data_dir.absolute() if options.data_dir.exists() else options.data_dir,
        jobs=hardware.jobs,
        cluster=hardware.cluster,
        shows_output=options.shows_output,
    )
    if hardware.cluster is not None:
        options = dataclasses.replace(options, results=workplace.results, store_url=workplace.store_url)
    with _open_for(options) as store:
        if hardware.cluster is not None and not options.plan_only:
            from bench.execution.cluster.survey import check_workers  # noqa: PLC0415 - Dask takes half a second

            check_workers(hardware.cluster, workplace, architectures)
        usual = "gate" if is_gate else store.studies.last(compares=True) or "main"
        yield Experiment(
            name=options.study or usual,
            options=options,
            architectures=architectures,
            sample=sample,
            hardware=hardware,
            facts=dict(facts),
            workplace=workplace,
            store=store,
        )


def _with_whole_path(store_url: str) -> str:
    url = read_url(store_url)
    if url.get_backend_name() == "sqlite" and url.database:
        url = url.set(database=str(Path(url.database).resolve()))
    return url.render_as_string(hide_password=False)


def _open_for(options: StudyOptions) -> Store:
    """The store to train with. A plan where there is none is made in memory: planning leaves nothing behind."""
    if not options.plan_only:
        return open_store(options.store_url, whole=True)
    try:
        return open_store(options.store_url, create=False, whole=True)
    except NoStoreError:
        url = read_url(options.store_url)
        if url.get_backend_name() == "sqlite" and url.database:
            check_could_be_made(Path(url.database).parent)
        return open_store("sqlite://")
