"""Which runs a study compares, and how its last check by the gate ended.

A study is linked to the requests it asked for, before their runs exist. Links of one arm (the same architecture name,
recipe, budget, dataset, protocol and role) whose cohort is not the one planned last were made by an edited net, another
torch, other data or another device: they are superseded, that is kept but not compared. Planning the older cohort again
makes all of its links current again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bench.core.errors import UnknownNameError
from bench.core.gate import GateOutcome
from bench.core.metadata import is_other_hash
from bench.core.records import GATE_ROLES, ROLES, RULE, CurvePoint, RunRecord, Settings, Study, is_own_recipe
from bench.store.artifacts import read_pictures, read_portraits
from bench.store.codec import unpack_curve, unpack_ordered, unpack_timing, unreadable
from bench.store.runs import chunks, insert, is_counted, read_architectures, read_datasets, read_records
from bench.store.schema import curves, gates, links, predictions, runs, studies, timings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bench.core.metadata import ArchitectureFacts, Timing
    from bench.core.run import RunRequest
    from bench.store.codec import OrderedPredictions


def write_gate(connection: sa.Connection, name: str, outcome: GateOutcome) -> None:
    """Keep an outcome in place of the study's one before.

    Args:
        connection: The database, in a transaction that writes.
        name: Name of a study that there is.
        outcome: How its check ended.
    """
    study_id = connection.execute(sa.select(studies.c.study_id).where(studies.c.name == name)).scalar_one()
    new = insert(connection, gates)
    renewed = new.on_conflict_do_update(index_elements=["study_id"], set_={"outcome": new.excluded.outcome})
    connection.execute(renewed, {"study_id": study_id, "outcome": outcome.to_json()})


def delete_gate(connection: sa.Connection, name: str) -> None:
    """Forget the outcome of a study that there may be."""
    ids = sa.select(studies.c.study_id).where(studies.c.name == name)
    connection.execute(sa.delete(gates).where(gates.c.study_id.in_(ids)))


def read_gate(connection: sa.Connection, study_id: int) -> GateOutcome | None:
    """How the last check of a study ended; None when it was never checked."""
    stored = connection.scalar(sa.select(gates.c.outcome).where(gates.c.study_id == study_id))
    with unreadable("how a check ended"):
        return None if stored is None else GateOutcome.from_json(stored)


def unite_gates(here: sa.Connection, other: sa.Connection, study_ids: Mapping[int, int]) -> None:
    """Bring over how studies were checked that HERE has not checked.

    Args:
        here: The store that grows, in a transaction that writes.
        other: The other one.
        study_ids: Id here of each of the other's studies.
    """
    for gate in other.execute(sa.select(gates)):
        row = {"study_id": study_ids[gate.study_id], "outcome": gate.outcome}
        here.execute(insert(here, gates).on_conflict_do_nothing(), row)


def read_study_names(connection: sa.Connection, *, compares: bool = False) -> list[str]:
    """Names of all studies, the one planned last first.

    Args:
        connection: The database.
        compares: Leave out those that hold nothing but runs of the gate.
    """
    names = sa.select(studies.c.name).order_by(studies.c.last_used.desc(), studies.c.study_id.desc())
    if compares:
        of_study = links.c.study_id == studies.c.study_id
        gates_only = sa.exists().where(of_study) & ~sa.exists().where(of_study, links.c.role.not_in(GATE_ROLES))
        names = names.where(~gates_only)
    return list(connection.scalars(names))


def write_plan(
    connection: sa.Connection,
    name: str,
    *,
    command: str,
    requests: Iterable[RunRequest],
    role: str,
    settings: Settings | None,
    seed_plan: str,
    recipe_names: Mapping[str, str],
) -> None:
    """Link requests to a study and supersede what they replace; see the module's docstring.

    Args:
        connection: The database, in a transaction that writes.
        name: Name of the study, made when there is none.
        command: The command line that repeats it.
        requests: What the study asks for.
        role: One of `ROLES`.
        settings: How its results are judged; None keeps what is stored.
        seed_plan: How its seeds are run: "6", or "6:30" until decided. It joins those that were asked for before, since
            looking again and again does not become one look by forgetting it; empty adds none.
        recipe_names: What people call the recipe of a request in this study, by its id; one that is an architecture's
            own replaces the one of that name before it.
    """
    if role not in ROLES:
        raise UnknownNameError("role", role, ROLES)
    study_id = _write_study(connection, name, command, settings)
    wanted = _link_rows(study_id, requests, role, recipe_names)
    if not wanted:
        return
    new = insert(connection, links)
    renewed = {name: new.excluded[name] for name in ("arm", "cohort", "recipe_name")}
    keys = ["study_id", "request_id", "role"]
    connection.execute(new.on_conflict_do_update(index_elements=keys, set_=renewed), wanted)
    arm, cohort = sa.bindparam("of_arm", type_=sa.String), sa.bindparam("of_cohort", type_=sa.String)
    of_arm = (links.c.study_id == study_id) & (links.c.arm == arm)
    arms = {row["arm"] for row in wanted}
    cohorts = {(row["arm"], row["cohort"]) for row in wanted}
    connection.execute(
        sa.update(links).where(of_arm, links.c.current).values(current=False),
        [{"of_arm": arm_id} for arm_id in sorted(arms)],
    )
    connection.execute(
        sa.update(links).where(of_arm, links.c.cohort == cohort).values(current=True),
        [{"of_arm": arm_id, "of_cohort": cohort_id} for arm_id, cohort_id in sorted(cohorts)],
    )
    if seed_plan:
        _add_seed_plan(connection, study_id, arms, seed_plan)


def read_study(connection: sa.Connection, name: str, *, with_details: bool) -> Study:
    """A study as the store holds it.

    Raises:
        UnknownNameError: There is no study of that name.
    """
    study = connection.execute(sa.select(studies).where(studies.c.name == name)).one_or_none()
    if study is None:
        raise UnknownNameError("study", name, read_study_names(connection))
    records, roles = _current_runs(connection, study.study_id)
    linked = sa.select(links.c.request_id).where(links.c.study_id == study.study_id)
    planned = connection.execute(
        sa.select(links.c.request_id, links.c.seed_plan).where(
            links.c.study_id == study.study_id, links.c.current, links.c.role == "compare"
        )
    ).all()
    ended = {record.request_id: record.run_id for record in records if record.status != "interrupted"}
    answers = _read_answers(connection, records) if with_details else {}
    compared = [record for record in records if roles[record.run_id] == "compare"] if with_details else []
    kept = connection.scalar(sa.select(sa.func.count()).select_from(runs).where(runs.c.request_id.in_(linked))) or 0
    hashes = {record.architecture_hash for record in records}
    architectures = read_architectures(connection, hashes)
    settings, first_rule = _read_settings(study.settings)
    return Study(
        name=study.name,
        command=study.command,
        records=tuple(records),
        roles=roles,
        curves=_read_curves(connection, roles) if with_details else {},
        architectures=architectures,
        datasets=read_datasets(connection, {record.data_hash for record in records}),
        timings=tuple(
            timing
            for timing in read_timings(connection, hashes)
            if not _is_of_another_net(timing, architectures.get(timing.architecture_hash))
        ),
        settings=settings,
        first_rule=first_rule,
        seed_plans={
            ended[row.request_id]: tuple(row.seed_plan.split())
            for row in planned
            if row.seed_plan and row.request_id in ended
        },
        shown_elsewhere=_read_plans_elsewhere(connection, study.study_id, ended),
        predicted={run_id: found.predicted for run_id, found in answers.items()},
        confidence={run_id: found.confidence for run_id, found in answers.items()},
        labels=_labels(records, answers),
        pictures=read_pictures(connection, {record.data_hash for record in compared}),
        portraits=read_portraits(connection, compared),
        gate=read_gate(connection, study.study_id),
        missing=len({row.request_id for row in planned} - ended.keys()),
        superseded=kept - len(records),
    )


def _read_settings(stored: dict[str, Any]) -> tuple[Settings, int]:
    """How a study is judged, and the version of the rule under which it was begun."""
    with unreadable("how a study is judged"):
        settings = dict(stored)
        first_rule = int(settings.pop("rule", 1))
        return Settings(**settings), first_rule


def read_timings(connection: sa.Connection, hashes: Iterable[str]) -> list[Timing]:
    """The latest timing of each architecture hash, machine and device."""
    latest = sa.select(sa.func.max(timings.c.timing_id)).group_by(
        timings.c.architecture_hash, timings.c.machine, timings.c.device
    )
    return [
        unpack_timing(timing)
        for chunk in chunks(sorted(hashes))
        for timing in connection.scalars(
            sa.select(timings.c.timing)
            .where(timings.c.timing_id.in_(latest.where(timings.c.architecture_hash.in_(chunk))))
            .order_by(timings.c.timing_id)
        )
    ]


def _add_seed_plan(connection: sa.Connection, study_id: int, arms: Iterable[str], seed_plan: str) -> None:
    """Write down a plan of seeds behind those that each arm had before, all of whose links then have the same ones."""
    for arm in sorted(arms):
        of_arm = (links.c.study_id == study_id) & (links.c.arm == arm)
        texts = connection.scalars(sa.select(links.c.seed_plan).where(of_arm, links.c.seed_plan != "").distinct())
        plans: list[str] = max((text.split() for text in texts), key=len, default=[])
        if seed_plan not in plans:
            plans = [*plans, seed_plan]
        connection.execute(sa.update(links).where(of_arm).values(seed_plan=" ".join(plans)))


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
    found: dict[str, set[tuple[str, str]]] = {}
    for row in connection.execute(elsewhere):
        if row.request_id in ended:
            plans = found.setdefault(ended[row.request_id], set())
            plans |= {(row.name, text) for text in row.seed_plan.split()}
    return {run_id: frozenset(plans) for run_id, plans in found.items()}


def _is_of_another_net(timing: Timing, facts: ArchitectureFacts | None) -> bool:
    return facts is not None and is_other_hash(timing.initial_hash, facts.initial_hash)


def _write_study(connection: sa.Connection, name: str, command: str, settings: Settings | None) -> int:
    """The study's id, its command renewed, its settings too when given, and itself the last used."""
    connection.execute(
        insert(connection, studies).on_conflict_do_nothing(),
        {"name": name, "command": "", "last_used": 0, "settings": {"rule": RULE}},
    )
    newest = sa.select(sa.func.max(studies.c.last_used)).scalar_subquery()
    renewed: dict[str, Any] = {"command": command, "last_used": newest + 1}
    if settings is not None:
        stored = connection.execute(sa.select(studies.c.settings).where(studies.c.name == name)).scalar_one()
        renewed["settings"] = stored | dataclasses.asdict(settings)
    connection.execute(sa.update(studies).where(studies.c.name == name).values(renewed))
    study_id: int = connection.execute(sa.select(studies.c.study_id).where(studies.c.name == name)).scalar_one()
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
        arm = arms.get(key) or arms.setdefault(key, _arm(key))
        ids = {"study_id": study_id, "request_id": request.id, "role": role}
        rows[ids["request_id"]] = ids | {
            "arm": arm, "cohort": request.cohort, "current": True, "recipe_name": name
        }  # fmt: skip
    return list(rows.values())


