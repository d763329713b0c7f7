"""Whether a process elsewhere can do what this one would: what it says of itself, and what it cannot reach."""

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
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.core.errors import ArchitectureError, BenchError, first_line
from bench.models.fingerprint import architecture_hash
from bench.store.store import open_store
from bench.system.device import accelerator_name, has_device, instruction_set
from bench.system.environment import PROJECT, describe_environment, project_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.core.architecture import Architecture
    from bench.core.run import Workplace


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessFacts:
    """What a process is.

    Attributes:
        versions: Of what must be the same everywhere, by name.
        host: Where it runs; two processes with the same one share disks and memory.
        machine: Hardware and versions as `bench.system.environment` names them.
        instruction_set: What its CPU computes with, as `bench.system.device` names it; empty on another device.
        has_gpu: Whether torch finds a GPU there.
    """

    versions: Mapping[str, str]
    host: str
    machine: str
    instruction_set: str
    has_gpu: bool


@functools.cache
def describe_process(device: str) -> ProcessFacts:
    """What this process is, as it was when it was asked first: sources that change later are not what it runs.

    Args:
        device: Kind of device that it would train on.
    """
    return ProcessFacts(
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


def find_difference(theirs: ProcessFacts, ours: ProcessFacts) -> str:
    """What must be the same and is not, in words; empty when all is."""
    unlike = (name for name, version in ours.versions.items() if theirs.versions.get(name) != version)
    name = next(unlike, None)
    return "" if name is None else f"it has {name} {theirs.versions.get(name, 'none')}, here is {ours.versions[name]}"


LIKE_INSTRUCTIONS = "start all with the least of them, as by ATEN_CPU_CAPABILITY=avx2"
"""The way out where CPUs compute with unlike instructions, which gives other bits under the same seed."""
ONE_THREAD = (
    "it has {threads} threads, and a run needs a process of its own; "
    "start it with --nthreads 1 (--nworkers N for several)"
)
"""What to say of a worker with several threads."""
GIVE_SERVER = "give a database that all reach: --store postgresql+psycopg://USER@HOST/NAME"
"""The way out where the store is a file that some workers cannot share."""


def pack_nets(nets: Sequence[Architecture]) -> list[tuple[str, str, bytes]]:
    """Name, hash and pickle of each net, for `look_around`."""
    return [(net.name, architecture_hash(net), pickle.dumps(net)) for net in nets]


def look_around(workplace: Workplace, token: str, nets: Sequence[tuple[str, str, bytes]]) -> str:
    """What a worker lacks, said by the worker itself; empty when it can reach everything.

    Args:
        workplace: What it will be told.
        token: File in the results directory that shows that this is the client's.
        nets: What it will train, as `pack_nets` gives it.
    """
    if workplace.store_is_file and not sees_results(workplace, token):
        return f"it does not see {workplace.results} as it is here, where the database lies; {GIVE_SERVER}"
    try:
        open_store(workplace.store_url, create=False, patience_seconds=0).close()
    except BenchError as fault:
        return str(fault).rstrip(".")
    return next(filter(None, (_try_net(*net) for net in nets)), "")


def sees_results(workplace: Workplace, token: str) -> bool:
    """Whether this process sees the client's results directory under the same path."""
    try:
        return (workplace.results / token).is_file()
    except OSError:  # a folder on the way that is another user's
        return False


def _try_net(name: str, wanted: str, pickled: bytes) -> str:
    try:
        net = pickle.loads(pickled)  # noqa: S301 - the scheduler hands on our own functions in the same way
    except Exception as fault:  # noqa: BLE001 - whatever its file does
        return f"it cannot load {name}: {first_line(fault).rstrip('.')}; put the net's file at the same place there"
    return find_stale(net, wanted)


_loaded = dict[tuple[Path | None, str], str]()
"""What a net's source was when this process loaded it first: a package's is not loaded again, a single file's is."""


def find_stale(net: Architecture, wanted: str) -> str:
    """Why a net is not the one that is wanted, in words; empty when it is.

    Args:
        net: As this process has loaded it.
        wanted: Its hash where the study is.
    """
    try:
        found = architecture_hash(net)
    except ArchitectureError as fault:
        return str(fault).rstrip(".")
    if found != wanted:
        return f"it has another version of {net.name} in {net.file}; update it there"
    in_package = net.file is not None and (net.file.parent / "__init__.py").is_file()
    if in_package and _loaded.setdefault((net.file, net.name), found) != found:
        return f"{net.name} in {net.file}, or what it imports, has changed since it was loaded; start all workers again"
    return ""
