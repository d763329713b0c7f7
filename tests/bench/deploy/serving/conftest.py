"""The app on results whose answers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.core.options import UseOptions
from tests.bench.deploy.stored import options_for
from tests.chromium import browser

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from bench.deploy.serving.playground import Playground

__all__ = ["browser"]


@pytest.fixture(scope="session")
def playground(known: Path) -> Playground:
    """What the app answers from."""
    pytest.importorskip("flask")
    from bench.deploy.serving.limits import Limits
    from bench.deploy.serving.playground import Playground

    return Playground(options_for(known), UseOptions(), Limits())


@pytest.fixture(scope="session")
def client(playground: Playground) -> FlaskClient:
    """A client of the app without a server."""
    from bench.deploy.serving.app import create_app

    return create_app(playground).test_client()
