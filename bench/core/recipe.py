"""How a net is trained: the recipe (how) and the budget (how long)."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, Self

from bench.core.errors import RecipeError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT_IMAGES = 150_000
"""Training images of a run unless the user says otherwise: three epochs of MNIST."""
MOST_DEFAULT_EPOCHS = 8
"""What that is held to on small sets, where it would be 47 epochs of the embedded 3,200 images; chosen by a pilot."""
OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "one-cycle", "plateau")
AUGMENTATIONS = {"shift": 2.0, "rotation": 10.0, "crop": 4.0, "flip": 0.5, "jitter": 0.2}
"""Known augmentations and their default strength: shift in pixels, rotation in degrees, crop in pixels of padding, flip
(left to right) as a probability, jitter (brightness, contrast and saturation) as the most that a factor differs from 1.
"""
_MOST = {"flip": 1.0, "jitter": 1.0}
"""Their largest strengths; of the others it is 180."""
CLASS_WEIGHTS = ("none", "balanced")
"""What a training image's loss is multiplied by: nothing, or what makes all classes weigh the same."""
WHOLE_PIXELS = ("shift", "crop")
"""Augmentations that move images by whole pixels only."""


def _check_number(name: str, value: float, low: float, high: float, *, above_low: bool = False) -> None:
    if (low < value if above_low else low <= value) and value <= high:
        return
    try:
        number = f"{value:g}"
    except OverflowError:  # an integer that no float holds
        number = f"a number of {len(str(abs(int(value))))} digits"
    bounds = f"above {low:g} and at most {high:g}" if above_low else f"from {low:g} to {high:g}"
    raise RecipeError(f"{name} is {number}; it must be {bounds}.")


