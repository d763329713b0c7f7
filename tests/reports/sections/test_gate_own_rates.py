"""What is said of how often harmless changes fail: measured or by the formula, and whose limit is wider for it."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from bench.core.work.gate import Floors, Reference
from bench.studies.gate.rule import Rates, caught_drop, chance_to_fail, resample
from reports.console.gate import show_promise
from reports.sections.gate import gate_document, power_warnings, promise_table, rate_notes, too_loud, underpowered
from reports.writers.gate import annotate, to_json
from tests.reports.document_reading import prose_of, rows_of, section_of
from tests.reports.gate_outcomes import (
    FELL,
    LEFT_TAIL,
    NORMAL,
    PASSED,
    UNKNOWN,
    make_outcome,
    make_recorded,
    make_reference,
)

STEADY, TAILED = make_recorded("steady", NORMAL), make_recorded("tailed", LEFT_TAIL)
COLLAPSING = make_recorded("collapsing", (*NORMAL[:27], 0.1, 0.2, 0.3))
SOURCE = (
    "How often a harmless change fails is measured on each net's own references (smoothed bootstrap) and right to a "
    "factor of about five. What none of them showed is not in it: a collapse of one seed in ten stays unseen in one of "
    "24 recordings of 30 runs."
)


def test_what_stays_unseen_by_hand() -> None:
    assert round(1 / 0.9**30) == 24


def test_the_table_has_the_measured_rate_and_the_widened_limit() -> None:
    steady, tailed = rows_of(promise_table([STEADY, TAILED], 0.002))
    gates = {of.architecture: resample(of.now.accuracies, of.now.deviation) for of in (STEADY, TAILED)}
    assert STEADY.now.allowed == 1.5
    assert TAILED.now.allowed > 2
    for row, of in ((steady, STEADY), (tailed, TAILED)):
        gate, now = gates[of.architecture], of.now
        limit = now.mean - now.allowed * now.deviation
        assert row["Limit (%)"] == f"{100 * limit:.3f}"
        assert row["Limit (deviations below)"] == f"{now.allowed:.2f}"
        assert float(row["Caught with 98 % (pp)"]) == pytest.approx(
            100 * now.deviation * gate.caught_drop(now.allowed), abs=0.006
        )
        power = gate.chance_to_fail(0.002 / now.deviation, allowed=now.allowed)
        assert float(row["A drop of 0.2 pp is caught (%)"]) == pytest.approx(100 * power, abs=0.06)
        measured = gate.chance_to_fail(0.0, allowed=now.allowed)
        assert Rates(reference=of).chance_to_fail(0.0) == pytest.approx(measured, rel=1e-6)
    alarm = resample(NORMAL, STEADY.now.deviation).chance_to_fail(0.0, allowed=1.5)
    assert steady["Harmless change fails (%)"] == f"about {100 * alarm:.1g}"
    assert tailed["Harmless change fails (%)"] == "below 0.05", "the limit was chosen to measure less than is true"
    assert float(tailed["Caught with 98 % (pp)"]) > 1.3 * float(steady["Caught with 98 % (pp)"])


@pytest.mark.parametrize(
    ("rate", "said"),
    [(0.00034, "about 0.03"), (0.0052, "about 0.5"), (0.123, "about 10"), (1e-5, "about 0.001"), (9e-6, "below 0.001")],
)
def test_a_measured_rate_has_one_digit(monkeypatch: pytest.MonkeyPatch, rate: float, said: str) -> None:
    monkeypatch.setattr(Rates, "chance_to_fail", lambda *_: rate)
    (row,) = rows_of(promise_table([STEADY], 0.002))
    assert row["Harmless change fails (%)"] == said


def test_where_the_rates_come_from_and_whose_limit_is_wider() -> None:
    old, few = make_reference("old"), make_reference("few")
    few = dataclasses.replace(few, now=dataclasses.replace(few.now, runs=6))
    rate = Rates(reference=TAILED).unwidened
    assert rate == resample(LEFT_TAIL, TAILED.now.deviation).chance_to_fail(0.0, allowed=1.5)
    assert list(rate_notes([STEADY])) == [SOURCE]
    assert list(rate_notes([old])) == ["old: rate by the normal formula; record again to measure it."]
    widened = (
        f"tailed: its references have a left tail, so its limit lies {TAILED.now.allowed:g} deviations below them; at "
        f"1.5 about {100 * rate:.1g} % of harmless changes would fail. More references (--write-thresholds --seeds "
        "60) would need less."
    )
    assert list(rate_notes([STEADY, old, TAILED, few])) == [
        SOURCE,
        widened,
        "old: rate by the normal formula; record again to measure it.",
        "few: rate by the normal formula; fewer than 20 references say nothing of a tail.",
    ]


def test_without_accuracies_everything_is_as_the_formula_says() -> None:
    rates = Rates(reference=make_reference("old", deviation=0.002))
    assert not rates.measured
    assert rates.allowed == pytest.approx(1.5)
    assert rates.false_alarm == pytest.approx(chance_to_fail(0.0, references=30))
    assert rates.chance_to_fail(0.004) == pytest.approx(chance_to_fail(2.0, references=30))
    assert rates.caught_drop == pytest.approx(0.002 * caught_drop(30))


def test_a_floor_counts_in_the_measured_rate() -> None:
    floored = dataclasses.replace(TAILED, floors=Floors(accuracy=TAILED.now.mean - TAILED.now.deviation))
    rates = Rates(reference=floored)
    assert rates.allowed == pytest.approx(1.0)
    gate = resample(LEFT_TAIL, TAILED.now.deviation)
    assert rates.false_alarm == pytest.approx(gate.chance_to_fail(0.0, allowed=1.0))
    said = underpowered(floored, 0.002)
    assert said.endswith("Its floor is the limit; a higher one, or a longer budget with less scatter, catches more.")
    assert not [text for text in power_warnings([floored], 0.002) if "are promised" in text], "the floor is the reason"


def test_a_net_whose_runs_collapse_is_named_with_what_helps() -> None:
    assert COLLAPSING.now.allowed == 6.0
    loud, *_ = power_warnings([STEADY, COLLAPSING], 0.002)
    rate = Rates(reference=COLLAPSING).false_alarm
    assert rate > 5e-4
    assert loud == too_loud(COLLAPSING)
    assert loud == (
        f"A harmless change fails collapsing in about {100 * rate:.1g} % of checks, where 0.05 % are promised: some of "
        "its runs end far below the others. Fix what makes them, or record more references (--write-thresholds "
        "--seeds 60)."
    )


def test_the_advice_of_a_widened_limit_by_hand() -> None:
    now, caught = TAILED.now, Rates(reference=TAILED).caught_drop
    times = next(k for k in range(1, 100) if caught / k**0.5 <= 0.002)
    said = underpowered(TAILED, 0.002)
    assert f"{3 * times} first and {6 * times} fresh ones instead of 3 and 6" in said
    assert f"a limit {now.allowed / times**0.5:.2f} instead of {now.allowed:.2f} deviations below {30 * times} " in said
    enough = float(said.partition("with a deviation of ")[2].split()[0]) / 100
    assert enough <= now.deviation * 0.002 / caught < enough * 1.1, "two digits, not rounded up"


def test_a_rule_of_thousands_of_seeds_is_not_advised() -> None:
    said = underpowered(make_reference("wild", deviation=0.1), 0.002)
    assert said.endswith(
        " pp is caught in 98. A longer budget helps, with a deviation of 0.07 pp instead of 10.000. "
        "More seeds alone do not."
    )


def test_the_rule_of_the_report_names_the_wider_limits() -> None:
    judged = dataclasses.replace(PASSED, reference=TAILED)
    section = section_of(gate_document(make_outcome(judged, FELL)), "gate")
    assert f"more than 1.5 standard deviations below the references' (tailed {TAILED.now.allowed:g}), or" in prose_of(
        section
    )
    plain = prose_of(section_of(gate_document(make_outcome(PASSED, FELL)), "gate"))
    assert "more than 1.5 standard deviations below the references', or below a floor" in plain
    notes = prose_of(section_of(gate_document(make_outcome(judged, FELL)), "gate-power"))
    assert SOURCE in notes
    assert "beta: rate by the normal formula; record again to measure it." in notes


def test_programs_read_the_rates() -> None:
    found = to_json(make_outcome(dataclasses.replace(PASSED, reference=TAILED), FELL, UNKNOWN))["architectures"]
    keys = ("allowed_deviations", "false_alarm", "false_alarm_measured", "caught_drop")
    tailed, beta, unknown = ([entry[key] for key in keys] for entry in found)
    rates = Rates(reference=TAILED)
    assert tailed == [pytest.approx(TAILED.now.allowed), 5e-4, True, rates.caught_drop]
    assert beta == pytest.approx([1.5, chance_to_fail(0.0, references=30), False, 0.002 * caught_drop(30)])
    assert unknown == [None] * 4
    assert found[0]["limit"] == TAILED.limit


def test_the_terminal_says_it_before_the_training() -> None:
    out = io.StringIO()
    show_promise([STEADY, make_reference("[bold]x[/nothing]")], 0.002, console=Console(file=out, width=400))
    said = out.getvalue()
    assert "about 0.00" in said
    assert SOURCE in said
    assert "[bold]x[/nothing]: rate by the normal formula; record again to measure it." in said


def test_github_hears_of_no_more_than_before() -> None:
    outcome = make_outcome(dataclasses.replace(PASSED, reference=STEADY))
    assert annotate(outcome).count("::warning") == 1  # 0.2 pp of a net that scatters by 0.19 pp


def test_a_reference_is_the_same_after_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(TAILED, Reference)
    monkeypatch.setattr("bench.studies.gate.rule.resample", lambda *_: pytest.fail("nothing is drawn to read a limit"))
    assert Rates(reference=TAILED).allowed == pytest.approx(TAILED.now.allowed)
