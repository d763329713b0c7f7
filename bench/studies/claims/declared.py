"""Where claims are declared: beside the registered architectures, in a net's file, or in a file of TOML."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from bench.core.architecture import Architecture
from bench.core.errors import ArchitectureError, ClaimsError, DiedError, UnknownNameError, UsageError
from bench.core.work.claims.claim import Claim
from bench.models.doctor.trial import LIMIT_SECONDS, describe, from_description
from bench.models.loading import find_declared
from bench.studies.claims.toml_claims import read_toml
from bench.system.process import call_apart
from bench.system.text import listing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclasses.dataclass(kw_only=True)
class Declared:
    """Claims that were found, in order.

    Attributes:
        claims: Each with the file that declares it.
        nets: What their files declare beside them, for claims alone.
        faults: What is wrong with others, a line each.
    """

    claims: list[Claim] = dataclasses.field(default_factory=list)
    nets: list[Architecture] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)


def find_claims(wanted: Sequence[str], file: Path | None, folder: Path) -> Declared:
    """The claims that a user asks for.

    Args:
        wanted: Ids, of parts (`C1a`) or of whole claims (`C1`); empty for all.
        file: A file that declares claims, TOML or Python; None for those of the source projects.
        folder: Where these are declared.

    Raises:
        ClaimsError: The file is missing or cannot be read, or nothing in it can be judged.
        UnknownNameError: There is no claim of any id that is asked for.
    """
    found = Declared()
    for path in [file] if file else sorted(folder.glob("[!_]*.py")):
        _add_file(found, path)
    if file is None:
        found.claims.sort(key=lambda claim: claim.id)
    _refuse_twice(found)
    if not found.claims:
        raise ClaimsError(found.faults[0] if found.faults else f"No claim in '{file or folder}'; add some.")
    _choose(found, wanted)
    return found


def _choose(found: Declared, wanted: Sequence[str]) -> None:
    """Keep what is asked for; an id that nobody knows is a fault, and where none is known the only one."""
    if not wanted:
        return
    known = {name for claim in found.claims for name in (claim.id, claim.group)}
    groups = {claim.group for claim in found.claims}
    unknown = [UnknownNameError("claim", name, groups) for name in wanted if name not in known]
    if len(unknown) == len(wanted):
        raise unknown[0]
    found.claims = [claim for claim in found.claims if {claim.id, claim.group} & set(wanted)]
    found.faults += map(str, unknown)


def _refuse_twice(found: Declared) -> None:
    """Leave out every claim whose id another has too: nobody knows which is meant."""
    ids = [claim.id for claim in found.claims]
    for name in dict.fromkeys(each for each in ids if ids.count(each) > 1):
        texts = [f"'{claim.text}'" for claim in found.claims if claim.id == name]
        found.faults.append(f"{len(texts)} claims have the id '{name}' ({listing(texts)}); give each one of its own.")
        found.claims = [claim for claim in found.claims if claim.id != name]


def _add_file(found: Declared, path: Path) -> None:
    if path.suffix == ".py":
        claims, nets = _read_python(path)
        found.claims += claims
        found.nets += nets
        return
    if path.suffix != ".toml":
        raise UsageError(f"--claims '{path}': a .toml or a .py file is wanted, or ids as C1,E6.")
    claims, faults = read_toml(path)
    found.claims += claims
    found.faults += faults


def _read_python(path: Path) -> tuple[list[Claim], list[Architecture]]:
    """Claims and nets of a Python file, in a process of its own: whatever it does wrong becomes one line."""
    try:
        answer = call_apart(describe_claims, path.resolve(), limit_seconds=LIMIT_SECONDS)
    except DiedError as death:
        raise ClaimsError(f"{path}: importing it {death}; fix the file and run again.") from death
    if answer.fault is not None:
        raise ClaimsError(str(answer.fault)) from answer.fault.__cause__
    claims, nets = answer.value
    if not claims:
        raise ClaimsError(f"{path} declares no claim; add CLAIMS = [Claim(…), …] of bench.spec at module level.")
    return [dataclasses.replace(claim, file=str(path)) for claim in claims], list(map(from_description, nets))


def describe_claims(path: Path) -> tuple[list[Claim], list[dict[str, Any]]]:
    """Import a file here; its claims, and its nets as plain values."""
    try:
        _, claims = find_declared(path, Claim)
        _, nets = find_declared(path, Architecture)
    except ArchitectureError as fault:
        raise ClaimsError(str(fault)) from fault
    return claims, [describe(dataclasses.replace(net, file=path)) for net in nets]
