"""The rules by which claims are judged: numbers in, verdict out. docs/claims.md explains them, with their error rates.

Nothing here knows runs or stores.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from bench.analysis.metrics import Metric
from bench.analysis.stats.prediction import holm_least, mean_interval, p_of_one_more, prediction_half
from bench.analysis.verdicts import BETTER, PairVerdict, Verdict, judge_pairs
from bench.core.seeds import ALPHA
from bench.core.work.claims.claim import TRENDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bench.core.seeds import Look
    from bench.core.work.claims.quantity import Printed

    Floats = NDArray[np.float64]

INSIDE, OUTSIDE = 0.05, 0.01
"""Levels of the interval within which a number is reproduced, and of that outside of which it is not, all looks
together."""
SHARP = {"accuracy": 0.003}
"""Half widths up to which "inside" says enough to be called reproduced: 0.3 pp; of other quantities 10 % of the
claimed value."""
_SHARP_SHARE = 0.1
CONFIRMED, REFUTED = 0.95, 0.05
"""Shares of resamples from which on confusions are reproduced, or up to which they are not."""
_DRAWS = 4_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ruling:
    """What one case alone gives.

    Attributes:
        verdict: "reproduced", "consistent", "not reproduced" or "undecided".
        low: Ends of the interval that was judged by, in the quantity's unit; None where there is none.
        side: On which side of what was measured the claim lies: -1 below, 1 above, 0 neither.
        width: Half the width of the prediction interval, half a digit included; None by other rules.
        place: Of a series, which member that interval is of: the worst one, or the widest where all lie within.
    """

    verdict: str
    low: float | None = None
    high: float | None = None
    side: int = 0
    width: float | None = None
    place: int = 0


def share_of_outside(look: Look) -> float:
    """What one look may spend of `OUTSIDE`: the share that it has of the level of verdicts."""
    return OUTSIDE * look.level / ALPHA


def judge_series(
    samples: Sequence[Floats], printed: Sequence[Printed], kind: str, *, outside: float = OUTSIDE
) -> Ruling:
    """Numbers of one run, each with the values (n,) of it over seeds: judged by the worst, Holm over them.

    A single number is a series of one. It is refused only where it also lies outside by the spread on its own side,
    which a tail makes wider: accuracies have one to the left. Losses are judged in their logarithms, in which they are
    about normal.
    """
    scale = np.log if kind == "loss" and all((of > 0).all() for of in samples) else np.asarray
    p_values, p_outside, widths, sharp = [], [], [], []
    for values, number in zip(samples, printed, strict=True):
        low, high = _ends(number, scale)
        p_values.append(float(p_of_one_more(scale(values), low, high)))
        p_outside.append(float(p_of_one_more(scale(values), low, high, by_side=True)))
        half = float(prediction_half(scale(values), 1 - INSIDE))
        width = number.value * math.expm1(half) if scale is np.log else half
        widths.append(width + number.half)
        sharp.append(widths[-1] <= SHARP.get(kind, _SHARP_SHARE * abs(number.value)) + 1e-12)
    p, p_beyond = (float(holm_least(np.array(of))) for of in (p_values, p_outside))
    worst = int(np.argmin(p_values))
    mean, of_mean = float(np.mean(samples[worst])), printed[worst].value
    side = int(np.sign(of_mean - mean)) if abs(of_mean - mean) > printed[worst].half else 0
    verdict, place = "undecided", worst
    if p_beyond < outside:
        verdict = "not reproduced"
    elif p >= INSIDE:
        verdict, place = "reproduced" if all(sharp) else "consistent", int(np.argmax(widths))
    ends = {"low": mean - widths[worst], "high": mean + widths[worst]}
    return Ruling(verdict=verdict, side=side, width=widths[place], place=place, **ends)


def _ends(number: Printed, scale: Any) -> tuple[float, float]:
    """The least and the most that was printed so, on the scale on which it is judged."""
    low = max(number.low, number.value / 10) if scale is np.log else number.low
    return float(scale(low)), float(scale(number.high))


def judge_range(values: Floats, low: Printed, high: Printed, *, outside: float = OUTSIDE) -> Ruling:
    """The mean of values (n,) in a printed range: reproduced within its ends, not beyond half a digit more.

    Beyond is judged by the spread on either side, like numbers of one run.
    """
    inner_low, inner_high = map(float, mean_interval(values, 1 - INSIDE))
    outer_low, outer_high = map(float, mean_interval(values, 1 - outside, by_side=True))
    side = -1 if outer_low > high.high else 1 if outer_high < low.low else 0
    inside = low.value <= inner_low and inner_high <= high.value
    verdict = "reproduced" if inside else "not reproduced" if side else "undecided"
    return Ruling(verdict=verdict, low=inner_low, high=inner_high, side=side)


def judge_at_least(values: Floats, least: Printed, *, outside: float = OUTSIDE) -> Ruling:
    """The mean of values (n,) is no lower than a number, one-sided."""
    low, high = (
        float(mean_interval(values, 1 - 2 * INSIDE)[0]),
        float(mean_interval(values, 1 - 2 * outside, by_side=True)[1]),
    )
    verdict = "reproduced" if low >= least.value else "not reproduced" if high < least.low else "undecided"
    return Ruling(verdict=verdict, low=low, high=high, side=1 if high < least.low else 0)


def judge_usually(values: Floats, most: Printed) -> Ruling:
    """More than half of the seeds are no higher than a number, by Wilson's interval over values (n,)."""
    reached = int((values <= most.high).sum())
    low, high = (float(end) for end in proportion_confint(reached, len(values), alpha=INSIDE, method="wilson"))
    verdict = "reproduced" if low > 0.5 else "not reproduced" if high < 0.5 else "undecided"
    return Ruling(verdict=verdict, low=low, high=high)


