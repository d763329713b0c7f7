"""What the workers of a scheduler are, and whether every one of them can do what a study needs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from distributed.comm.addressing import get_address_host

from bench.core.errors import ClusterError, first_line
from bench.core.run import Cluster
from bench.execution.cluster.client import GPU, connect, list_members, shown_results, worker_command
from bench.execution.cluster.inspection import (
    GIVE_SERVER,
    LIKE_INSTRUCTIONS,
    ONE_THREAD,
    describe_process,
    find_difference,
    look_around,
    pack_nets,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distributed import Client

    from bench.core.architecture import Architecture
    from bench.core.run import Workplace
    from bench.execution.cluster.inspection import ProcessFacts


def survey(address: str, device: str, *, most: int | None = None) -> Cluster:
    """What the workers of a scheduler offer; every one of them must be able to train.

    Args:
        address: Of the scheduler.
        device: "cpu", "cuda", or "auto" for the GPUs where there are any.
        most: No more runs at once than that.

    Raises:
        ClusterError: It does not answer, nobody offers such a device, a worker is another version or has several
            threads, or they compute with unlike instructions.
    """
    if device == "mps":
        raise ClusterError("--device mps is for this machine alone; with --cluster choose auto, cpu or cuda.")
    with connect(address) as client:
        if device == "auto":
            device = "cuda" if list_members(client, "cuda") else "cpu"
        able = _require_members(client, device, address)
        found = client.run(describe_process, device, workers=able, on_error="return")
    here = describe_process(device)
    for worker, facts in found.items():
        if fault := _find_fault(facts, here, device):
            raise ClusterError(f"Worker {worker}: {fault}; bring that worker up to date and start it again.")
    sets = sorted({facts.instruction_set for facts in found.values()})
    if len(sets) > 1:
        raise ClusterError(
            f"Workers of {address} compute with unlike instructions ({', '.join(sets)}), which gives other results "
            f"under the same seed; {LIKE_INSTRUCTIONS}."
        )
    machines = Counter(facts.machine for facts in found.values())
    return Cluster(
        address=address,
        device=device,
        workers=len(able),
        machine=machines.most_common(1)[0][0],
        machines=len(machines),
        hosts=len({facts.host for facts in found.values()}),
        neighbours=Counter(map(get_address_host, able)),
        is_here=all(facts.host == here.host for facts in found.values()),
        instruction_set=sets[0],
        most=most,
    )


def _require_members(client: Client, device: str, address: str) -> list[str]:
    """Addresses of the workers that can train on a device, one run each.

    Raises:
        ClusterError: There are none, or one has several threads.
    """
    everybody, able = list_members(client, "cpu"), list_members(client, device)
    if not everybody:
        raise ClusterError(f"--cluster {address}: no workers; start some: {worker_command(address)}")
    if not able:
        raise ClusterError(
            f"--device {device}: none of the {len(everybody)} workers of {address} offers a GPU; start those that "
            f"have one by: {worker_command(address)} --resources {GPU}=1"
        )
    for worker, known in able.items():
        if known["nthreads"] != 1:
            raise ClusterError(f"Worker {worker}: {ONE_THREAD.format(threads=known['nthreads'])}.")
    return list(able)


def _find_fault(facts: ProcessFacts | BaseException, here: ProcessFacts, device: str) -> str:
    """Why a worker cannot do what this process would, in words; empty when it can."""
    if isinstance(facts, OSError):
        return f"it does not answer ({first_line(facts)})"
    if isinstance(facts, BaseException):
        return f"it cannot run this project ({first_line(facts)})"
    if device == "cuda" and not facts.has_gpu:
        return f"it offers a {GPU}, and torch finds none there"
    return find_difference(facts, here)


def try_out(cluster: Cluster, workplace: Workplace, nets: Sequence[Architecture]) -> None:
    """Let every worker reach for the store and the nets before anything trains.

    Args:
        cluster: Its workers.
        workplace: Where they will find the store.
        nets: What they will train.

    Raises:
        ClusterError: One of them cannot reach something.
    """
    if workplace.store_is_file and not cluster.is_here:
        raise ClusterError(
            f"Workers of {cluster.address} run on other hosts, and the store is a file of this one; {GIVE_SERVER}"
        )
    with connect(cluster.address) as client, shown_results(workplace) as token:
        able = list(list_members(client, cluster.device))
        found = client.run(look_around, workplace, token, pack_nets(nets), workers=able, on_error="return")
    for worker, fault in found.items():
        said = first_line(fault) if isinstance(fault, BaseException) else fault
        if said:
            raise ClusterError(f"Worker {worker}: {said}.")
