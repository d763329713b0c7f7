"""Reads a study from its rows: which runs count, how it is judged, what was superseded, and its details."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bench.core.errors import UnknownNameError
from bench.core.metadata import Diagnosis, is_other_hash
from bench.core.records import (
    GATE_ROLES,
    ROLES,
    SETTLED,
    Margins,
    RunRecord,
    ShownVerdict,
    Study,
)
from bench.core.work.claims.claim import AskedClaim
from bench.core.work.gate import GateOutcome
from bench.store.artifacts import read_architectures, read_datasets, read_pictures, read_portraits, read_timings
from bench.store.codec import from_json, unpack_curve, unpack_ordered, unreadable
from bench.store.runs import is_counted, read_records
from bench.store.schema import (
    claims,
    curves,
    diagnoses,
    gates,
    links,
    predictions,
    runs,
    select_in,
    studies,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


_OWN_STUDIES = (*GATE_ROLES, "claim")
"""Roles of runs that have studies of their own, with which no comparison goes on."""


def id_of(name: str) -> sa.Select[Any]:
    """What selects the id of a study."""
    return sa.select(studies.c.study_id).where(studies.c.name == name)


def read_study_names(connection: sa.Connection, *, compares: bool = False) -> list[str]:
    """Names of all studies, the one planned last first; of those that compare something, where that is asked."""
    names = sa.select(studies.c.name).order_by(studies.c.last_used.desc(), studies.c.study_id.desc())
    if compares:
        of_study = links.c.study_id == studies.c.study_id
        gates_only = sa.exists().where(of_study) & ~sa.exists().where(of_study, links.c.role.not_in(_OWN_STUDIES))
        names = names.where(~gates_only)
    return list(connection.scalars(names))


def read_study(connection: sa.Connection, name: str) -> Study:
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
        diagnoses=read_diagnoses(connection, stored.study_id),
    )


def read_diagnoses(connection: sa.Connection, study_id: int) -> tuple[Diagnosis, ...]:
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


def read_previous(connection: sa.Connection, study: Study) -> Study:
    """The superseded runs of a study whose net is not the one that it compares now: of each arm those made last."""
    of_study = (links.c.study_id == id_of(study.name).scalar_subquery()) & (links.c.role == "compare")
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


def add_details(connection: sa.Connection, study: Study) -> Study:
    """The study with its curves, what its runs said of the test images, pictures and portraits."""
    rows = select_in(connection, sa.select(curves), curves.c.run_id, study.roles)
    points = {row.run_id: unpack_curve(row.points) for row in rows}
    compared = [record for record in study.records if study.roles[record.run_id] == "compare"]
    return dataclasses.replace(
        add_answers(connection, study),
        curves=dict.fromkeys(study.roles, ()) | points,
        pictures=read_pictures(connection, {record.data_hash for record in compared}),
        portraits=read_portraits(connection, compared),
    )


def add_answers(connection: sa.Connection, study: Study) -> Study:
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
