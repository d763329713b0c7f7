"""What the report says of verdicts: worded from planted values, so that nobody can misread it."""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.analysis.comparison import Comparison, compare
from bench.analysis.metrics import accuracy_metric, epochs_metric
from bench.analysis.stats.paired import pair_differences
from bench.analysis.verdicts import PairVerdict, Verdict
from bench.core.seeds import ONE_LOOK
from bench.system.text import signed
from reports.cells import difference_cell, difference_interval, p_cell
from reports.document import Cell
from reports.sections.verdicts.pairs import pair_table, verdict_sentences, why_text

if TYPE_CHECKING:
    from collections.abc import Sequence


NOISE = (-0.0003, -0.0002, -0.0001, 0.0, 0.0001, 0.0002, 0.0003, 0.0)


def accuracies(**means: float) -> Comparison:
    """Eight seeds each; the noise of each net is the other's in another order."""
    values = {
        name: {seed: mean + NOISE[(seed * (at + 1)) % 8] for seed in range(8)}
        for at, (name, mean) in enumerate(means.items())
    }
    return compare(values, accuracy_metric(), looks=ONE_LOOK)


def words(comparison: Comparison) -> str:
    return " ".join(prose.text for prose in verdict_sentences(comparison))


def test_better_is_said_with_the_amount_the_interval_and_the_seeds() -> None:
    text = words(accuracies(good=0.99, bad=0.98))
    assert text.startswith("good is better than bad by 1.00 percentage points (between 0.9")
    assert text.endswith("from 8 seeds; matters).")


def test_a_lead_within_the_margin_is_called_too_small_to_matter() -> None:
    values = {"a": {s: 0.9805 + NOISE[s] for s in range(8)}, "b": {s: 0.98 + NOISE[s] + NOISE[s] / 5 for s in range(8)}}
    assert "; too small to matter)" in words(compare(values, accuracy_metric(), looks=ONE_LOOK))


def test_undecided_never_reads_as_equal() -> None:
    rng = np.random.default_rng(1)
    values = {name: dict(enumerate(rng.normal(0.98, 0.002, 8).tolist())) for name in "ab"}
    text = words(compare(values, accuracy_metric(), looks=ONE_LOOK))
    assert text.startswith("Undecided, which does not mean equal: a against b (")
    assert "more seed" in text


def test_equivalent_names_the_margin() -> None:
    text = words(accuracies(one=0.98, other=0.98))
    assert text == "Equivalent, confidently less than 0.10 percentage points apart: one with other."


def test_three_seeds_say_how_many_it_takes() -> None:
    values = {name: {0: 0.9, 1: 0.91, 2: 0.92} for name in "ab"}
    text = words(compare(values, accuracy_metric(), looks=ONE_LOOK))
    assert text.startswith("Too few seeds for a verdict (a against b, 3 shared seeds): 6 seeds that ended")


def test_of_too_few_seeds_nothing_else_is_said() -> None:
    values = {name: {0: 0.1, 1: 0.1} for name in "ab"}
    comparison = compare(values, accuracy_metric(chance=0.1), looks=ONE_LOOK)
    assert comparison.pairs[0].never, "both guessed on both seeds"
    assert words(comparison).startswith("Too few seeds for a verdict (a against b, 2 shared seeds)")


def test_many_nets_name_the_seeds_that_so_many_pairs_need() -> None:
    # 45 pairs: 45 × 2 / C(12, 6) = 0.097, 45 × 2 / C(14, 7) = 0.026
    values = {name: {seed: at + seed / 100 for seed in range(6)} for at, name in enumerate("abcdefghij")}
    text = words(compare(values, epochs_metric(), looks=ONE_LOOK))
    assert "so many pairs at once take 7 seeds." in text


def test_undecided_says_what_the_seeds_find_and_what_more_would() -> None:
    values = {name: {seed: 0.98 + 0.002 * (seed * (at + 1) % 8) for seed in range(8)} for at, name in enumerate("ab")}
    text = words(compare(values, accuracy_metric(), looks=ONE_LOOK))
    assert re.search(r"a against b \(\d+ more seeds would find a true difference of 0\.10 pp\)\.", text)
    assert re.search(r"With the seeds so far, a true difference of \d\.\d\d pp is found in 80 % of studies", text)


