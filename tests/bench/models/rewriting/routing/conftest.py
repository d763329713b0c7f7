"""What tests of routed nets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.models.rewriting.routing.noting import NotingChain

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What ran as chains, each in words as in `noting.words`; torch computes it, so that bits can be compared."""
    monkeypatch.setattr("bench.models.rewriting.routing.nodes.Chain", NotingChain)
    NotingChain.ran.clear()
    yield NotingChain.ran
    NotingChain.ran.clear()
