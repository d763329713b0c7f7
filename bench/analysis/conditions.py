"""Which runs may stand in one table: those that share everything but architecture and seed.

A published recipe is each source's own, and so is its budget: where each architecture has one budget, all stand in one
table, which then says that it compares unequal budgets. Budgets that a command gives make a table each.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Self, TypeAlias

from bench.analysis.comparison import Comparison, compare
from bench.analysis.metrics import epochs_metric, find_metric
from bench.analysis.nets import divide_by_net
from bench.analysis.reliability import find_collapses
from bench.analysis.stats.classwise import are_uneven, count_images, effective_images, score_runs
from bench.analysis.winners import with_tuned
from bench.core.recipe import Budget, without_own
from bench.core.records import Margins, ShownVerdict, TableKey
from bench.core.seeds import FEWEST_SEEDS, ONE_LOOK, Look, SeedPlan
from bench.system.text import one_line, plural, slugify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.analysis.metrics import Metric
    from bench.analysis.reliability import Collapses
    from bench.analysis.stats.classwise import ClassScores
    from bench.core.metadata import DatasetMetadata
    from bench.core.records import RunRecord, Study

Setup: TypeAlias = tuple[str, str, int, int]
"""Machine, device, threads of a run, runs at a time."""

_COMMIT_KEYS = ("commit", "dirty")
"""Keys of a run's environment that say which code ran, not on what."""


def setup_of(record: RunRecord) -> Setup:
    """What training times depend on beside the net: only those that share all of it stand in one table."""
    hardware = {key: value for key, value in record.environment.items() if key not in _COMMIT_KEYS}
    text = json.dumps(hardware, sort_keys=True, default=str).encode()
    machine = str(record.environment.get("machine") or hashlib.sha256(text).hexdigest()[:12])
    return machine, record.device, record.threads, record.jobs


