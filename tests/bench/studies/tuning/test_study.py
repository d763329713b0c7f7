"""Tuning for MACs of a net whose products the counter does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import runner

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAIRS = """
from torch import nn
from bench.spec import Architecture, Choice

class Pairs(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.form, self.out = nn.Bilinear(28, 28, width), nn.Linear(width, 10)

    def forward(self, images):
        return self.out(self.form(images[:, 0, 14], images[:, 0, 15]))

def build(width=4):
    return Pairs(width)

ARCHITECTURE = Architecture(name="pairs", build=build, knobs={"width": Choice(values=(4, 8))})
"""


def test_a_net_whose_macs_are_not_all_counted_is_not_tuned_for_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pairs.py").write_text(PAIRS)
    words = "--tune --tune-architecture --tune-for accuracy,macs --dataset mnist5k --epochs 1 --seeds 1 --no-timing"
    code = runner.main(["--arch", str(tmp_path / "pairs.py"), *words.split(), "--results", str(tmp_path / "r")])
    said = capsys.readouterr().err
    assert code == 2
    assert "--tune-for accuracy,macs: the MACs of pairs leave out _trilinear, so that" in said
    assert len(said.splitlines()) == 1
