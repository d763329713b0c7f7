"""Which runs a study compares, how its last check by the gate ended, and which claims it judges.

A study is linked to the requests it asked for, before their runs exist. Links of one arm (the same architecture name,
recipe, budget, dataset, protocol and role) whose cohort is not the one planned last were made by an edited net, another
torch, other data or another device: they are superseded, that is kept but not compared. Planning the older cohort again
makes all of its links current again.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bench.core.errors import UnknownNameError
from bench.core.metadata import Diagnosis, is_other_hash
from bench.core.records import (
    GATE_ROLES,
    METRICS,
    ROLES,
    RULE,
    SETTLED,
    Margins,
    RunRecord,
    ShownVerdict,
    Study,
    is_own_recipe,
)
from bench.core.work.claims.claim import AskedClaim
from bench.core.work.gate import GateOutcome
from bench.store.artifacts import read_architectures, read_datasets, read_pictures, read_portraits, read_timings
from bench.store.codec import from_json, to_json, unpack_curve, unpack_ordered, unreadable
from bench.store.runs import is_counted, read_records
from bench.store.schema import (
    claims,
    curves,
    diagnoses,
    gates,
    insert_missing,
    links,
    predictions,
    put,
    runs,
    select_in,
    studies,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bench.core.run import RunRequest
    from bench.store.database import Database


_OWN_STUDIES = (*GATE_ROLES, "claim")
"""Roles of runs that have studies of their own, with which no comparison goes on."""


class Studies:
    """The studies of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(
        self,
        name: str,
        *,
        command: str,
        requests: Iterable[RunRequest],
        role: str,
        margins: Mapping[str, float | str] | None = None,
        seed_plan: str = "",
        recipe_names: Mapping[str, str] | None = None,
    ) -> None:
        """Make or renew a study: link it to requests, whose runs may not exist yet, and supersede what they replace.

        Args:
            name: Name of the study.
            command: The command line that repeats it.
            requests: What it asks for.
            role: One of `bench.core.records.ROLES`.
            margins: Fields of `Margins` by which its results are judged; the others keep what is stored, at first the
                defaults.
            seed_plan: How its seeds are run: "6", or "6:30" until decided. It joins those that were asked for before,
                since looking again and again does not become one look by forgetting it; empty adds none.
            recipe_names: What people call the recipe of a request in this study, by its id; an architecture's own
                ("tuned") takes the place of the one of that name before it. Without one it is the run's.
        """
        if role not in ROLES:
            raise UnknownNameError("role", role, ROLES)
        asked = list(requests)

        def plan(connection: sa.Connection) -> None:
            study_id = _write_study(connection, name, command, margins)
            rows = _link_rows(study_id, asked, role, recipe_names or {})
            put(connection, links, rows)
            cohorts: dict[str, set[str]] = {}
            for row in rows:
                cohorts.setdefault(row["arm"], set()).add(row["cohort"])
            for arm in sorted(cohorts):
                of_arm = (links.c.study_id == study_id) & (links.c.arm == arm)
                renewed: dict[str, Any] = {"current": links.c.cohort.in_(cohorts[arm])}
                if seed_plan:
                    renewed["seed_plan"] = _joined_seed_plans(connection, of_arm, seed_plan)
                connection.execute(sa.update(links).where(of_arm).values(renewed))

        self._database.write(plan)

    def names(self) -> list[str]:
        """Names of all studies, the one planned last first."""
        return self._database.read(read_study_names)

    def last(self, *, compares: bool = False) -> str | None:
        """The study planned last, be it of those with more than runs of the gate; None when there is none."""
        names = self._database.read(lambda connection: read_study_names(connection, compares=compares))
        return next(iter(names), None)

    def load(self, name: str, *, with_details: bool = True, with_answers: bool = False) -> Study:
        """A study: the attempt that counts for each current request, by time of finishing, then architecture and seed.

        Without details, which is quicker, curves, pictures and portraits are empty, and so are predictions unless they
        are asked for or the study's verdicts are on what follows from them.

        Raises:
            UnknownNameError: There is no study of that name.
        """

        def load(connection: sa.Connection) -> Study:
            study = _read_study(connection, name)
            if with_details:
                return _with_details(connection, study)
            return _with_answers(connection, study) if with_answers or study.margins.metric != METRICS[0] else study

        return self._database.read(load)

    def load_previous(self, name: str) -> Study:
        """A study with each net that was edited as it was before its last edit, and no other; without details.

        Raises:
            UnknownNameError: There is no study of that name.
        """
        return self._database.read(lambda connection: _read_previous(connection, _read_study(connection, name)))

    def keep_shown(self, name: str, shown: Sequence[ShownVerdict]) -> None:
        """Store the verdicts that a study showed, before something changes what is judged."""

        def keep(connection: sa.Connection) -> None:
            stored = connection.execute(sa.select(studies.c.settings).where(studies.c.name == name)).scalar_one()
            settings = stored | {"shown": [dataclasses.astuple(verdict) for verdict in shown]}
            connection.execute(sa.update(studies).where(studies.c.name == name).values(settings=settings))

        self._database.write(keep)

    def forget(self, name: str, nets: Collection[str]) -> None:
        """Take architectures out of what a study compares; it remembers their seeds for when they come back."""
        of_study = (links.c.study_id == _id_of(name).scalar_subquery()) & (links.c.role == "compare")
        has_run = sa.exists().where(runs.c.request_id == links.c.request_id, runs.c.architecture.in_(nets))
        arms = sa.select(links.c.arm).where(of_study, has_run).distinct()

        def forget(connection: sa.Connection) -> None:
            gone = of_study & links.c.arm.in_(list(connection.scalars(arms)))
            connection.execute(sa.update(links).where(gone).values(current=False))
            examined = diagnoses.c.study_id == _id_of(name).scalar_subquery()
            connection.execute(sa.delete(diagnoses).where(examined, diagnoses.c.architecture.in_(nets)))

        self._database.write(forget)

    def add_diagnoses(self, name: str, found: Sequence[Diagnosis], *, command: str) -> None:
        """Store what the doctor found in nets of a study, which is made where there is none, in place of what it had.

        What is known already writes nothing. The command is the one that repeats the study.
        """

        def add(connection: sa.Connection) -> None:
            stored = connection.execute(_id_of(name)).scalar_one_or_none()
            known = () if stored is None else _read_diagnoses(connection, stored)
            rows = [
                {"architecture": each.architecture, "data_hash": each.data_hash, "diagnosis": to_json(each)}
                for each in found
                if each not in known
            ]
            if rows:
                study_id = _write_study(connection, name, command, None)
                put(connection, diagnoses, [{"study_id": study_id} | row for row in rows])

        self._database.write(add)

    def add_gate(self, name: str, outcome: GateOutcome) -> None:
        """Store how a check of a study ended, in place of the one before."""

        def add(connection: sa.Connection) -> None:
            study_id = connection.execute(_id_of(name)).scalar_one()
            put(connection, gates, [{"study_id": study_id, "outcome": to_json(outcome)}])

        self._database.write(add)

    def add_claims(self, name: str, asked: Sequence[AskedClaim]) -> None:
        """Store claims of a study, in place of those of the same ids; new ones come behind those it has."""

        def add(connection: sa.Connection) -> None:
            study_id = connection.execute(_id_of(name)).scalar_one()
            of_study = sa.select(claims.c.claim_id, claims.c.place).where(claims.c.study_id == study_id)
            known = {row.claim_id: row.place for row in connection.execute(of_study)}
            places = itertools.count(max(known.values(), default=-1) + 1)
            rows = [
                {
                    "study_id": study_id,
                    "claim_id": each.claim.id,
                    "place": known.get(each.claim.id, -1),
                    "asked": to_json(each),
                }
                for each in asked
            ]
            put(connection, claims, [row | {"place": next(places)} if row["place"] < 0 else row for row in rows])

        self._database.write(add)

    def forget_gate(self, name: str) -> None:
        """Forget how a study's last check ended, if there was one."""
        gone = sa.delete(gates).where(gates.c.study_id.in_(_id_of(name)))
        self._database.write(lambda connection: connection.execute(gone))


