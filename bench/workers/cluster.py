"""Workers of a Dask scheduler somewhere else, as `Workers`."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from bench.events import Note
from bench.workers.away import AwayTrain
from bench.workers.crew import Workers
from bench.workers.handover import Handover
from bench.workers.inspection import describe_process
from bench.workers.remote import unpack
from bench.workers.scheduler import shown_results

if TYPE_CHECKING:
    from collections.abc import Iterator

    import distributed

    from bench.task import Cluster, Workplace


@contextlib.contextmanager
def open_cluster(workplace: Workplace, cluster: Cluster) -> Iterator[Workers]:
    """Connect to a scheduler; its workers stay when this ends, and what is under way on them then stops.

    Args:
        workplace: Where the client finds data and leaves results.
        cluster: Whose workers train.

    Raises:
        StoreError: The results directory cannot be written.
    """
    topic = f"bench-progress-{secrets.token_hex(8)}"  # a scheduler may serve several studies

    def begin(client: distributed.Client) -> None:
        client.subscribe_topic(topic, lambda event: workers.messages.put(unpack(event[1])))

    def say(text: str) -> None:
        workers.messages.put(Note(text=text))

    def places() -> int:
        there = max(1, handover.workers)  # one that is started again is there soon
        return min(cluster.most or there, there)

    handover = Handover(workplace, cluster, begin=begin, say=say)
    with shown_results(workplace) as token:
        train = AwayTrain(workplace, cluster, token=token, topic=topic, client=describe_process(cluster.device))
        workers = Workers(handover, train, places, packs=True)
        with handover:
            yield workers
