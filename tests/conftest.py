"""What all tests share; what only some ask for is imported when they do."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.postgres_server import PostgresServer


THOROUGH = (
    "program/test_[!r]*.py",  # whole commands, but for those of test_runner.py
    "error_rates/test_*.py",
    "bench/analysis/test_verdicts_luck.py",
    "bench/data/test_download.py",
    "bench/execution/test_local.py",
    "bench/execution/test_worker_field.py",
    "bench/execution/test_worker_kills.py",
    "bench/cli/test_pytest_plugin.py",
    "bench/models/doctor/test_examine*.py",
    "bench/models/doctor/test_proof.py",
    "bench/models/doctor/test_trial*.py",
    "bench/models/rewriting/routing/test_route_field.py",
    "bench/models/test_build.py",
    "bench/models/test_torchvision_nets.py",
    "bench/deploy/test_notebook.py",
    "bench/deploy/test_export.py",
    "bench/deploy/serving/test_server.py",
    "bench/store/test_merge_faults.py",
    "bench/studies/test_api.py",
    "bench/studies/tuning/test_s[et]*.py",
    "bench/training/test_loop.py",
    "reports/sections/tuning/test_runs.py",
    "reports/test_write.py",
    "reports/writers/test_together.py",
)
"""Files of nine tenths of the time: `make check` and CI run them, `make test` does not."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is thorough."""
    for item in items:
        if any(item.path.match(f"tests/{pattern}") for pattern in THOROUGH):
            item.add_marker(pytest.mark.thorough)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The flag that renews what tests/reports/test_golden.py compares."""
    parser.addoption("--renew-golden", action="store_true", help="write tests/reports/golden.md anew")


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_interrupts() -> Iterator[None]:
    """Also where a shell had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _no_github(monkeypatch: pytest.MonkeyPatch) -> None:
    """It hears of no gate under test."""
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves figures blank in the commands of one test: drawing takes most of a short one, few tests look at it."""
    from reports.figures.svg import CREATOR

    blank = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><metadata>{CREATOR}</metadata></svg>'
    monkeypatch.setattr("reports.write.draw_svg", lambda _figure: blank)


@pytest.fixture(scope="session")
def _only_server() -> Iterator[PostgresServer]:
    from tests.cluster.postgres_server import PostgresServer

    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def server(_only_server: PostgresServer) -> PostgresServer:
    """The PostgreSQL server of the session, running also when the test before stopped it."""
    if not _only_server.running:
        _only_server.start()
    return _only_server


@pytest.fixture
def url(server: PostgresServer) -> str:
    """A new database on the server."""
    return server.make_database()