def _id_of(name: str) -> sa.Select[Any]:
    return sa.select(studies.c.study_id).where(studies.c.name == name)


def read_study_names(connection: sa.Connection, *, compares: bool = False) -> list[str]:
    """Names of all studies, the one planned last first; of those that compare something, where that is asked."""
    names = sa.select(studies.c.name).order_by(studies.c.last_used.desc(), studies.c.study_id.desc())
    if compares:
        of_study = links.c.study_id == studies.c.study_id
        gates_only = sa.exists().where(of_study) & ~sa.exists().where(of_study, links.c.role.not_in(_OWN_STUDIES))
        names = names.where(~gates_only)
    return list(connection.scalars(names))


def _write_study(connection: sa.Connection, name: str, command: str, margins: Mapping[str, float | str] | None) -> int:
    """The study's id, its command renewed, those of its margins that are given, and itself the last used."""
    made = {"name": name, "command": "", "last_used": 0, "settings": {"rule": RULE}}
    insert_missing(connection, studies, [made])
    renewed: dict[str, Any] = {"command": command}
    renewed["last_used"] = sa.select(sa.func.max(studies.c.last_used)).scalar_subquery() + 1
    if margins:
        stored = connection.execute(sa.select(studies.c.settings).where(studies.c.name == name)).scalar_one()
        renewed["settings"] = stored | dict(margins)
    connection.execute(sa.update(studies).where(studies.c.name == name).values(renewed))
    study_id: int = connection.execute(_id_of(name)).scalar_one()
    return study_id


