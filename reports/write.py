"""Writes every report of a study into its results directory, each file whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import re
from typing import TYPE_CHECKING

from bench.analysis.conditions import find_conditions
from bench.core.errors import StoreError, reason
from bench.studies.claims.judge import judge_claims
from bench.system.files import make_results_folder, write_atomically
from reports.build import build_document
from reports.document import Drawing, Gallery
from reports.exports import claims_csv, doctor_csv, runs_csv, tuning_csv, verdicts_csv
from reports.figures.sprites import draw_sprite, is_our_png
from reports.figures.svg import CREATOR, draw_svg
from reports.writers.html import write_html
from reports.writers.markdown import write_markdown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.analysis.conditions import Condition
    from bench.core.metadata import Diagnosis
    from bench.core.records import Study
    from reports.document import Document

MARKED_WITHIN = 2000
"""Characters of an SVG among which our mark stands."""

GAP = 6
"""White pixels between the tiles of a gallery's file."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """What was written, with what it shows; figures are SVG, galleries PNG, in the document's order."""

    document: Document
    conditions: tuple[Condition, ...]  # that the document shows
    html: Path
    markdown: Path
    runs: Path
    figures: tuple[Path, ...]


def write_report(
    study: Study, results: Path, *, only: frozenset[str] | None = None, earlier: tuple[str, Study] | None = None
) -> WrittenReport:
    """Write `report.html`, `report.md` with `figures/`, and the tables for programs; what is stale of them goes.

    The same study gives the same bytes.

    Args:
        study: What the store holds.
        results: The results directory; made when missing.
        only: Architectures that the report shows, judged within the whole study; None for all. The tables for programs
            hold the whole study.
        earlier: A study to set beside it, and where it lies.

    Raises:
        StoreError: The directory cannot be written.
    """
    with _without_collecting():
        conditions = find_conditions(study)
        judged = judge_claims(study)
        document = build_document(study, conditions, judged=judged, only=only, earlier=earlier)
        shown = conditions if only is None else [part for each in conditions if (part := each.narrowed(only)).entries]
        pictures = {part.slug: draw_svg(part) for part in document.pictures}
    files = {results / "figures" / name: content for name, content in _picture_files(document, pictures).items()}
    texts = {
        "runs.csv": runs_csv(study),
        "verdicts.csv": verdicts_csv(conditions),
        "tuning.csv": tuning_csv(study),
        "doctor.csv": doctor_csv(study.diagnoses),
        "claims.csv": claims_csv(judged),
        "report.md": write_markdown(document),
        "report.html": write_html(document, pictures),
    }
    _write_all(files | {results / name: text.encode() for name, text in texts.items()}, results)
    html, markdown, runs = (results / name for name in ("report.html", "report.md", "runs.csv"))
    return WrittenReport(
        document=document, conditions=tuple(shown), html=html, markdown=markdown, runs=runs, figures=tuple(files)
    )


def write_doctor(diagnoses: Sequence[Diagnosis], results: Path) -> Path:
    """Write `doctor.csv`, its first line alone where nothing was found; the file.

    Raises:
        StoreError: The directory cannot be written.
    """
    path = results / "doctor.csv"
    try:
        write_atomically(make_results_folder(results) / path.name, doctor_csv(diagnoses, alone=True).encode())
    except OSError as error:
        text = f"'{path}' cannot be written ({reason(error)}). Choose another --results."
        raise StoreError(text) from error
    return path


@contextlib.contextmanager
def _without_collecting() -> Iterator[None]:
    """Without Python's search for cycles, which finds nothing here: a sixth of the time of 1,000 runs."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _write_all(files: Mapping[Path, bytes], results: Path) -> None:
    """Write files; a table for programs that has nothing to say any more goes, and so do pictures of the report before.

    Raises:
        StoreError: The directory cannot be written.
    """
    try:
        for path, content in files.items():
            if content:
                write_atomically(path, content)
            else:
                path.unlink(missing_ok=True)
        _remove_stale(results / "figures", keep=set(files))
    except OSError as error:
        text = f"The report cannot be written to '{results}': {reason(error)}. Choose another --results."
        raise StoreError(text) from error


def _picture_files(document: Document, pictures: Mapping[str, str]) -> dict[str, bytes]:
    """Every picture that Markdown links to, by file name."""
    files = {f"{slug}.svg": svg.encode() for slug, svg in pictures.items()}
    files |= {f"{drawing.slug}.svg": _marked(drawing.svg).encode() for drawing in document.having(Drawing)}
    galleries = document.having(Gallery)
    return files | {f"{each.slug}.png": draw_sprite(each, scale=each.scale, gap=GAP) for each in galleries}


def _marked(svg: str) -> str:
    """A drawing that says whose it is, as figures do in their metadata."""
    if CREATOR in svg[:MARKED_WITHIN]:
        return svg
    declaration = re.match(r"\s*<\?xml.*?\?>\s*", svg, re.DOTALL)
    start = declaration.end() if declaration else 0
    return f"{svg[:start].lstrip()}<!-- {CREATOR} -->\n{svg[start:].lstrip()}"


def _remove_stale(folder: Path, *, keep: set[Path]) -> None:
    """Remove our pictures that the report no longer shows; one that is not ours stays."""
    for path in sorted({*folder.glob("*.svg"), *folder.glob("*.png")} - keep):
        # Another process on the same directory may be quicker, and what cannot be read is not known to be ours.
        with contextlib.suppress(OSError):
            if path.is_file() and _is_ours(path):
                path.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    if path.suffix == ".png":
        return is_our_png(path.read_bytes())
    return CREATOR in path.read_text(encoding="utf-8", errors="replace")[:MARKED_WITHIN]
