"""A report of some architectures: what is shown is narrowed, how it is judged is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bench.analysis import comparison
from bench.analysis.conditions import find_conditions
from bench.analysis.verdicts import judge_pairs
from bench.core.errors import UnknownNameError
from reports.build import build_document, find_names, narrow
from reports.document import Table
from reports.write import write_report
from tests.factories import NETS, make_run, study_of

if TYPE_CHECKING:
    from pathlib import Path

    from bench.analysis.metrics import Metric
    from bench.core.records import Study

SHOWN = frozenset({"bn25k", "fc3136"})


@pytest.fixture(scope="module")
def study() -> Study:
    return study_of(*(make_run(net, seed=seed) for net in NETS for seed in range(8)))


def test_names_and_globs_choose_and_a_stranger_is_refused(study: Study) -> None:
    assert find_names(study, ["bn25k", "fc*"]) == SHOWN
    with pytest.raises(UnknownNameError, match=r"No architecture of this study 'bn24k'. Did you mean 'bn25k'\?"):
        find_names(study, ["bn24k"])


def test_verdicts_are_those_of_the_whole_table(study: Study) -> None:
    (whole,) = find_conditions(study)
    narrowed = whole.narrowed(SHOWN)
    assert [entry.label for entry in narrowed.entries] == sorted(SHOWN)
    (pair,) = narrowed.accuracy.pairs
    assert pair == next(p for p in whole.accuracy.pairs if {p.a, p.b} == SHOWN)
    (alone,) = find_conditions(narrow(study, SHOWN))[0].accuracy.pairs
    assert pair.p == alone.p
    assert pair.p_holm is not None
    assert alone.p_holm is not None
    assert pair.p_holm > alone.p_holm, "six pairs were judged, not one"
    assert pair.confidence == pytest.approx(1 - 0.05 / 6)


def test_a_report_judges_every_table_once(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On accuracy and on times, whatever shows them: sections, tables for programs, a study beside it."""
    judged: list[str] = []

    def judge(values: Any, metric: Metric, **how: Any) -> Any:
        judged.append(metric.name)
        return judge_pairs(values, metric, **how)

    monkeypatch.setattr(comparison, "judge_pairs", judge)
    write_report(study, tmp_path, only=SHOWN, earlier=("elsewhere", study))
    assert judged == ["test_accuracy", "epochs_to_95"]


def test_the_report_says_what_it_leaves_out(study: Study) -> None:
    document = build_document(study, only=SHOWN)
    said = " ".join(line.text for line in document.lead)
    assert "Not shown here, and judged with those that are: conv16k and lenet21k." in said
    tables = [block for section in document.sections for block in section.blocks if isinstance(block, Table)]
    assert [row[0].text for row in tables[0].rows] == ["fc3136", "bn25k"], "the best group first"
    assert sorted(SHOWN) == ["bn25k", "fc3136"]
    assert not [section for section in document.sections if section.title in ("conv16k", "lenet21k")]


def test_tables_for_programs_hold_the_whole_study(study: Study, tmp_path: Path) -> None:
    write_report(study, tmp_path, only=SHOWN)
    assert (tmp_path / "runs.csv").read_text().count("\n") == 1 + 32
    assert (tmp_path / "verdicts.csv").read_text().count("test_accuracy") == 6
    assert "conv16k against" not in (tmp_path / "report.md").read_text()
