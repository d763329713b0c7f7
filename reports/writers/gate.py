"""The files of a check for people and for other programs: Markdown, JUnit, JSON, a benchmark series, annotations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from bench.core.errors import StoreError, reason
from bench.studies.gate.rule import Rates
from bench.system.files import write_atomically
from bench.system.text import one_line
from reports.sections.gate import gate_document, underpowered
from reports.writers.markdown import write_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.core.work.gate import GateOutcome, Judgement

SUMMARY_BYTES = 1_000_000
"""GitHub refuses a job summary above 1 MiB."""

FILES = ("gate.md", "gate.junit.xml", "gate.json", "gate.benchmark.json")
"""What a check leaves in the results directory."""


def remove_gate(results: Path) -> None:
    """Remove the files of the check before: one that ends early must not leave another's verdict.

    Raises:
        StoreError: One is there and cannot be removed.
    """
    for name in FILES:
        try:
            (results / name).unlink(missing_ok=True)
        except OSError as fault:
            raise StoreError(f"'{fault.filename}' cannot be removed ({reason(fault)}); remove it.") from fault


def write_gate(outcome: GateOutcome, *, results: Path, surroundings: Mapping[str, str]) -> None:
    """Write `gate.md`, `gate.junit.xml`, `gate.json` and `gate.benchmark.json`; append to GitHub's job summary.

    Raises:
        StoreError: A file cannot be written.
    """
    markdown = _cut(write_markdown(gate_document(outcome)))
    as_json, series = (json.dumps(found, indent=2) + "\n" for found in (to_json(outcome), benchmark(outcome)))
    try:
        for name, text in zip(FILES, (markdown, junit(outcome), as_json, series), strict=True):
            write_atomically(results / name, text.encode())
    except OSError as fault:
        text = f"'{fault.filename}' cannot be written ({reason(fault)}); choose another --results."
        raise StoreError(text) from fault
    if summary := surroundings.get("GITHUB_STEP_SUMMARY"):
        try:
            with open(summary, "a", encoding="utf-8") as file:  # noqa: PTH123 - appends
                file.write(markdown + "\n")
        except OSError as fault:
            text = f"'{summary}' of GITHUB_STEP_SUMMARY cannot be written ({reason(fault)})"
            raise StoreError(f"{text}; unset it, or name a file there.") from fault


def to_json(outcome: GateOutcome) -> dict[str, Any]:
    """What programs read: the contract's fields, how often the gate errs, and the stages beside them."""
    return {"passed": outcome.passed, "architectures": [_entry(judgement) for judgement in outcome.judgements]}


def _entry(judgement: Judgement) -> dict[str, Any]:
    reference = judgement.reference
    rates = Rates(reference=reference) if reference else None
    return {
        "name": judgement.architecture,
        "passed": bool(judgement.passed),
        "judged": judgement.passed is not None,
        "reason": judgement.reason,
        "mean": judgement.mean,
        "reference_mean": reference.now.mean if reference else None,
        "limit": reference.limit if reference else None,
        "allowed_deviations": rates and rates.allowed,
        "false_alarm": rates and rates.false_alarm,
        "false_alarm_measured": rates and rates.measured,
        "caught_drop": rates and rates.caught_drop,
        "seeds": list(judgement.seeds),
        "stages": [
            {"seeds": list(stage.seeds), "accuracies": list(stage.accuracies), "mean": stage.mean}
            for stage in judgement.stages
        ],
    }


def benchmark(outcome: GateOutcome) -> list[dict[str, Any]]:
    """What github-action-benchmark plots over commits as `customBiggerIsBetter`."""
    return [
        {
            "name": f"{judgement.architecture}: validation accuracy on {outcome.dataset}",
            "unit": "%",
            "value": round(100 * judgement.mean, 4),
            "range": f"± {100 * judgement.reference.now.deviation:.3f}",
            "extra": f"{outcome.trained}, {len(judgement.seeds)} seeds",
        }
        for judgement in outcome.judgements
        if judgement.mean is not None and judgement.reference is not None
    ]


def junit(outcome: GateOutcome) -> str:
    """One test case an architecture; what nobody could judge is an error, not a failure."""
    failures = sum(judgement.passed is False for judgement in outcome.judgements)
    errors = sum(judgement.passed is None for judgement in outcome.judgements)
    counts = {"tests": str(len(outcome.judgements)), "failures": str(failures), "errors": str(errors)}
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": f"gate on {outcome.dataset}", **counts})
    for judgement in outcome.judgements:
        name = _printable(judgement.architecture)
        case = ET.SubElement(suite, "testcase", {"classname": f"gate.{outcome.dataset}", "name": name})
        if not judgement.passed:
            kind = "error" if judgement.passed is None else "failure"
            trouble = ET.SubElement(case, kind, {"message": _printable(judgement.reason)})
            trouble.text = _printable(judgement.detail or judgement.reason)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def annotate(outcome: GateOutcome) -> str:
    """GitHub's workflow commands: an error for each failure, a warning where the gate is blind."""
    lines = [
        f"::error title=Gate: {_property(judgement.architecture)}::{_message(judgement.reason)}"
        for judgement in outcome.judgements
        if not judgement.passed
    ]
    lines += [
        f"::warning title=Gate: {_property(judgement.architecture)}::{_message(text)}"
        for judgement in outcome.judgements
        if judgement.reference and (text := underpowered(judgement.reference, outcome.drop))
    ]
    return "\n".join(lines)


def _message(text: str) -> str:
    return one_line(text).replace("%", "%25")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _printable(text: str) -> str:
    """What XML can hold: it has no place for most control characters."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def _cut(markdown: str) -> str:
    if len(markdown.encode()) <= SUMMARY_BYTES:
        return markdown
    return markdown.encode()[:SUMMARY_BYTES].decode(errors="ignore") + "\n\n(cut here; gate.json holds all of it)\n"
