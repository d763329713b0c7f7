"""What stands behind the numbers: the environment in people's words, and the command that repeats a study."""

from __future__ import annotations

import dataclasses

from reports.document import Code, Prose, Table
from reports.sections.appendix import environment_section, repeat_section
from tests.factories import make_run, make_study, study_of


def test_the_command_is_said_to_repeat_its_own_runs_only() -> None:
    command, prose = repeat_section(make_study()).blocks
    assert command == Code(text="python runner.py --all --seeds 6")
    assert isinstance(prose, Prose)
    text = prose.text
    assert text.startswith("This is the last command of the study.")
    assert "Runs that other commands or a merge added to the study are not repeated by it." in text
    assert "Nets given by path are trained as their files stand then." in text


def _environment_rows(*environments: dict[str, object]) -> dict[str, str]:
    runs = [make_run("bn25k", seed=seed) for seed in range(len(environments))]
    runs = [
        (dataclasses.replace(record, environment=environment), curve)
        for (record, curve), environment in zip(runs, environments, strict=True)
    ]
    (table,) = [block for block in environment_section(study_of(*runs)).blocks if isinstance(block, Table)]
    return {name.text: value.text for name, value in table.rows}


def test_the_environment_is_worded_for_people() -> None:
    environment = {
        "python": "3.11.9",
        "os": "Linux x86_64",
        "libc": "",
        "cores": 2,
        "accelerator": "",
        "commit": None,
        "project_version": "0.2",
        "dirty": False,
        "libraries": {"scikit-learn": "1.7.0", "alembic": "1.16.1"},
        "memory_bytes": 25_325_273_088,
        "new_key": ["a", "b"],
    }
    assert _environment_rows(environment) == {
        "library alembic": "1.16.1",
        "library scikit-learn": "1.7.0",
        "memory": "23.6 GiB",  # 25,325,273,088 / 1,073,741,824 = 23.586
        "new key": "a, b",
        "operating system": "Linux x86_64",
        "processor cores that could be used": "2",
        "python": "3.11.9",
        "uncommitted changes": "no",
        "version of the suite": "0.2",
    }


def test_what_only_some_runs_have_is_counted() -> None:
    rows = _environment_rows(
        {"accelerator": "X1", "dirty": True, "cores": 2},
        {"accelerator": "", "dirty": False, "cores": 2},
        {"accelerator": "X1", "dirty": None, "cores": 2},
    )
    assert rows == {
        "accelerator": "X1 (2 runs)",
        "processor cores that could be used": "2",
        "uncommitted changes": "no (1 run); yes (1 run)",
    }
