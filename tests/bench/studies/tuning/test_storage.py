"""The book of trials in a database: what is refused, what is reproduced."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import optuna
import pytest
import sqlalchemy as sa

from bench.core.errors import StoreError, UsageError
from bench.core.options import TuneOptions
from bench.core.recipe import Recipe
from bench.core.work.tuning import Trial
from bench.store.store import open_store
from bench.studies.tuning.results import read_trial
from bench.studies.tuning.space import SHARED_SPACE, load_space
from bench.studies.tuning.storage import TrialBook, open_storage

if TYPE_CHECKING:
    from pathlib import Path

FACTS = {"epochs": 3, "study": "main", "order": 1}


def make_book(url: str, *, tune_options: TuneOptions | None = None, fixed: frozenset[str] = frozenset()) -> TrialBook:
    space = load_space(SHARED_SPACE, base=Recipe(), fixed=set(fixed))
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 0.1}})
    return TrialBook(storage, "main / net", space=space, tune_options=tune_options or TuneOptions(), metadata=FACTS)


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/bench.db"
    open_store(url).close()
    return url


def test_trials_live_beside_the_runs_and_the_store_opens_after_them(url: str) -> None:
    make_book(url).ask()
    with open_store(url, create=False) as store:
        assert store.studies.names() == []
    assert optuna.study.get_all_study_names(url) == ["main / net"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sampler": "random"}, r"another sampler \(tpe, now random\)"),
        ({"pruner": "none"}, r"another pruner \(halving, now none\)"),
        ({"seeds": 2}, r"another number of --tune-seeds \(1, now 2\)"),
        ({}, "another search space;"),
    ],
)
def test_another_search_under_the_same_name_is_refused_and_nothing_is_overwritten(
    url: str, changes: dict[str, object], what: str
) -> None:
    before = make_book(url)
    before.ask()
    other = dataclasses.replace(TuneOptions(), **changes)  # type: ignore[arg-type]
    fixed = frozenset() if changes else frozenset({"lr"})
    with pytest.raises(UsageError, match=what):
        make_book(url, tune_options=other, fixed=fixed)
    assert make_book(url).asked == 1


def test_trials_are_stored_by_the_names_that_stores_have_had_from_the_first(url: str) -> None:
    book = make_book(url)
    asked = book.ask()
    book.tell(
        Trial(number=asked.number, state="complete", values=(0.9,), hyperparameters={"lr": 0.1}, recipe={},
              architecture="net", epochs=3.0, images=1)
    )  # fmt: skip
    (frozen,) = book.trials()
    assert frozen.user_attrs["settings"] == {"lr": 0.1}
    assert "hyperparameters" not in frozen.user_attrs
    assert read_trial(frozen).hyperparameters == {"lr": 0.1}


def test_a_newer_optuna_is_one_line(url: str) -> None:
    make_book(url)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v99.0.0.a'"))
        connection.execute(sa.text("UPDATE version_info SET library_version = '99.0.0'"))
    engine.dispose()
    with pytest.raises(StoreError, match="trials of another Optuna than") as caught, open_storage(url):
        pass
    assert "99.0.0" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_trial_that_was_asked_for_and_never_told_has_the_same_values_again(url: str) -> None:
    book = make_book(url)
    asked = [book.ask() for _ in range(3)]
    assert make_book(url).unfinished() == asked
    assert asked[0].params["lr"] == Recipe().lr


def drawn(trial: optuna.trial.FrozenTrial) -> tuple[int, dict[str, Any]]:
    """What of a trial is the same in every database."""
    return trial.number, trial.params


def test_a_kill_while_a_trial_is_stored_leaves_none_of_it_and_it_is_drawn_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_args: object) -> None:
        raise KeyboardInterrupt

    other = make_book(url.replace("bench.db", "other.db"))
    expected = [other.ask() for _ in range(3)]
    book = make_book(url)
    asked = [book.ask(), book.ask()]
    with monkeypatch.context() as patched:
        patched.setattr(optuna.storages.RDBStorage, "_set_trial_param_without_commit", killed)
        with pytest.raises(KeyboardInterrupt):
            book.ask()
    again = make_book(url)
    assert again.asked == 2
    assert [drawn(trial) for trial in (*asked, again.ask())] == [drawn(trial) for trial in expected]


def test_a_database_that_another_program_has_locked_is_one_line(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.studies.tuning.storage.TIMEOUT_SECONDS", 0.1)
    with open_storage(url) as storage:
        space = load_space(SHARED_SPACE, base=Recipe(), fixed=set())
        TrialBook(storage, "main / net", space=space, tune_options=TuneOptions(), metadata=FACTS)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="was locked by another program") as caught, open_storage(url) as storage:
            TrialBook(storage, "main / net", space=space, tune_options=TuneOptions(), metadata=FACTS).ask()
    assert "\n" not in str(caught.value)


def test_a_trial_knows_the_same_whenever_it_is_asked_for(url: str) -> None:
    """Told up to 14: asked for now, trial 12 still knows those up to 8 alone."""
    ended = {number: Trial(number=number, state="complete", values=(0.9 + number / 1000,), hyperparameters={},
                           recipe={}, architecture="net", epochs=3.0, images=1) for number in range(15)}  # fmt: skip

    def ask(book: TrialBook, *, eager: bool) -> optuna.trial.FrozenTrial:
        for number in range(12):
            book.ask()
            if eager or number <= 8:
                book.tell(ended[number])
        return book.ask()

    tune_options = TuneOptions(pruner="none")
    early = ask(make_book(url, tune_options=tune_options), eager=False)
    late = ask(make_book(url.replace("bench.db", "other.db"), tune_options=tune_options), eager=True)
    assert drawn(early) == drawn(late)


@pytest.mark.parametrize(("epochs", "rungs"), [(1, []), (2, [1]), (3, [1]), (9, [3]), (10, [3, 9]), (30, [10])])
def test_rungs(url: str, epochs: int, rungs: list[int]) -> None:
    assert make_book(url).rungs(epochs) == rungs
    assert make_book(url.replace("bench.db", "other.db"), tune_options=TuneOptions(pruner="none")).rungs(epochs) == []
