"""From a prepared picture to what the API says of it, as JSON keeps it."""

from __future__ import annotations

import base64
import collections
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bench.data.arrays import Images
    from bench.data.given.prepare import Prepared
    from bench.deploy.nets import UsableNet
    from bench.deploy.running import Layer
    from bench.deploy.serving.limits import Deadline
    from bench.deploy.serving.playground import Loaded

_MOST_MAPS = 16
_MOST_SIDE = 64
"""Pixels of a shown map's side; larger ones are thinned out."""


def describe_loaded(loaded: Loaded) -> dict[str, Any]:
    """What nets there are and what they were trained on: `GET /api/architectures`."""
    dataset = loaded.chosen.dataset
    return {
        "study": loaded.chosen.study,
        "version": loaded.version,
        "dataset": {
            "name": dataset.name,
            "classes": list(dataset.classes),
            "image_shape": list(dataset.image_shape),
            "drawn": loaded.preparer.form is not None,
        },
        "architectures": [_describe_net(net) for net in loaded.nets],
        "notes": [*loaded.chosen.notes, *_count_faults(loaded)],
    }


def _count_faults(loaded: Loaded) -> list[str]:
    """How many nets are missing; why they are names places of this machine, and stands in the server's log."""
    count = len(loaded.faults)
    return [f"{count} more could not be loaded; the server's output says why."] if count else []


def _describe_net(net: UsableNet) -> dict[str, Any]:
    record, accuracy = net.run.record, net.run.accuracy
    return {
        "name": net.run.name,
        "seed": record.seed,
        "chosen": net.run.how,
        "params": record.params,
        "macs": record.macs,
        "test_accuracy": record.test_accuracy,
        "test_accuracy_interval": None if accuracy is None else [accuracy[1], accuracy[2]],
        "runtime": net.runtime,
        "summary": net.run.metadata.summary if net.run.metadata else "",
    }


def answer(
    prepared: Prepared, loaded: Loaded, nets: Sequence[UsableNet], *, watched: UsableNet | None, deadline: Deadline
) -> dict[str, Any]:
    """What some nets say of a picture: `POST /api/predict`.

    Args:
        prepared: The picture as nets take it.
        loaded: What there is.
        nets: Those that are asked.
        watched: The one whose layers are shown; None for none.
        deadline: When the answer is given up.

    Raises:
        TooSlowError: It is.
    """
    classes = loaded.chosen.dataset.classes
    images = prepared.pixels[None]
    found: list[tuple[UsableNet, NDArray[np.float64], float]] = []
    for net in nets:
        deadline.check()
        started = time.perf_counter()
        probabilities = net.predict(images)[0]
        found.append((net, probabilities, 1000 * (time.perf_counter() - started)))
    deadline.check()
    label = _most_say([probabilities for _, probabilities, _ in found])
    return {
        "version": loaded.version,
        "label": classes[label],
        "agreeing": sum(int(probabilities.argmax()) == label for _, probabilities, _ in found),
        "classes": list(classes),
        "image": _describe_image(prepared, loaded),
        "architectures": [
            {
                "name": net.run.name,
                "label": classes[int(probabilities.argmax())],
                "confidence": round(float(probabilities.max()), 6),
                "probabilities": [round(float(each), 6) for each in probabilities],
                "agrees": int(probabilities.argmax()) == label,
                "milliseconds": round(milliseconds, 3),
            }
            for net, probabilities, milliseconds in found
        ],
        "layers": None if watched is None else _describe_layers(watched, prepared),
    }


def _most_say(probabilities: Sequence[NDArray[np.float64]]) -> int:
    """The label that most nets give; of several the one with the higher sum of probabilities."""
    votes = collections.Counter(int(each.argmax()) for each in probabilities)
    total = np.sum(probabilities, axis=0)
    return max(votes, key=lambda label: (votes[label], total[label]))


def _describe_image(prepared: Prepared, loaded: Loaded) -> dict[str, Any]:
    likeness = None if loaded.familiarity is None else loaded.familiarity.judge([prepared])[0]
    return {
        "said": list(prepared.said),
        "far": likeness and likeness.is_far,
        "why": likeness and likeness.why,
        "similarity": likeness and round(likeness.similarity, 4),
        **pack_pixels(prepared.pixels),
    }


def pack_pixels(pixels: Images) -> dict[str, Any]:
    """An image (C, H, W) uint8 as shape and base64 of its bytes."""
    return {"shape": list(pixels.shape), "pixels": base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()}


def _describe_layers(net: UsableNet, prepared: Prepared) -> dict[str, Any]:
    """What the layers of a net make of the picture, each scaled from its lowest value to its highest."""
    layers = [_describe_layer(layer) for layer in net.runner.look(prepared.pixels)]
    return {"architecture": net.run.name, "runtime": net.runtime, "layers": layers}


def _describe_layer(layer: Layer) -> dict[str, Any]:
    values = np.nan_to_num(layer.values.astype(np.float32))
    maps = (values if values.ndim == 3 else values[:, None, None])[: _MOST_MAPS if values.ndim == 3 else None]
    step = -(-max(maps.shape[1:]) // _MOST_SIDE)
    shown = maps[:, ::step, ::step]
    low, high = float(shown.min()), float(shown.max())
    levels = np.rint((shown - low) / (high - low or 1.0) * 255).astype(np.uint8)
    return {
        "layer": layer.path,
        "kind": layer.kind,
        "output_shape": list(layer.values.shape),
        "low": round(low, 4),
        "high": round(high, 4),
        **pack_pixels(levels),
    }
