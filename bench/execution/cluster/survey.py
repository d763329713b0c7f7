"""What the workers of a scheduler are, and whether every one of them can do what a study needs."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import pickle
import platform
import socket
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from distributed.comm.addressing import get_address_host

from bench.core.errors import ArchitectureError, BenchError, ClusterError, first_line
from bench.core.run import Cluster
from bench.execution.cluster.client import GPU, connect, list_members, shown_results
from bench.models.fingerprint import architecture_hash
from bench.models.rewriting.kernels.library import kernels_name, why_no_kernels
from bench.store.store import open_store
from bench.system.device import accelerator_name, has_device, instruction_set
from bench.system.environment import PROJECT, describe_environment, project_version
from bench.training.engine import choose_engine
from bench.training.run import ProcessState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from distributed import Client, Worker

    from bench.core.architecture import Architecture
    from bench.core.run import Workplace

LIKE_INSTRUCTIONS = "start all with the least of them, as by ATEN_CPU_CAPABILITY=avx2"
"""The way out where CPUs compute with unlike instructions, which gives other bits under the same seed."""
LIKE_KERNELS = "give it the compiler of the others, as by pip install -e '.[fast]' there, and start it again"
"""The way out where the kernels of workers are unlike, or one has none."""
ONE_THREAD = (
    "it has {threads} threads, and a run needs a process of its own; "
    "start it with --nthreads 1 (--nworkers N for several)"
)
"""What to say of a worker with several threads."""
GIVE_SERVER = "give a database that all reach: --store postgresql+psycopg://USER@HOST/NAME"
"""The way out where the store is a file that some workers cannot share."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessDescription:
    """What a process is, as far as it decides results or what it can reach.

    Attributes:
        versions: Of what must be the same everywhere, by name.
        host: Where it runs; two processes with the same one share disks and memory.
        machine: Hardware and versions as `bench.system.environment` names them.
        instruction_set: As `bench.system.device` names it; empty but on a CPU.
    """

    versions: Mapping[str, str]
    host: str
    machine: str
    instruction_set: str
    has_gpu: bool


@functools.cache
def describe_process(device: str) -> ProcessDescription:
    """What this process is where it trains on a kind of device; sources that change later are not what it runs."""
    return ProcessDescription(
        versions={
            "this project": f"{project_version()} with sources {_hash_sources()}",
            "torch": torch.__version__,
            "Python": ".".join(platform.python_version_tuple()[:2]),
            "distributed": importlib.metadata.version("distributed"),
        },
        host=f"{socket.gethostname()} {_boot()}",
        machine=str(describe_environment(accelerator=accelerator_name(device))["machine"]),
        instruction_set=instruction_set(device),
        has_gpu=has_device("cuda"),
    )


