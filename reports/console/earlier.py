"""What a study holds from earlier commands that a new one changes, or that changes it, said before it trains."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from bench.analysis.conditions import find_conditions, seed_plan_of
from bench.core.metadata import is_other_net
from bench.system.text import first_ones, listing, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.analysis.conditions import Condition
    from bench.core.records import Margins, RunRecord, Study
    from bench.core.run import RunRequest
    from bench.studies.experiment import Experiment
    from bench.studies.sequential import Comparison


def describe_earlier(experiment: Experiment, comparison: Comparison) -> Iterator[str]:
    """What is judged with the command's nets, and which verdicts it judges again and why, a sentence each."""
    if experiment.name not in experiment.store.studies.names():
        return
    study = experiment.store.studies.load(experiment.name, with_details=False)
    yield from _beside(study, experiment, comparison)
    for condition in find_conditions(study):
        here = {comparison.table(record) for record in condition.records}
        requests = [request for request in comparison.requests if comparison.table(request) in here]
        shown = sum(pair.p is not None for pair in condition.accuracy.pairs)
        if shown and (reasons := list(_reasons(condition, requests, experiment, comparison))):
            verdicts = f"{plural(shown, 'verdict')} on {condition.title}"
            yield f"Judged again: {verdicts}. {' '.join(reasons)} Another --study leaves them as they are."


def _beside(study: Study, experiment: Experiment, comparison: Comparison) -> Iterator[str]:
    """Nets of the study that are not named here, and a plan of seeds that those named here do not follow."""
    asked, tables = experiment.options.seed_plan, {comparison.table(request) for request in comparison.requests}
    beside = [
        record
        for record in study.records
        if study.roles[record.run_id] == "compare" and comparison.table(record) in tables
    ]
    if others := {record.architecture for record in beside} - {net.name for net in experiment.architectures}:
        names = listing(first_ones(sorted(others)))
        yield f"{study.name} holds {names} too, judged with those named here; another --study would judge these alone."
    furthest = seed_plan_of(beside, study)
    if furthest and len(asked.looks) == 1 and not set(asked.seeds) <= set(furthest.seeds):
        yield (
            f"{study.name} is judged until decided (--seeds {furthest}): other seeds stand in no verdict; "
            f"--seeds {furthest.first}:{max(asked.seeds) + 1} takes them in."
        )


def _reasons(
    condition: Condition, requests: Sequence[RunRequest], experiment: Experiment, comparison: Comparison
) -> Iterator[str]:
    known = {entry.records[0].architecture: entry.records for entry in condition.entries}
    asked = dict.fromkeys(request.architecture.name for request in requests)
    if new := [name for name in asked if name not in known]:
        judged = len(condition.accuracy.means)  # without those that fail on every seed
        before, after = (math.comb(count, 2) for count in (judged, judged + len(new)))
        verb = "joins" if len(new) == 1 else "join"
        yield (
            f"{listing(first_ones(new))} {verb}: {plural(before, 'pair')} become{'s' * (before == 1)} {after}, which "
            "share one error rate, so that every interval widens and a lead that was decided may be undecided."
        )
    edited = sorted({request.architecture.name for request in requests if _is_edited(request, known, experiment)})
    if edited:
        yield f"{listing(first_ones(edited))} changed and {'is' if len(edited) == 1 else 'are'} trained anew."
    yield from _other_judging(condition.margins, experiment.options.judged_by(condition.margins))
    if experiment.options.fresh and len(asked) > len(new):
        yield "--fresh trains its runs again."
    yield from _other_seeds(condition, [r for r in requests if r.architecture.name not in edited], known, comparison)


def _other_judging(was: Margins, then: Margins) -> Iterator[str]:
    if then.metric != was.metric:
        yield f"They are on {was.metric.replace('_', ' ')} so far and on {then.metric.replace('_', ' ')} then."
    if dataclasses.replace(then, metric=was.metric) != was:
        yield "The margins are others."


def _is_edited(request: RunRequest, known: Mapping[str, Sequence[RunRecord]], experiment: Experiment) -> bool:
    """Whether the net of a request is not the one of this name whose runs are stored."""
    name = request.architecture.name
    if name not in known:
        return False
    same = [record for record in known[name] if record.architecture_hash == request.architecture_hash]
    return not same or is_other_net(same[-1], experiment.metadata[name])


def _other_seeds(
    condition: Condition,
    requests: Sequence[RunRequest],
    known: Mapping[str, Sequence[RunRecord]],
    comparison: Comparison,
) -> Iterator[str]:
    """What seeds that are added after a verdict was shown do to its rate."""
    names = {request.architecture.name for request in requests} & known.keys()
    stored = {(name, record.seed) for name in names for record in known[name]}
    added = {r.seed for r in requests if r.architecture.name in names and (r.architecture.name, r.seed) not in stored}
    plan, until_decided = condition.seed_plan, len(comparison.seed_plan.looks) > 1
    if not added or (plan and (str(plan) == str(comparison.seed_plan) or not until_decided)):
        return
    looks = condition.times_shown + 1
    rate = f"at most {looks} in twenty tables like this one then call anything better by luck"
    if until_decided:
        yield f"--seeds {comparison.seed_plan} adds seeds where it is undecided; what is decided stands, and {rate}."
    else:
        yield (
            f"{plural(len(added), 'more seed')} after verdicts were shown: that is another look, and {rate}. "
            "--seeds 6:30 in its place goes on until decided at that rate."
        )
