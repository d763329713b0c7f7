"""What tests of routed nets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.models.kernels.noting import NotingChain

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What ran as chains, each in words as in `noting.words`; torch computes it, so that bits can be compared."""
    monkeypatch.setattr("bench.models.kernels.nodes.Chain", NotingChain)
    NotingChain.ran.clear()
    yield NotingChain.ran
    NotingChain.ran.clear()
