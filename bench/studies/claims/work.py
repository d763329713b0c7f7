"""Claims as they are run: their nets and requests, all seeds of the first look, more for what stays undecided."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import ArchitectureError, BenchError, UsageError
from bench.core.events import Note
from bench.core.recipe import Budget
from bench.core.work.claims.claim import AskedClaim
from bench.data.catalogue import AUTO
from bench.execution import scheduler
from bench.studies.choosing import Fitted, try_each
from bench.studies.claims.exact import catch, measure
from bench.studies.claims.judge import judge_claims
from bench.system.text import first_ones, listing, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.metadata import ArchitectureMetadata
    from bench.core.run import RunRequest
    from bench.core.seeds import SeedPlan
    from bench.core.work.claims.claim import Arm, Claim
    from bench.data.datasets import Sample
    from bench.models.doctor.trial import Trial
    from bench.models.registry import Registry
    from bench.studies.claims.declared import Declared
    from bench.studies.experiment import Experiment
    from bench.studies.machine import Hardware

AFFORDABLE_SECONDS = 1_200.0
"""What further seeds of one undecided claim may take by the clock, unless the user names seeds until decided."""
STUDY = "claims"
"""Name of the study of claims, unless the user names another."""


@dataclasses.dataclass(kw_only=True)
class Prepared:
    """Claims whose nets are known.

    Attributes:
        claims: Each with the names that its nets have here.
        nets: The nets by name.
        troubles: Why claims cannot be run, by id, a line each.
        lost: What is said of claims whose dataset cannot be had.
    """

    claims: list[Claim] = dataclasses.field(default_factory=list)
    nets: dict[str, Architecture] = dataclasses.field(default_factory=dict)
    troubles: dict[str, str] = dataclasses.field(default_factory=dict)
    lost: list[str] = dataclasses.field(default_factory=list)

    def datasets(self, asked: str) -> list[str]:
        """What its claims are about, each once; a dataset that the user names stands for all of them."""
        if asked != AUTO:
            return [asked]
        return list(dict.fromkeys(claim.dataset for claim in self.claims))

    def fit(
        self,
        dataset: str,
        find: Callable[[], Sample],
        *,
        trial: Trial,
        hardware: Hardware,
        watch: Callable[[int], None],
    ) -> FittedClaims | None:
        """The claims about a dataset, or all of them where the user names it, with nets that are fitted to it.

        A net that cannot be trained costs the claims that need it, a dataset that cannot be had those about it; None
        where none is left. `watch` is told how many nets have been tried.
        """
        one = len({claim.dataset for claim in self.claims}) == 1
        claims = [claim for claim in self.claims if one or claim.dataset == dataset] or self.claims
        own = Prepared(claims=claims, troubles={c.id: self.troubles[c.id] for c in claims if c.id in self.troubles})
        try:
            sample = find()
        except BenchError as fault:
            if len(claims) == len(self.claims):
                raise
            self.lost += [f"{claim.id}: {one_line(str(fault))}" for claim in claims]
            return None
        metadata: dict[str, ArchitectureMetadata] = {}
        names = dict.fromkeys(arm.net for claim in claims for case in claim.cases for arm in case.arms)
        nets = [self.nets[name].fitted_to(sample.metadata) for name in names if name in self.nets]
        for net, tried in zip(nets, try_each(nets, sample, trial=trial, hardware=hardware, watch=watch), strict=True):
            if not isinstance(tried.outcome, ArchitectureError):
                metadata[net.name], own.nets[net.name] = tried.outcome, net
                continue
            for claim in claims:
                if any(arm.net == net.name for case in claim.cases for arm in case.arms):
                    own.troubles.setdefault(claim.id, one_line(str(tried.outcome)))
        fitted = Fitted(nets=list(own.nets.values()), metadata=metadata, diagnoses=())
        return FittedClaims(prepared=own, sample=sample, fitted=fitted)


@dataclasses.dataclass(kw_only=True)
class FittedClaims:
    """Claims on one dataset, and their nets, which are fitted to it."""

    prepared: Prepared
    sample: Sample
    fitted: Fitted


def prepare_claims(declared: Declared, registry: Registry) -> Prepared:
    """Find the nets of every claim, by name among those registered and those of the claims' own files."""
    own = {net.name: net for net in (*registry.architectures, *declared.nets)}
    registry = dataclasses.replace(registry, architectures=tuple(own.values()))
    prepared = Prepared()
    for claim in declared.claims:
        try:
            found = {arm.net: _select(arm, registry) for case in claim.cases for arm in case.arms}
        except BenchError as fault:
            prepared.troubles[claim.id] = one_line(str(fault))
            prepared.claims.append(claim)
            continue
        prepared.nets |= {net.name: net for net in found.values()}
        prepared.claims.append(_renamed(claim, {pattern: net.name for pattern, net in found.items()}))
    return prepared


def _select(arm: Arm, registry: Registry) -> Architecture:
    found = registry.select([arm.net])
    if len(found) != 1:
        raise UsageError(f"'{arm.net}' means {len(found)} nets; a claim is about one.")
    return found[0]


def _renamed(claim: Claim, names: Mapping[str, str]) -> Claim:
    """A claim whose arms have the names that their nets have."""

    def rename(arm: Arm) -> Arm:
        return dataclasses.replace(arm, net=names[arm.net])

    cases = tuple(
        dataclasses.replace(case, arm=rename(case.arm), against=case.against and rename(case.against))
        for case in claim.cases
    )
    return dataclasses.replace(claim, cases=cases)


def _spell(plan: SeedPlan) -> str:
    """A plan of seeds as `SeedPlan.parse` reads it, whichever seeds they are."""
    if plan.seeds == tuple(range(len(plan.seeds))):
        return str(plan)
    return ",".join(map(str, plan.seeds)) + ","


