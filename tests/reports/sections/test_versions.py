"""Two studies side by side."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

from bench.analysis.conditions import find_conditions
from bench.analysis.stats.ranks import p_of_ranks
from reports.document import Prose, Section, Table
from reports.sections.versions import before_after_section
from tests.factories import make_run, study_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.core.records import Study

BEFORE = {
    "bn25k": (0.9890, 0.9894, 0.9887, 0.9892, 0.9889, 0.9891),
    "fc3136": (0.9920, 0.9915, 0.9922, 0.9918, 0.9917, 0.9921),
    "lenet21k": (0.9900,) * 6,
}
AFTER = {
    "bn25k": (0.9911, 0.9913, 0.9908, 0.9915, 0.9909, 0.9912),
    "fc3136": (0.9919, 0.9917, 0.9921, 0.9919, 0.9915, 0.9922),
    "lenet21k": (0.9900,) * 6,
}


def study(accuracies: Mapping[str, tuple[float, ...]], *, batch: str, epochs: int = 3, **changes: Any) -> Study:
    runs = []
    for net, values in accuracies.items():
        for seed, value in enumerate(values):
            record, curve = make_run(net, seed=seed, epochs=epochs)
            weights = f"{net}-{seed}" if net == "lenet21k" else f"{net}-{seed}-{batch}"
            runs.append((dataclasses.replace(record, test_accuracy=value, weights_hash=weights, **changes), curve))
    return study_of(*runs, name=batch)


def beside(now: Study, earlier: Study) -> Section:
    return before_after_section(find_conditions(now), earlier, place="old/")


def rows(section: Section) -> dict[str, dict[str, str]]:
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    names = [column.name for column in table.columns]
    return {row[0].text: dict(zip(names, (cell.text for cell in row), strict=True)) for row in table.rows}


def words(section: Section) -> str:
    return " ".join(block.text for block in section.blocks if isinstance(block, Prose))


def test_every_number_is_that_of_a_second_library() -> None:
    section = beside(study(AFTER, batch="new"), study(BEFORE, batch="old"))
    found = rows(section)
    p_values = [p_of_ranks(np.array(AFTER[net]), np.array(BEFORE[net])) for net in ("bn25k", "fc3136")]
    holm = multipletests([*p_values, 1.0], method="holm")[1]  # the unchanged net keeps its place among three
    for net in ("bn25k", "fc3136"):
        differences = [a - b for a, b in zip(AFTER[net], BEFORE[net], strict=True)]
        interval = ttest_rel(AFTER[net], BEFORE[net]).confidence_interval(1 - 0.05 / 3)
        mean = f"{100 * statistics.fmean(differences):+.2f}".replace("-", "−")
        assert found[net]["After − before (pp)"] in (mean, "0.00")
        assert found[net]["Interval (pp)"] == (
            f"{100 * interval.low:+.2f} to {100 * interval.high:+.2f}".replace("-", "−")
        )
    assert found["bn25k"]["Verdict"] == "after better, matters"
    assert found["fc3136"]["Verdict"] == "equivalent"
    assert float(found["bn25k"]["p (Holm)"]) == pytest.approx(holm[0], abs=5e-5)
    assert "lenet21k: equivalent (the very same weights)" in words(section)


def test_the_level_of_the_intervals_is_said() -> None:
    section = beside(study(AFTER, batch="new"), study(BEFORE, batch="old"))
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    assert table.caption.endswith("; intervals at 98.33 %")  # 1 − 0.05/3


def test_means_are_of_the_seeds_that_both_have() -> None:
    fewer = {"bn25k": BEFORE["bn25k"][:2]}
    row = rows(beside(study(AFTER, batch="new"), study(fewer, batch="old")))["bn25k"]
    assert (row["Seeds"], row["Verdict"]) == ("2", "too few seeds, 4 more seeds needed")
    assert row["Before: test accuracy (%)"] == "98.92"  # of 98.90 and 98.94
    assert row["After: test accuracy (%)"] == "99.12"  # of 99.11 and 99.13; all six give 99.11


def test_the_margin_of_the_study_decides_what_matters() -> None:
    now = study(AFTER, batch="new")
    now = dataclasses.replace(now, margins=dataclasses.replace(now.margins, margin=0.01))
    verdict = rows(beside(now, study(BEFORE, batch="old")))["bn25k"]["Verdict"]
    assert verdict == "after better, too small to matter"


def test_a_lead_whose_mean_may_be_luck_is_said_to_be_one_on_typical_seeds() -> None:
    # one seed of eight gains a hundred times as much as the others
    gains = (0.0001, 0.0002, 0.0001, 0.0003, 0.0002, 0.0001, 0.0002, 0.02)
    earlier = study({"bn25k": (0.97,) * 8}, batch="old")
    later = study({"bn25k": tuple(0.97 + gain for gain in gains)}, batch="new")
    row = rows(beside(later, earlier))["bn25k"]
    assert row["Verdict"] == "after better on typical seeds alone"
    assert row["p (Holm)"] == "0.0078"  # the earlier one never varies, so that signs are asked: 2 / 2⁸


def test_nets_that_were_not_edited_are_named_where_a_study_stands_beside_itself() -> None:
    before = study({"bn25k": BEFORE["bn25k"]}, batch="old")
    section = before_after_section(find_conditions(study(AFTER, batch="new")), before, place="")
    assert "Before is each edited net as it was before its last edit, after is this one." in words(section)
    assert "not edited: fc3136 and lenet21k." in words(section)
    assert rows(section).keys() == {"bn25k"}


UNCLEAR = tuple(value + gain for value, gain in zip(BEFORE["bn25k"], (0.004, -0.003) * 3, strict=True))


@pytest.mark.parametrize(
    ("after", "place", "verdict", "is_said"),
    [
        (UNCLEAR, "", "undecided", True),
        (UNCLEAR, "old/", "undecided", False),
        (AFTER["bn25k"], "", "after better", False),
    ],
)
def test_beside_an_edit_that_is_undecided_stands_what_decides_it(
    after: tuple[float, ...], place: str, verdict: str, *, is_said: bool
) -> None:
    before = study({"bn25k": BEFORE["bn25k"]}, batch="old")
    section = before_after_section(find_conditions(study({"bn25k": after}, batch="new")), before, place=place)
    assert rows(section)["bn25k"]["Verdict"].startswith(verdict)
    assert ("keep that source as a class of another name" in words(section)) == is_said


def test_what_only_one_of_them_has_is_said() -> None:
    few = {net: values for net, values in BEFORE.items() if net != "fc3136"}
    section = beside(study(AFTER, batch="new"), study(few, batch="old"))
    assert "only after: fc3136." in words(section)
    assert "fc3136" not in rows(section)


@pytest.mark.parametrize(
    "changes", [{"data_hash": "other"}, {"recipe": {**make_run("bn25k", seed=0)[0].recipe, "lr": 0.5}}]
)
def test_other_data_and_other_recipes_are_not_compared(changes: dict[str, Any]) -> None:
    section = beside(study(AFTER, batch="new"), study(BEFORE, batch="old", **changes))
    assert "the other study has no such runs, on the same data, recipe and budget." in words(section)
    assert not [block for block in section.blocks if isinstance(block, Table)]


def test_another_version_of_the_code_may_be_compared() -> None:
    earlier = study(BEFORE, batch="old", torch_version="2.12.0+cpu", engine_version=0, architecture_hash="older")
    section = beside(study(AFTER, batch="new"), earlier)
    assert rows(section)["bn25k"]["Seeds"] == "6"


def test_changed_counts_are_shown_once_each_way() -> None:
    smaller = {"bn25k": BEFORE["bn25k"]}
    earlier = study(smaller, batch="old", params=24_042)
    row = rows(beside(study({"bn25k": AFTER["bn25k"]}, batch="new"), earlier))["bn25k"]
    assert row["Parameters, before and after"] == "24,042 → 25,433"
    assert row["MACs, before and after"] == "1,034,000"