def judge_count(measured: Sequence[float], printed: Sequence[Printed]) -> Ruling:
    """Exact numbers, equal at the printed precision."""
    equal = len(measured) == len(printed) and all(
        abs(value - number.value) <= number.half * (1 + 1e-9) for value, number in zip(measured, printed, strict=True)
    )
    return Ruling(verdict="reproduced" if equal else "not reproduced")


Pair = tuple["Mapping[int, float]", "Mapping[int, float]", float]
"""Values by seed of what is claimed to be better, and of what it is held against, higher being better, and margin."""


def judge_conditions(pairs: Sequence[Pair], looks: Sequence[Look]) -> list[PairVerdict]:
    """Every condition by the suite's own rule of verdicts, Holm over them; "a better" is the claimed side.

    Values are divided by their margins, so that conditions of unlike quantities stand in one table.
    """
    values: dict[str, dict[int, float]] = {}
    names = []
    for number, (a, b, margin) in enumerate(pairs):
        names.append((f"{number:02} a", f"{number:02} b"))
        for name, of in zip(names[-1], (a, b), strict=True):
            values[name] = {seed: value / margin for seed, value in of.items()}
    metric = Metric(name="", unit="", scale=1.0, margin=1.0, higher_is_better=True)
    return list(judge_pairs(values, metric, looks=looks, pairs=names, advises=False))


def rule_of_pair(pair: PairVerdict, rule: str) -> str:
    """What a condition gives: "reproduced", "not reproduced" or "undecided"."""
    if pair.verdict not in (*BETTER, Verdict.EQUIVALENT):
        return "undecided"
    if rule in TRENDS and pair.verdict == Verdict.EQUIVALENT:  # a slight one is still one
        return "undecided"
    if rule == "no difference":
        return "reproduced" if pair.verdict == Verdict.EQUIVALENT else "not reproduced"
    if rule == "no gain":  # worse, equivalent, or better by less than what matters
        if pair.verdict == Verdict.A_BETTER and pair.matters is not False:
            return "not reproduced" if pair.matters else "undecided"
        return "reproduced"
    return "reproduced" if pair.verdict == Verdict.A_BETTER else "not reproduced"


