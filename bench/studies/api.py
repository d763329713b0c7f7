"""What scripts and notebooks do with the suite: the functions that `bench` exports."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.analysis.conditions import find_conditions
from bench.analysis.frames import runs_table, verdicts_table
from bench.analysis.verdicts import judge
from bench.core.errors import StoreError, UsageError
from bench.core.events import Note
from bench.core.options import StudyOptions
from bench.core.records import MARGIN, Margins
from bench.core.seeds import ONE_LOOK, SeedPlan
from bench.data.datasets import find_dataset, take_sample
from bench.data.directories import own_data_directory
from bench.models.doctor.trial import Trial
from bench.models.registry import Registry, discover
from bench.models.trained import TrainedModel, load_weights
from bench.store.store import open_store
from bench.studies.choosing import check_all, choose
from bench.studies.experiment import open_experiment
from bench.studies.load import load_study
from bench.studies.machine import Hardware
from bench.studies.sequential import compare as compare_runs
from bench.studies.sequential import find_comparison
from bench.system.environment import PROJECT
from bench.system.process import prepare
from bench.system.urls import store_in

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import pandas as pd

    from bench.analysis.verdicts import PairVerdict
    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.recipe import Budget
    from bench.core.records import Study

_FOLDER = PROJECT / "architectures"
_RESULTS = "results"


def list_architectures() -> list[Architecture]:
    """Every architecture that the project's folder `architectures/` declares, variants included.

    Raises:
        ArchitectureError: A file there cannot be loaded.

    Example:
        >>> import bench
        >>> [net.name for net in bench.list_architectures() if net.variant_of is None]
        ['bn25k', 'fc3136', 'conv16k', 'lenet21k']
    """
    registry = discover(_FOLDER, Trial().load)
    for fault in registry.broken.values():
        raise fault
    return list(registry.architectures)


def load_architecture(name: str, file: str | Path | None = None) -> Architecture:
    """One architecture by its name, of the project's folder `architectures/` or of another net's file.

    Raises:
        UnknownNameError: Nothing there has this name.
        ArchitectureError: The file cannot be loaded.
        UsageError: More than one is meant.

    Example:
        >>> net = bench.load_architecture("bn25k")
        >>> net.params, net.input_shape, net.classes
        (25433, (1, 28, 28), 10)
    """
    load = Trial().load
    registry = Registry(architectures=tuple(load(Path(file))), broken={}) if file else discover(_FOLDER, load)
    found = registry.select([name])
    if len(found) > 1:
        raise UsageError(f"'{name}' means {len(found)} architectures; name one of them.")
    return found[0]


def study_events(  # noqa: PLR0913 - one word for each thing that may be asked for
    architectures: Sequence[str | Path],
    *,
    results: str | Path = _RESULTS,
    study: str | None = None,
    dataset: str = "auto",
    seeds: int | str = 6,
    budgets: Sequence[Budget] = (),
    published: bool = False,
    recipe: Mapping[str, object] | None = None,
    margin: float | None = None,
    device: str = "auto",
    jobs: int | None = None,
    timing: bool = False,
    data_dir: str | Path | None = None,
) -> Generator[Event, None, None]:
    """Train architectures under the same seeds and budgets, and say what happens while it does.

    What is stored already is reused. Closing the generator ends the study early; what was finished is stored, and the
    same call goes on from there.

    Args:
        architectures: By name or glob, or by the path of a net's file.
        results: The results directory.
        study: Name of the study; the last one used in that directory when None.
        dataset: Name of a dataset; "auto" is MNIST where it can be had.
        seeds: How many, `6`; which, `"0,3,7"`; or until decided, `"6:30"`.
        budgets: What every architecture is given, as `bench.spec.Budget(epochs=5)`; the default of the suite if empty.
        published: Whether each source's own recipe and budget are used instead of the shared ones.
        recipe: Fields of `bench.spec.Recipe` that are to be others, as `{"lr": 0.01}`.
        margin: Accuracy, a fraction, within which two are equivalent; what the study was judged by when None.
        device: "auto", "cpu", "cuda" or "mps".
        jobs: Runs at once; one a core when None.
        timing: Whether speed and memory are measured afterwards.
        data_dir: Where datasets lie; `$BENCH_DATA_DIR`, else `data`, when None.

    Yields:
        The events of `bench.core.events`, in order.

    Raises:
        BenchError: Something asked for cannot be had, in one line; `bench.core.errors` has the tree.

    Example:
        >>> from bench.core.events import RunFinished
        >>> from bench.spec import Budget
        >>> for event in bench.study_events(["bn25k"], dataset="mnist5k", seeds=1, budgets=[Budget(epochs=1)]):
        ...     if isinstance(event, RunFinished):
        ...         print(event.record.architecture, event.record.seed, event.record.status)
        bn25k 0 ok
    """
    directory = Path(results)
    patterns = tuple(map(str, architectures))
    if not patterns:
        raise UsageError("No architecture was named; bench.list_architectures() says which there are.")
    options = StudyOptions(
        results=directory,
        store_url=store_in(directory),
        data_dir=Path(data_dir) if data_dir else own_data_directory(),
        study=study,
        patterns=patterns,
        dataset=dataset,
        seed_plan=SeedPlan.parse(str(seeds)),
        budgets=tuple(budgets),
        published=published,
        recipe_changes=dict(recipe or {}),
        margins=None if margin is None else Margins(margin=margin),
        device=device,
        jobs=jobs,
        timing=timing,
    )
    prepare()
    trial = Trial()
    nets, _ = choose(options, _FOLDER, trial)
    hardware = Hardware.find(options)
    sample = take_sample(find_dataset(dataset, options.data_dir))
    metadata = check_all(nets, sample, trial=trial, device=hardware.device, folder=_FOLDER)
    said = [*trial.notes, *(text for net in metadata.values() for text in net.proof.warnings)]
    yield from (Note(text=text) for text in said)
    with open_experiment(options, nets, metadata=metadata, sample=sample, hardware=hardware) as experiment:
        yield from compare_runs(experiment, find_comparison(experiment))


def run_study(architectures: Sequence[str | Path], *, results: str | Path = _RESULTS, **options: Any) -> pd.DataFrame:
    """Train architectures under the same seeds and budgets; the study's runs when all have ended.

    Args:
        architectures: As for `study_events`.
        results: The results directory.
        options: The other arguments of `study_events`.

    Returns:
        As `load_runs` gives it.

    Raises:
        BenchError: Something asked for cannot be had, in one line.

    Example:
        >>> budgets = [Budget(epochs=1)]
        >>> runs = bench.run_study(["bn25k", "lenet21k"], dataset="mnist5k", seeds=6, budgets=budgets)
        >>> len(runs), set(runs.status)
        (12, {'ok'})
    """
    with contextlib.closing(study_events(architectures, results=results, **options)) as events:
        for _ in events:
            pass
    return load_runs(results, options.get("study"))


def load_runs(results: str | Path = _RESULTS, study: str | None = None) -> pd.DataFrame:
    """The runs of a study, a row each, with a type a column that knows a missing value.

    Its columns are those of `runs.csv`, then recipe, budget and environment, a column a field. Accuracies are
    fractions, losses nats, times seconds, sizes bytes.

    Args:
        results: The results directory.
        study: Name of the study; the last one used when None.

    Raises:
        StoreError: There is no store, or no study in it.
        UnknownNameError: There is no study of that name.

    Example:
        >>> runs = bench.load_runs()
        >>> best = runs.groupby("architecture").test_accuracy.median()
        >>> list(best.index), bool((best > 0.7).all())
        (['bn25k', 'lenet21k'], True)
    """
    return runs_table(_load(results, study))


def load_verdicts(results: str | Path = _RESULTS, study: str | None = None) -> pd.DataFrame:
    """What the reports say of the runs of a study: a row a pair, metric and table, as `verdicts.csv` has it.

    `difference` is a − b in `unit`, `low` and `high` the interval around it; see docs/methodology.md. Arguments and
    errors are those of `load_runs`.

    Example:
        >>> verdicts = bench.load_verdicts()
        >>> verdicts.loc[verdicts.metric == "test_accuracy", ["a", "b", "n"]].values.tolist()
        [['bn25k', 'lenet21k', 6]]
    """
    return verdicts_table(find_conditions(_load(results, study)))


def compare(
    values: Mapping[str, Mapping[int, float]],
    *,
    margin: float = MARGIN,
    looks: str | None = None,
    higher_is_better: bool = True,
) -> tuple[PairVerdict, ...]:
    """Judge plain numbers as the suite judges its own: of a simulation, of a paper, of another tool.

    Args:
        values: For each net its value by seed; NaN where a run ended without one. Seeds pair the nets.
        margin: Half width of the range of equivalence, in the values' unit.
        looks: `"6:30"` where seeds 0, 1, … were added until decided; judged once, over all of them, when None.
        higher_is_better: False for times and errors.

    Returns:
        A verdict for each pair, in the order of the names.

    Example:
        >>> ours = {0: 0.981, 1: 0.984, 2: 0.979, 3: 0.983, 4: 0.982, 5: 0.980}
        >>> theirs = {0: 0.975, 1: 0.977, 2: 0.974, 3: 0.978, 4: 0.976, 5: 0.973}
        >>> [pair] = bench.compare({"ours": ours, "theirs": theirs}, margin=0.001)
        >>> pair.verdict.value, round(pair.differences.mean, 4), pair.matters
        ('a better', 0.006, True)
    """
    seen = SeedPlan.parse(looks).looks if looks else ONE_LOOK
    return judge(values, margin=margin, looks=seen, higher_is_better=higher_is_better)


def load_model(run_id: str, results: str | Path = _RESULTS, *, file: str | Path | None = None) -> TrainedModel:
    """The net of a stored run with its final weights, and how images become its input.

    Args:
        run_id: From `load_runs`.
        results: The results directory.
        file: The net's file, where the project's folder `architectures/` does not declare it.

    Raises:
        StoreError: There is no such run, or its weights are not there or not those that were stored.
        UnknownNameError: Nothing has the name of its net.
        ArchitectureError: The net's file was edited since.

    Example:
        >>> import numpy as np
        >>> model = bench.load_model(bench.load_runs().run_id[0])
        >>> probabilities = model.predict(np.zeros((2, 28, 28), dtype=np.uint8))
        >>> probabilities.shape, model.architecture.name
        ((2, 10), 'bn25k')
    """
    directory = Path(results)
    with open_store(store_in(directory), create=False) as store:
        record = store.runs.find(run_id)
        if record is None:
            raise StoreError(f"'{directory}' holds no run '{run_id}'; load_runs('{directory}') names those it holds.")
        dataset = store.artifacts.datasets([record.data_hash])[record.data_hash]
    architecture = load_architecture(record.architecture, file)
    module = load_weights(record, architecture, directory)
    return TrainedModel(module=module, architecture=architecture, record=record, dataset=dataset)


def _load(results: str | Path, study: str | None) -> Study:
    return load_study(options_for(Path(results), study))


def options_for(results: Path, study: str | None = None) -> StudyOptions:
    """The options that show what a results directory holds."""
    return StudyOptions(results=results, store_url=store_in(results), data_dir=own_data_directory(), study=study)