def _arm(key: tuple[Any, ...]) -> str:
    """Content hash of what makes runs comparable, whatever made them: 16 hexadecimal digits."""
    name, recipe, budget, *others = key
    named = recipe if isinstance(recipe, str) else recipe.to_json()
    parts = [name, named, dataclasses.asdict(budget), *others]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _current_runs(connection: sa.Connection, study_id: int) -> tuple[list[RunRecord], dict[str, str]]:
    """The attempt that counts for each request that is current, in order of time, and the role of each."""
    current = (links.c.study_id == study_id) & links.c.current
    linked = sa.select(links.c.request_id).where(current)
    records = read_records(connection, sa.select(runs).where(runs.c.request_id.in_(linked), is_counted()))
    # Sorted here: a server sorts text by its own language's rules.
    records.sort(key=lambda record: (record.finished_at, record.architecture, record.seed))
    roles: dict[str, str] = {}
    names: dict[str, str] = {}
    for link in connection.execute(sa.select(links.c.request_id, links.c.role, links.c.recipe_name).where(current)):
        with unreadable("what a run is for"):
            roles[link.request_id] = min(link.role, roles.get(link.request_id, link.role), key=ROLES.index)
        if link.recipe_name:
            names[link.request_id] = link.recipe_name
    records = [
        dataclasses.replace(record, recipe_name=name) if (name := names.get(record.request_id)) else record
        for record in records
    ]
    return records, {record.run_id: roles[record.request_id] for record in records}


