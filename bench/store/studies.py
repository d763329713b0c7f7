"""Which runs a study compares, how its last check by the gate ended, and which claims it judges.

A study is linked to the requests it asked for, before their runs exist. Links of one arm (the same architecture name,
recipe, budget, dataset, protocol and role) whose cohort is not the one planned last were made by an edited net, another
torch, other data or another device: they are superseded, that is kept but not compared. Planning the older cohort again
makes all of its links current again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bench.core.errors import UnknownNameError
from bench.core.records import (
    METRICS,
    ROLES,
    RULE,
    ShownVerdict,
    Study,
    is_own_recipe,
)
from bench.store.codec import to_json
from bench.store.schema import (
    claims,
    diagnoses,
    gates,
    insert_missing,
    links,
    put,
    runs,
    studies,
)
from bench.store.study_rows import (
    add_answers,
    add_details,
    id_of,
    read_diagnoses,
    read_previous,
    read_study,
    read_study_names,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bench.core.metadata import Diagnosis
    from bench.core.run import RunRequest
    from bench.core.work.claims.claim import AskedClaim
    from bench.core.work.gate import GateOutcome
    from bench.store.database.database import Database


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
            study = read_study(connection, name)
            if with_details:
                return add_details(connection, study)
            return add_answers(connection, study) if with_answers or study.margins.metric != METRICS[0] else study

        return self._database.read(load)

    def load_previous(self, name: str) -> Study:
        """A study with each net that was edited as it was before its last edit, and no other; without details.

        Raises:
            UnknownNameError: There is no study of that name.
        """
        return self._database.read(lambda connection: read_previous(connection, read_study(connection, name)))

    def keep_shown(self, name: str, shown: Sequence[ShownVerdict]) -> None:
        """Store the verdicts that a study showed, before something changes what is judged."""

        def keep(connection: sa.Connection) -> None:
            stored = connection.execute(sa.select(studies.c.settings).where(studies.c.name == name)).scalar_one()
            settings = stored | {"shown": [dataclasses.astuple(verdict) for verdict in shown]}
            connection.execute(sa.update(studies).where(studies.c.name == name).values(settings=settings))

        self._database.write(keep)

    def forget(self, name: str, nets: Collection[str]) -> None:
        """Take architectures out of what a study compares; it remembers their seeds for when they come back."""
        of_study = (links.c.study_id == id_of(name).scalar_subquery()) & (links.c.role == "compare")
        has_run = sa.exists().where(runs.c.request_id == links.c.request_id, runs.c.architecture.in_(nets))
        arms = sa.select(links.c.arm).where(of_study, has_run).distinct()

        def forget(connection: sa.Connection) -> None:
            gone = of_study & links.c.arm.in_(list(connection.scalars(arms)))
            connection.execute(sa.update(links).where(gone).values(current=False))
            examined = diagnoses.c.study_id == id_of(name).scalar_subquery()
            connection.execute(sa.delete(diagnoses).where(examined, diagnoses.c.architecture.in_(nets)))

        self._database.write(forget)

    def add_diagnoses(self, name: str, found: Sequence[Diagnosis], *, command: str) -> None:
        """Store what the doctor found in nets of a study, which is made where there is none, in place of what it had.

        What is known already writes nothing. The command is the one that repeats the study.
        """

        def add(connection: sa.Connection) -> None:
            stored = connection.execute(id_of(name)).scalar_one_or_none()
            known = () if stored is None else read_diagnoses(connection, stored)
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
            study_id = connection.execute(id_of(name)).scalar_one()
            put(connection, gates, [{"study_id": study_id, "outcome": to_json(outcome)}])

        self._database.write(add)

    def add_claims(self, name: str, asked: Sequence[AskedClaim]) -> None:
        """Store claims of a study, in place of those of the same ids; new ones come behind those it has."""

        def add(connection: sa.Connection) -> None:
            study_id = connection.execute(id_of(name)).scalar_one()
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
        gone = sa.delete(gates).where(gates.c.study_id.in_(id_of(name)))
        self._database.write(lambda connection: connection.execute(gone))


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
    study_id: int = connection.execute(id_of(name)).scalar_one()
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
