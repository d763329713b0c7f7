"""What people's own tests ask of the doctor: findings as data, and a diagnosis for each net that a name chooses."""

from __future__ import annotations

import copy
import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.core.architecture import Architecture
from bench.core.errors import ArchitectureError, UsageError, first_line
from bench.core.metadata import DatasetMetadata, Diagnosis
from bench.data.arrays import Sample
from bench.data.datasets import IMAGES, find_dataset, take_sample
from bench.data.directories import own_data_directory
from bench.models.doctor.trial import Trial
from bench.models.registry import Registry, discover
from bench.system.environment import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from bench.core.metadata import Finding


def check_architecture(
    architecture: Architecture | Callable[..., nn.Module] | nn.Module | str | Path,
    *,
    dataset: str | Path | None = None,
    input_shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
) -> tuple[Finding, ...]:
    """What the doctor finds in a net, errors first; nothing is trained or stored.

    Nets that are named by a file are examined in a process of their own, others in this one.

    Args:
        architecture: An `Architecture`; a name, or the path of a net's file, as `--arch` takes them; a class of
            `nn.Module`, or a function that makes one; or a net.
        dataset: What to try it on, as `--dataset` takes it; made-up images of the net's shape when None.
        input_shape: Channels, height and width of the images; None for those that the net declares, else 1×28×28.
        classes: How many; None for as many as the net declares, else 10.

    Returns:
        Findings with `level` ("error" or "advice"), `check`, `layer`, `message` and `place`; none for a sound net of
        which there is nothing to say.

    Raises:
        UnknownNameError: Nothing has that name.
        MisfitError: The net cannot take the images.
        UsageError: More than one net is meant, or a net cannot be copied.
        ArchitectureError: A file cannot be loaded.

    Example:
        >>> from torch import nn
        >>> class Softmaxed(nn.Sequential):
        ...     def __init__(self):
        ...         super().__init__(nn.Flatten(), nn.Linear(784, 10), nn.Softmax(dim=1))
        >>> [(finding.level, finding.check) for finding in bench.check_architecture(Softmaxed)]
        [('error', 'probabilities')]
        >>> [finding for finding in bench.check_architecture("lenet21k") if finding.level == "error"]
        []
    """
    from torch import nn  # noqa: PLC0415 - who only names what there is does not pay for it

    trial = Trial()
    net = _find_net(architecture, trial)
    if input_shape is not None or classes is not None:
        net = net.fitted(input_shape or net.input_shape, classes or net.classes)
    findings = diagnose(net, dataset=dataset, trial=trial).findings
    if isinstance(architecture, nn.Module):  # copies of one net start alike
        findings = tuple(finding for finding in findings if finding.check != "same-start")
    return findings


def diagnose(net: Architecture, *, dataset: str | Path | None = None, trial: Trial | None = None) -> Diagnosis:
    """What the doctor finds in an architecture, on a dataset or on made-up images; raises MisfitError."""
    if dataset is None:
        sample = make_up(net.input_shape, net.classes)
    else:
        sample = take_sample(find_dataset(str(dataset), own_data_directory()))
    return (trial or Trial()).examine(net.fitted_to(sample.metadata), sample)


def find_nets(patterns: Sequence[str], trial: Trial) -> list[Architecture]:
    """Architectures as `--arch` names them; those of this project are loaded only where no file is named."""
    of_files = all(".py" in pattern for pattern in patterns)
    empty = Registry(architectures=(), broken={}, load=trial.load)
    registry = empty if of_files else discover(PROJECT / "architectures", trial.load)
    return registry.select(patterns)


def make_up(input_shape: tuple[int, int, int], classes: int) -> Sample:
    """Images (N, C, H, W) of noise around a pattern for each class, so that a net can learn them; always the same."""
    generator = np.random.default_rng(0)
    labels = np.arange(IMAGES, dtype=np.int64) % classes
    patterns = generator.integers(0, 256, (min(classes, IMAGES), *input_shape))
    noise = generator.normal(0, 40, (IMAGES, *input_shape))
    images = (0.7 * patterns[labels % len(patterns)] + 40 + noise).clip(0, 255).astype(np.uint8)
    channels = range(input_shape[0])
    metadata = DatasetMetadata(
        name="made-up images",
        data_hash="",
        pool_images=IMAGES,
        test_images=0,
        validation_images=0,
        image_shape=input_shape,
        classes=tuple(map(str, range(classes))),
        mean=tuple(float(images[:, channel].mean() / 255) for channel in channels),
        deviation=tuple(float(images[:, channel].std() / 255) for channel in channels),
        origin="made up",
    )
    return Sample(metadata=metadata, images=images, labels=labels)


def _find_net(asked: Architecture | Callable[..., nn.Module] | nn.Module | str | Path, trial: Trial) -> Architecture:
    from torch import nn  # noqa: PLC0415 - as above

    if isinstance(asked, Architecture):
        return asked
    if isinstance(asked, str | Path):
        found = find_nets([str(asked)], trial)
        if len(found) != 1:
            raise UsageError(f"'{asked}' means {len(found)} architectures; name one of them.")
        return found[0]
    build: Callable[..., nn.Module]
    if isinstance(asked, nn.Module):
        name, build = type(asked).__name__, functools.partial(copy.deepcopy, _copyable(asked))
    elif callable(asked):
        name, build = str(getattr(asked, "__name__", "net")), asked
    else:
        raise ArchitectureError(f"{asked!r} is no net; give an Architecture, a class, a function, a net or a name.")
    net = Architecture(name=name, build=build, undeclared=True)
    return net.fitted(net.input_shape, net.classes)


def _copyable(net: nn.Module) -> nn.Module:
    """A net of which every build can be a copy; UsageError where a copy would hold on to the net itself."""
    hooks = [
        hook
        for module in net.modules()
        for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
        for hook in [*getattr(module, kind, {}).values(), module.__dict__.get("forward")]
    ]
    why = "functions of its own are hooked into it" if any(map(inspect.isfunction, hooks)) else ""
    try:
        copy.deepcopy(net)
    except Exception as fault:  # noqa: BLE001 - whatever it is, there is no copy
        why = f"copying it raised {first_line(fault)}"
    if why:
        raise UsageError(
            f"This {type(net).__name__} cannot be copied, and a net is built more than once: {why}; give its class, or "
            "a function that makes it."
        )
    return net