def _link_rows(
    study_id: int, requests: Iterable[RunRequest], role: str, recipe_names: Mapping[str, str]
) -> list[dict[str, Any]]:
    arms: dict[tuple[Any, ...], str] = {}
    rows = {}
    for request in requests:
        name = recipe_names.get(request.id, "")
        recipe = name if is_own_recipe(name) else request.recipe
        net = request.architecture
        # A winner with other knobs replaces the winner before it.
        varied = net.variant_of if net.values and is_own_recipe(name) else None
        key = (varied or net.name, recipe, request.budget, request.dataset, request.protocol, role)
        rows[request.id] = {
            "study_id": study_id,
            "request_id": request.id,
            "role": role,
            "arm": arms.get(key) or arms.setdefault(key, _arm(key)),
            "cohort": request.cohort,
            "current": True,
            "recipe_name": name,
        }
    return list(rows.values())


def _arm(key: tuple[Any, ...]) -> str:
    """Content hash of what makes runs comparable, whatever made them: 16 hexadecimal digits."""
    name, recipe, budget, *others = key
    named = recipe if isinstance(recipe, str) else recipe.to_json()
    parts = [name, named, dataclasses.asdict(budget), *others]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _joined_seed_plans(connection: sa.Connection, of_arm: sa.ColumnElement[bool], seed_plan: str) -> str:
    """A plan of seeds behind those that an arm had before, all of whose links then have the same ones."""
    texts = connection.scalars(sa.select(links.c.seed_plan).where(of_arm, links.c.seed_plan != "").distinct())
    plans: list[str] = max((text.split() for text in texts), key=len, default=[])
    return " ".join(plans if seed_plan in plans else [*plans, seed_plan])


