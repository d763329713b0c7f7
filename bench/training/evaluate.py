"""What a net says of images: scores on the way, predictions at the end.

Each batch a net is given has memory of its own (`bench.data.pixels`): one that changes its input in place would else
change what every later run is judged on.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from bench.core.records import Predictions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from bench.data.pixels import Pixels

BATCH = 125
"""Images per forward pass: larger batches leave the cache and are slower. Part of what fixes the bits of a score."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """Mean cross-entropy (nats) and fraction right."""

    loss: float
    accuracy: float


def score(model: nn.Module, images: Pixels, labels: Tensor) -> Score:
    """Score a net in eval mode on N images of classes (N,), leaving it in the mode it was in."""
    losses, right = [], torch.zeros((), dtype=torch.int64, device=images.device)
    with _evaluating(model):
        for batch, targets in zip(images.batches(BATCH), labels.split(BATCH), strict=True):
            logits = model(batch).float()
            losses.append(functional.cross_entropy(logits, targets, reduction="sum"))
            right += (logits.argmax(1) == targets).sum()
    loss = 0.0
    for part in torch.stack(losses).tolist():  # here an accelerator is waited for, once
        loss += part
    return Score(loss=loss / len(labels), accuracy=right.item() / len(labels))


def predict(model: nn.Module, images: Pixels, labels: Tensor, *, split: str, indices: np.ndarray) -> Predictions:
    """Predict every one of the N images of a split, "validation" or "test", of classes (N,).

    `indices` (N,) are those of the images in the pool or the test set.
    """
    with _evaluating(model):
        # Copies: a net may give the same memory each time, with other logits in it.
        logits = torch.cat([model(batch).float().clone() for batch in images.batches(BATCH)]).cpu()  # (N, classes)
    probabilities = logits.double().softmax(1).float()
    truth = labels.cpu()
    confidence, predicted = probabilities.max(1)
    return Predictions(
        split=split,
        images=indices.astype(np.int32),
        labels=truth.numpy().astype(np.uint8),
        predicted=predicted.numpy().astype(np.uint8),
        confidence=confidence.numpy(),
        true_probability=probabilities.gather(1, truth[:, None]).squeeze(1).numpy(),
    )


def score_predictions(predictions: Predictions) -> Score:
    """Loss and accuracy as the stored predictions give them, without the net."""
    tiny = np.finfo(np.float32).tiny  # a probability that underflowed counts as the smallest there is
    loss = -np.log(np.maximum(predictions.true_probability, tiny).astype(np.float64)).mean()
    return Score(loss=float(loss), accuracy=float((predictions.predicted == predictions.labels).mean()))


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients, and back to the mode before.

    Not inference mode: a net may keep what it computes here, and a training step could not use an inference tensor.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)