def describe_setup(setup: Setup, *, with_machine: bool = False) -> str:
    """In words: cpu, 1 thread a run, 2 runs at a time; with the machine, by its code, in front of it."""
    machine, device, threads, jobs = setup
    where = f"machine {one_line(machine)}, " if with_machine else ""
    return f"{where}{device}, {plural(threads, 'thread')} a run, {plural(jobs, 'run')} at a time"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One architecture under one condition: its runs over seeds."""

    label: str  # its name; with what tells them apart when two nets of one name stand in the condition
    architecture_hash: str
    records: tuple[RunRecord, ...]  # by seed

    def having(self, *statuses: str) -> tuple[RunRecord, ...]:
        """The runs that ended with one of these statuses."""
        return tuple(record for record in self.records if record.status in statuses)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
    """Runs of one dataset, recipe, budget (or each source's own), protocol, kind of device and version: one table.

    Attributes:
        earlier_looks: Plans of seeds under which verdicts were shown before, in order, here or on the same runs in
            another study: "6", "6:20".
        standing: Looks of earlier plans whose decisions stand (`standing_looks`).
        setup: Machine and way of running that all its runs share, where others of its recipe and budget have another
            and that decides how far they train; None where it does not.
        whole: The condition of which some architectures are shown here, judged as they are there; None for a whole one.
    """

    slug: str  # start of the names of its figures and anchors
    title: str
    family: TableKey  # what conditions share that differ in nothing but the budget
    dataset: DatasetMetadata | None  # None when the study does not say
    budget: Budget | None  # of each run; None where each source's own budget is another one
    entries: tuple[Entry, ...]  # by name
    margins: Margins = dataclasses.field(default_factory=Margins)  # how it is judged
    chance: float = 0.0  # accuracy of whoever guesses; 0 where nothing is known of the data
    scores: Mapping[str, ClassScores] = dataclasses.field(default_factory=dict)  # by run id, of those that answered
    class_images: tuple[int, ...] = ()  # test images of each class, by label; empty where no answers are stored
    seed_plan: SeedPlan | None = None  # how its seeds were run, when until decided; None for a fixed number
    until_decided: frozenset[str] = frozenset()  # the architectures, by label, to which that applies
    earlier_looks: tuple[str, ...] = ()
    standing: tuple[Look, ...] = ()
    setup: Setup | None = None
    whole: Self | None = None

    @property
    def code(self) -> str:
        """What tells its table from every other, whatever else the study holds."""
        return self.records[0].table.code if self.budget else self.family.code

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """Every run of the condition."""
        return tuple(record for entry in self.entries for record in entry.records)

    @property
    def beside(self) -> tuple[Entry, ...]:
        """Architectures that are not shown and with which those that are were judged."""
        return tuple(entry for entry in self.whole.entries if entry not in self.entries) if self.whole else ()

    @property
    def times_shown(self) -> int:
        """How often verdicts on its runs have been shown, this time included; each time adds its rate of error."""
        return len(self.earlier_looks) + 1

    @property
    def looks(self) -> tuple[Look, ...]:
        """When its pairs are judged."""
        return (*self.standing, *self.seed_plan.looks) if self.seed_plan else ONE_LOOK

    @property
    def trained(self) -> str:
        """How long its runs that ended ok trained: the budget, or between what lengths they ended before it."""
        epochs = {run.epochs for run in self.records if run.status == "ok" and run.epochs is not None}
        if self.budget is None:
            return self.budgets
        if self.budget.epochs is None or epochs <= {float(self.budget.epochs)}:
            return str(self.budget)
        ends = dict.fromkeys(f"{end:g}" for end in (min(epochs), max(epochs)))
        return f"{' to '.join(ends)} of at most {self.budget}"

    @property
    def budgets(self) -> str:
        """The budget in words; of unequal ones the shortest and the longest."""
        if self.budget is not None:
            return str(self.budget)
        found = {Budget(**run.budget) for run in (self.whole or self).records}
        budgets = sorted(found, key=lambda budget: (budget.kind, budget.epochs or budget.seconds))
        return f"unequal budgets ({budgets[0]} to {budgets[-1]})"

    @property
    def clocks(self) -> list[Setup]:
        """Machines and ways of running of the runs that ended ok; times are compared within each of them alone."""
        return sorted({setup_of(run) for run in self.records if run.status == "ok"})

    @property
    def has_unlike_machines(self) -> bool:
        """Whether its times were taken on machines between which there is no order."""
        return len({machine for machine, *_ in self.clocks}) > 1

    @functools.cached_property
    def metric(self) -> Metric:
        """The accuracy that its verdicts are on."""
        return find_metric(self.margins, self.scores, chance=self.chance, class_images=self.class_images)

    @property
    def uneven(self) -> bool:
        """Whether the classes of its test images differ so much in size that accuracy alone misleads."""
        return are_uneven(self.class_images)

    @functools.cached_property
    def accuracy(self) -> Comparison:
        """Its architectures judged on test accuracy, or on what the study is judged by instead (`metric`)."""
        if self.whole:
            return self.whole.accuracy.restricted([entry.label for entry in self.entries])
        return compare(self._judged_values(self.metric), self.metric, looks=self.looks)

    @functools.cached_property
    def epochs_to_95(self) -> Comparison:
        """Its architectures judged on epochs to 95 % validation accuracy, restricted to the budget.

        No pair is judged under unequal budgets: times that are cut off at different horizons have no common scale.
        """
        if self.whole:
            return self.whole.epochs_to_95.restricted([entry.label for entry in self.entries])
        metric = epochs_metric(self.margins.margin_epochs, horizon=self.budget.epochs if self.budget else None)
        return compare(self._judged_values(metric) if self.budget else {}, metric, looks=self.looks)

    @functools.cached_property
    def collapses(self) -> dict[str, Collapses]:
        """Which seeds of each architecture collapsed, by label, those beside included."""
        if self.whole:
            return self.whole.collapses
        images: float | None = self.dataset.test_images if self.dataset else None
        if self.metric.is_balanced:
            images = effective_images(self.class_images) or None
        found = self._values(self.metric).items()
        limit = self.metric.nothing_limit
        return {label: find_collapses(values, limit=limit, images=images) for label, values in found}

    @staticmethod
    def is_crashed(entry: Entry) -> bool:
        """Whether every run of an architecture failed: it has no pairs, as more seeds would not change that."""
        return all(record.status == "failed" for record in entry.records)

    def _judged_values(self, metric: Metric) -> dict[str, dict[int, float]]:
        crashed = {entry.label for entry in self.entries if self.is_crashed(entry)}
        return {label: values for label, values in self._values(metric).items() if label not in crashed}

    def _values(self, metric: Metric) -> dict[str, dict[int, float]]:
        return {entry.label: metric.values(entry.records) for entry in self.entries}

    def narrowed(self, names: frozenset[str]) -> Self:
        """The condition with some architectures shown; their verdicts stay those of the whole table."""
        shown = tuple(entry for entry in self.entries if entry.records[0].architecture in names)
        return dataclasses.replace(self, entries=shown, whole=self)


def find_conditions(study: Study) -> tuple[Condition, ...]:
    """The conditions among the runs to compare, the one with the run that finished last first."""
    groups: dict[_Key, list[RunRecord]] = {}
    for record in study.records:
        if study.roles.get(record.run_id, "compare") == "compare":
            groups.setdefault(_key(record), []).append(record)
    groups = _join_own_budgets(with_tuned(groups, study))
    newest_first = sorted(groups, key=lambda key: (max(r.finished_at for r in groups[key]), key), reverse=True)
    versions = len({(record.torch_version, record.engine_version) for record in study.records})
    engines = len({record.engine for record in study.records})
    scores = score_runs(study)
    tables = [runs[0].table for runs in groups.values()]
    conditions: list[Condition] = []
    for key in newest_first:
        first = groups[key][0]
        setup = setup_of(first) if _is_timed(first) and tables.count(first.table) > 1 else None
        budget = Budget(**first.budget) if len({Budget(**run.budget) for run in groups[key]}) == 1 else None
        title = one_line(_title(first, budget, setup, versions=versions, engines=engines))
        if title in {condition.title for condition in conditions}:
            title += f", data {first.data_hash[:7]}"
        taken = {condition.slug for condition in conditions}
        slugs = (slugify(title) + (f"-{number}" if number else "") for number in (0, *range(2, len(groups) + 1)))
        entries = tuple(
            Entry(label=label, architecture_hash=runs[0].architecture_hash, records=tuple(runs))
            for label, runs in divide_by_net(sorted(groups[key], key=lambda run: (run.seed, run.run_id)))
        )
        seed_plan = seed_plan_of(groups[key], study)
        conditions.append(
            Condition(
                slug=next(slug for slug in slugs if slug not in taken),
                title=title,
                family=first.table.family,
                dataset=study.datasets.get(first.data_hash),
                chance=study.chance(first.data_hash),
                scores=scores,
                class_images=count_images(study, first.data_hash),
                budget=budget,
                entries=entries,
                margins=study.margins,
                seed_plan=seed_plan,
                standing=standing_looks(seed_plan, {entry.label: entry.records for entry in entries}, study),
                until_decided=frozenset(entry.label for entry in entries if seed_plan_of(entry.records, study)),
                earlier_looks=_earlier_looks(entries, study),
                setup=setup,
            )
        )
    return tuple(conditions)


def shown_verdicts(conditions: Sequence[Condition]) -> tuple[ShownVerdict, ...]:
    """What a report says of every pair that could be tested."""
    return tuple(
        ShownVerdict(condition.code, comparison.metric.name, pair.a, pair.b, pair.verdict.value)
        for condition in conditions
        for comparison in (condition.accuracy, condition.epochs_to_95)
        for pair in comparison.pairs
        if pair.p is not None
    )


_Key: TypeAlias = tuple[TableKey, tuple[Setup, ...]]


def _key(record: RunRecord) -> _Key:
    """What runs of one table share; how far seconds of training lead depends on where and beside what they passed."""
    return record.table, (setup_of(record),) if _is_timed(record) else ()


def _join_own_budgets(groups: Mapping[_Key, list[RunRecord]]) -> dict[_Key, list[RunRecord]]:
    """One table of what published recipes trained under budgets of their own, in place of one a budget.

    Runs do not say who chose their budget. Where an architecture has several, a command gave them, and each keeps its
    table; so do budgets of seconds that passed on unlike machines.
    """
    families: dict[TableKey, list[_Key]] = {}
    for key, runs in groups.items():
        if runs[0].recipe_name.startswith("published"):
            families.setdefault(key[0].family, []).append(key)
    joined = dict(groups)
    for family, keys in families.items():
        names = [name for key in keys for name in {run.architecture for run in groups[key]}]
        runs = [run for key in keys for run in groups[key]]
        one_clock = not any(map(_is_timed, runs)) or len({setup_of(run) for run in runs}) == 1
        if len(keys) > 1 and len(set(names)) == len(names) and one_clock:
            joined = {key: joined[key] for key in joined if key not in keys} | {(family, ()): runs}
    return joined


def _is_timed(record: RunRecord) -> bool:
    return Budget(**record.budget).seconds is not None


def seed_plan_of(records: Sequence[RunRecord], study: Study) -> SeedPlan | None:
    """The plan that runs were made under; the one that goes furthest when there were several, None without."""
    texts = {text for record in records for text in study.seed_plans.get(record.run_id, ()) if ":" in text}
    return max(map(SeedPlan.parse, texts), key=lambda plan: len(plan.seeds), default=None)


def standing_looks(
    seed_plan: SeedPlan | None, runs: Mapping[str, Sequence[RunRecord]], study: Study
) -> tuple[Look, ...]:
    """The looks that a study took by fewer seeds before it went on until decided: what they decided stands.

    Each judges the nets that were there at the time: those that had its seeds before, and those that have no others.
    A fixed number is taken for the first seeds, whichever they were: any look that is fixed beforehand keeps its rate.

    Args:
        seed_plan: The plan until decided; None for a fixed number, which is judged once.
        runs: Of each net, by label.
        study: What the store holds.
    """
    if seed_plan is None:
        return ()
    plans = {net: max((study.seed_plans.get(run.run_id, ()) for run in of), key=len) for net, of in runs.items() if of}
    last = str(seed_plan)
    went_on = [texts[: texts.index(last)] for texts in plans.values() if last in texts]
    looks: list[Look] = []
    for text in dict.fromkeys(itertools.chain.from_iterable(went_on)):
        if FEWEST_SEEDS <= _seeds(text) < len(seed_plan.seeds):
            before = {net: texts[: texts.index(last)] if last in texts else texts for net, texts in plans.items()}
            nets = frozenset(net for net, texts in before.items() if text in texts)
            looks += [dataclasses.replace(look, nets=nets) for look in SeedPlan.parse(text).looks]
    return tuple(looks)


def _earlier_looks(entries: Sequence[Entry], study: Study) -> tuple[str, ...]:
    """Plans that allow a verdict and ask for fewer seeds than there are now, or than the plan that goes furthest."""
    records = [run for entry in entries for run in entry.records]
    texts = {text for run in records for text in study.seed_plans.get(run.run_id, ())}
    now, furthest = max(len(entry.records) for entry in entries), seed_plan_of(records, study)
    labels = frozenset(entry.label for entry in entries)
    standing = standing_looks(furthest, {entry.label: entry.records for entry in entries}, study)

    def is_earlier(text: str) -> bool:
        if ":" in text and furthest:
            return _seeds(text) < len(furthest.seeds)
        # Nets that a look did not judge have looks of their own, be they by as many seeds.
        joined = any(look.nets != labels and len(look.seeds or ()) == _seeds(text) for look in standing)
        return FEWEST_SEEDS <= _seeds(text) < now + joined

    here = {text for text in texts if _seeds(text) >= now}  # the same numbers again are no new look
    looks = {*filter(is_earlier, texts), *_shown_elsewhere(entries, study) - here}
    return tuple(sorted(looks, key=lambda text: (_seeds(text), text)))


def _seeds(seed_plan: str) -> int:
    return len(SeedPlan.parse(seed_plan).seeds)


def _shown_elsewhere(entries: Sequence[Entry], study: Study) -> set[str]:
    """Plans that allow a verdict, of other studies that show two of these nets or more."""
    elsewhere = study.shown_elsewhere
    shown = [{way for run in entry.records for way in elsewhere.get(run.run_id, ())} for entry in entries]
    nets = collections.Counter(name for ways in shown for name in {name for name, _ in ways})
    texts = {text for name, text in set().union(*shown) if nets[name] > 1}
    return {text for text in texts if _seeds(text) >= FEWEST_SEEDS}


def _title(record: RunRecord, budget: Budget | None, setup: Setup | None, *, versions: int, engines: int) -> str:
    base, _, changes = without_own(record.recipe_name).partition(" ")
    recipe = f"{base} recipe with {changes}" if changes else f"{base} recipe"
    where = describe_setup(setup, with_machine=True) if setup else record.device
    title = f"{record.dataset}, {recipe}, {budget or 'own budgets'}, {where}"
    if versions > 1:
        title += f", torch {record.torch_version}, engine {record.engine_version}"
    if engines > 1:
        title += f", {record.engine} engine"
    return title
