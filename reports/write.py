"""Writes every report of a study into its results directory, each file whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from bench.errors import StoreError
from bench.files import write_atomically
from reports.build import build_document
from reports.conditions import find_conditions
from reports.figures import CREATOR, draw_svg
from reports.html import write_html
from reports.markdown import write_markdown
from reports.tables import runs_csv, tuning_csv, verdicts_csv

if TYPE_CHECKING:
    from pathlib import Path

    from bench.records import Study
    from reports.document import Document


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """What was written.

    Attributes:
        document: What the files show, for the terminal's summary.
        html: `report.html`.
        markdown: `report.md`.
        runs: `runs.csv`.
        figures: `figures/*.svg`, in the order of the document.
    """

    document: Document
    html: Path
    markdown: Path
    runs: Path
    figures: tuple[Path, ...]


def write_report(study: Study, results: Path) -> WrittenReport:
    """Write `report.html`, `report.md` with `figures/`, and the tables for programs; what is stale of them goes.

    The same study gives the same bytes. Every file is written beside its place, under a hidden name, and then
    renamed into it: a reader never meets half of one, and a crash leaves no more than the hidden file.

    Args:
        study: What the store holds.
        results: The results directory; made when missing.

    Raises:
        StoreError: The directory cannot be written.
    """
    conditions = find_conditions(study)
    document = build_document(study, conditions)
    pictures = {figure.slug: draw_svg(figure) for figure in document.figures}
    folder = results / "figures"
    report = WrittenReport(
        document=document,
        html=results / "report.html",
        markdown=results / "report.md",
        runs=results / "runs.csv",
        figures=tuple(folder / f"{slug}.svg" for slug in pictures),
    )
    try:
        for path, svg in zip(report.figures, pictures.values(), strict=True):
            write_atomically(path, svg.encode())
        write_atomically(report.runs, runs_csv(study).encode())
        _write_or_remove(results / "verdicts.csv", verdicts_csv(conditions))
        _write_or_remove(results / "tuning.csv", tuning_csv(study))
        write_atomically(report.markdown, write_markdown(document).encode())
        write_atomically(report.html, write_html(document, pictures).encode())
        _remove_stale(folder, keep=set(report.figures))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoreError(f"The report cannot be written to '{results}': {reason}. Choose another --results.") from error
    return report


def _write_or_remove(path: Path, text: str) -> None:
    """Write a table for programs; one that has nothing to say any more goes."""
    if text:
        write_atomically(path, text.encode())
    else:
        path.unlink(missing_ok=True)


def _remove_stale(folder: Path, *, keep: set[Path]) -> None:
    """Remove our figures that the report no longer shows; an SVG that is not ours stays."""
    for path in sorted(set(folder.glob("*.svg")) - keep):
        # Another process on the same directory may be quicker, and what cannot be read is not known to be ours.
        with contextlib.suppress(OSError):
            if path.is_file() and CREATOR in path.read_text(encoding="utf-8", errors="replace")[:2000]:
                path.unlink(missing_ok=True)
