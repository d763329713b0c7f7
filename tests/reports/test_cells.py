"""How numbers are rounded where they are shown: ties as decimals, not as binary fractions a hair beside them."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import pytest

from bench.system.text import first_ones, percent, signed
from reports.cells import number_cell, percent_cell

TIE = (0.885, 0.885, 0.885, 0.885, 0.885, 0.8175)
"""Validation accuracies on whole images: (5 * 0.885 + 0.8175) / 6 = 0.87375."""


def test_a_mean_a_hair_below_a_tie_is_rounded_as_the_tie() -> None:
    below = math.nextafter(0.87375, 0)
    assert f"{100 * below:.2f}" == "87.37", "what a plain format makes of it"
    assert (percent(below), percent_cell(below).text, number_cell(100 * below, 2).text) == ("87.38",) * 3
    assert percent(statistics.fmean(TIE)) == "87.38"


@pytest.mark.parametrize(
    ("fraction", "shown"), [(0.87365, "87.36"), (0.87375, "87.38"), (0.98934, "98.93"), (1, "100.00")]
)
def test_ties_go_to_the_even_digit(fraction: float, shown: str) -> None:
    assert percent(fraction) == shown


def test_means_of_whole_images_are_rounded_as_exact_fractions_are() -> None:
    for right in range(4_000 * 3, 4_000 * 3 + 2_400):  # of three seeds on 8,000 images
        exact = Fraction(right, 24_000)
        whole, rest = divmod(exact * 10_000, 1)
        up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1)
        expected = int(whole) + up
        assert percent(statistics.fmean([right / 8_000 / 3] * 3)) == f"{expected // 100}.{expected % 100:02}"


def test_what_is_no_number_and_what_is_large() -> None:
    assert (percent(math.nan), percent(math.inf)) == ("NaN", "Infinity")
    assert number_cell(1_234_567_890_123.0).text == "1,234,567,890,123"
    assert number_cell(0.125, 2).text == "0.12"


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.126, 2, "+0.13"), (-0.126, 2, "−0.13"), (0.004, 2, "0.00"), (-0.004, 2, "0.00"), (-0.4, 0, "0"),
        (0.0, 0, "0"), (-10_000.0, 0, "−10,000"),
    ],
)  # fmt: skip
def test_a_number_has_its_sign_unless_it_rounds_to_nothing(value: float, digits: int, shown: str) -> None:
    assert signed(value, digits) == shown


def test_of_many_words_the_first_twelve_stand_and_the_others_are_counted() -> None:
    words = [f"net{number}" for number in range(14)]
    assert first_ones(words) == [*words[:12], "2 more"]
    assert first_ones(words[:12]) == words[:12]
