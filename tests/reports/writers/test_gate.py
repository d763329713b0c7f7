"""The files of a check, read back as CI and programs read them, whatever nets are called."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from bench.core.errors import StoreError
from bench.core.work.gate import GateOutcome
from bench.store import codec
from reports.sections.gate import gate_document
from reports.writers.gate import annotate, benchmark, junit, remove_gate, to_json, write_gate
from reports.writers.markdown import write_markdown
from tests.reports.gate_outcomes import EVIL, FELL, FIRST, FRESH, HOSTILE, OPEN, PASSED, SHOWN, UNKNOWN, make_outcome

if TYPE_CHECKING:
    from pathlib import Path

ALL = make_outcome(PASSED, FELL, OPEN, UNKNOWN)


def read_xml(text: str) -> ET.Element:
    return ET.fromstring(text.encode())  # noqa: S314 - our own file


def test_junit_is_read_back_by_an_xml_parser() -> None:
    suites = read_xml(junit(ALL))
    (suite,) = suites
    for element in (suites, suite):
        assert {key: element.get(key) for key in ("tests", "failures", "errors")} == {
            "tests": "4", "failures": "2", "errors": "1",
        }  # fmt: skip
    assert suites.tag == "testsuites"
    cases = {case.get("name"): [(child.tag, child.get("message"), child.text) for child in case] for case in suite}
    assert cases == {
        "alpha": [],
        "beta": [("failure", FELL.reason, FELL.reason)],
        "gamma": [("error", OPEN.reason, "Traceback:\n  line\nMemoryError")],
        "delta": [("failure", "It has no reference.", "It has no reference.")],
    }


def test_hostile_names_are_text_in_junit() -> None:
    (suite,) = read_xml(junit(make_outcome(EVIL)))
    (case,) = suite
    (failure,) = case
    expected = SHOWN.replace(" ::", "\n::")
    assert (case.get("name"), failure.get("message"), failure.text) == (expected, expected, expected)


def test_gate_json_is_the_contract() -> None:
    found = to_json(ALL)
    assert list(found) == ["passed", "architectures"]
    assert found["passed"] is False
    contract = ("name", "passed", "reason", "mean", "reference_mean", "limit", "seeds")
    for entry in found["architectures"]:
        assert tuple(entry)[:2] == contract[:2]
        assert set(contract) <= set(entry)
    entries = {entry["name"]: {key: entry[key] for key in contract[1:]} for entry in found["architectures"]}
    assert entries["alpha"] == {
        "passed": True, "reason": "Not below the limit.", "mean": pytest.approx(0.98125), "reference_mean": 0.98,
        "limit": pytest.approx(0.9791), "seeds": list(FIRST),
    }  # fmt: skip
    assert (entries["beta"]["passed"], entries["beta"]["seeds"]) == (False, list(FRESH))
    assert entries["beta"]["mean"] == pytest.approx(0.975)
    assert entries["gamma"] == {
        "passed": False, "reason": OPEN.reason, "mean": None, "reference_mean": 0.98, "limit": pytest.approx(0.9791),
        "seeds": [],
    }  # fmt: skip
    assert entries["delta"]["reference_mean"] is entries["delta"]["limit"] is None
    assert [entry["judged"] for entry in found["architectures"]] == [True, True, False, True]
    assert to_json(make_outcome(PASSED))["passed"] is True
    json.dumps(found, allow_nan=False)


def test_the_series_that_a_benchmark_plots() -> None:
    alpha, beta = benchmark(ALL)  # what has no mean has no point
    assert alpha == {
        "name": "alpha: validation accuracy on mnist5k", "unit": "%", "value": 98.125, "range": "± 0.060",
        "extra": "mnist5k, 3 epochs, shared, cpu, 3 seeds",
    }  # fmt: skip
    assert (beta["value"], beta["extra"]) == (97.5, "mnist5k, 3 epochs, shared, cpu, 6 seeds")


def test_the_files_of_a_check(tmp_path: Path) -> None:
    write_gate(ALL, results=tmp_path, surroundings={})
    assert {path.name for path in tmp_path.iterdir()} == {
        "gate.md", "gate.junit.xml", "gate.json", "gate.benchmark.json",
    }  # fmt: skip
    assert (tmp_path / "gate.md").read_text().startswith("# Regression gate\n\n> **Failed:** The gate FAILED: 1 of 4")
    assert json.loads((tmp_path / "gate.json").read_text()) == to_json(ALL)
    assert json.loads((tmp_path / "gate.benchmark.json").read_text()) == benchmark(ALL)
    assert read_xml((tmp_path / "gate.junit.xml").read_text()).get("tests") == "4"


def test_files_are_written_whatever_is_in_them(tmp_path: Path) -> None:
    surroundings = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_ACTIONS": "true"}
    write_gate(make_outcome(EVIL, file=HOSTILE), results=tmp_path, surroundings=surroundings)
    annotate(make_outcome(EVIL, file=HOSTILE)).encode()
    assert json.loads((tmp_path / "gate.json").read_text())["architectures"][0]["name"] == HOSTILE
    assert read_xml((tmp_path / "gate.junit.xml").read_text()).get("failures") == "1"
    assert (tmp_path / "summary").read_text() == (tmp_path / "gate.md").read_text() + "\n"


def test_the_job_summary_is_appended_to(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("what another step said\n")
    for times in (1, 2):
        write_gate(ALL, results=tmp_path, surroundings={"GITHUB_STEP_SUMMARY": str(summary)})
        assert summary.read_text() == "what another step said\n" + times * ((tmp_path / "gate.md").read_text() + "\n")


def test_the_job_summary_stays_below_a_mebibyte(tmp_path: Path) -> None:
    wordy = [dataclasses.replace(UNKNOWN, architecture=f"net{k}", reason="é" * 400) for k in range(900)]
    summary = tmp_path / "summary.md"
    write_gate(make_outcome(*wordy), results=tmp_path, surroundings={"GITHUB_STEP_SUMMARY": str(summary)})
    size = len(summary.read_bytes())
    assert 900_000 < size < 2**20
    assert summary.read_text().rstrip().endswith("(cut here; gate.json holds all of it)")
    assert len(json.loads((tmp_path / "gate.json").read_text())["architectures"]) == 900


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        write_gate(ALL, results=tmp_path / "file", surroundings={})
    assert "\n" not in str(caught.value)
    assert "choose another --results" in str(caught.value)
    with pytest.raises(StoreError) as caught:
        write_gate(ALL, results=tmp_path, surroundings={"GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert str(caught.value) == (
        f"'{tmp_path}' of GITHUB_STEP_SUMMARY cannot be written (Is a directory); unset it, or name a file there."
    )
    assert (tmp_path / "gate.json").exists()


def test_the_files_of_the_check_before_are_removed_and_no_others(tmp_path: Path) -> None:
    remove_gate(tmp_path / "no folder yet")
    write_gate(ALL, results=tmp_path, surroundings={})
    (tmp_path / "report.md").write_text("stays")
    remove_gate(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    (tmp_path / "gate.json").mkdir()
    with pytest.raises(StoreError, match=r"gate\.json' cannot be removed \(.+\); remove it\."):
        remove_gate(tmp_path)


def parse_command(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as GitHub's runner reads it: command, properties, message."""

    def plain(text: str, marks: dict[str, str]) -> str:
        for mark, character in marks.items():
            text = text.replace(mark, character)
        return text

    data = {"%0D": "\r", "%0A": "\n"}
    assert line.startswith("::")
    head, _, message = line[2:].partition("::")
    command, _, listed = head.partition(" ")
    pairs = (pair.split("=", 1) for pair in listed.split(",") if pair)
    properties = {name: plain(value, {**data, "%3A": ":", "%2C": ",", "%25": "%"}) for name, value in pairs}
    return command, properties, plain(message, {**data, "%25": "%"})


