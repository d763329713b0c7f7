"""The page as a browser lays it out: nothing is cut off, on a phone or on a desk."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from synthetic import MNIST, make_study

from reports.build import build_document
from reports.figures import draw_svg
from reports.html import write_html

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")]

MEASURE = """<!doctype html><body style="margin:0"><iframe id="frame" style="border:0;width:{width}px;height:900px"
 srcdoc="{page}"></iframe><pre id="out"></pre><script>frame.onload = () => {{
  const page = frame.contentDocument, boxes = {{}};
  for (const box of page.querySelectorAll(".scroll, pre"))
    if (box.clientWidth) boxes[box.getAttribute("aria-label") || "command"] = box.scrollWidth - box.clientWidth;
  out.textContent = JSON.stringify({{page: page.documentElement.scrollWidth, boxes}});
}}</script>"""


def _page() -> str:
    """The usual study, with words that no line has room for."""
    study = make_study()
    environment = {**study.records[0].environment, "flags": "-march=native" * 20}
    study = dataclasses.replace(
        study,
        command=f"{study.command} --results /{'long' * 60}",
        datasets={"da7a": dataclasses.replace(MNIST, data_hash="0123456789abcdef" * 4)},
        records=tuple(dataclasses.replace(record, environment=environment) for record in study.records),
    )
    document = build_document(study)
    text = write_html(document, {figure.slug: draw_svg(figure) for figure in document.figures})
    return re.sub(r"<meta http-equiv=.*?>", "", text)  # its policy would bind the page that measures it


def _measure(page: str, *, width: int, folder: Path) -> tuple[int, dict[str, int]]:
    """Width that the page takes, and by how much each visible box is too narrow for what it holds."""
    (folder / "measure.html").write_text(MEASURE.format(width=width, page=html.escape(page)))
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}", f"--window-size={width + 200},1000", "--virtual-time-budget=5000",
        "--dump-dom", (folder / "measure.html").as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    found = re.search(r'<pre id="out">(.*?)</pre><script>', shown, re.DOTALL)
    assert found, "the browser has not measured the page"
    measured = json.loads(html.unescape(found[1]))
    return measured["page"], measured["boxes"]


@pytest.mark.parametrize("width", [390, 1100])
def test_text_wraps_and_only_tables_of_numbers_scroll_in_their_own_box(width: int, tmp_path: Path) -> None:
    taken, lacking = _measure(_page(), width=width, folder=tmp_path)
    assert taken == width
    texts = [
        name for name in lacking if re.match(r"How mnist, .* was measured|Versions, hardware and code|command", name)
    ]
    assert len(texts) == 4
    assert {name: lacking[name] for name in texts} == dict.fromkeys(texts, 0)
    assert any(lacking.values())  # wider than the window, and yet the page is not
