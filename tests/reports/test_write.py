"""The report's files: all there, whole, the same again, and nobody else's touched."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import StoreError
from reports import write
from reports.build import build_document
from reports.document import Drawing, Gallery, Section, Tile
from reports.write import GAP, write_report
from tests import ROOT
from tests.factories import make_run, make_study, study_of


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_writes_every_file_and_links_only_what_is_there(tmp_path: Path) -> None:
    written = write_report(make_study(), tmp_path / "new" / "results")
    contents = _contents(tmp_path / "new" / "results")
    figures = {f"figures/{path.name}" for path in written.figures}
    assert set(contents) == {"report.html", "report.md", "runs.csv", "verdicts.csv"} | figures
    assert set(re.findall(r"\]\((figures/[^)]+)\)", contents["report.md"].decode())) == figures
    assert written.html.stat().st_size < 5_000_000


def test_again_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    study = [make_run(net, seed=seed) for net in ("bn25k", "fc3136") for seed in range(3)]
    write_report(study_of(*study), tmp_path / "here")
    script = (
        "import sys; from pathlib import Path; from tests.factories import make_run, study_of;"
        "from reports.write import write_report;"
        "runs = [make_run(net, seed=seed) for net in ('bn25k', 'fc3136') for seed in range(3)];"
        "write_report(study_of(*runs), Path(sys.argv[1]));"
        "assert 'torch' not in sys.modules, 'reports imported torch'"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1234"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "there")], check=True, env=environment, cwd=tmp_path)
    assert _contents(tmp_path / "here") == _contents(tmp_path / "there")


def test_stale_figures_of_ours_go_and_others_stay(tmp_path: Path) -> None:
    one = make_run("bn25k", seed=0)
    first = write_report(study_of(one, make_run("bn25k", seed=0, epochs=1)), tmp_path)
    drawing = tmp_path / "figures" / "drawing.svg"
    drawing.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    second = write_report(study_of(one), tmp_path)
    assert len(second.figures) < len(first.figures)
    assert set((tmp_path / "figures").iterdir()) == {*second.figures, drawing}


def test_pictures_stand_beside_the_report_and_go_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(make_run("bn25k", seed=0))
    plain = build_document(study)
    tile = Tile(pixels=np.full((3, 2), 90, dtype=np.uint8), caption="c", alt="a")
    svg = '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>'
    blocks = (
        Gallery(slug="tiles", title="t", tiles=(tile, tile), scale=2),
        Drawing(slug="drawn", title="t", alt="a", svg=svg),
    )
    pictured = dataclasses.replace(
        plain, sections=(*plain.sections, Section(title="Pictures", slug="pictures", blocks=blocks))
    )
    folder = tmp_path / "figures"
    monkeypatch.setattr(write, "build_document", lambda *_, **__: pictured)
    written = write_report(study, tmp_path)
    names = {path.name for path in folder.iterdir()}
    assert names == {path.name for path in written.figures}
    assert names.issuperset({"tiles.png", "drawn.svg"})
    assert {f"figures/{name}" for name in names} == set(
        re.findall(r"\]\((figures/[^)]+)\)", written.markdown.read_text())
    )
    with Image.open(folder / "tiles.png") as sprite:
        assert sprite.size == (2 * 4 + GAP, 6)
    ET.parse(folder / "drawn.svg")  # noqa: S314 - our own, and still a document
    foreign = folder / "photo.png"
    Image.new("L", (2, 2)).save(foreign)
    monkeypatch.setattr(write, "build_document", lambda *_, **__: plain)
    write_report(study, tmp_path)
    left = {path.name for path in folder.iterdir()}
    assert left == names - {"tiles.png", "drawn.svg"} | {"photo.png"}


def test_a_failed_write_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(make_run("bn25k", seed=0))
    write_report(study, tmp_path)
    before = _contents(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)  # a file's content is handed to the disk, and the disk is full
    with pytest.raises(StoreError, match=r"cannot be written to '.*': No space left on device"):
        write_report(study_of(make_run("fc3136", seed=0)), tmp_path)
    assert _contents(tmp_path) == before


def test_a_kill_while_writing_leaves_the_old_report_and_a_hidden_file(tmp_path: Path) -> None:
    write_report(study_of(make_run("bn25k", seed=0)), tmp_path)
    before = _contents(tmp_path)
    script = (
        "import os, sys; from pathlib import Path; from tests.factories import make_run, study_of;"
        "from reports.write import write_report;"
        "os.fsync = lambda _: os._exit(9);"
        "write_report(study_of(make_run('fc3136', seed=0)), Path(sys.argv[1]))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, env=environment)
    assert killed.returncode == 9
    after = _contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert [Path(name).name[0] for name in set(after) - set(before)] == ["."]


@pytest.mark.parametrize("moment", ["before it is read", "before it is removed"])
def test_a_stale_figure_that_another_process_removes_first(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make_run("bn25k", seed=0)
    write_report(study_of(one, make_run("bn25k", seed=0, epochs=1)), tmp_path)
    read_text, quicker = Path.read_text, []

    def read_and_remove(self: Path, *args: str, **options: str) -> str:
        if tmp_path not in self.parents:  # a file of the program
            return read_text(self, *args, **options)
        if moment == "before it is read":
            self.unlink()
        text = read_text(self, *args, **options)
        self.unlink()
        quicker.append(self)
        return text

    monkeypatch.setattr(Path, "read_text", read_and_remove)
    written = write_report(study_of(one), tmp_path)
    assert set((tmp_path / "figures").iterdir()) == set(written.figures)
    assert bool(quicker) == (moment == "before it is removed")


def test_a_figure_that_cannot_be_read_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = make_run("bn25k", seed=0)
    first = write_report(study_of(one, make_run("bn25k", seed=0, epochs=1)), tmp_path)

    read_text = Path.read_text

    def refuse(self: Path, *args: str, **options: str) -> str:
        if tmp_path not in self.parents:
            return read_text(self, *args, **options)
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refuse)
    write_report(study_of(one), tmp_path)
    assert set((tmp_path / "figures").iterdir()) == set(first.figures)


def test_results_that_are_a_file_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(StoreError) as caught:
        write_report(study_of(), tmp_path / "results")
    assert "Choose another --results." in str(caught.value)
    assert "\n" not in str(caught.value)


def test_others_may_read_the_report(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        written = write_report(study_of(), tmp_path)
    finally:
        os.umask(old)
    assert written.html.stat().st_mode & 0o777 == 0o644
