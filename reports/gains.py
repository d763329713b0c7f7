"""What tuning gained: each architecture's winning recipe against its default one, on the same fresh seeds."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Self

from bench.looks import ONE_LOOK
from bench.text import one_line
from reports.conditions import seed_plan_of
from reports.tuned import default_runs, place_of, winner_of, winner_runs, won_by_default
from reports.versions import Versions, judge_versions
from reports.wording import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.records import RunRecord, Study
    from bench.tuning.records import Tuning
    from reports.tuned import Place


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gain(Versions):
    """One architecture with its default recipe, the earlier version, and tuned, the later one.

    Its label has the start of its hash when two sources of one name were tuned. The tuned runs are the default ones
    when the default won, and those of a whole front with several objectives; there is no verdict then.

    Attributes:
        tuning: How it was tuned.
    """

    tuning: Tuning

    @property
    def means(self) -> tuple[float | None, float | None]:
        """Mean test accuracy of default and tuned; a front is not one recipe and has none."""
        default, tuned = super().means
        return default, None if len(self.tuning.objectives) > 1 else tuned


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contest:
    """Architectures that were tuned on the same data for the same epochs, whose gains are judged together.

    Attributes:
        title: Data and budget.
        gains: By name.
        elsewhere: Whether retrained runs of other devices or versions are left out.
    """

    title: str
    gains: tuple[Gain, ...]
    elsewhere: bool

    def narrowed(self, names: frozenset[str]) -> Self:
        """The gains of some architectures, judged as they are with the others."""
        return dataclasses.replace(self, gains=tuple(g for g in self.gains if g.tuning.architecture in names))


def find_contests(study: Study) -> tuple[Contest, ...]:
    """The tunings of a study that has any, with their gains judged: Holm over the architectures of each contest."""
    groups: dict[tuple[str, int, str], list[Tuning]] = {}
    for tuning in sorted(study.tunings, key=lambda t: (t.architecture, t.architecture_hash, t.name)):
        groups.setdefault((tuning.dataset, tuning.epochs, tuning.data_hash), []).append(tuning)
    titles = [_title(group[0]) for group in groups.values()]
    return tuple(
        _contest(group, study, title=_title(group[0]) + _which_data(group[0], titles))
        for _, group in sorted(groups.items())
    )


def _title(tuning: Tuning) -> str:
    return one_line(f"{tuning.dataset}, {plural(tuning.epochs, 'epoch')}")


def _which_data(tuning: Tuning, titles: Sequence[str]) -> str:
    return f", data {tuning.data_hash[:7]}" if titles.count(_title(tuning)) > 1 else ""


def _contest(tunings: Sequence[Tuning], study: Study, *, title: str) -> Contest:
    found = {tuning.name: (default_runs(tuning, study), winner_runs(tuning, study)) for tuning in tunings}
    place = _newest_place(found)
    gains = []
    for tuning, label in zip(tunings, _labels(tunings), strict=True):
        default, tuned = (tuple(run for run in runs if place_of(run) == place) for runs in found[tuning.name])
        gains.append(Gain(label=label, tuning=tuning, earlier=default, later=tuned))
    places = {place_of(run) for _, runs in found.values() for run in runs}
    return Contest(title=title, gains=_judge(gains, study), elsewhere=len(places) > 1)


def _labels(tunings: Sequence[Tuning]) -> list[str]:
    """A name for each, unlike the others: with the start of its source's hash, or else of the tuning, where needed."""
    names = [one_line(tuning.architecture) for tuning in tunings]
    sources = [(tuning.architecture, tuning.architecture_hash) for tuning in tunings]
    labels = []
    for tuning, name, source in zip(tunings, names, sources, strict=True):
        detail = tuning.name if sources.count(source) > 1 else tuning.architecture_hash[:7]
        labels.append(name if names.count(name) == 1 else one_line(f"{name} ({detail})"))
    return labels


def _newest_place(found: Mapping[str, tuple[Sequence[RunRecord], Sequence[RunRecord]]]) -> Place | None:
    """Where the winner was retrained last, or else the default: what is paired must have computed alike."""
    for runs in ([run for _, tuned in found.values() for run in tuned], [r for d, _ in found.values() for r in d]):
        if runs:
            return place_of(max(runs, key=lambda run: (run.finished_at, run.run_id)))
    return None


def _judge(gains: Sequence[Gain], study: Study) -> tuple[Gain, ...]:
    """Each with its verdict, Holm over those that have a winner other than the default."""
    with_winner = [gain for gain in gains if winner_of(gain.tuning) and not won_by_default(gain.tuning)]
    plan = seed_plan_of([run for gain in with_winner for run in (*gain.later, *gain.earlier)], study)
    looks = plan.looks if plan else ONE_LOOK
    chance = study.chance(gains[0].tuning.data_hash) if gains else 0.0
    found = judge_versions(with_winner, chance=chance, margin=study.settings.margin, looks=looks)
    judged = {gain.label: gain for gain in found}
    return tuple(judged.get(gain.label, gain) for gain in gains)
