"""A/A noise, order and ratios of speeds, by hand."""

from __future__ import annotations

import pytest

from bench.analysis.stats.speeds import compare_speeds, timing_noise
from bench.core.metadata import Timing

FAST, SLOW = (1.00, 2.00, 3.00), (1.05, 2.10, 3.15)
"""The machine slows down from repeat to repeat; one net takes 5 % longer than the other in each."""


def make_timing(
    blocks: dict[int, tuple[float, ...]],
    *,
    twins: dict[int, tuple[float, ...]] | None = None,
    calls: dict[int, tuple[float, ...]] | None = None,
) -> Timing:
    return Timing(
        architecture="net",
        architecture_hash="hash",
        machine="m",
        device="cpu",
        threads=1,
        quiet=True,
        seconds_per_batch=blocks,
        call_seconds=calls or {},
        peak_memory_bytes=None,
        base_memory_bytes=None,
        environment={},
        measured_at="2026-01-01",
        twin_seconds_per_batch=twins or {},
    )


def test_a_difference_beyond_the_noise_counts() -> None:
    # Medians of the twins: 2.02 beside 2.00 and 2.10 beside 2.10.
    compared = compare_speeds({"slow": SLOW, "fast": FAST}, {"slow": SLOW, "fast": (1.5, 2.02, 2.5)})
    assert compared is not None
    assert compared.noise == pytest.approx(1.01)
    assert (compared.order, compared.tied) == (("fast", "slow"), ())


@pytest.mark.parametrize("factor", [1.10, 1 / 1.10])
def test_a_twin_ten_percent_off_makes_five_percent_not_count(factor: float) -> None:
    compared = compare_speeds(
        {"slow": SLOW, "fast": FAST, "far": (1.2, 2.4, 3.6)},
        {"slow": tuple(factor * seconds for seconds in SLOW), "fast": FAST, "far": (1.2, 2.4, 3.6)},
    )
    assert compared is not None
    assert compared.noise == pytest.approx(1.10)
    assert (compared.order, compared.tied) == (("fast", "slow", "far"), ("slow",))


def test_ratios_are_taken_within_each_repeat() -> None:
    # Within repeats 2, 1.5 and 4 / 3; the ratio of the medians would be 3 / 2, that of the means 9 / 6.
    blocks = {"a": (1.0, 2.0, 3.0), "b": (2.0, 3.0, 4.0)}
    compared = compare_speeds(blocks, blocks)
    assert compared is not None
    ratio = compared.ratios["b"]
    assert [ratio.lowest, ratio.median, ratio.highest] == pytest.approx([4 / 3, 1.5, 2.0])
    own = compared.ratios["a"]
    assert (own.lowest, own.median, own.highest) == (1.0, 1.0, 1.0)
    # The repeats shuffled against each other: 3 / 2, 4 / 1, 2 / 3, of which the median is 1.5 by chance, not the ends.
    turned = compare_speeds({"a": (2.0, 1.0, 3.0), "b": (3.0, 4.0, 2.0)}, blocks)
    assert turned is not None
    assert [turned.ratios["b"].lowest, turned.ratios["b"].highest] == pytest.approx([2 / 3, 4.0])


def test_equal_speeds_are_tied_and_ordered_by_name() -> None:
    compared = compare_speeds({"b": FAST, "a": FAST}, {"b": FAST, "a": FAST})
    assert compared is not None
    assert (compared.noise, compared.order, compared.tied) == (1.0, ("a", "b"), ("b",))


@pytest.mark.parametrize(
    ("blocks", "twins"),
    [
        pytest.param({"a": FAST, "b": SLOW}, {"a": FAST}, id="a twin missing"),
        pytest.param({"a": FAST, "b": SLOW}, {}, id="no twins"),
        pytest.param({"a": FAST, "b": SLOW[:2]}, {"a": FAST, "b": SLOW}, id="a repeat missing"),
        pytest.param({"a": FAST, "b": SLOW}, {"a": FAST, "b": SLOW[:2]}, id="a repeat of a twin missing"),
        pytest.param({"a": ()}, {"a": ()}, id="no blocks"),
        pytest.param({}, {}, id="nothing"),
    ],
)
def test_what_cannot_be_set_side_by_side_is_not_compared(
    blocks: dict[str, tuple[float, ...]], twins: dict[str, tuple[float, ...]]
) -> None:
    assert compare_speeds(blocks, twins) is None


def test_noise_of_a_phase_is_that_of_its_worst_twin_at_that_batch_size() -> None:
    timings = [
        make_timing({1: (1.0, 2.0, 9.0), 256: (4.0,)}, twins={1: (1.0, 2.1, 2.2), 256: (4.0,)}),
        make_timing({1: (3.0,), 256: (4.0,)}, twins={1: (2.4,), 256: (4.4,)}),
        make_timing({1: (3.0,)}),
    ]
    assert timing_noise(timings, 1) == pytest.approx(1.25)  # 3.0 / 2.4, more than 2.1 / 2.0
    assert timing_noise(timings, 256) == pytest.approx(1.10)
    assert timing_noise(timings[2:], 1) == timing_noise(timings, 64) == timing_noise([], 1) == 1.0
