"""Whose insides a report shows: one fitted net of each architecture and dataset."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from reports.samples import name_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.facts import ArchitectureFacts
    from bench.pictures import DataPictures, Portrait
    from bench.records import RunRecord, Study
    from reports.conditions import Condition


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sitter:
    """One fitted net and what is known of it.

    Attributes:
        label: Its architecture.
        condition: What it was trained under.
        run: Its run.
        portrait: Its insides.
        pictures: Images of its data; None where none are stored.
        facts: Its layers; None where they are not stored.
    """

    label: str
    condition: Condition
    run: RunRecord
    portrait: Portrait
    pictures: DataPictures | None
    facts: ArchitectureFacts | None

    def channels(self, layer: str) -> int | None:
        """How many maps or values a layer has, of which the first are kept; None where its facts are not stored."""
        shapes = {row.name: row.output_shape for row in self.facts.layers} if self.facts else {}
        return shapes[layer][0] if shapes.get(layer) else None

    def left_out_after(self, number: int) -> list[str]:
        """Layers that ran between a stage and the next and of which nothing is kept, as far as its facts are stored.

        Of flat outputs a portrait keeps those of linear layers alone.
        """
        rows = self.facts.layers if self.facts else ()
        kept = [stage.layer for stage in self.portrait.stages]
        names = [row.name for row in rows]
        if kept[number] not in names:
            return []
        after = itertools.takewhile(lambda row: row.name not in kept, rows[names.index(kept[number]) + 1 :])
        return [f"{row.name} ({row.kind})" for row in after if len(row.output_shape) == 1]

    def image_name(self, number: int) -> str:
        """The class of one of the portrait's images and where it stands in the pool, as far as that is known."""
        sample = int(self.portrait.images[number])
        if self.pictures is None or sample >= len(self.pictures.sample_labels):
            return f"sample {sample}"
        names = self.condition.dataset.classes if self.condition.dataset else ()
        return name_sample(sample, self.pictures, names)


def find_sitters(study: Study, conditions: Sequence[Condition]) -> list[Sitter]:
    """One for each architecture and dataset, by name: of the first condition that has an undamaged portrait, if any."""
    portraits = {portrait.run_id: portrait for portrait in study.portraits}
    found: dict[tuple[str, str], Sitter] = {}
    for condition in conditions:
        for entry in condition.entries:
            for run in entry.records:
                key = (entry.label, run.data_hash)
                if run.run_id in portraits and (key not in found or found[key].portrait.damaged):
                    found[key] = Sitter(
                        label=entry.label,
                        condition=condition,
                        run=run,
                        portrait=portraits[run.run_id],
                        pictures=study.pictures.get(run.data_hash),
                        facts=study.architectures.get(run.architecture_hash),
                    )
    return [found[key] for key in sorted(found)]
