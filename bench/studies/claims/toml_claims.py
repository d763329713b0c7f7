"""Claims in a TOML file that people write: what is wrong with one of them costs that one, by its line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError, ClaimsError
from bench.core.recipe import Recipe, parse_augmentation
from bench.core.work.claims.claim import Arm, Case, Claim
from bench.system.toml_file import Fault, TomlKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.system.toml_file import Keys

_KIND = TomlKind(
    schema=Path(__file__).with_name("claims.schema.json"),
    error=ClaimsError,
    again="see the example in docs/claims.md",
)
_SHARED = ("source", "dataset", "protocol")
_NAMES = {"text": "claim"}
"""What a field of `Claim` is called in the file, where that is another word."""


def read_toml(path: Path) -> tuple[list[Claim], list[str]]:
    """The claims of a file, and what is wrong with the others, a line each.

    Raises:
        ClaimsError: The file is missing or no TOML, or its top is not that of a file of claims.
    """
    text = _KIND.read_text(path, missing=f"No claims at '{path}'; name a file that has some, or ids: --claims C1,E6.")
    stored = _KIND.parse(path, text)
    faults: dict[Keys, Fault] = {}
    for fault in _KIND.find_faults(stored):
        if fault.keys[:1] != ("claims",) or len(fault.keys) < 2:
            raise _KIND.blame(path, text, fault)
        faults.setdefault(fault.keys[:2], fault)
    shared = {name: stored[name] for name in _SHARED if name in stored}
    claims = []
    for number, entry in enumerate(stored["claims"]):
        place: Keys = ("claims", number)
        if place in faults:
            continue
        try:
            claims.append(_read_claim(shared | entry, place, path))
        except ClaimsError as wrong:
            faults[place] = Fault(keys=wrong.keys or place, said=str(wrong).rstrip("."))
    return claims, [str(_KIND.blame(path, text, fault)) for _, fault in sorted(faults.items(), key=_number)]


def _number(pair: tuple[Keys, Fault]) -> int:
    return int(pair[0][1])


def _read_claim(entry: Mapping[str, Any], place: Keys, path: Path) -> Claim:
    if "source" not in entry:
        raise ClaimsError("neither it nor the top of the file says the source", keys=place)
    fields = {name: value for name, value in entry.items() if name not in ("cases", "claim", "claimed")}
    claimed = entry.get("claimed", [])
    cases = [_read_case(case, (*place, "cases", number), path) for number, case in enumerate(entry.get("cases", []))]
    try:
        return Claim(
            text=entry["claim"],
            claimed=(claimed,) if isinstance(claimed, str) else tuple(claimed),
            cases=tuple(cases),
            file=str(path),
            **fields,
        )
    except ClaimsError as wrong:
        field = _NAMES.get(wrong.field, wrong.field)
        raise ClaimsError(str(wrong), keys=(*place, field) if field else place) from None


def _read_case(entry: Mapping[str, Any], place: Keys, path: Path) -> Case:
    arm = _read_arm(entry, place, path)
    against = None
    if "against" in entry:
        inherited = {name: entry[name] for name in ("net", "recipe", "epochs", "usual_epochs") if name in entry}
        against = _read_arm(inherited | entry["against"], (*place, "against"), path)
    label = entry.get("label") or (arm.net if against is None else f"{arm.net} against {against.net}")
    return Case(label=label, arm=arm, against=against, quantity=entry.get("quantity", ""))


def _read_arm(entry: Mapping[str, Any], place: Keys, path: Path) -> Arm:
    fields = dict(entry.get("recipe", {}))
    try:
        if "augmentation" in fields:
            fields["augmentation"] = parse_augmentation(fields["augmentation"])
        known = {name: entry[name] for name in ("epochs", "usual_epochs") if name in entry}
        return Arm(net=_beside(entry["net"], path), recipe=Recipe(**fields), **known)
    except BenchError as wrong:
        raise ClaimsError(str(wrong), keys=(*place, "recipe")) from None


def _beside(net: str, path: Path) -> str:
    """A net whose file is named is looked for beside the file of claims."""
    file, ending, name = net.partition(".py")
    if not ending or Path(file).is_absolute():
        return net
    return f"{path.parent / file}{ending}{name}"