def why(a: Sequence[float], b: Sequence[float], *others: Sequence[float]) -> str:
    """Why the pair of a and b is judged as it is, beside other nets."""
    values = {name: dict(enumerate(of)) for name, of in zip("abcdef", (a, b, *others), strict=False)}
    pair, *_ = compare(values, accuracy_metric(chance=0.1), looks=ONE_LOOK).pairs
    return why_text(pair, accuracy_metric())


def test_one_seed_that_went_the_other_way_is_said_with_the_p_that_it_costs() -> None:
    a = (0.991, 0.992, 0.993, 0.994, 0.995, 0.996)
    # five leads of 0.5 to 0.1 pp and one loss of 0.2: of 64 sign flips 6 reach the mean lead of 0.217 pp to either side
    b = (0.986, 0.988, 0.990, 0.992, 0.994, 0.998)
    found = pair_differences(a, b, margin=0.001)
    sums = [
        sum(s * d for s, d in zip(signs, found.values, strict=True)) for signs in itertools.product((1, -1), repeat=6)
    ]
    p = sum(abs(each) >= sum(found.values) - 1e-12 for each in sums) / 64
    pair = PairVerdict(
        a="a", b="b", seeds=tuple(range(6)), verdict=Verdict.UNDECIDED, differences=found, p=0.02, p_holm=0.04
    )
    assert why_text(pair, accuracy_metric()) == f"one seed went the other way (sign flips p = {p:.2g})"


@pytest.mark.parametrize(
    ("leads", "reason"),
    [
        ((5, 4, 3, 2, 0, 0), "2 seeds tied"),  # as two nets on 10,000 test images may
        ((5, 4, 3, 2, 0, -1), "one seed went the other way and one seed tied"),
        ((9, 1, 1, 1), "a few seeds make up most of the lead"),
    ],
)
def test_a_tie_is_no_seed_that_went_the_other_way(leads: tuple[int, ...], reason: str) -> None:
    found = pair_differences([0.98 + lead / 10_000 for lead in leads], [0.98] * len(leads), margin=0.001)
    seeds = tuple(range(len(leads)))
    pair = PairVerdict(a="a", b="b", seeds=seeds, verdict=Verdict.UNDECIDED, differences=found, p=0.02, p_holm=0.04)
    assert why_text(pair, accuracy_metric()) == f"{reason} (sign flips p = {found.p_flips:.2g})"


def test_an_interval_without_zero_that_is_no_verdict_is_explained() -> None:
    found = pair_differences((0.991, 0.992, 0.993), (0.990, 0.991, 0.991), margin=0.001)
    pair = PairVerdict(
        a="a", b="b", seeds=(0, 1, 2), verdict=Verdict.UNDECIDED, differences=found, low=0.0002, high=0.0025, p=0.04,
        p_holm=0.08,
    )  # fmt: skip
    assert why_text(pair, accuracy_metric()) == (
        "the interval leaves out zero, but the rank test does not confirm it (a ahead on 3 of 3 seeds, p = 0.08)"
    )
    around_zero = dataclasses.replace(pair, low=-0.0002)
    assert why_text(around_zero, accuracy_metric()) == "a ahead on 3 of 3 seeds, p = 0.08"


def test_a_plain_undecided_pair_says_who_is_ahead_on_how_many_seeds() -> None:
    text = why((0.98, 0.99, 0.98, 0.99, 0.985, 0.98), (0.985, 0.98, 0.975, 0.985, 0.99, 0.98))
    assert re.fullmatch(r"a ahead on 3\.5 of 6 seeds, p = 0\.\d+", text)


def test_verdicts_that_surprise_nobody_are_not_explained() -> None:
    assert why((0.99, 0.991, 0.992, 0.993, 0.994, 0.995), (0.90, 0.901, 0.902, 0.903, 0.904, 0.905)) == ""
    assert why((0.99,) * 3, (0.98,) * 3) == "", "three seeds: nothing was judged"
    assert why((0.1,) * 6, (0.1,) * 6) == "neither got anywhere on any seed"


def test_a_lead_on_typical_seeds_alone_says_so() -> None:
    gains = (0.0001, 0.0002, 0.0001, 0.0003, 0.0002, 0.0001, 0.0002, 0.02)
    values = {"a": {s: 0.97 + gain for s, gain in enumerate(gains)}, "b": dict.fromkeys(range(8), 0.97)}
    comparison = compare(values, accuracy_metric(), looks=ONE_LOOK)
    assert words(comparison) == (
        "a is better than b by 0.26 percentage points (on typical seeds alone: ahead on 8 of 8 seeds, but the mean "
        "lead may be anything from −0.32 to +0.85)."
    )  # 0.265 ± 2.3646 × 0.701 / √8, Student's t of seven degrees
    assert [cell.text for cell in pair_table(comparison, title="Accuracy").rows[0]][1:3] == [
        "a better on typical seeds alone",
        "a ahead on 8 of 8 seeds, but the mean lead may be none, as its seeds vary",
    ]


