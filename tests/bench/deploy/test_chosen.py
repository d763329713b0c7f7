"""The best-validated run stands for its architecture, or that of a seed; what is not there is said in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from statsmodels.stats.proportion import proportion_confint

import bench
from bench.core.errors import ArchitectureError, BenchError, DataError, StoreError, UnknownNameError, UsageError
from bench.core.options import UseOptions
from bench.data.datasets import load_dataset
from bench.deploy.chosen import choose_runs, files_in
from bench.deploy.export import describe
from bench.store.store import open_store
from tests.bench.deploy.stored import make_results, options_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.deploy.chosen import Chosen


def choose(results: Path, *patterns: str, **use: object) -> Chosen:
    options = options_for(results, *patterns)
    with open_store(options.store_url, create=False) as store:
        return choose_runs(store, options, UseOptions(**use))  # type: ignore[arg-type]


def test_the_best_validated_run_stands_for_its_architecture(known: Path) -> None:
    chosen = choose(known)
    assert [(run.name, run.record.seed, run.how) for run in chosen.runs] == [
        ("contrary", 3, "best-validated of 3 runs"),
        ("means", 3, "best-validated of 3 runs"),
    ]
    assert (chosen.study, chosen.dataset.name, chosen.notes) == ("main", "mnist5k", ())
    assert chosen.net_files == [str(known.parent / "known_nets.py")]
    run = chosen.runs[1]
    mean, low, high = run.accuracy or (0.0, 0.0, 0.0)
    assert (low, high) == pytest.approx(proportion_confint(round(mean * 1_000), 1_000, method="wilson"))


def test_a_seed_and_architectures_that_are_asked_for(known: Path) -> None:
    (run,) = choose(known, "mea*", seed=0).runs
    assert (run.name, run.record.seed, run.how) == ("means", 0, "seed 0, as asked for")
    (run,) = choose(known, "nets/known_nets.py:contrary").runs
    assert run.name == "contrary"
    with pytest.raises(UsageError, match=r"No run of means with seed 2 in study main; it has seeds 0, 1, 3\."):
        choose(known, "means", seed=2)
    with pytest.raises(UnknownNameError, match=r"No trained architecture 'mean'\. Did you mean 'means'\?"):
        choose(known, "mean")
    with pytest.raises(UnknownNameError, match=r"No dataset of this study 'mnist'\. Did you mean 'mnist5k'\?"):
        choose(known, dataset="mnist")


def test_of_runs_that_validated_equally_the_smaller_seed_stands(tmp_path: Path) -> None:
    even = make_results(tmp_path, val_accuracy=0.8, val_loss=0.5)
    assert [run.record.seed for run in choose(even).runs] == [0, 0]


def test_runs_that_were_selected_on_test_are_never_the_best_validated_and_say_so(tmp_path: Path) -> None:
    results = make_results(tmp_path, protocol="as_claimed", val_accuracy=None)
    with pytest.raises(UsageError, match=r"No run of contrary in study main was validated .* name one with --seed"):
        choose(results)
    chosen = choose(results, "means", seed=1)
    assert [run.how for run in chosen.runs] == ["seed 1, as asked for, selected on test"]
    assert describe(chosen.runs[0])["chosen"] == "seed 1, as asked for, selected on test"


def test_a_study_without_weights_is_told_from_one_without_runs(results: Path) -> None:
    with open_store(options_for(results).store_url) as store:
        store.runs.forget_checkpoints([run.record.run_id for run in choose(results).runs])
        left = choose(results)
        assert [run.record.seed for run in left.runs] == [1, 1], "the next best that has weights"
        everything = store.studies.load("main", with_details=False).records
        store.runs.forget_checkpoints([run.run_id for run in everything])
    with pytest.raises(StoreError, match=r"No run of study main can be used: its weights were deleted \(--prune\)"):
        choose(results)


def test_files_of_nets_among_patterns() -> None:
    assert files_in(["a.py", "b c.py:Net", "fc*", "a.py:Other", "torchvision:resnet18", "d.py:tiny hidden=3"]) == [
        "a.py", "b c.py", "d.py",
    ]  # fmt: skip


def test_a_loaded_model_says_what_its_run_said(known: Path) -> None:
    model = bench.load_model(known, "means")
    assert (model.record.seed, model.architecture.name) == (3, "means")
    test = load_dataset("mnist5k", known)
    with open_store(options_for(known).store_url) as store:
        said = store.runs.predictions(model.record.run_id, "test")
    probabilities = model.predict(test.test_images)
    assert (probabilities.argmax(axis=1) == said.predicted).all()
    assert probabilities.max(axis=1) == pytest.approx(said.confidence, abs=1e-5)
    assert model.classify(test.test_images[:3]) == [str(label) for label in said.predicted[:3]]
    assert bench.load_model(known, "means", seed=1).record.seed == 1
    assert (
        bench.load_model(known, run_id=model.record.run_id, file=known.parent / "known_nets.py").record == model.record
    )


def test_the_layers_of_a_loaded_model(known: Path) -> None:
    model = bench.load_model(known, "means")
    image = load_dataset("mnist5k", known).test_images[0]
    made = model.feature_maps(image)
    assert {path: tuple(values.shape) for path, values in made.items()} == {
        "sight": (1, 2, 28, 28), "relu": (1, 2, 28, 28), "head": (1, 10),
    }  # fmt: skip
    standardised = model.preprocess(image)[0, 0]
    assert (made["sight"][0, 0] - (standardised - standardised.min())).abs().max() < 1e-6, "shifted to begin at 0"
    assert not made["relu"][0, 1].any()
    assert (made["head"] - model(image)).abs().max() == 0
    assert not any(module._forward_hooks for module in model.module.modules()), "the net is left as it was"


def test_what_cannot_be_loaded_is_said(known: Path, results: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has several architectures; name one of contrary and means"):
        bench.load_model(known)
    with pytest.raises(StoreError, match="holds no run 'abc'"):
        bench.load_model(known, run_id="abc")
    with pytest.raises(StoreError, match="No store at"):
        bench.load_model(tmp_path / "nowhere", "means")
    file = known.parent / "known_nets.py"
    model = bench.load_model(results, "means", file=file)
    (results / model.record.checkpoint).write_bytes(b"other weights")
    with pytest.raises(StoreError, match="are not those that were stored"):
        bench.load_model(results, "means", file=file)
    with pytest.raises(DataError, match=r"\(2, 5, 5\)"):
        model.predict([[[0] * 5] * 5] * 2)


@pytest.mark.parametrize("seed", ["best", 0.7, True, "3"])
def test_a_seed_that_is_none_is_refused(known: Path, seed: Any) -> None:
    with pytest.raises(UsageError, match=r"give a whole number, or 'best-validated'"):
        bench.load_model(known, "means", seed=seed)


def test_arguments_that_cannot_be_meant_are_refused(known: Path) -> None:
    with pytest.raises(UsageError, match=r"takes a results directory first"):
        bench.load_model(None, "means")  # type: ignore[arg-type]
    with pytest.raises(ArchitectureError, match=r"There is no file 'nofile\.py'"):
        bench.load_model(known, "means", file="nofile.py")
    assert bench.load_model(known, "means", seed=None).record.seed == 3


def test_a_directory_that_cannot_be_written_is_read_all_the_same(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a read-only mount, where even root may write nothing and SQLite cannot make the files of its log."""
    from bench.store.database import database

    monkeypatch.setattr("bench.store.store.os.access", lambda *_words: False)
    monkeypatch.setattr(database, "make_writable_folder", refuse_below(known))
    assert bench.load_model(known, "means").record.seed == 3


def refuse_below(folder: Path) -> Callable[[Path], None]:
    """Says that a folder may not be written, of one and what is below it."""

    def refuse(place: Path) -> None:
        if place.is_relative_to(folder):
            raise StoreError("It is read-only.")

    return refuse


def test_a_net_whose_file_is_gone_or_edited_is_said(tmp_path: Path) -> None:
    results = make_results(tmp_path, names=["means"])
    file = tmp_path / "known_nets.py"
    text = file.read_text()
    file.write_text(text.replace("Dropout(0.5)", "Dropout(0.4)"))
    with pytest.raises(ArchitectureError, match="was edited since it was trained"):
        bench.load_model(results)
    file.unlink()
    with pytest.raises(ArchitectureError, match="no net 'means'; name its file"):
        bench.load_model(results)
    elsewhere = tmp_path / "elsewhere.py"
    elsewhere.write_text(text)
    assert bench.load_model(results, file=elsewhere).architecture.name == "means"
    with pytest.raises(BenchError):
        bench.load_model(results, file=tmp_path / "nothing.py")
