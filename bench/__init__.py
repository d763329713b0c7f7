"""How architectures are measured and judged, for scripts and notebooks: `import bench`. See docs/api.md.

    list_architectures   every architecture of the project
    load_architecture    one, by its name
    run_study            train some under the same seeds and budgets; their runs
    study_events         the same, event by event
    load_runs            the runs of a study, a typed table
    load_verdicts        what is said of every pair of them, a typed table
    compare              plain numbers, judged as the suite judges its own
    load_model           a trained net that takes raw images, its normalisation inside
    check_architecture   what the doctor finds in a net, before anything trains

Within, where neither the architectures nor the reports are known:

    spec         what a net's file imports
    core/        the nouns: no torch, no files, no database
    system/      this machine: environment and devices, processes, files, text
    data/        datasets as whole verified arrays
    analysis/    records in, verdicts out
    store/       the database: what runs leave behind
    models/      nets as objects: found, loaded, built, counted, hashed, checked
    training/    one run, from fresh weights to final ones
    execution/   who trains: the schedule of a plan, workers here and on a cluster, the quiet phase
    studies/     what a command does: a comparison, a tuning, a check by the gate
    deploy/      what was trained, used: loaded, exported, shown pictures, served
    cli/         flags, read into options; the doctor as tests of pytest

Imports go down only: cli may know deploy, deploy studies, and so on up to this list's top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.deploy.load import load_model
    from bench.models.doctor.contract import check_architecture
    from bench.studies.api import (
        compare,
        list_architectures,
        load_architecture,
        load_runs,
        load_verdicts,
        run_study,
        study_events,
    )

__all__ = [
    "check_architecture",
    "compare",
    "list_architectures",
    "load_architecture",
    "load_model",
    "load_runs",
    "load_verdicts",
    "run_study",
    "study_events",
]


def __getattr__(name: str) -> object:
    """What is exported, once it is asked for: a net's file that imports `bench.spec` does not pay for all of it."""
    if name not in __all__:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    if name == "check_architecture":
        from bench.models.doctor import contract  # noqa: PLC0415

        return contract.check_architecture
    if name == "load_model":
        from bench.deploy.load import load_model  # noqa: PLC0415

        return load_model
    from bench.studies import api  # noqa: PLC0415

    return getattr(api, name)