def _read_study(connection: sa.Connection, name: str) -> Study:
    """A study without its details."""
    stored = connection.execute(sa.select(studies).where(studies.c.name == name)).one_or_none()
    if stored is None:
        raise UnknownNameError("study", name, read_study_names(connection))
    of_study = links.c.study_id == stored.study_id
    records, roles = _read_runs(connection, of_study)
    linked = sa.select(links.c.request_id).where(of_study)
    kept = connection.scalar(sa.select(sa.func.count()).select_from(runs).where(runs.c.request_id.in_(linked))) or 0
    planned = sa.select(links.c.request_id, links.c.seed_plan).where(
        of_study, links.c.current, links.c.role == "compare"
    )
    seed_plans = {row.request_id: row.seed_plan for row in connection.execute(planned)}
    ended = {record.request_id: record.run_id for record in records if record.status != "interrupted"}
    hashes = {record.architecture_hash for record in records}
    architectures = read_architectures(connection, hashes)
    with unreadable("how a study is judged"):
        stored_margins = dict(stored.settings)
        first_rule = int(stored_margins.pop("rule", 1))
        shown = tuple(ShownVerdict(*row) for row in stored_margins.pop("shown", []))
        judged = Margins(**stored_margins)
    forgotten = _read_forgotten(connection, of_study)
    outcome = connection.scalar(sa.select(gates.c.outcome).where(gates.c.study_id == stored.study_id))
    return Study(
        name=stored.name,
        command=stored.command,
        records=tuple(records),
        roles=roles,
        curves={},
        architectures=architectures,
        datasets=read_datasets(connection, {record.data_hash for record in records}),
        timings=tuple(
            timing
            for timing in read_timings(connection, hashes)
            if (metadata := architectures.get(timing.architecture_hash)) is None
            or not is_other_hash(timing.initial_hash, metadata.initial_hash)
        ),
        margins=judged,
        first_rule=first_rule,
        seed_plans={
            ended[request_id]: tuple(text.split())
            for request_id, text in seed_plans.items()
            if text and request_id in ended
        },
        shown_elsewhere=_read_plans_elsewhere(connection, stored.study_id, ended),
        gate=None if outcome is None else from_json(GateOutcome, outcome, "how a check ended"),
        claims=_read_claims(connection, stored.study_id),
        missing=len(seed_plans.keys() - ended.keys()),
        superseded=kept - len(records) - forgotten.total(),
        shown=shown,
        forgotten=tuple(sorted(forgotten.keys() - {record.architecture for record in records})),
        diagnoses=_read_diagnoses(connection, stored.study_id),
    )


def _read_diagnoses(connection: sa.Connection, study_id: int) -> tuple[Diagnosis, ...]:
    """What the doctor found in the nets of a study, by name and dataset."""
    stored = connection.scalars(sa.select(diagnoses.c.diagnosis).where(diagnoses.c.study_id == study_id))
    found = [from_json(Diagnosis, row, "what the doctor found") for row in stored]
    return tuple(sorted(found, key=lambda each: (each.architecture, each.dataset)))


def _read_claims(connection: sa.Connection, study_id: int) -> tuple[AskedClaim, ...]:
    """The claims of a study, in order."""
    of_study = sa.select(claims.c.asked).where(claims.c.study_id == study_id).order_by(claims.c.place)
    return tuple(from_json(AskedClaim, stored, "a claim") for stored in connection.scalars(of_study))


def _read_runs(connection: sa.Connection, of_study: sa.ColumnElement[bool]) -> tuple[list[RunRecord], dict[str, str]]:
    """The attempt that counts for each request that is current, in order of time, and the role of each."""
    current = of_study & links.c.current
    linked = sa.select(links.c.request_id).where(current)
    counted = sa.select(runs).where(runs.c.request_id.in_(linked), is_counted())
    records = read_records(connection.execute(counted))
    # Sorted here: a server sorts text by its own language's rules.
    records.sort(key=lambda record: (record.finished_at, record.architecture, record.seed))
    roles: dict[str, str] = {}
    names: dict[str, str] = {}
    for link in connection.execute(sa.select(links.c.request_id, links.c.role, links.c.recipe_name).where(current)):
        with unreadable("what a run is for"):
            roles[link.request_id] = min(link.role, roles.get(link.request_id, link.role), key=ROLES.index)
        if link.recipe_name:
            names[link.request_id] = link.recipe_name
    named = [
        dataclasses.replace(record, recipe_name=name) if (name := names.get(record.request_id)) else record
        for record in records
    ]
    return named, {record.run_id: roles[record.request_id] for record in records}


def _read_forgotten(connection: sa.Connection, of_study: sa.ColumnElement[bool]) -> collections.Counter[str]:
    """Runs by architecture of the arms in which nothing is current: of nets that were taken out."""
    compared = of_study & (links.c.role == "compare")
    current = sa.select(links.c.arm).where(compared, links.c.current)
    rows = sa.select(runs.c.architecture).join(links, links.c.request_id == runs.c.request_id)
    return collections.Counter(connection.scalars(rows.where(compared, links.c.arm.not_in(current))))