def _hash_sources() -> str:
    """Of every Python file that trains: two checkouts may share a version and differ in what they compute."""
    digest = hashlib.sha256()
    for file in sorted(file for room in ("bench", "architectures") for file in (PROJECT / room).rglob("*.py")):
        digest.update(f"{file.relative_to(PROJECT).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:8]


def _boot() -> str:
    """What only this boot of this machine has; a container has it of its host, but a name of its own."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{uuid.getnode():x}"


def find_kernels() -> tuple[str, str]:
    """What the kernels of this process are called, and why it has none."""
    return kernels_name(), why_no_kernels()


def survey(address: str, device: str, *, engine: str = "torch", most: int | None = None) -> Cluster:
    """What the workers of a scheduler offer; every one of them must be able to train.

    Args:
        address: Of the scheduler.
        device: "cpu", "cuda", or "auto" for the GPUs where there are any.
        engine: "torch", "lanes", or "auto" for "lanes" where all workers have the same kernels.
        most: No more runs at once than that.

    Raises:
        UsageError: The engine is "lanes", and a worker has no kernels or others than the rest.
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
        kernels: dict[str, Any] = {}
        if engine != "torch" and device == "cpu":
            kernels = client.run(find_kernels, workers=able, on_error="return")
    here = describe_process(device)
    for worker, there in found.items():
        if fault := _find_fault(there, here, device):
            raise ClusterError(f"Worker {worker}: {fault}; bring that worker up to date and start it again.")
    sets = sorted({there.instruction_set for there in found.values()})
    if len(sets) > 1:
        raise ClusterError(
            f"Workers of {address} compute with unlike instructions ({', '.join(sets)}), which gives other results "
            f"under the same seed; {LIKE_INSTRUCTIONS}."
        )
    trains, why = choose_engine(engine, device, functools.partial(_why_no_kernels, kernels))
    machines = Counter(there.machine for there in found.values())
    return Cluster(
        address=address,
        device=device,
        workers=len(able),
        machine=machines.most_common(1)[0][0],
        machines=len(machines),
        hosts=len({there.host for there in found.values()}),
        neighbours=Counter(map(get_address_host, able)),
        is_here=all(there.host == here.host for there in found.values()),
        instruction_set=sets[0],
        engine=trains,
        kernels=next(iter(kernels.values()))[0] if trains == "lanes" else "",
        without_kernels=why,
        most=most,
    )


def _why_no_kernels(found: Mapping[str, tuple[str, str] | BaseException]) -> str:
    """Why workers cannot train by the same kernels, in words; empty when they can.

    The client need not have theirs, but it must have some: it tries every net before anything trains.
    """
    for worker, there in found.items():
        why = first_line(there) if isinstance(there, BaseException) else there[1]
        if why:
            return f"worker {worker}: {why}"
    names = {there[0]: worker for worker, there in found.items() if not isinstance(there, BaseException)}
    if len(names) > 1:
        unlike = ", ".join(f"{name} of {worker}" for name, worker in sorted(names.items()))
        return (
            f"workers have unlike kernels ({unlike}), which give other results under the same seed; give all of them "
            "one compiler, as by pip install -e '.[fast]', and start them again"
        )
    why = why_no_kernels()
    return f"this machine, which tries the nets: {why}" if why else ""


def _require_members(client: Client, device: str, address: str) -> list[str]:
    """Addresses of the workers that can train on a device, one run each."""
    everybody, able = list_members(client, "cpu"), list_members(client, device)
    command = f"python -m dask worker {address} --nworkers N --nthreads 1 --memory-limit 0"
    if not everybody:
        raise ClusterError(f"--cluster {address}: no workers; start some: {command}")
    if not able:
        raise ClusterError(
            f"--device {device}: none of the {len(everybody)} workers of {address} offers a GPU; start those that "
            f"have one by: {command} --resources {GPU}=1"
        )
    for worker, known in able.items():
        if known["nthreads"] != 1:
            raise ClusterError(f"Worker {worker}: {ONE_THREAD.format(threads=known['nthreads'])}.")
    return list(able)


def _find_fault(there: ProcessDescription | BaseException, here: ProcessDescription, device: str) -> str:
    """Why a worker cannot do what this process would, in words; empty when it can."""
    if isinstance(there, OSError):
        return f"it does not answer ({first_line(there)})"
    if isinstance(there, BaseException):
        return f"it cannot run this project ({first_line(there)})"
    if device == "cuda" and not there.has_gpu:
        return f"it offers a {GPU}, and torch finds none there"
    return find_difference(there, here)


def find_difference(theirs: ProcessDescription, ours: ProcessDescription) -> str:
    """What must be the same and is not, in words; empty when all is."""
    for name, version in ours.versions.items():
        if theirs.versions.get(name) != version:
            return f"it has {name} {theirs.versions.get(name, 'none')}, here is {version}"
    return ""


def check_workers(cluster: Cluster, workplace: Workplace, nets: Sequence[Architecture]) -> None:
    """Let every worker try to reach the store and the nets before anything trains; ClusterError when one cannot."""
    if workplace.store_is_file and not cluster.is_here:
        apart = "run on other hosts, and the store is a file of this one"
        raise ClusterError(f"Workers of {cluster.address} {apart}; {GIVE_SERVER}")
    # Pickled here, so that a net which cannot be loaded there is named, and the scheduler loads none.
    packed = [(net.name, architecture_hash(net), pickle.dumps(net)) for net in nets]
    with connect(cluster.address) as client, shown_results(workplace) as token:
        able = list(list_members(client, cluster.device))
        found = client.run(_find_missing, workplace, token, packed, workers=able, on_error="return")
    for worker, fault in found.items():
        why = first_line(fault) if isinstance(fault, BaseException) else fault
        if why:
            raise ClusterError(f"Worker {worker}: {why}.")


def _find_missing(workplace: Workplace, token: str, nets: Sequence[tuple[str, str, bytes]], dask_worker: Worker) -> str:
    """What a worker cannot reach, said by the worker itself, which Dask passes; empty when it can reach everything."""
    if workplace.store_is_file and not sees_results(workplace, token):
        return f"it does not see {workplace.results} as it is here, where the database lies; {GIVE_SERVER}"
    try:
        open_store(workplace.store_url, create=False, patience_seconds=0).close()
    except BenchError as fault:
        return str(fault).rstrip(".")
    return next(filter(None, (_try_net(*net, state_of(dask_worker)) for net in nets)), "")


def sees_results(workplace: Workplace, token: str) -> bool:
    """Whether this process sees the client's results directory, which holds the token, under the same path."""
    try:
        return (workplace.results / token).is_file()
    except OSError:  # a folder on the way that is another user's
        return False


def _try_net(name: str, wanted: str, pickled: bytes, state: WorkerState) -> str:
    try:
        net = pickle.loads(pickled)  # noqa: S301 - the scheduler hands on our own functions in the same way
    except Exception as fault:  # noqa: BLE001 - whatever its file does
        return f"it cannot load {name}: {first_line(fault).rstrip('.')}; put the net's file at the same place there"
    return find_stale(net, wanted, state)


class WorkerState(ProcessState):
    """What a worker of a cluster, which is a process, keeps from one call to the next.

    Attributes:
        sources: Hash of a net's source when it was loaded first: a package's is not loaded again, a single file's is.
        datasets: Content hashes of the datasets that it can load.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sources: dict[tuple[Path | None, str], str] = {}
        self.datasets: set[str] = set()


def state_of(dask_worker: Worker) -> WorkerState:
    """What a worker keeps; Dask's own object holds it."""
    state: WorkerState = vars(dask_worker).setdefault("architecture_bench", WorkerState())
    return state


def find_stale(net: Architecture, wanted: str, state: WorkerState) -> str:
    """Why a net, as this process has loaded it, does not have the hash that is wanted, in words; empty when it has."""
    try:
        found = architecture_hash(net)
    except ArchitectureError as fault:
        return str(fault).rstrip(".")
    if found != wanted:
        return f"it has another version of {net.name} in {net.file or net.library}; update it there"
    in_package = net.file is not None and (net.file.parent / "__init__.py").is_file()
    if in_package and state.sources.setdefault((net.file, net.name), found) != found:
        return f"{net.name} in {net.file}, or what it imports, has changed since it was loaded; start all workers again"
    return ""
