"""Reports whose figures are left blank, as a plugin: drawing takes most of a short command, few tests look at it."""

from __future__ import annotations

import pytest

from reports import write
from reports.figures.svg import CREATOR

BLANK = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><metadata>{CREATOR}</metadata></svg>'


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the commands of one test; those of shared fixtures draw."""
    monkeypatch.setattr(write, "draw_svg", lambda _figure: BLANK)