def test_what_is_left_out_is_said_beside_the_amount() -> None:
    comparison = accuracies(good=0.99, bad=0.98)
    values = {name: dict(of) for name, of in comparison.values.items()}
    values["bad"][3] = float("nan")
    text = words(compare(values, accuracy_metric(), looks=ONE_LOOK))
    assert text.endswith("from 7 seeds; matters; 1 seed left out, where one of the two failed).")


def test_two_that_never_got_there_are_not_called_close() -> None:
    values = {name: dict.fromkeys(range(8), 3.0) for name in "ab"}
    metric = epochs_metric(horizon=3)
    comparison = compare(values, metric, looks=ONE_LOOK)
    assert words(comparison) == "Neither got there within the budget on any seed: a with b."
    assert comparison.pairs[0].verdict == "undecided"
    arrived = {name: {**of, 7: 1.0} for name, of in values.items()}
    assert words(compare(arrived, metric, looks=ONE_LOOK)) == "The same value on every seed: a with b."


def test_times_speak_of_epochs_and_count_the_shorter_as_a_win() -> None:
    values = {"quick": {seed: 0.3 + seed / 50 for seed in range(8)}, "slow": dict.fromkeys(range(8), 1.0)}
    comparison = compare(values, epochs_metric(), looks=ONE_LOOK)
    assert words(comparison).startswith("quick gets to 95 % in fewer epochs than slow by 0.63 epochs (between 0.")
    table = pair_table(comparison, title="Epochs")
    beats = [column.name for column in table.columns].index("Seeds with A ahead, 95 %")
    assert table.rows[0][beats].text.startswith("1.00 (")


def test_one_architecture_has_nothing_to_say() -> None:
    assert list(verdict_sentences(accuracies(alone=0.98))) == []


def test_many_pairs_are_counted_not_listed() -> None:
    rng = np.random.default_rng(1)
    values = {f"n{at}": dict(enumerate(rng.normal(0.98, 0.002, 8).tolist())) for at in range(8)}
    text = words(compare(values, accuracy_metric(), looks=ONE_LOOK))
    assert "16 more" in text, "28 pairs, 12 of them named"


def test_the_table_has_the_numbers_of_the_verdict() -> None:
    comparison = accuracies(good=0.99, bad=0.98)
    table = pair_table(comparison, title="Test accuracy")
    cells = dict(zip((column.name for column in table.columns), table.rows[0], strict=True))
    assert cells["A against B"].text == "bad − good"
    assert (cells["Verdict"].text, cells["A − B (pp)"].text) == ("good better", "−1.00")
    assert (cells["Images of 10,000"].text, cells["Matters"].text) == ("−100", "yes")
    assert cells["Seeds with A ahead, 95 %"].text.startswith("0.00 (0.00 to 0.3")
    assert table.caption == (
        "Test accuracy: verdicts on all pairs; intervals at 95 %; one is better where p (ranks, Holm; borne out by "
        "signs or t where standard deviations differ threefold) is below 5 %, or the level of its look, and p (sign "
        "flips) below 5 % as well; the intervals of the mean difference (Student's t, Bonferroni) do not decide who is "
        "better"
    )


@pytest.mark.parametrize(
    ("p", "shown"), [(1.0, "1.0000"), (0.03125, "0.0312"), (0.0001, "0.0001"), (0.00009, "< 0.0001"), (0.0, "< 0.0001")]
)
def test_a_p_never_reads_as_nothing(p: float, shown: str) -> None:
    assert p_cell(p) == Cell(text=shown, value=p)


def test_nothing_tested_is_a_dash() -> None:
    assert p_cell(None) == Cell(text="—")
    assert difference_cell(None, accuracy_metric()) == Cell(text="—")
    assert difference_interval(None, accuracy_metric()) == "—"


def test_a_difference_that_rounds_to_nothing_has_no_sign() -> None:
    metric = accuracy_metric()
    assert [signed(metric.scale * value) for value in (-0.00004, 0.00004, -0.00006)] == ["0.00", "0.00", "−0.01"]