def _check_name(kind: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UnknownNameError(kind, value, known)


FEW_STEPS = 100
"""Steps of training under which a net has hardly begun to learn, whatever it is."""


def few_steps_text(steps: int) -> str:
    """What so few steps of training mean, and the way out, in a sentence."""
    return (
        f"No run takes more than {steps:,} {'step' if steps == 1 else 'steps'} of training, in which nets hardly begin "
        "to learn, and which is better may turn round after more: give more --epochs, or a smaller --batch-size."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a net is trained. The defaults are the shared recipe of every comparison.

    Attributes:
        optimizer: One of `OPTIMIZERS`.
        lr: Learning rate; the peak one under a schedule that changes it.
        batch_size: Images per step; the last partial batch of an epoch is dropped.
        schedule: One of `SCHEDULES`. One-cycle and cosine end at zero at the end of the run's own budget; plateau
            divides the rate by ten when validation loss has not improved for `plateau_patience` epochs.
        momentum: For SGD; Adam's betas are the library's (0.9, 0.999) unless one-cycle cycles the first.
        nesterov: For SGD.
        weight_decay: Added to the gradient by Adam and SGD, decoupled in AdamW; on all parameters, biases and
            BatchNorm's scales and shifts among them.
        label_smoothing: Share of the label's weight spread over all classes.
        augmentation: Pairs (name, strength), names from `AUGMENTATIONS`, applied in this order.
        patience: Early stopping: epochs without a better validation accuracy; None trains the whole budget.
        stop_at_accuracy: Stop after the first epoch whose validation accuracy reaches this fraction; the run has then
            reached it, and every lower target.
        keep: "last" keeps the final weights, "best" those of the epoch with the best validation accuracy.
        plateau_patience: Epochs that the plateau schedule waits (library default 10).
        class_weights: One of `CLASS_WEIGHTS`; balanced multiplies the losses of a class's images by the number of
            training images over that of classes and over that of the class's own.
    """

    optimizer: str = "adam"
    lr: float = 6e-3
    batch_size: int = 128
    schedule: str = "one-cycle"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augmentation: tuple[tuple[str, float], ...] = ()
    patience: int | None = None
    stop_at_accuracy: float | None = None
    keep: str = "last"
    plateau_patience: int = 10
    class_weights: str = "none"

    def __post_init__(self) -> None:
        _check_name("optimizer", self.optimizer, OPTIMIZERS)
        _check_name("schedule", self.schedule, SCHEDULES)
        _check_name("rule for the kept weights", self.keep, ("last", "best"))
        _check_name("class weights", self.class_weights, CLASS_WEIGHTS)
        _check_number("learning rate", self.lr, 0, 100, above_low=True)
        _check_number("batch size", self.batch_size, 1, 1_000_000)
        _check_number("momentum", self.momentum, 0, 0.9999)
        _check_number("weight decay", self.weight_decay, 0, 10)
        _check_number("label smoothing", self.label_smoothing, 0, 0.99)
        _check_number("patience of the plateau schedule", self.plateau_patience, 0, 10_000)
        if self.patience is not None:
            _check_number("patience", self.patience, 1, 10_000)
        if self.stop_at_accuracy is not None:
            _check_number("accuracy to stop at", self.stop_at_accuracy, 0, 1, above_low=True)
        if self.nesterov and not (self.optimizer == "sgd" and self.momentum > 0):
            raise RecipeError("Nesterov needs SGD with a momentum above 0; leave it out or choose --optimizer sgd.")
        for name, strength in self.augmentation:
            _check_name("augmentation", name, tuple(AUGMENTATIONS))
            _check_number(f"strength of {name}", strength, 0, _MOST.get(name, 180), above_low=True)
        names = [name for name, _ in self.augmentation]
        if len(set(names)) < len(names):
            raise RecipeError(
                f"Augmentation '{format_augmentation(self.augmentation)}' names one twice; name each once."
            )

    def changes(self) -> dict[str, Any]:
        """Fields that differ from the shared recipe, by name."""
        return {f.name: value for f in dataclasses.fields(self) if (value := getattr(self, f.name)) != f.default}

    @property
    def spelt(self) -> str:
        """What people call it: `shared`, with what differs from the shared recipe behind it, as on the command line."""
        return " ".join(["shared", *(f"{name}={spell(value)}" for name, value in self.changes().items())])

    def to_json(self) -> dict[str, Any]:
        """Every field, as JSON keeps it; class weights only where there are some, so that older results stay valid."""
        fields = vars(self) | {"augmentation": [list(pair) for pair in self.augmentation]}
        if self.class_weights == "none":
            del fields["class_weights"]
        return fields

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """The recipe that `to_json` wrote."""
        pairs = tuple((name, float(strength)) for name, strength in stored["augmentation"])
        return cls(**(stored | {"augmentation": pairs}))


def spell(value: object) -> str:
    """A recipe's value as the user would type it, and `read_field` reads it."""
    if isinstance(value, tuple):
        return format_augmentation(value)
    if isinstance(value, float):
        return short if float(short := f"{value:g}") == value else repr(value)
    return str(value)


def read_field(name: str, text: str) -> Any:
    """The value of a field of `Recipe` that a text spells; whether it can be trained is for `Recipe` to say.

    Raises:
        RecipeError: It is no number, or neither true nor false.
    """
    kind = {field.name: str(field.type) for field in dataclasses.fields(Recipe)}[name]
    if kind == "str":
        return text
    if name == "augmentation":
        return () if text == "none" else parse_augmentation(text)
    if kind.endswith("None") and text.lower() == "none":
        return None
    try:
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        return float(text) if kind.startswith("float") else int(text)
    except (KeyError, ValueError):
        wanted = {"b": "true or false", "f": "a number", "i": "a whole number"}[kind[0]]
        raise RecipeError(f"{name} is '{text}'; {wanted} is needed.") from None


def spell_settings(name: str) -> str:
    """A net's name as the suite spells its settings: `bn25k lr=3e-3` is `bn25k lr=0.003`; other text as it is."""
    fields = {field.name for field in dataclasses.fields(Recipe)}
    words = []
    for word in name.split(" "):
        field, equals, text = word.partition("=")
        with contextlib.suppress(RecipeError):
            word = f"{field}={spell(read_field(field, text))}" if equals and field in fields else word  # noqa: PLW2901
        words.append(word)
    return " ".join(words)


_OWN = ", own "


def join_own(recipe_name: str, changes: Iterable[tuple[str, object]]) -> str:
    """What people call the recipe of one net that has changes of its own to the recipe of the others beside it."""
    own = " ".join(f"{name}={spell(value)}" for name, value in changes)
    return f"{recipe_name}{_OWN}{own}" if own else recipe_name


def without_own(recipe_name: str) -> str:
    """What people call the recipe of the others, where `join_own` named one."""
    return recipe_name.partition(_OWN)[0]


def find_shared(recipe_name: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe of the others as JSON keeps it, from one with changes of its own and what that is called."""
    shared, _, own = recipe_name.partition(_OWN)
    changed = dict(word.split("=", 1) for word in shared.split()[1:])
    names = [word.partition("=")[0] for word in own.split()]
    known = {name: read_field(name, changed[name]) if name in changed else getattr(Recipe(), name) for name in names}
    return dataclasses.replace(Recipe.from_json(dict(recipe)), **known).to_json()


def format_augmentation(augmentation: tuple[tuple[str, float], ...]) -> str:
    """`shift:2,rotation:15`, as `parse_augmentation` reads it; `none` when there is none."""
    return ",".join(f"{name}:{strength:g}" for name, strength in augmentation) or "none"


def parse_augmentation(text: str) -> tuple[tuple[str, float], ...]:
    """Read `shift,rotation:15` into pairs; a name without a number takes its default strength.

    Raises:
        RecipeError: A strength is no number, or a fraction of a pixel. Unknown names are found by `Recipe`.
    """
    if not text:
        return ()
    pairs = []
    for part in (piece.strip() for piece in text.split(",")):
        name, colon, strength = part.partition(":")
        try:
            pairs.append((name, float(strength) if colon else AUGMENTATIONS.get(name, 1.0)))
        except ValueError:
            raise RecipeError(f"Augmentation '{part}': '{strength}' is no number; write {name}:2, say.") from None
        if name in WHOLE_PIXELS and not pairs[-1][1].is_integer():
            raise RecipeError(f"Augmentation '{part}': {name} takes whole pixels; write {name}:2, say.")
    return () if pairs == [("none", 1.0)] else tuple(pairs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a run trains: by samples (epochs) or by the training clock (seconds), never both.

    Attributes:
        epochs: Passes over the training images.
        seconds: Seconds of training, evaluation excluded; such a run need not repeat bit for bit.
    """

    epochs: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.seconds is None):
            raise RecipeError("A budget is a number of epochs or of seconds, one of the two; give one.")
        if self.epochs is not None:
            _check_number("number of epochs", self.epochs, 1, 10_000)
        if self.seconds is not None:
            _check_number("number of training seconds", self.seconds, 0, 1_000_000, above_low=True)

    @property
    def kind(self) -> str:
        """`samples` or `seconds`: budgets of different kinds never share a table."""
        return "samples" if self.seconds is None else "seconds"

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds:g} s of training"
        return f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"


def default_budget(train_images: int) -> Budget:
    """The budget of a comparison on so many training images unless the user says otherwise."""
    return Budget(epochs=min(max(1, round(DEFAULT_IMAGES / train_images)), MOST_DEFAULT_EPOCHS))
