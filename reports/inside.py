"""What the data looks like and what one fitted net of each architecture makes of it: filters and feature maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.text import one_line
from reports.document import Prose, Section
from reports.feature_maps import choose_stages, input_gallery, stage_gallery
from reports.filters import filter_gallery
from reports.samples import facts_table, sample_gallery
from reports.sitters import find_sitters
from reports.wording import slugify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.records import Study
    from reports.conditions import Condition
    from reports.document import Block
    from reports.sitters import Sitter

MOST_PORTRAYED = 8
"""Architectures whose insides are shown, the first by name."""


def inside_section(study: Study, conditions: Sequence[Condition]) -> Section | None:
    """The data and the insides of one fitted net of each architecture; None where the store has no pictures.

    Args:
        study: What the store holds.
        conditions: Its conditions; an architecture is shown as trained under the first that has a portrait of it.
    """
    hashes = list(dict.fromkeys(condition.records[0].data_hash for condition in conditions))
    sitters = find_sitters(study, conditions)
    if not sitters and not any(data_hash in study.pictures for data_hash in hashes):
        return None
    blocks: list[Block] = []
    for number, data_hash in enumerate(hashes, 1):
        facts = study.datasets.get(data_hash)
        if facts is not None:
            blocks.append(facts_table(facts, study.labels.get(data_hash)))
        pictures = study.pictures.get(data_hash)
        if pictures is not None and pictures.damaged:
            blocks.append(_damaged(f"the pictures of {one_line(facts.name) if facts else 'the data'}"))
        elif pictures is not None and len(pictures.samples):
            blocks.append(sample_gallery(pictures, facts, slug=f"inside-data-{number}"))
    if len(sitters) > MOST_PORTRAYED:
        text = f"Insides are shown of the first {MOST_PORTRAYED} nets by name, of {len(sitters)}."
        blocks.append(Prose(text=text, tone="warning"))
    for number, sitter in enumerate(sitters[:MOST_PORTRAYED], 1):
        blocks += _inside(sitter, slug=f"inside-{number}-{slugify(sitter.label)}")
    return Section(title="Inside the nets", slug="inside", blocks=tuple(blocks), detail=True)


def _damaged(what: str) -> Prose:
    text = (
        f"Damaged in the store, and so left out: {what}. Run the training command again to have them anew; it trains "
        "nothing that is stored."
    )
    return Prose(text=text, tone="warning")


def _inside(sitter: Sitter, *, slug: str) -> list[Block]:
    """Words, filters of the first convolution, and what each stage makes of some images."""
    portrait, label = sitter.portrait, sitter.label
    if portrait.damaged:
        return [_damaged(f"the insides of {label}, seed {sitter.run.seed} ({sitter.condition.title})")]
    shown = (
        f"{label}, seed {sitter.run.seed} ({sitter.condition.title}): one fitted net; other seeds find other filters."
    )
    blocks: list[Block] = [Prose(text=shown)]
    filters = filter_gallery(portrait.filters, label, slug=f"{slug}-filters")
    blocks.append(filters or Prose(text=f"{label} has no convolution whose filters could be shown as images."))
    stages = choose_stages(portrait)
    if not stages or not len(portrait.images):
        return blocks
    text = (
        "Feature maps: of large stages the first maps or values are kept. Black is the lowest value of the maps kept "
        "of a stage for one image and white the highest, as written below; all maps of one picture share that scale."
    )
    if len(stages) < len(portrait.stages):
        text += f" {len(stages)} of {len(portrait.stages)} stages are shown, evenly spaced."
    blocks.append(Prose(text=text))
    if sitter.pictures is not None and len(sitter.pictures.samples) > int(portrait.images.max(initial=-1)):
        blocks.append(input_gallery(sitter, sitter.pictures, slug=f"{slug}-input"))
    return [*blocks, *(stage_gallery(sitter, number, slug=f"{slug}-stage-{number + 1}") for number in stages)]