def _read_curves(connection: sa.Connection, run_ids: Collection[str]) -> dict[str, tuple[CurvePoint, ...]]:
    found: dict[str, tuple[CurvePoint, ...]] = dict.fromkeys(run_ids, ())
    for chunk in chunks(run_ids):
        rows: Sequence[Any] = connection.execute(sa.select(curves).where(curves.c.run_id.in_(chunk))).all()
        found |= {row.run_id: unpack_curve(row.points) for row in rows}
    return found


def _read_answers(connection: sa.Connection, records: Sequence[RunRecord]) -> dict[str, OrderedPredictions]:
    """What each run that has predictions said of the test images, by run id."""
    found: dict[str, OrderedPredictions] = {}
    for chunk in chunks(record.run_id for record in records):
        of_test = predictions.c.run_id.in_(chunk) & (predictions.c.split == "test")
        for row in connection.execute(sa.select(predictions.c.run_id, predictions.c.arrays).where(of_test)):
            found[row.run_id] = unpack_ordered(row.arrays)
    return found


def _labels(records: Iterable[RunRecord], answers: Mapping[str, OrderedPredictions]) -> dict[str, NDArray[np.uint8]]:
    """True class of each test image, by data hash."""
    answered = [record for record in records if record.run_id in answers]
    return {record.data_hash: answers[record.run_id].labels for record in answered}
