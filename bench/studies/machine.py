"""What trains: this machine, or the workers of a cluster."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Self

from bench.core.errors import UsageError
from bench.models.rewriting.kernels.library import why_no_kernels
from bench.system.device import accelerator_name, default_jobs, find_device, instruction_set
from bench.system.environment import describe_environment
from bench.training.engine import choose_engine

if TYPE_CHECKING:
    from bench.core.options import StudyOptions
    from bench.core.run import Cluster


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hardware:
    """What trains.

    Attributes:
        device: Kind of device: "cpu", "cuda" or "mps".
        machine: Hardware and versions, as `bench.system.environment` names them; what estimates of time go by.
        jobs: Runs that may train at once.
        instruction_set: What a CPU computes with, as `bench.system.device` names it; empty on another device.
        engine: What trains, "torch" or "lanes".
        without_kernels: Why the engine was not chosen to be "lanes"; empty where nobody asks.
        cluster: Whose workers train; None for those of this machine.
    """

    device: str
    machine: str
    jobs: int
    instruction_set: str = ""
    engine: str = "torch"
    without_kernels: str = ""
    cluster: Cluster | None = None

    @classmethod
    def find(cls, options: StudyOptions, device: str | None = None) -> Self:
        """What is asked for, on the device that a file says instead of the options.

        Raises:
            UsageError: The device or the engine is not there, or a budget of seconds would be spent on unlike machines.
            ClusterError: The scheduler does not answer, or its workers cannot train.
        """
        device = device or options.device
        if options.cluster is None:
            kind = find_device(device)
            machine = describe_environment(accelerator=accelerator_name(kind))["machine"]
            jobs = options.jobs or default_jobs(kind)
            engine, why = choose_engine(options.engine, kind, why_no_kernels)
            return cls(
                device=kind,
                machine=str(machine),
                jobs=jobs,
                instruction_set=instruction_set(kind),
                engine=engine,
                without_kernels=why,
            )
        from bench.execution.cluster.survey import survey  # noqa: PLC0415 - Dask takes half a second

        cluster = survey(options.cluster, device, engine=options.engine, most=options.jobs)
        if cluster.machines > 1 and any(budget.seconds is not None for budget in options.budgets):
            raise UsageError(
                f"--train-seconds: the workers of {cluster.address} are {cluster.machines} unlike machines, on which a "
                "second is not the same; choose a budget of --epochs, or workers that are alike."
            )
        jobs = min(cluster.workers, options.jobs or cluster.workers)
        return cls(
            device=cluster.device,
            machine=cluster.machine,
            jobs=jobs,
            instruction_set=cluster.instruction_set,
            engine=cluster.engine,
            without_kernels=cluster.without_kernels,
            cluster=cluster,
        )
