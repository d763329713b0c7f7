"""What is said and written of a check: for people, for CI and for programs, whatever nets are called."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import ndtr

from bench.core.work.gate import Floors
from bench.studies.gate.rule import chance_to_fail
from reports.build import build_document
from reports.document import Code
from reports.sections.gate import gate_document, promise_table, too_near, underpowered
from reports.writers.html import write_html
from reports.writers.markdown import write_markdown
from tests.factories import make_study
from tests.reports.document_reading import prose_of, rows_of, section_of, table_of
from tests.reports.gate_outcomes import (
    EVIL,
    FELL,
    HOSTILE,
    OPEN,
    PASSED,
    SHOWN,
    UNKNOWN,
    make_measurement,
    make_outcome,
    make_reference,
)

if TYPE_CHECKING:
    from bench.core.work.gate import Judgement

ALL = make_outcome(PASSED, FELL, OPEN, UNKNOWN)


class Reader(HTMLParser):
    """Collects the text of a page and the scripts in it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.script = ""
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a script begins; nothing may run by an attribute."""
        self._in_script = tag == "script"
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        """Note where it ends."""
        self._in_script = False if tag == "script" else self._in_script

    def handle_data(self, data: str) -> None:
        """Collect."""
        if self._in_script:
            self.script += data
        else:
            self.text += data


@pytest.mark.parametrize(
    ("judgements", "verdict"),
    [
        ((PASSED,), "The gate passed: 1 of 1 architecture passed."),
        ((PASSED, FELL), "The gate FAILED: 1 of 2 architectures passed."),
        ((FELL, OPEN, PASSED), "The gate FAILED: 1 of 3 architectures passed."),
        ((PASSED, OPEN), "The gate could not be judged: 1 of 2 architectures passed."),
    ],
)
def test_the_answer_leads_and_failures_follow_by_name(judgements: tuple[Judgement, ...], verdict: str) -> None:
    lead = gate_document(make_outcome(*judgements, notes=("a note",))).lead
    failed = [f"{of.architecture}: {of.reason}" for of in judgements if not of.passed]
    said = [prose.text for prose in lead]
    anew = ["Where the change is meant, --write-thresholds in place of --check records it anew."]
    assert said == [verdict, *failed, *(anew if "FAILED" in verdict else []), "a note"]
    assert (lead[0].tone == "plain") is (failed == [])


def test_the_table_of_a_check() -> None:
    section = section_of(gate_document(ALL), "gate")
    alpha, beta, gamma, delta = rows_of(table_of(section, "Validation accuracy against the references"))
    assert alpha == {
        "Architecture": "alpha", "Verdict": "passed", "Mean (%)": "98.125", "Reference (%)": "98.000",
        "Limit (%)": "97.910", "First seeds (%)": "98.12, 98.12, 98.12", "Fresh seeds (%)": "—",
        "Why": "Not below the limit.",
    }  # fmt: skip
    assert (beta["Verdict"], beta["Mean (%)"], beta["Limit (%)"]) == ("FAILED", "97.500", "97.700")
    assert (beta["First seeds (%)"], beta["Fresh seeds (%)"]) == (", ".join(["97.00"] * 3), ", ".join(["97.50"] * 6))
    assert (gamma["Verdict"], gamma["Mean (%)"], gamma["Reference (%)"]) == ("not judged", "—", "98.000")
    assert (delta["Verdict"], delta["Reference (%)"], delta["Limit (%)"]) == ("FAILED", "—", "—")
    said = prose_of(section)
    assert "mnist5k, 3 epochs, shared, cpu, against thresholds.toml. 3 fixed seeds first;" in said
    assert Code("Traceback:\n  line\nMemoryError", language="text") in section.blocks
    shown = write_markdown(gate_document(ALL))
    assert "gamma:\n\n```text\nTraceback:\n  line\nMemoryError\n```" in shown, "line by line"


def test_what_the_gate_can_catch_by_hand() -> None:
    (row,) = rows_of(promise_table([make_reference("alpha", deviation=0.0006)], 0.001))
    power = chance_to_fail(0.001 / 0.0006, references=30)
    assert row == {
        "Architecture": "alpha", "Reference (%)": "98.000", "Deviation (pp)": "0.060", "Runs": "30",
        "Limit (deviations below)": "1.50", "Limit (%)": "97.910",  # 98 − 1.5 · 0.06
        "Caught with 98 % (pp)": "0.17",  # 2.83 · 0.06
        "A drop of 0.1 pp is caught (%)": f"{100 * power:.1f}",
        "Harmless change fails (%)": "0.005",
    }  # fmt: skip
    (sure,) = rows_of(promise_table([make_reference("alpha", deviation=0.0001)], 0.01))
    assert sure["A drop of 1 pp is caught (%)"] == "99.9", "nothing is certain"


def test_an_underpowered_gate_says_so_and_what_it_takes() -> None:
    assert not underpowered(make_reference("a", deviation=0.0006), 0.002)
    assert not underpowered(make_reference("a", deviation=0.0007), 0.002)  # 2.83 · 0.07 = 0.198 pp
    weak = make_reference("a", deviation=0.00071)  # 2.83 · 0.071 = 0.201 pp
    assert underpowered(weak, 0.002)
    said = underpowered(weak, 0.002)
    assert said.startswith("Underpowered: a may drop by 0.2 pp unseen, which is caught in 97.9 of 100 cases; ")
    assert said.endswith(
        "0.201 pp is caught in 98. A longer budget helps, with a deviation of 0.07 pp instead of 0.071. More seeds "
        "alone do not: 6 first and 12 fresh ones instead of 3 and 6 would catch it under a limit 1.06 instead of 1.50 "
        "deviations below 60 references, and this gate's rule is fixed."
    )
    power = section_of(gate_document(ALL), "gate-power")
    warned = prose_of(power).splitlines()
    assert warned[1:] == ["alpha, beta, gamma: rate by the normal formula; record again to measure it."]
    assert warned[0].startswith("Underpowered: beta may drop by 0.2 pp unseen")
    assert "27 first and 54 fresh ones" in warned[0]  # (2.83 · 0.2 / 0.2)² = 8.03
    assert "a limit 0.50 instead of 1.50 deviations below 270 references" in warned[0]


def test_references_over_time_stand_where_there_are_earlier_ones() -> None:
    old = make_measurement(0.001, mean=0.97, recorded="2025-01-02")
    outcome = make_outcome(PASSED, dataclasses.replace(FELL, reference=make_reference("beta", history=(old,))))
    rows = rows_of(table_of(section_of(gate_document(outcome), "gate-power"), "References over time"))
    assert [(row["Architecture"], row["Recorded"], row["Mean (%)"], row["Deviation (pp)"]) for row in rows] == [
        ("beta", "2026-11-21", "98.000", "0.060"),
        ("beta", "2025-01-02", "97.000", "0.100"),
    ]
    captions = [getattr(block, "caption", "") for block in section_of(gate_document(ALL), "gate-power").blocks]
    assert "References over time, the latest first" not in captions


def test_a_check_without_references_has_no_promise() -> None:
    assert [section.slug for section in gate_document(make_outcome(UNKNOWN)).sections] == ["gate"]


def test_a_report_of_a_checked_study_begins_with_the_check() -> None:
    document = build_document(dataclasses.replace(make_study(), gate=ALL))
    assert document.lead[0].text == "The gate FAILED: 1 of 4 architectures passed."
    assert [section.slug for section in document.sections][:2] == ["gate", "gate-power"]


def test_hostile_names_do_nothing_in_markdown() -> None:
    text = write_markdown(gate_document(make_outcome(EVIL, file=HOSTILE)))
    fenced = re.findall(r"^(`{3,})text\n(.*?)\n\1$", text, re.DOTALL | re.MULTILINE)
    assert [shown.split() for _, shown in fenced] == [SHOWN.split()]
    assert "<script" not in text.replace(fenced[0][1], ""), "between fences nothing is markup"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\|\\*\\*b\\*\\*\\`\\[x\\](y)" in text
    assert not any(line.startswith("::") for line in text.splitlines())
    assert all(c.isprintable() or c == "\n" for c in text)
    rows = [line for line in text.splitlines() if line.startswith("| &lt;script")]
    assert [line.replace("\\|", "").count("|") for line in rows] == [9, 10, 7, 7]


def test_hostile_names_do_nothing_in_html() -> None:
    outcome, harmless = make_outcome(EVIL, file=HOSTILE), make_outcome(FELL)
    page, other = Reader(), Reader()
    page.feed(write_html(gate_document(outcome), {}))
    other.feed(write_html(gate_document(harmless), {}))
    assert "alert(1)" not in page.script
    assert page.script == other.script
    assert page.text.count(SHOWN) >= 3


def test_the_promise_counts_a_floor_that_lies_above_the_limit() -> None:
    reference = dataclasses.replace(make_reference("alpha", deviation=0.002), floors=Floors(accuracy=0.979))
    (row,) = rows_of(promise_table([reference], 0.002))
    assert row["Limit (%)"] == "97.900"
    # The floor is half a deviation below the mean: 1.776 deviations are caught, by simulated references, not 2.83.
    assert row["Caught with 98 % (pp)"] == "0.36"
    assert float(row["Harmless change fails (%)"]) == pytest.approx(100 * simulated(0.0, allowed=0.5), abs=0.05)
    power = simulated(1.0, allowed=0.5)
    assert float(row["A drop of 0.2 pp is caught (%)"]) == pytest.approx(100 * power, abs=0.3)
    low = dataclasses.replace(reference, floors=Floors(accuracy=0.9))
    assert rows_of(promise_table([low], 0.002)) == rows_of(
        promise_table([make_reference("alpha", deviation=0.002)], 0.002)
    )
    strong = dataclasses.replace(make_reference("a", deviation=0.001), floors=Floors(accuracy=0.9795))
    assert underpowered(make_reference("a", deviation=0.001), 0.002)  # 0.283 pp
    assert not underpowered(strong, 0.002)  # 0.178 pp


def simulated(drop: float, *, allowed: float) -> float:
    """How often 30 references and both stages fail, by drawn references and normal tables."""
    recorded = np.random.default_rng(5).standard_normal((200_000, 30))
    limits = recorded.mean(axis=1) - allowed * recorded.std(axis=1, ddof=1) + drop
    return float((ndtr(limits * 3**0.5) * ndtr(limits * 6**0.5)).mean())


def test_a_floor_that_cries_wolf_is_named() -> None:
    plain = make_reference("a", deviation=0.002)
    near, far = (dataclasses.replace(plain, floors=Floors(accuracy=floor)) for floor in (0.98, 0.96))
    assert too_near(near)
    assert "a harmless change fails in 27 of 100 checks" in too_near(near)  # ½ · ½, and a little for the shared mean
    assert not too_near(far)
    assert not too_near(plain)
