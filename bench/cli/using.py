"""Which command uses nets that were trained, and how, as typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.cli.parser import MODEL_FORMATS, USING
from bench.core.errors import UsageError
from bench.core.options import UseOptions
from bench.data.catalogue import AUTO

if TYPE_CHECKING:
    import argparse

    from bench.core.reading import ReadingOptions


def uses_nets(given: argparse.Namespace, action: str) -> bool:
    """Whether an action uses trained nets; to write a study's runs does not."""
    return action in USING and (action != "export" or given.export in MODEL_FORMATS)


def find_use(given: argparse.Namespace, reading: ReadingOptions) -> UseOptions:
    """How trained nets are used; UsageError where several datasets are named."""
    from bench.data.datasets import call_dataset  # noqa: PLC0415 - --help and wrong flags do not pay for NumPy

    if len(given.datasets) > 1:
        raise UsageError(f"--dataset {','.join(given.datasets)}: nets of one dataset are used at a time; name one.")
    values = {name: getattr(given, name) for name in ("seed", "format", "host", "port", "rate")}
    return UseOptions(
        dataset=None if given.dataset == AUTO else call_dataset(given.dataset, reading),
        images=tuple(given.predict or ()),
        **{name: value for name, value in values.items() if value is not None},
    )


def refuse_idle(given: argparse.Namespace, action: str) -> None:
    """Refuse what chooses nets beside the writing of runs."""
    if action == "export" and not uses_nets(given, action):
        idle = {
            "--seed": given.seed is not None,
            "--dataset": given.dataset != AUTO,
            "--data-dir": given.data_dir is not None,
        }
        for name, is_given in idle.items():
            if is_given:
                raise UsageError(
                    f"{name} does nothing beside --export {given.export}: all runs are written; leave it out."
                )
