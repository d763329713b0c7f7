"""Takes a real run over into docs/: the table into docs/claims.md, figures and compact runs below docs/claims/.

    python -m tests.claims.publish --results results/claims

Runs `--export compact` first, so that what is published is what is stored.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import runner
from bench.core.options import StudyOptions
from bench.studies.load import load_study
from bench.system.urls import store_in
from reports.document import Document
from reports.sections.claims.section import claims_document
from reports.writers.markdown import write_markdown
from tests import ROOT

START, END = "<!-- table of the real run", "<!-- end of the table -->"


def place_table(page: str, table: str) -> str:
    """The page with a table between its marks, in place of what stood there."""
    before, start, rest = page.partition(START)
    mark, _, rest = rest.partition("\n")
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError("docs/claims.md has lost the marks of its table.")
    return f"{before}{start}{mark}\n{table.strip()}\n{end}{after}"


def publish(results: Path, docs: Path) -> None:
    """Write table, figures and runs."""
    study = load_study(StudyOptions(results=results, store_url=store_in(results), data_dir=results, study="claims"))
    document = claims_document(study)
    main = [section for section in document.sections if not section.detail]
    text = write_markdown(Document(title=document.title, lead=document.lead, sections=tuple(main)))
    table = "\n".join(line for line in text.splitlines() if line != "# Claims").replace("## Claims\n", "")
    page = docs / "claims.md"
    page.write_text(place_table(page.read_text(encoding="utf-8"), table), encoding="utf-8")
    folder = docs / "claims"
    folder.mkdir(exist_ok=True)
    whole = write_markdown(document)
    (folder / "in-detail.md").write_text(whole, encoding="utf-8")
    for name, source in (("figures", results / "figures"), ("runs", results / "compact")):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(source, folder / name)
    shutil.copyfile(results / "claims.csv", folder / "claims.csv")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    asked = parser.parse_args()
    if runner.main(["--export", "compact", "--study", "claims", "--results", str(asked.results)]):
        raise SystemExit(2)
    if runner.main(["--report", "--study", "claims", "--results", str(asked.results), "--quiet"]):
        raise SystemExit(2)
    publish(asked.results, ROOT / "docs")
