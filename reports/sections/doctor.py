"""What the doctor found in the nets of a study before they trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.system.text import first_ones, listing, one_line, plural
from reports.cells import table_of, text_column
from reports.document import Prose, Section, failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.core.metadata import Diagnosis, Finding
    from bench.core.records import Study


def doctor_lead(study: Study) -> Iterator[Prose]:
    """Which nets were not trained, each with the first of its errors."""
    trained = {record.architecture for record in study.records}
    for diagnosis in _untrained(study):
        first, *others = diagnosis.errors
        more = f" ({plural(len(others), 'further error')} below)" if others else ""
        name = diagnosis.architecture
        now, before = (" as it is now", f" Its numbers here are of {name} before.") if name in trained else ("", "")
        text = f"{name}{now} was not trained, for the doctor found an error: {first.message}{more}.{before}"
        yield failure(one_line(text))


def doctor_section(study: Study) -> Section | None:
    """Every finding, errors first; None where there is none."""
    rows = [(diagnosis, finding) for diagnosis in study.diagnoses for finding in diagnosis.findings]
    rows.sort(key=lambda row: row[1].level != "error")
    if not rows:
        return None
    is_error = any(finding.level == "error" for _, finding in rows)
    several = len({diagnosis.data_hash for diagnosis, _ in rows}) > 1
    table = table_of(
        "What the doctor found",
        rows,
        [
            text_column("Architecture", lambda row: row[0].architecture),
            text_column("Level", lambda row: row[1].level),
            text_column("Check", lambda row: row[1].check),
            text_column("Layer", lambda row: row[1].layer or "the whole net"),
            text_column("What is to be done", lambda row: f"{row[1].message}{_place(row[1])}."),
            *([text_column("Data", lambda row: row[0].dataset)] if several else []),
        ],
    )
    blocks = (Prose(_summary(study, rows)), table)
    gist = "" if is_error else "What the doctor advises on the nets, before they train."  # errors are not folded
    return Section(title="The doctor", slug="doctor", blocks=blocks, detail=not is_error, gist=gist)


def _summary(study: Study, rows: Sequence[tuple[Diagnosis, Finding]]) -> str:
    examined = len({diagnosis.architecture for diagnosis in study.diagnoses})
    errors = sum(finding.level == "error" for _, finding in rows)
    names = list(dict.fromkeys(diagnosis.architecture for diagnosis in _untrained(study)))
    left = f" Not trained: {listing(first_ones(names))}." if names else ""
    counted = f"{plural(errors, 'error')} and {plural(len(rows) - errors, 'piece')} of advice"
    return one_line(
        f"{plural(examined, 'architecture')} examined before anything trained: {counted}.{left} Advice stops nothing."
    )


def _untrained(study: Study) -> list[Diagnosis]:
    """Nets with an error that have no run of that source on these images: after --no-doctor they have."""
    trained = {
        (record.architecture, record.data_hash, source)
        for record in study.records
        for source in (record.architecture_hash, "")  # older stores did not keep what was examined
    }
    return [
        diagnosis
        for diagnosis in study.diagnoses
        if diagnosis.errors
        and (diagnosis.architecture, diagnosis.data_hash, diagnosis.architecture_hash) not in trained
    ]


def _place(finding: Finding) -> str:
    return f" ({finding.place})" if finding.place else ""