def combine(verdicts: Sequence[str], rule: str) -> str:
    """The verdict of a claim from those of its cases, the primary one first.

    By a paired rule all conditions must agree, and those that contradict each other make it depend on the condition.
    Otherwise the primary completion decides that it is reproduced, and all of them together that it is not.
    """
    if rule in ("better", "no gain", "no difference"):
        found = set(verdicts)
        if {"reproduced", "not reproduced"} <= found:
            return "depends"
        return found.pop() if len(found) == 1 else "undecided"
    if verdicts[0] in ("reproduced", "consistent"):
        return verdicts[0]
    if all(verdict == "not reproduced" for verdict in verdicts):
        return "not reproduced"
    others = [verdict for verdict in verdicts[1:] if verdict in ("reproduced", "consistent")]
    return "depends" if rule == "count" and others else "undecided"


def combine_all(verdicts: Sequence[str]) -> str:
    """The verdict of a statement that holds only where each of its parts does."""
    if "not reproduced" in verdicts:
        return "not reproduced"
    return "reproduced" if set(verdicts) == {"reproduced"} else "undecided"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confusion:
    """How often a pair of classes is among the most confused.

    Attributes:
        of_means: Share of resamples of all seeds and of the images in which the mean over seeds has it there.
        of_runs: Share of single runs, their images drawn again, in which it is there.
        as_rare: Share of what single runs name that they name as seldom as this pair, or more so.
        top: The most confused pairs of the mean over seeds, (true, said) each.
    """

    of_means: float
    of_runs: float
    as_rare: float
    top: tuple[tuple[int, int], ...]

    @property
    def verdict(self) -> str:
        """Reproduced where it is there in nearly all resamples; not, where in hardly any and hardly any run says so."""
        if self.of_means >= CONFIRMED:
            return "reproduced"
        rare = max(self.of_means, self.of_runs, self.as_rare)
        return "not reproduced" if rare <= REFUTED else "undecided"


def judge_confusion(
    predicted: NDArray[np.uint8], labels: NDArray[np.uint8], pair: tuple[int, int], *, classes: int, most: int
) -> Confusion:
    """Whether a pair (true, said) is among the `most` most confused, by seeds and images drawn again.

    Seeds share their images: an image that is drawn twice counts twice for all of them (Owen 2007, the pigeonhole
    bootstrap, Ann. Appl. Stat. 1, 386).

    Args:
        predicted: Predicted class of each test image, (seeds, N).
        labels: True classes, (N,).
        pair: Label of the true class, and of the one that is said.
        classes: How many there are.
        most: How many pairs count as the most confused.
    """
    generator = np.random.default_rng(0)
    runs, place = len(predicted), pair[0] * classes + pair[1]
    of_seed, of_image = np.nonzero(predicted != labels)  # every mistake, (mistakes,)
    cells = labels[of_image].astype(np.intp) * classes + predicted[of_seed, of_image]
    images = np.maximum(np.bincount(labels, minlength=classes), 1).repeat(classes)  # (classes²,)
    in_cell = (cells[:, None] == np.arange(classes**2)) / images  # (mistakes, classes²)
    _, known = np.unique(of_image, return_inverse=True)
    drawn_images = generator.poisson(1.0, size=(_DRAWS, known.max(initial=0) + 1))[:, known]
    drawn_seeds = generator.multinomial(runs, np.full(runs, 1 / runs), size=_DRAWS)[:, of_seed]
    one_seed = generator.integers(runs, size=(_DRAWS, 1)) == of_seed
    of_means = _tops((drawn_seeds * drawn_images) @ in_cell, most, generator)
    often = _tops((one_seed * drawn_images) @ in_cell, most, generator).mean(axis=0)
    top = np.argsort(-in_cell.sum(axis=0), kind="stable")[:most]
    return Confusion(
        of_means=float(of_means[:, place].mean()),
        of_runs=float(often[place]),
        as_rare=float(often[often <= often[place] + 1e-12].sum() / most),
        top=tuple(divmod(int(cell), classes) for cell in top),
    )


def _tops(rates: Floats, most: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which cells are among the highest of each draw (draws, cells); ties fall by lot."""
    lots = generator.random(rates.shape) * 1e-9
    least = -np.partition(-(rates + lots), most - 1, axis=1)[:, most - 1 : most]
    return np.asarray(rates + lots >= least, np.bool_)
