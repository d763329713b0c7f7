"""The notebook of the documentation runs from top to bottom, in a folder of its own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from bench.system.environment import PROJECT

if TYPE_CHECKING:
    from pathlib import Path


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel")
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PROJECT), *sys.path]))
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = nbformat.read(PROJECT / "docs" / "playground.ipynb", as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    drawing = next(output for output in outputs[4] if "data" in output)["data"]["text/plain"]
    assert "dark on light" in drawing
    assert "(1, 16, 28, 28)" in "".join(output.get("text", "") for output in outputs[5])
    assert all(output.output_type != "error" for of in outputs for output in of)
