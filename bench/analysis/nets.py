"""Which runs are of one net, and what tells nets of one name apart.

A source that stays the same may build another net when a helper, data or the environment changes
(`bench.models.build`). The store lets runs of the one before count no longer; where two stores were merged, both count.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, TypeAlias

from bench.system.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.records import RunRecord


def divide_by_net(records: Sequence[RunRecord]) -> list[tuple[str, list[RunRecord]]]:
    """Runs by net, each with a label of its own: the name, with what tells the nets of one name apart behind it.

    They come by name, source and counts, the runs of each in the order in which they were given.
    """
    sources: dict[tuple[str, str], list[RunRecord]] = collections.defaultdict(list)
    for record in records:
        sources[record.architecture, record.architecture_hash].append(record)
    names = collections.Counter(name for name, _ in sources)
    found = []
    for (name, source), of_source in sorted(sources.items()):
        nets = _nets_of(of_source)
        for counts, initial, runs in nets:
            told = [source[:7]] if names[name] > 1 or len(nets) > 1 else []
            if len(nets) > 1:
                told += _differences(counts, initial, nets)
            found.append((one_line(f"{name} ({', '.join(told)})" if told else name), runs))
    return found


_Counts: TypeAlias = tuple[int | None, int | None]
_Net: TypeAlias = "tuple[_Counts, str, list[RunRecord]]"
"""Parameters and MACs, initial hash where it had to tell, runs."""


def _nets_of(records: Sequence[RunRecord]) -> list[_Net]:
    """Runs of one source by net; one that was not counted stands with the first."""
    counts: list[_Counts] = [*sorted({(r.params, r.macs) for r in records if None not in (r.params, r.macs)}, key=str)]
    first: _Counts = counts[0] if counts else (None, None)
    by_counts: dict[_Counts, list[RunRecord]] = {each: [] for each in counts or [first]}
    for record in records:
        key = (record.params, record.macs)
        by_counts[key if key in by_counts else first].append(record)
    return [(each, initial, runs) for each in by_counts for initial, runs in _by_hash(by_counts[each]).items()]


def _by_hash(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Runs of equal counts, apart where hashes that can be held against each other differ."""
    hashes = {record.initial_hash for record in records}
    environments = [each.partition(":")[0] for each in hashes]
    if len(set(environments)) == len(environments):
        return {"": list(records)}
    return {each: [r for r in records if r.initial_hash == each] for each in sorted(hashes)}


def _differences(counts: _Counts, initial: str, nets: Sequence[_Net]) -> list[str]:
    """What tells a net from the others of its source."""
    (params, macs), told = counts, []
    if len({net[0][0] for net in nets}) > 1:
        told.append(f"{params:,} parameters")
    elif len({net[0][1] for net in nets}) > 1:
        told.append(f"{macs:,} MACs")
    if initial or any(net[1] for net in nets if net[0] == counts):
        told.append(f"built as {initial.partition(':')[2][:7] or 'unknown'}")
    return told
