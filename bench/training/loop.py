"""The loop: one run from fresh weights to final ones, without ever seeing the test set.

A run of a claim is judged on the way by what its source watched: there test images stand where validation images do.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from bench.core.errors import DivergedError, RecipeError
from bench.core.metadata import PLAIN
from bench.core.records import CurvePoint
from bench.core.seeds import Stream, derive_seed
from bench.core.work.claims.claim import AS_CLAIMED
from bench.models.build import build_model, take_logits
from bench.models.determinism import seed_generators
from bench.models.doctor.isolation import refuse_new_parameters
from bench.models.rewriting.rewrite import rewrite
from bench.models.state import read_plain, read_state, write_state
from bench.training.augment import augment
from bench.training.clock import Stopwatch
from bench.training.evaluate import score
from bench.training.schedules import SECONDS_ROWS, apply_row, make_optimizer, parameters_of, schedule_table
from bench.training.stopping import StoppingRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from bench.core.run import RunRequest
    from bench.data.tensors import TrainingData

ENGINE_VERSION = 2
"""Raised by hand when the engine gives other numbers for the same request; stored runs are then trained anew."""

PROBED_EPOCHS = 2
PROBES_PER_EPOCH = 20
MIN_STEPS_BETWEEN_PROBES = 20
LOGGED_EVERY = 100
"""Batches from one whose loss is kept to the next, as sources print them; of runs of claims alone."""


def balance_classes(labels: Tensor, *, classes: int) -> Tensor:
    """What each class's losses are multiplied by so that all classes of labels (N,) weigh the same, (classes,) float32.

    N over the number of classes and the count of each, as `sklearn.utils.class_weight.compute_class_weight("balanced")`
    has it; 0 for a class without images, which has no losses.
    """
    counts = torch.bincount(labels, minlength=classes)
    present = counts > 0
    return torch.where(present, len(labels) / (present.sum() * counts.clamp(min=1)), 0.0).float()


class Training:
    """One run under way. Everything that changes while it trains is here and in `state_dict`.

    Attributes:
        model: The net, run as `layout` says; its parameters keep the names of the printed net.
        curve: Evaluations so far.
        epoch: Whole epochs done.
        steps: Optimizer steps done.
        training_clock: Seconds of training, evaluation excluded.
        evaluation_clock: Seconds of probes and validations.
    """

    def __init__(self, request: RunRequest, data: TrainingData, *, layout: str = PLAIN) -> None:
        """Build the net and the optimizer; the layout is the one that `bench.models.doctor.proof` chose.

        Raises:
            RecipeError: A batch holds more images than there are to train on.
        """
        recipe, device = request.recipe, data.pool.device
        if recipe.batch_size > len(data.train):
            raise RecipeError(
                f"Batch size {recipe.batch_size:,} is more than the {len(data.train):,} training images of "
                f"{request.dataset}; choose a smaller --batch-size."
            )
        self.request, self.recipe, self.data = request, recipe, data
        self.model = build_model(request.architecture, request.seed)
        self.layout = layout
        rewrite(self.model, layout)
        self.model.to(device)
        self._plain_start = read_plain(self.model)
        self._parameters = dict(self.model.named_parameters())
        self.optimizer = make_optimizer(recipe, parameters_of(self.model))
        self.steps_per_epoch = len(data.train) // recipe.batch_size
        epochs = request.budget.epochs
        self._table = schedule_table(recipe, SECONDS_ROWS if epochs is None else epochs * self.steps_per_epoch)
        self._plateau = (
            torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, patience=recipe.plateau_patience)
            if recipe.schedule == "plateau"
            else None
        )
        self._stopping = StoppingRule(recipe)
        self._class_weights = (
            balance_classes(data.labels[data.train], classes=request.architecture.classes)
            if recipe.class_weights == "balanced"
            else None
        )
        self._logs = request.protocol == AS_CLAIMED
        self.curve: list[CurvePoint] = []
        self.epoch = self.steps = 0
        self.training_clock = Stopwatch(device)
        self.evaluation_clock = Stopwatch(device)

    @property
    def images(self) -> int:
        """Training images seen."""
        return self.steps * self.recipe.batch_size

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, in [0, 1]."""
        budget = self.request.budget
        if budget.epochs is None:
            return min(1.0, self.training_clock.seconds / (budget.seconds or 1.0))
        return self.steps / (budget.epochs * self.steps_per_epoch)

    def run(self) -> Iterator[bool]:
        """Train to the end of the budget, or until a stopping rule says so.

        Yields:
            Now and then, with the training clock standing still: True at the end of an epoch, when the state is whole
            and may be saved.

        Raises:
            DivergedError: The loss is no longer finite; the message names the epoch.
            UnfitError: The net has made parameters that the optimizer does not know.
        """
        while self.progress < 1 and not self._stopping.stop:
            yield from self._train_epoch()
            yield True

    def finish(self) -> int:
        """Give the net the weights that the recipe keeps; the epoch (from 1) they are from."""
        seed_generators(self._derive(Stream.DROPOUT))  # a net that draws in eval mode draws the same after a resume
        return self._stopping.restore(self.model, last_epoch=self.epoch)

    def state_dict(self) -> dict[str, Any]:
        """All that changes while a run trains, between epochs. The random streams have no state."""
        return read_state(self.model, self._plain_start) | {
            "optimizer": self.optimizer.state_dict(),
            "plateau": self._plateau.state_dict() if self._plateau else None,
            "stopping": self._stopping.state_dict(),
            "curve": [dataclasses.asdict(point) for point in self.curve],
            "epoch": self.epoch,
            "steps": self.steps,
            "train_seconds": self.training_clock.seconds,
            "evaluation_seconds": self.evaluation_clock.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        device = self.data.pool.device
        write_state(self.model, state)
        self.optimizer.load_state_dict(state["optimizer"])
        if self._plateau:
            self._plateau.load_state_dict(state["plateau"])
        self._stopping.load_state_dict(state["stopping"])
        self.curve = [CurvePoint(**point) for point in state["curve"]]
        self.epoch, self.steps = state["epoch"], state["steps"]
        self.training_clock = Stopwatch(device, state["train_seconds"])
        self.evaluation_clock = Stopwatch(device, state["evaluation_seconds"])

    def _train_epoch(self) -> Iterator[bool]:
        order = torch.randperm(len(self.data.train), generator=self._generator(Stream.ORDER)).to(self.data.train.device)
        batches = self.data.train[order].split(self.recipe.batch_size)[: self.steps_per_epoch]
        changes = self._generator(Stream.AUGMENTATION)
        seed_generators(self._derive(Stream.DROPOUT))  # dropout draws from torch's own generator
        first_step = self.steps
        self._loss_sum = torch.zeros((), device=self.data.pool.device)
        self._right = torch.zeros((), dtype=torch.int64, device=self.data.pool.device)
        self._logged: list[Tensor] = []
        between = max(MIN_STEPS_BETWEEN_PROBES, round(self.steps_per_epoch / PROBES_PER_EPOCH))
        for start in range(0, len(batches), between):
            if start:
                if self.epoch < PROBED_EPOCHS:
                    self._evaluate(probe=True)
                yield False
            self._train_steps(batches[start : start + between], changes)
            self._check_finite()
            if self.request.budget.seconds is not None and self.progress >= 1:
                break
        self.epoch += 1
        refuse_new_parameters(self._parameters, dict(self.model.named_parameters()))
        self._evaluate(probe=False, steps=self.steps - first_step)

    def _train_steps(self, batches: tuple[Tensor, ...], changes: torch.Generator) -> None:
        """The inner loop: nothing here waits for the device or makes a Python number of a tensor."""
        data, recipe, optimizer, table = self.data, self.recipe, self.optimizer, self._table
        timed = self.request.budget.seconds is not None
        self.model.train()
        with self.training_clock.running():
            for chosen in batches:
                # Images of its own for every step: a net may change them, keep them or ask for their gradients.
                images, labels = data.pool.gather(chosen), data.labels.index_select(0, chosen)
                shown = images
                if recipe.augmentation:
                    shown = augment(images, recipe.augmentation, black=data.black, white=data.white, generator=changes)
                if table:
                    row = int(self.progress * len(table)) if timed else self.steps
                    apply_row(optimizer, table[min(row, len(table) - 1)])
                optimizer.zero_grad()
                logits = take_logits(self.model(shown))
                loss = self._loss(logits, labels)
                loss.backward()
                optimizer.step()
                if self._logs and (self.steps - self.epoch * self.steps_per_epoch) % LOGGED_EVERY == 0:
                    self._logged.append(loss.detach())
                self.steps += 1
                self._loss_sum += loss.detach()
                self._right += (logits.detach().argmax(1) == labels).sum()
                if timed and self.progress >= 1:
                    break

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of a batch, (N, classes) beside (N,).

        With class weights it is the weighted sum over N, not over the weights that the batch happens to hold, by which
        torch divides: a rare class, in few of the batches, would count for less than another over an epoch.
        """
        smoothing, weight = self.request.recipe.label_smoothing, self._class_weights
        if weight is None:
            return functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        total = functional.cross_entropy(logits, labels, weight=weight, label_smoothing=smoothing, reduction="sum")
        return total / len(labels)

    def _evaluate(self, *, probe: bool, steps: int = 0) -> None:
        """Score validation images and add a point to the curve; the training clock stands still."""
        data = self.data
        with self.evaluation_clock.running():
            found = (
                score(self.model, data.probe_images, data.probe_labels)
                if probe
                else score(self.model, data.validation_images, data.validation_labels)
            )
        self.curve.append(
            CurvePoint(
                step=self.steps,
                images=self.images,
                epoch=self.steps / self.steps_per_epoch,
                train_seconds=self.training_clock.seconds,
                evaluation_seconds=self.evaluation_clock.seconds,
                probe=probe,
                val_loss=found.loss,
                val_accuracy=found.accuracy,
                train_loss=None if probe else self._loss_sum.item() / steps,
                train_accuracy=None if probe else self._right.item() / (steps * self.recipe.batch_size),
                batch_losses=None if probe or not self._logs else tuple(torch.stack(self._logged).tolist()),
            )
        )
        if not probe:
            if not math.isfinite(found.loss):  # the last steps' losses were taken before their updates
                raise DivergedError(self._divergence("validation loss"))
            self._stopping.hear(self.model, epoch=self.epoch, accuracy=found.accuracy)
            if self._plateau:
                self._plateau.step(found.loss)

    def _check_finite(self) -> None:
        if not torch.isfinite(self._loss_sum):
            raise DivergedError(self._divergence("loss"))

    def _divergence(self, what: str) -> str:
        epoch = -(-self.steps // self.steps_per_epoch)
        return (
            f"The {what} is no longer finite in epoch {epoch} (by step {self.steps:,}); "
            f"try a smaller --lr than {self.recipe.lr:g}."
        )

    def _derive(self, stream: Stream) -> int:
        return derive_seed(self.request.seed, stream, architecture=self.request.architecture.name, epoch=self.epoch)

    def _generator(self, stream: Stream) -> torch.Generator:
        return torch.Generator().manual_seed(self._derive(stream))
