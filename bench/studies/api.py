"""What scripts and notebooks do with the suite: the functions that `bench` exports."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from bench.analysis.conditions import find_conditions
from bench.analysis.frames import runs_table, verdicts_table
from bench.analysis.verdicts import judge
from bench.core.errors import ArchitectureError, UnknownNameError, UsageError
from bench.core.events import Note
from bench.core.options import StudyOptions
from bench.core.reading import ReadingOptions
from bench.core.records import MARGIN
from bench.core.seeds import ONE_LOOK, SeedPlan
from bench.data.datasets import AUTO, find_dataset, take_sample
from bench.data.directories import own_data_directory
from bench.models.doctor.trial import Trial
from bench.models.registry import Registry, discover
from bench.studies.choosing import choose, fit_all
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

_FOLDER = PROJECT / "architectures"
_RESULTS = "results"


def list_architectures() -> list[Architecture]:
    """Every architecture that the project's folder `architectures/` declares, variants included.

    A file that is broken is left out; `load_architecture` says what is wrong with it.

    Example:
        >>> import bench
        >>> [net.name for net in bench.list_architectures() if net.variant_of is None]
        ['bn25k', 'fc3136', 'conv16k', 'lenet21k']
    """
    return list(discover(_FOLDER, Trial().load).architectures)


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
    registry = Registry(architectures=(), broken={}, load=load) if file else discover(_FOLDER, load)
    found = registry.select([f"{file}:{name}" if file else name])
    if len(found) > 1:
        raise UsageError(f"'{name}' means {len(found)} architectures; name one of them.")
    return found[0]


class StudyWords(TypedDict, total=False):
    """What may be asked of a study beside its architectures, by keyword; each has a default."""

    results: str | Path  # the results directory; "results"
    study: str | None  # its name; the last one used in that directory
    dataset: str | Path  # "mnist", "mnist5k" …, or the path of your own images; "auto", MNIST where it can be had
    reading: ReadingOptions  # how your own images are read; as they are
    seeds: int | str  # how many, 6; which, "0,3,7"; or until decided, "6:30"
    budgets: Sequence[Budget]  # what every net is given, `[bench.spec.Budget(epochs=5)]`; the suite's default
    published: bool  # whether each source's own recipe and budget are used; False
    recipe: Mapping[str, object]  # fields of `bench.spec.Recipe` that are to be others, `{"lr": 0.01}`
    margin: float | None  # accuracy, a fraction, within which two are equivalent; what the study was judged by
    metric: str | None  # what verdicts are on, "accuracy" or "balanced_accuracy"; what the study was judged by
    device: str  # "cpu", "cuda" or "mps"; "auto"
    engine: str  # "torch" or "lanes", the suite's own kernels; "auto", which is lanes where they can be had
    jobs: int | None  # runs at once; one a core
    timing: bool  # whether speed and memory are measured afterwards; False
    doctor: bool  # whether nets are examined first, and those with an error left out; True
    data_dir: str | Path | None  # where datasets lie; `$BENCH_DATA_DIR`, else `data`


def study_events(architectures: Sequence[str | Path], **words: Unpack[StudyWords]) -> Generator[Event, None, None]:
    """Train architectures under the same seeds and budgets, and say what happens while it does.

    What is stored already is reused. Closing the generator ends the study early; what was finished is stored, and the
    same call goes on from there.

    Args:
        architectures: By name or glob, by the path of a net's file, as `my_net.py:MyNet` a class of it, or as
            `torchvision:resnet18` a model of torchvision.
        words: Any of `results`, `study`, `dataset`, `reading`, `seeds`, `budgets`, `published`, `recipe`, `margin`,
            `metric`, `device`, `engine`, `jobs`, `timing`, `doctor`, `data_dir`; `bench.studies.api.StudyWords` says
            what each is.

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
    options = _find_options(architectures, words)
    prepare(to_train=True)
    trial = Trial()
    chosen, _ = choose(options, _FOLDER, trial)
    hardware = Hardware.find(options)
    sample = take_sample(find_dataset(options.dataset, options.data_dir, reading=options.reading))
    fitted = fit_all(chosen, sample, trial=trial, hardware=hardware, folder=_FOLDER, examines=options.doctor)
    ill = [f"Not trained: {each.architecture}: {error.message}." for each in fitted.diagnoses for error in each.errors]
    said = [*trial.notes, *ill, *(text for net in fitted.metadata.values() for text in net.proof.warnings)]
    yield from (Note(text=text) for text in said)
    with open_experiment(options, fitted, sample=sample, hardware=hardware) as experiment:
        if not fitted.nets:
            yield from experiment.keep_metadata()
            raise ArchitectureError(ill[0])
        yield from compare_runs(experiment, find_comparison(experiment))


def _find_options(architectures: Sequence[str | Path], words: StudyWords) -> StudyOptions:
    for word in words:
        if word not in StudyWords.__annotations__:
            raise UnknownNameError("argument of a study", word, StudyWords.__annotations__)
    patterns = tuple(map(str, architectures))
    if not patterns:
        raise UsageError("No architecture was named; bench.list_architectures() says which there are.")
    data_dir, judging = words.get("data_dir"), {"margin": words.get("margin"), "metric": words.get("metric")}
    return dataclasses.replace(
        _options_for(words.get("results", _RESULTS), words.get("study")),
        patterns=patterns,
        dataset=str(words.get("dataset", AUTO)),
        reading=words.get("reading", ReadingOptions()),
        seed_plan=SeedPlan.parse(str(words.get("seeds", 6))),
        budgets=tuple(words.get("budgets", ())),
        published=words.get("published", False),
        recipe_changes=dict(words.get("recipe", {})),
        margin_changes={name: value for name, value in judging.items() if value is not None},
        device=words.get("device", "auto"),
        engine=words.get("engine", "auto"),
        jobs=words.get("jobs"),
        timing=words.get("timing", False),
        doctor=words.get("doctor", True),
        data_dir=Path(data_dir) if data_dir else own_data_directory(),
    )


def _options_for(results: str | Path, study: str | None) -> StudyOptions:
    """What shows a study as a results directory holds it."""
    folder = Path(results)
    return StudyOptions(results=folder, store_url=store_in(folder), data_dir=own_data_directory(), study=study)


def run_study(architectures: Sequence[str | Path], **words: Unpack[StudyWords]) -> pd.DataFrame:
    """Train architectures under the same seeds and budgets; the study's runs when all have ended.

    Args:
        architectures: By name or glob, by the path of a net's file, as `my_net.py:MyNet` a class of it, or as
            `torchvision:resnet18` a model of torchvision.
        words: As for `study_events`.

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
    with contextlib.closing(study_events(architectures, **words)) as events:
        for _ in events:
            pass
    return load_runs(words.get("results", _RESULTS), words.get("study"))


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
    return runs_table(load_study(_options_for(results, study), with_details=False))


def load_verdicts(results: str | Path = _RESULTS, study: str | None = None) -> pd.DataFrame:
    """What the reports say of the runs of a study: a row a pair, metric and table, as `verdicts.csv` has it.

    `difference` is a − b in `unit`, `low` and `high` the interval around it; see docs/methodology.md. Arguments and
    errors are those of `load_runs`.

    Example:
        >>> verdicts = bench.load_verdicts()
        >>> verdicts.loc[verdicts.metric == "test_accuracy", ["a", "b", "n"]].values.tolist()
        [['bn25k', 'lenet21k', 6]]
    """
    return verdicts_table(find_conditions(load_study(_options_for(results, study))))


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