def test_annotations_name_failures_and_blind_spots() -> None:
    commands = [parse_command(line) for line in annotate(ALL).splitlines()]
    assert [(command, properties) for command, properties, _ in commands] == [
        ("error", {"title": "Gate: beta"}),
        ("error", {"title": "Gate: gamma"}),
        ("error", {"title": "Gate: delta"}),
        ("warning", {"title": "Gate: beta"}),
    ]
    assert commands[0][2] == FELL.reason
    assert commands[3][2].startswith("Underpowered: beta may drop by 0.2 pp unseen")
    assert annotate(make_outcome(PASSED)) == ""


@pytest.mark.parametrize(
    "name", ["a::b,file=/etc/passwd,line=1", "50%2C", "x\n::warning::y", "r\r\n::error::z", HOSTILE]
)
def test_nothing_in_an_annotation_is_a_command_of_its_own(name: str) -> None:
    evil = dataclasses.replace(UNKNOWN, architecture=name, reason=f"97.5 % is below\n{name}")
    (line,) = annotate(make_outcome(evil)).splitlines()
    command, properties, message = parse_command(line)
    shown = SHOWN if name == HOSTILE else " ".join(name.split())
    assert (command, properties, message) == ("error", {"title": f"Gate: {shown}"}, f"97.5 % is below {shown}")


def test_an_outcome_from_the_store_is_written_as_the_first_one_was() -> None:
    stored: dict[str, Any] = json.loads(json.dumps(codec.to_json(ALL), allow_nan=False))
    again = codec.from_json(GateOutcome, stored, "an outcome")
    assert write_markdown(gate_document(again)) == write_markdown(gate_document(ALL))
    assert (junit(again), to_json(again), annotate(again)) == (junit(ALL), to_json(ALL), annotate(ALL))
