"""How often the gate errs on one net: measured on its own references, by the normal formula where none were kept."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.gate.bootstrap import FEWEST_MEASURED, resample
from bench.gate.references import ALLOWED_DEVIATIONS
from bench.gate.rule import caught_drop, chance_to_fail
from bench.gate.widening import PROMISED

if TYPE_CHECKING:
    from bench.gate.bootstrap import ResampledGate
    from bench.gate.references import Reference


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rates:
    """Error rates of the gate on one architecture.

    Attributes:
        reference: What it is held against.
    """

    reference: Reference

    @property
    def measured(self) -> bool:
        """Whether they come from its own references, enough of which were kept; else accuracies are taken as normal."""
        return len(self.reference.now.accuracies) >= FEWEST_MEASURED

    @property
    def allowed(self) -> float:
        """Standard deviations by which a stage may lie below the references: fewer where a floor lies higher."""
        now = self.reference.now
        return (now.mean - self.reference.limit) / now.deviation

    @property
    def widened(self) -> bool:
        """Whether stages are held against a limit that the references themselves have lowered."""
        reference = self.reference
        return reference.now.allowed > ALLOWED_DEVIATIONS and reference.limit != reference.floors.accuracy

    @property
    def false_alarm(self) -> float:
        """Share of harmless changes that fail.

        Where the references have lowered their own limit what is promised, if no more is measured: the limit was
        chosen for a small measured rate, and so is that rate too small.
        """
        found = self.chance_to_fail(0.0)
        return max(found, PROMISED) if self.widened else found

    @property
    def unwidened(self) -> float:
        """The same with a limit 1.5 deviations below, whatever the limit is."""
        return self._chance_to_fail(0.0, ALLOWED_DEVIATIONS)

    @property
    def caught_drop(self) -> float:
        """The drop that is caught with 98 % power, an accuracy fraction."""
        now = self.reference.now
        if not self.measured:
            return caught_drop(now.runs, self.allowed) * now.deviation
        return self._resampled().caught_drop(self.allowed) * now.deviation

    def chance_to_fail(self, drop: float) -> float:
        """Probability that the gate fails after a drop, an accuracy fraction."""
        return self._chance_to_fail(drop, self.allowed)

    def _chance_to_fail(self, drop: float, allowed: float) -> float:
        now = self.reference.now
        if not self.measured:
            return chance_to_fail(drop / now.deviation, references=now.runs, allowed=allowed)
        return self._resampled().chance_to_fail(drop / now.deviation, allowed=allowed)

    def _resampled(self) -> ResampledGate:
        return resample(self.reference.now.accuracies, self.reference.now.deviation)
