"""Which architectures a check trains, and which have failed before it begins."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from bench.core.errors import ArchitectureError, BenchError, MachineError, UnknownNameError, first_line
from bench.core.gate import Judgement
from bench.models.doctor.check import check as check_here
from bench.training.run import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.core.architecture import Architecture
    from bench.core.gate import Thresholds
    from bench.core.metadata import ArchitectureFacts
    from bench.data.datasets import Sample
    from bench.models.registry import Registry


_GONE = (
    "It has a reference, and no net of that name is registered. Bring it back; one in a file of yours is named by "
    "--arch FILE.py; if it is meant to be gone, delete its entry."
)


class Selection:
    """The architectures of one check.

    Attributes:
        nets: Those that can be trained and have a reference.
        facts: What was counted of them, by name.
        judged: Those that have failed already, by name: not registered, without a reference, broken.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        """Begin with none.

        Args:
            thresholds: What they are held against.
        """
        self.nets: list[Architecture] = []
        self.facts: dict[str, ArchitectureFacts] = {}
        self.judged: dict[str, Judgement] = {}
        self._references = thresholds.references

    def add_all(self, registry: Registry, *, variants: bool) -> None:
        """Every registered architecture, every one that has a reference, and every file that cannot be loaded."""
        self.add_references(registry)
        self._add(registry.all(variants=variants))
        known = " ".join(judgement.reason for judgement in self.judged.values())
        for path, fault in registry.broken.items():
            if str(fault) not in known:
                self._fail(path.name, f"Cannot be loaded: {fault}")

    def add_references(self, registry: Registry) -> None:
        """Every architecture that has a reference."""
        for name in self._references:
            self._add_recorded(name, registry)

    def add_named(self, patterns: Iterable[str], registry: Registry) -> None:
        """The architectures that names, globs and paths choose; one that has a reference may be missing.

        Raises:
            UnknownNameError: Nothing has that name, nor has it a reference.
            ArchitectureError: The registered file of a name cannot be loaded, and nothing of it has a reference.
        """
        for pattern in patterns:
            recorded = [name for name in self._references if name == pattern or fnmatch.fnmatchcase(name, pattern)]
            for name in recorded:
                self._add_recorded(name, registry)
            try:
                found = registry.select([pattern])
            except ArchitectureError as fault:
                if pattern in recorded:  # a name, not a file to load
                    continue
                if pattern.endswith(".py"):  # a watched file that is gone or broken is a change that hurts
                    self._fail(pattern, f"Cannot be loaded: {fault}")
                elif not recorded:
                    raise
            except UnknownNameError:
                if not recorded:
                    raise
            else:
                self._add(found)

    def _add_recorded(self, name: str, registry: Registry) -> None:
        """One that has a reference and may be gone, or broken."""
        exact = [net for net in registry.architectures if net.name == name]
        if not exact and name.endswith(".py"):  # a name, not a file to load
            self._fail(name, _GONE)
            return
        try:
            self._add(exact or registry.select([name]))
        except UnknownNameError:
            self._fail(name, _GONE)
        except ArchitectureError as fault:
            self._fail(name, f"Cannot be loaded: {fault}")

    def _add(self, nets: Sequence[Architecture]) -> None:
        """Architectures that are registered.

        Raises:
            ArchitectureError: One of another file has that name.
        """
        for net in nets:
            twin = next((chosen for chosen in self.nets if chosen.name == net.name), net)
            if twin.file != net.file:
                raise ArchitectureError(
                    f"The name '{net.name}' is taken by {twin.file}; give the one in {net.file} another name."
                )
            if net.name not in self._references:
                self._fail(net.name, "It has no reference. --write-thresholds in place of --check records one.")
            elif twin is net and net not in self.nets:  # a path loads a file again, and its nets are other objects
                self.nets.append(net)

    def count(self, sample: Sample, *, device: str, check: Callable[..., ArchitectureFacts] = check_here) -> None:
        """Count parameters and MACs of each; what cannot be built, or does not fit the data, has failed.

        Args:
            sample: Images of the dataset that they shall be trained on.
            device: Kind of device that they shall be trained on.
            check: Tries and counts a net, as `bench.models.doctor.check.check` does.

        Raises:
            MachineError: The machine is at fault: it is out of memory, or a file cannot be read.
        """
        for net in list(self.nets):
            try:
                self.facts[net.name] = check(net, sample, device=device)
            except BenchError as fault:
                cause = fault.__cause__
                if isinstance(cause, OSError) or (cause is not None and is_out_of_memory(cause)):
                    raise MachineError(f"{net.name} cannot be counted on this machine: {first_line(cause)}.") from cause
                self._fail(net.name, str(fault))
                self.nets.remove(net)

    def _fail(self, name: str, reason: str) -> None:
        self.judged[name] = Judgement(
            architecture=name, passed=False, reason=reason, reference=self._references.get(name)
        )
