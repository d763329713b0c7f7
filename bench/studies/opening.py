"""From a command line to an experiment with an open store."""

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

    from bench.cli.arguments import Arguments
    from bench.core.architecture import Architecture
    from bench.core.metadata import ArchitectureFacts
    from bench.data.datasets import Sample
    from bench.store.store import Store
    from bench.studies.machine import Hardware


@contextlib.contextmanager
def open_experiment(
    arguments: Arguments,
    command: str,
    *,
    architectures: Sequence[Architecture],
    facts: Mapping[str, ArchitectureFacts],
    sample: Sample,
    hardware: Hardware,
) -> Iterator[Experiment]:
    """What the command trains, with a store that is open as long as the context.

    Args:
        arguments: What the user asked for.
        command: The command line that repeats it.
        architectures: What is trained.
        facts: What was counted of each, by name.
        sample: Images of the dataset that it is trained on.
        hardware: What trains.

    Raises:
        BenchError: The results directory or the store cannot be used, or a worker of a cluster cannot reach them.
    """
    whole = _with_whole_paths(arguments)  # workers may run in other folders, and nets may change theirs
    (check_could_be_made if arguments.plan_only else make_writable_folder)(arguments.results)
    if hardware.cluster is not None:
        arguments = whole
    workplace = Workplace(
        results=whole.results,
        store_url=whole.store_url,
        data_dir=arguments.data_dir.absolute() if arguments.data_dir.exists() else arguments.data_dir,
        jobs=hardware.jobs,
        cluster=hardware.cluster,
        shows_output=arguments.verbosity > 0,
    )
    with _open_for(arguments) as store:
        if hardware.cluster is not None and not arguments.plan_only:
            from bench.execution.cluster.survey import check_workers  # noqa: PLC0415 - Dask takes half a second

            check_workers(hardware.cluster, workplace, architectures)
        usual = "gate" if arguments.gate else store.last_study(compares=True) or "main"
        yield Experiment(
            name=arguments.study or usual,
            command=command,
            arguments=arguments,
            architectures=architectures,
            sample=sample,
            hardware=hardware,
            facts=dict(facts),
            workplace=workplace,
            store=store,
        )


def _with_whole_paths(arguments: Arguments) -> Arguments:
    url = read_url(arguments.store_url)
    if url.get_backend_name() == "sqlite" and url.database:
        url = url.set(database=str(Path(url.database).resolve()))
    whole = url.render_as_string(hide_password=False)
    return dataclasses.replace(arguments, results=arguments.results.resolve(), store=whole)


def _open_for(arguments: Arguments) -> Store:
    """The store to train with. A plan where there is none is made in memory: planning leaves nothing behind."""
    if not arguments.plan_only:
        return open_store(arguments.store_url, whole=True)
    try:
        return open_store(arguments.store_url, create=False, whole=True)
    except NoStoreError:
        url = read_url(arguments.store_url)
        if url.get_backend_name() == "sqlite" and url.database:
            check_could_be_made(Path(url.database).parent)
        return open_store("sqlite://")
