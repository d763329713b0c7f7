"""Workers of a Dask scheduler somewhere else, as `Workers`."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from bench.core.events import Note
from bench.execution.cluster.client import shown_results
from bench.execution.cluster.executor import Handover
from bench.execution.cluster.inspection import describe_process
from bench.execution.cluster.worker import AwayTrain
from bench.execution.pool import Workers
from bench.execution.process import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    import distributed

    from bench.core.run import Cluster, Workplace


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
