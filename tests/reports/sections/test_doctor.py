"""What a report says of what the doctor found: nets that were not trained, every finding, the table for programs."""

from __future__ import annotations

import csv
import dataclasses
import io

from bench.core.metadata import Diagnosis, Finding
from reports.build import build_document, narrow
from reports.document import Table
from reports.exports import doctor_csv
from reports.sections.doctor import doctor_lead, doctor_section
from tests.factories import make_run, study_of

LEAK = Finding(level="error", check="leak", layer="norm", message="images leak by 12 %", place="net.py:3")
NAN = Finding(level="error", check="finite", message="the logits are not finite")
BIAS = Finding(level="advice", check="bias-before-norm", layer="0", message="0 has a bias, which is taken out")
ILL = Diagnosis(architecture="ill", dataset="mnist", data_hash="da7a", findings=(LEAK, NAN, BIAS))
WELL = Diagnosis(architecture="bn25k", dataset="mnist", data_hash="da7a", findings=(BIAS,))
STUDY = dataclasses.replace(study_of(make_run("bn25k", seed=0)), diagnoses=(WELL, ILL))


def test_a_net_that_was_not_trained_stands_first() -> None:
    assert [prose.text for prose in doctor_lead(STUDY)] == [
        "ill was not trained, for the doctor found an error: images leak by 12 % (1 further error below)."
    ]
    assert build_document(STUDY).lead[0].text.startswith("ill was not trained")


def test_errors_stand_before_advice_with_layer_and_line() -> None:
    section = doctor_section(STUDY)
    assert section is not None
    prose, table = section.blocks
    assert isinstance(table, Table)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["ill", "error", "leak", "norm", "images leak by 12 % (net.py:3)."],
        ["ill", "error", "finite", "the whole net", "the logits are not finite."],
        ["bn25k", "advice", "bias-before-norm", "0", "0 has a bias, which is taken out."],
        ["ill", "advice", "bias-before-norm", "0", "0 has a bias, which is taken out."],
    ]
    assert (
        "2 architectures examined before anything trained: 2 errors and 2 pieces of advice. Not trained: ill."
        in str(prose)
    )
    assert section in build_document(STUDY).sections


def test_after_no_doctor_a_net_was_trained_all_the_same() -> None:
    run, curve = make_run("bn25k", seed=1)
    trained = dataclasses.replace(run, run_id="x", architecture="ill")
    study = dataclasses.replace(study_of((trained, curve)), architectures=STUDY.architectures, diagnoses=(ILL,))
    assert list(doctor_lead(study)) == [], "of an older store, which did not keep what was examined"
    as_trained = dataclasses.replace(ILL, architecture_hash=run.architecture_hash)
    assert list(doctor_lead(dataclasses.replace(study, diagnoses=(as_trained,)))) == []
    (edited,) = doctor_lead(dataclasses.replace(study, diagnoses=(dataclasses.replace(ILL, architecture_hash="new"),)))
    assert edited.text.startswith(
        "ill as it is now was not trained, for the doctor found an error: images leak by 12 %"
    )
    assert edited.text.endswith("Its numbers here are of ill before.")


def test_nothing_found_is_no_section() -> None:
    assert doctor_section(study_of(make_run("bn25k", seed=0))) is None
    sound = Diagnosis(architecture="bn25k", dataset="mnist", data_hash="da7a")
    assert doctor_section(dataclasses.replace(STUDY, diagnoses=(sound,))) is None
    assert doctor_csv([sound]) == ""


def test_a_report_of_some_nets_has_their_findings_alone() -> None:
    assert narrow(STUDY, frozenset({"bn25k"})).diagnoses == (WELL,)


def test_the_table_for_programs_has_a_row_a_finding() -> None:
    rows = list(csv.DictReader(io.StringIO(doctor_csv(STUDY.diagnoses))))
    assert list(rows[0]) == ["architecture", "level", "check", "layer", "message", "place", "dataset"]
    assert [row["check"] for row in rows] == ["bias-before-norm", "leak", "finite", "bias-before-norm"]
    assert rows[1] == {
        "architecture": "ill", "level": "error", "check": "leak", "layer": "norm", "message": "images leak by 12 %",
        "place": "net.py:3", "dataset": "mnist",
    }  # fmt: skip
