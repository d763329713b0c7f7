"""What is claimed, how it may be judged, and what is trained to hold it against."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from bench.core.errors import ClaimsError, UnknownNameError
from bench.core.recipe import Recipe
from bench.core.work.claims.quantity import Printed, Quantity, read_printed

if TYPE_CHECKING:
    from collections.abc import Mapping

AS_CLAIMED = "as_claimed"
"""All of the pool is trained on, and the test set stands where validation images else do: for a source's own rule."""
RULES = {
    "count": "an exact count, equal at the printed precision",
    "value": "a number of a single run, within the 95 % prediction interval",
    "series": "numbers of one run in a row, judged by the worst of them",
    "range": "the mean lies within the range",
    "at least": "the mean is no lower",
    "usually": "in more than half of the seeds no more than the number",
    "better": "each case is better than what it is held against, in every condition",
    "no gain": "no case is better by more than the margin than what it is held against",
    "no difference": "each case is equivalent to what it is held against",
    "falls": "lower after the second of two epochs than after the first",
    "rises": "higher after the second of two epochs than after the first",
    "confusions": "the pairs of classes are among the most confused",
    "defect": "what is built as described fails, or is caught, as described",
}
"""How a claim may be judged (docs/claims.md), by name."""
PAIRED = ("better", "no gain", "no difference")
"""Rules by which each case is held against another."""
TRENDS = ("falls", "rises")
UNTRAINED = ("count", "defect")
"""Rules for which nothing is trained."""
CLAIM_PROTOCOLS = ("select", AS_CLAIMED)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
    """What is trained for a claim: a net, how and for how long.

    Attributes:
        net: By name, with knobs behind it where wanted (`bn106k shrink=stride`), or as `my_net.py:MyNet`.
        recipe: How; everything that is not named is the shared recipe's.
        epochs: At most; a rule of the recipe may end it earlier.
        usual_epochs: About how many it will train, where a rule ends it; for the plan alone.
    """

    net: str
    recipe: Recipe = dataclasses.field(default_factory=Recipe)
    epochs: int = 1
    usual_epochs: float | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.net, str) and self.net.strip()):
            raise ClaimsError("a case names no net; name one of --list, or a file", field="net")
        if not 1 <= self.epochs <= 10_000:
            raise ClaimsError(f"epochs is {self.epochs}; from 1 to 10,000 are needed", field="epochs")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One completion of what a source left unstated, or one condition under which two things are compared.

    Attributes:
        label: What tells it from the other cases, in a few words.
        arm: What is trained; by a paired rule, what is claimed to be the better one.
        against: What that is held against, by a paired rule.
        quantity: What is read here in place of the claim's own quantity; empty for that one.
    """

    label: str
    arm: Arm
    against: Arm | None = None
    quantity: str = ""

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All that is trained for it."""
        return (self.arm,) if self.against is None else (self.arm, self.against)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement that can be judged.

    Attributes:
        id: By which it is asked for, as `C1a`; the parts of a compound claim share what comes before the letter.
        source: Who claims it, and where.
        text: The claim in one's own words.
        rule: One of `RULES`.
        cases: Completions, the primary one first; by a paired rule, conditions.
        claimed: The numbers as printed, one for each of `at` by a series; pairs of classes as `4>9`; by a defect, what
            the fault says.
        quantity: What is read, as `Quantity.parse` has it.
        at: Epochs (of a `batch_loss`, batches) at which a series is read; the two of a trend.
        protocol: Who may look at what: "select", or "as_claimed", which is selected on test.
        dataset: What it is about.
        contradiction: Where the source disagrees with itself, in a sentence.
        note: What else a reader should know.
        defect: By a defect, the class or function of the claim's own file that is built.
        file: Of the claim, as text; empty for none.
    """

    id: str
    source: str
    text: str
    rule: str
    cases: tuple[Case, ...] = ()
    claimed: tuple[str, ...] = ()
    quantity: str = "test_accuracy"
    at: tuple[int, ...] = ()
    protocol: str = "select"
    dataset: str = "mnist"
    contradiction: str = ""
    note: str = ""
    defect: str = ""
    file: str = ""

    def __post_init__(self) -> None:
        given: dict[str, Any] = vars(self)
        for name in ("id", "source", "text", "rule"):
            if not (isinstance(given[name], str) and given[name].strip()):
                raise ClaimsError(f"{name} is {given[name]!r}; a text is needed", field=name)
        if not re.fullmatch(r"[\w.-]{1,40}", self.id):
            raise ClaimsError(
                f"id is '{self.id}'; letters, digits, dots and hyphens are needed, 40 at most", field="id"
            )
        for field, value, known in (("rule", self.rule, RULES), ("protocol", self.protocol, CLAIM_PROTOCOLS)):
            if value not in known:
                raise ClaimsError(str(UnknownNameError(f"{field} of a claim", value, known)), field=field)
        for name in ("cases", "claimed", "at"):
            object.__setattr__(self, name, tuple(given[name]))
        self._check_cases()
        self._check_numbers()

    def _check_cases(self) -> None:
        if self.rule == "defect":
            if not (self.defect and self.claimed):
                raise ClaimsError("a defect names what is built and, in claimed, what its fault says", field="defect")
            return
        if not self.cases:
            raise ClaimsError("a claim has one case at least: what is trained", field="cases")
        labels = [case.label for case in self.cases]
        if twice := next((label for label in labels if labels.count(label) > 1), None):
            raise ClaimsError(f"two cases have the label '{twice}'; each needs one of its own", field="cases")
        for case in self.cases:
            if (case.against is not None) != (self.rule in PAIRED):
                said = (
                    f"is held against nothing; rule '{self.rule}' wants 'against'"
                    if self.rule in PAIRED
                    else f"is held against another, which rule '{self.rule}' does not take"
                )
                raise ClaimsError(f"case '{case.label}' {said}", field="cases")
            quantity = self.quantity_of(case)
            if (quantity.kind == "count") != (self.rule == "count"):
                raise ClaimsError(f"rule '{self.rule}' does not go with quantity '{quantity}'", field="quantity")
            if quantity.name == "batch_loss" and quantity.at is None and self.rule != "series":
                raise ClaimsError("batch_loss is read at a batch, as batch_loss@101", field="quantity")
            self._check_protocol(quantity)

    def _check_protocol(self, quantity: Quantity) -> None:
        """A run sees test images on the way under "as_claimed" alone, and validation images never there."""
        on_the_way = (
            quantity.at is not None or self.rule in (*TRENDS, "series") or quantity.name == "last_test_accuracy"
        )
        tested = quantity.name in ("test_accuracy", "last_test_accuracy") and on_the_way
        if self.protocol != AS_CLAIMED and (tested or quantity.name == "batch_loss"):
            fix = f"protocol = '{AS_CLAIMED}', or val_accuracy"
            raise ClaimsError(
                f"quantity '{quantity}' is not seen on the way under '{self.protocol}'; {fix}", field="quantity"
            )
        if self.protocol == AS_CLAIMED and quantity.name == "val_accuracy":
            raise ClaimsError("under 'as_claimed' there are no validation images; read test_accuracy", field="quantity")

    def _check_numbers(self) -> None:
        wanted = {"value": 1, "range": 2, "at least": 1, "usually": 1, "series": len(self.at)}.get(self.rule)
        if self.rule in TRENDS and len(self.at) != 2:
            raise ClaimsError("a trend names the two epochs in at, as [10, 20]", field="at")
        if self.rule == "series" and not self.at:
            raise ClaimsError("a series names in at where it is read, as [1, 2, 3]", field="at")
        if wanted is not None and len(self.claimed) != wanted:
            raise ClaimsError(f"claimed holds {len(self.claimed)} numbers; {wanted} are needed here", field="claimed")
        if self.rule in ("count", "confusions") and not self.claimed:
            raise ClaimsError("claimed is empty; what is claimed stands there as printed", field="claimed")
        if self.rule == "confusions":
            for pair in self.claimed:
                if not re.fullmatch(r"[^>]+>[^>]+", pair):
                    raise ClaimsError(
                        f"claimed holds '{pair}'; write true class > said class, as '4>9'", field="claimed"
                    )
        elif wanted is not None or self.rule == "count":
            first, *others = self.printed
            if self.rule == "range" and first.value > others[0].value:
                raise ClaimsError(f"the range runs from {self.claimed[0]} down to {self.claimed[1]}", field="claimed")

    def quantity_of(self, case: Case) -> Quantity:
        """What is read of the runs of a case."""
        return Quantity.parse(case.quantity or self.quantity)

    @property
    def printed(self) -> tuple[Printed, ...]:
        """The claimed numbers."""
        kind = Quantity.parse(self.quantity).kind
        return tuple(read_printed(text, kind) for text in self.claimed)

    @property
    def group(self) -> str:
        """What the parts of a compound claim share: `C1` of `C1a`."""
        found = re.fullmatch(r"(.*\d)[a-z]", self.id)
        return found[1] if found else self.id

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All that is trained for it, each once."""
        if self.rule in UNTRAINED:
            return ()
        return tuple(dict.fromkeys(arm for case in self.cases for arm in case.arms))

    @property
    def watches_test(self) -> bool:
        """Whether its runs looked at the test set on the way."""
        return self.protocol == AS_CLAIMED and self.rule not in UNTRAINED

    @property
    def is_selected_on_test(self) -> bool:
        """Whether a rule of theirs chose by what they saw there: weights, when to stop, or a learning rate."""
        return self.watches_test and any(_chooses(arm.recipe) for arm in self.arms)


def _chooses(recipe: Recipe) -> bool:
    """Whether a run by it depends on the accuracies that it sees on the way."""
    stops = recipe.patience is not None or recipe.stop_at_accuracy is not None
    return stops or recipe.keep == "best" or recipe.schedule == "plateau"


@dataclasses.dataclass(frozen=True, kw_only=True)
class AskedClaim:
    """A claim as a study asked for it.

    Attributes:
        dataset: Name of what it was run on, and its content hash: by these its runs are known.
        seed_plan: How its seeds are run: "10", or "10:20" until decided.
        exact: What was counted or caught without training, by label of the case; of a defect by an empty one.
        trouble: Why it could not be run, in a line; empty where it could.
    """

    claim: Claim
    dataset: str = ""
    data_hash: str = ""
    seed_plan: str = "10"
    exact: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    caught: str = ""  # what a defect said
    trouble: str = ""