def _read_previous(connection: sa.Connection, study: Study) -> Study:
    """The superseded runs of a study whose net is not the one that it compares now: of each arm those made last."""
    of_study = (links.c.study_id == _id_of(study.name).scalar_subquery()) & (links.c.role == "compare")
    linked = sa.select(links.c.request_id, links.c.arm, links.c.seed_plan).where(of_study)
    known = {row.request_id: row for row in connection.execute(linked)}
    arms = {known[run.request_id].arm: run for run in study.records if run.request_id in known}
    kept = sa.select(runs).where(runs.c.request_id.in_(sa.select(links.c.request_id).where(of_study)))
    nets: dict[str, dict[tuple[object, ...], dict[int, RunRecord]]] = {}
    for row in sorted(connection.execute(kept), key=lambda row: (row.finished_at, row.attempt)):
        now = arms.get(arm := known[row.request_id].arm)
        if now is None or row.status not in SETTLED:
            continue
        if row.superseded or row.architecture_hash != now.architecture_hash:
            net = (row.cohort, row.params, row.macs, row.initial_hash if row.superseded else "")
            by_seed = nets.setdefault(arm, {}).pop(net, {})
            nets[arm][net] = by_seed | {row.seed: read_records([row])[0]}  # behind those that were made before it
    records = [record for of_arm in nets.values() for record in list(of_arm.values())[-1].values()]
    names = {record.run_id: record.request_id for record in records}
    return dataclasses.replace(
        study,
        records=tuple(sorted(records, key=lambda record: (record.finished_at, record.architecture, record.seed))),
        roles=dict.fromkeys(names, "compare"),
        seed_plans={run_id: tuple(known[request].seed_plan.split()) for run_id, request in names.items()},
        shown_elsewhere={},
        missing=0,
    )


def _read_plans_elsewhere(
    connection: sa.Connection, study_id: int, ended: Mapping[str, str]
) -> dict[str, frozenset[tuple[str, str]]]:
    """Other studies that compare runs of this one, and every plan of seeds there, by run id."""
    own = sa.select(links.c.request_id).where(links.c.study_id == study_id, links.c.role == "compare")
    elsewhere = (
        sa.select(links.c.request_id, studies.c.name, links.c.seed_plan)
        .join(studies, studies.c.study_id == links.c.study_id)
        .where(links.c.study_id != study_id, links.c.role == "compare", links.c.seed_plan != "")
        .where(links.c.request_id.in_(own))
    )
    found: dict[str, frozenset[tuple[str, str]]] = {}
    for row in connection.execute(elsewhere):
        if run_id := ended.get(row.request_id):
            plans = frozenset((row.name, text) for text in row.seed_plan.split())
            found[run_id] = found.get(run_id, frozenset()) | plans
    return found


def _with_details(connection: sa.Connection, study: Study) -> Study:
    """The study with its curves, what its runs said of the test images, pictures and portraits."""
    rows = select_in(connection, sa.select(curves), curves.c.run_id, study.roles)
    points = {row.run_id: unpack_curve(row.points) for row in rows}
    compared = [record for record in study.records if study.roles[record.run_id] == "compare"]
    return dataclasses.replace(
        _with_answers(connection, study),
        curves=dict.fromkeys(study.roles, ()) | points,
        pictures=read_pictures(connection, {record.data_hash for record in compared}),
        portraits=read_portraits(connection, compared),
    )


def _with_answers(connection: sa.Connection, study: Study) -> Study:
    """The study with what its runs said of the test images, by image."""
    of_test = sa.select(predictions.c.run_id, predictions.c.arrays).where(predictions.c.split == "test")
    rows = select_in(connection, of_test, predictions.c.run_id, study.roles)
    answers = {row.run_id: unpack_ordered(row.arrays) for row in rows}
    return dataclasses.replace(
        study,
        predicted={run_id: answer.predicted for run_id, answer in answers.items()},
        confidence={run_id: answer.confidence for run_id, answer in answers.items()},
        labels={run.data_hash: answers[run.run_id].labels for run in study.records if run.run_id in answers},
    )
