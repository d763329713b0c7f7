"""The doctor as tests of one's own repository: pytest makes a test of each net and check.

Which nets is said by `architectures` in pytest's own settings (they are then tested whenever pytest is run without
paths), or by `--architectures` on its command line. Nothing is imported before there is a net to be examined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.core.errors import BenchError
from bench.core.metadata import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.architecture import Architecture
    from bench.core.metadata import Diagnosis

_NETS = "architectures"
_DATASET = "architectures_dataset"
_LOADING = "loads"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The settings and the flag."""
    words = (
        "the doctor's tests of these nets: files (my_net.py), a class (my_net.py:MyNet), names, as --arch takes them"
    )
    parser.addini(_NETS, words, type="args", default=[])
    parser.addini(_DATASET, "what they are tried on, as --dataset takes it (default made-up images)", default="")
    group = parser.getgroup("architecture-bench")
    group.addoption(f"--{_NETS}", action="append", default=[], metavar="NAME", help=words)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the tests of the nets; `-k` and `-m` choose among them like among others."""
    asked = list(config.getoption(_NETS))
    if not asked and not _names_paths(config):
        asked = list(config.getini(_NETS))
    for pattern in asked:
        items.extend(_Pattern.from_parent(session, name=pattern, nodeid=pattern).collect())


def _names_paths(config: pytest.Config) -> bool:
    """Whether the command line names what is to be tested."""
    return getattr(config.args_source, "name", "") == "ARGS"


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the doctor only advises."""
    lines: list[str] = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") != "call":
                continue
            lines += [value for name, value in getattr(report, "user_properties", ()) if name == "doctor's advice"]
    if lines:
        terminalreporter.section("advice of the doctor")
        for line in lines:
            terminalreporter.write_line(line)


class _Pattern(pytest.Collector):
    """What a pattern chooses."""

    def collect(self) -> Iterator[pytest.Item]:
        """A test of each net and check, or one that says why there is no net."""
        from bench.models.doctor.contract import find_nets  # noqa: PLC0415 - pytest is used for other things as well
        from bench.models.doctor.trial import Trial  # noqa: PLC0415

        pattern = self.name
        file, found, rest = pattern.partition(".py")
        path = self.config.rootpath / f"{file}.py"
        if found and path.is_file():  # from where pytest is run, or where its settings stand
            pattern = f"{path}{rest}"
        try:
            nets = find_nets([pattern], Trial())
        except BenchError as fault:
            yield _Broken.from_parent(self, name=_LOADING, fault=str(fault))
            return
        for net in nets:
            yield from _Net.from_parent(self, name=net.name, net=net).collect()


class _Net(pytest.Collector):
    """One net, examined when the first of its tests is run."""

    def __init__(self, *, net: Architecture, **others: object) -> None:
        super().__init__(**others)  # type: ignore[arg-type]
        self._net = net
        self._diagnosis: Diagnosis | BenchError | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """A test of each check."""
        for check in CHECKS:
            if check != _LOADING:
                yield _Check.from_parent(self, name=check)

    @property
    def diagnosis(self) -> Diagnosis:
        """What the doctor found; fails the test where the net cannot be examined."""
        from bench.models.doctor.contract import diagnose  # noqa: PLC0415 - as above

        if self._diagnosis is None:
            try:
                self._diagnosis = diagnose(self._net, dataset=self.config.getini(_DATASET) or None)
            except BenchError as fault:
                self._diagnosis = fault
        if isinstance(self._diagnosis, BenchError):
            pytest.fail(str(self._diagnosis), pytrace=False)
        return self._diagnosis


class _Check(pytest.Item):
    """One check of one net."""

    def runtest(self) -> None:
        """Fail with what was found."""
        assert isinstance(self.parent, _Net)  # noqa: S101 - it is made there
        diagnosis = self.parent.diagnosis
        if self.name == next(name for name in CHECKS if name != _LOADING):
            for finding in diagnosis.advice:
                layer = f"{finding.layer}: " if finding.layer else ""
                told = f"{diagnosis.architecture}: {finding.check}: {layer}{finding.message}"
                self.user_properties.append(("doctor's advice", told))
        if errors := [finding for finding in diagnosis.errors if finding.check == self.name]:
            lines = [
                f"{finding.layer + ': ' if finding.layer else ''}{finding.message}"
                f"{f' ({finding.place})' if finding.place else ''}"
                for finding in errors
            ]
            pytest.fail("\n".join(lines), pytrace=False)

    def reportinfo(self) -> tuple[str, None, str]:
        """Where it stands in pytest's lists."""
        parent = self.parent.name if self.parent else ""
        return str(self.path), None, f"{parent}: {self.name}: {CHECKS[self.name]}"


class _Broken(pytest.Item):
    """A pattern that chooses no net, and why."""

    def __init__(self, *, fault: str, **others: object) -> None:
        super().__init__(**others)  # type: ignore[arg-type]
        self._fault = fault

    def runtest(self) -> None:
        """Fail with it."""
        pytest.fail(self._fault, pytrace=False)
