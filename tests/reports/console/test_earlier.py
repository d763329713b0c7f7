"""What is said before a command judges again otherwise."""

from __future__ import annotations

import pytest

from bench.core.records import Margins
from reports.console.earlier import _other_judging


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (Margins(margin=0.002), []),
        (Margins(margin=0.003), ["The margins are others."]),
        (
            Margins(margin=0.002, metric="balanced_accuracy"),
            ["They are on accuracy so far and on balanced accuracy then."],
        ),
        (
            Margins(metric="balanced_accuracy"),
            ["They are on accuracy so far and on balanced accuracy then.", "The margins are others."],
        ),
    ],
)
def test_what_is_judged_otherwise_is_said(then: Margins, said: list[str]) -> None:
    assert list(_other_judging(Margins(margin=0.002), then)) == said
