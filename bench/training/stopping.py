"""When a run ends before its budget, and which epoch's weights it keeps.

Judged by validation accuracy only, in a run of a claim by that on the test images, as its source did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.core.recipe import Recipe


class StoppingRule:
    """Early stopping, the accuracy to stop at, and the weights worth keeping.

    `stop` is True once the run shall end, `best_epoch` (from 1) the first with the best validation accuracy so far.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self.stop = False
        self.best_epoch = 0
        self._best_accuracy = -1.0
        self._best_weights: dict[str, Tensor] | None = None

    def hear(self, model: nn.Module, *, epoch: int, accuracy: float) -> None:
        """Take in the validation accuracy (fraction) of an epoch, from 1, that has ended."""
        recipe = self._recipe
        if accuracy > self._best_accuracy:
            self._best_accuracy, self.best_epoch = accuracy, epoch
            if recipe.keep == "best":
                self._best_weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        if recipe.patience is not None and epoch - self.best_epoch >= recipe.patience:
            self.stop = True
        if recipe.stop_at_accuracy is not None and accuracy >= recipe.stop_at_accuracy:
            self.stop = True

    def restore(self, model: nn.Module, *, last_epoch: int) -> int:
        """Give the net the weights that the recipe keeps; the epoch (from 1) they are from."""
        if self._best_weights is None:
            return last_epoch
        model.load_state_dict(self._best_weights)
        return self.best_epoch

    def state_dict(self) -> dict[str, Any]:
        """All that changes, for a checkpoint."""
        return {
            "stop": self.stop,
            "best_epoch": self.best_epoch,
            "best_accuracy": self._best_accuracy,
            "best_weights": self._best_weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.stop, self.best_epoch = state["stop"], state["best_epoch"]
        self._best_accuracy, self._best_weights = state["best_accuracy"], state["best_weights"]