class ClaimsWork:
    """The claims of one study as they are run."""

    def __init__(self, experiment: Experiment, prepared: Prepared, *, bounded: bool) -> None:
        """Make it; when bounded, only claims whose further seeds take little time get some."""
        self.experiment, self.prepared = experiment, prepared
        self._bounded = bounded
        self._plan = _spell(experiment.options.seed_plan)
        self._looks = experiment.options.seed_plan.two_looks
        self._requests: dict[tuple[str, str, Arm], dict[int, RunRequest]] = {}
        for claim in prepared.claims:
            if claim.id not in prepared.troubles:
                self._make_requests(claim)

    def _make_requests(self, claim: Claim) -> None:
        try:
            for arm in claim.arms:
                net, training = self.prepared.nets[arm.net], [(arm.recipe, Budget(epochs=arm.epochs))]
                made = self.experiment.requests([net], {net.name: training}, protocol=claim.protocol)
                self._requests[claim.id, claim.protocol, arm] = {request.seed: request for request in made}
        except BenchError as fault:  # a batch that the data does not fill, say
            self.prepared.troubles[claim.id] = one_line(str(fault))

    @property
    def claims(self) -> list[Claim]:
        """Those that can be run."""
        return [claim for claim in self.prepared.claims if claim.id not in self.prepared.troubles]

    def requests_of(self, claims: Iterable[Claim], look: int = 0) -> list[RunRequest]:
        """What claims need at a look, from 0, each once: claims share runs."""
        seeds = self._looks[look].seeds or ()
        found = {
            request.id: request
            for claim in claims
            for arm in claim.arms
            for seed, request in self._requests[claim.id, claim.protocol, arm].items()
            if seed in seeds
        }
        return list(found.values())

    def seconds_of(self, requests: Sequence[RunRequest]) -> float:
        """About how long these take by the clock on all jobs; of runs that a rule ends, their usual length counts."""
        usual = {
            request.id: arm.usual_epochs / arm.epochs
            for (_, _, arm), of_arm in self._requests.items()
            if arm.usual_epochs is not None
            for request in of_arm.values()
        }
        estimates = zip(requests, self.experiment.estimate(requests), strict=True)
        summed = math.fsum(seconds * min(1.0, usual.get(request.id, 1.0)) for request, seconds in estimates)
        return summed / self.experiment.workplace.jobs

    def missing_of(self, requests: Sequence[RunRequest]) -> list[RunRequest]:
        """Those of them that are not stored."""
        return [task.request for task in self.experiment.plan(requests).tasks]

    def asked(self) -> list[AskedClaim]:
        """Every claim as the study keeps it, with what is exact about it."""
        return [self._ask(claim) for claim in self.prepared.claims]

    def _ask(self, claim: Claim) -> AskedClaim:
        trouble = self.prepared.troubles.get(claim.id, "")
        data = self.experiment.dataset
        asked = AskedClaim(
            claim=claim, dataset=data.name, data_hash=data.data_hash, seed_plan=self._plan, trouble=trouble
        )
        if trouble:
            return asked
        try:
            if claim.rule == "defect":
                return dataclasses.replace(asked, caught=catch(Path(claim.file), claim.defect))
            if claim.rule == "count":
                exact = {
                    case.label: measure(self.prepared.nets[case.arm.net], claim.quantity_of(case).name)
                    for case in claim.cases
                }
                return dataclasses.replace(asked, exact=exact)
        except ArchitectureError as fault:
            self.prepared.troubles[claim.id] = one_line(str(fault))
            return dataclasses.replace(asked, trouble=one_line(str(fault)))
        return asked

    def events(self) -> Generator[Event, None, None]:
        """Train what is missing, look by look."""
        experiment = self.experiment
        yield from experiment.keep_metadata()
        asked, open_claims = self.asked(), self.claims
        for look in range(len(self._looks)):
            requests = self.requests_of(open_claims, look)
            names = {request.id: request.recipe.spelt for request in requests}
            plan = experiment.begin(requests, role="claim", names=names)
            experiment.store.studies.add_claims(experiment.name, asked)
            yield from scheduler.run(plan, experiment.workplace)
            if look + 1 == len(self._looks):
                return
            open_claims, text = self._choose_open(look)
            yield Note(text=text)
            if not open_claims:
                return

    def _choose_open(self, look: int) -> tuple[list[Claim], str]:
        """The claims that go on to the next look, and what a person should know of those that do not."""
        judged = judge_claims(self.experiment.store.studies.load(self.experiment.name))
        names = {claim.id for claim in self.claims}
        undecided = {of.claim.id for of in judged if of.verdict == "undecided" and of.claim.id in names}
        trained = [claim for claim in self.claims if claim.arms]
        open_claims = [claim for claim in trained if claim.id in undecided]
        costly = []
        if self._bounded:
            more = {claim.id: self.missing_of(self.requests_of([claim], look + 1)) for claim in open_claims}
            costly = [name for name, requests in more.items() if self.seconds_of(requests) > AFFORDABLE_SECONDS]
            open_claims = [claim for claim in open_claims if claim.id not in costly]
        here, there = (len(self._looks[at].seeds or ()) for at in (look, look + 1))
        text = f"After {here} seeds {len(undecided)} of {plural(len(trained), 'claim')} are undecided"
        if open_claims:
            text += f"; {listing(first_ones([claim.id for claim in open_claims]))} go on to {there} seeds"
        if costly:
            text += f"; {listing(first_ones(costly))} would take long and stay: --seeds {here}:{there} decides them too"
        return open_claims, f"{text}."
