"""What a recording comes to, on runs that are made up: references, faults, and whether the file is written."""

from __future__ import annotations

import dataclasses
import math
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from bench.core.metadata import ArchitectureMetadata
from bench.core.reading import ReadingOptions
from bench.core.recipe import Recipe
from bench.core.work.gate import Floors, Reference
from bench.spec import Architecture
from bench.studies.gate import record as gate_record
from bench.studies.gate.record import Baseline, Recording
from bench.studies.gate.rule import find_allowed
from bench.studies.gate.thresholds import read_thresholds, write_thresholds
from tests.bench.studies.gate.examples import (
    GREY,
    LEFT_TAIL,
    NORMAL,
    deviation_of,
    gate_run,
    make_reference,
    make_thresholds,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from torch import nn

    from bench.core.events import Event
    from bench.core.records import RunRecord
    from bench.studies.experiment import Experiment


def _build() -> nn.Module:
    raise AssertionError("nothing is built: its runs are made up")


def metadata(name: str) -> ArchitectureMetadata:
    return ArchitectureMetadata(
        architecture=name, architecture_hash="hash", summary="", source="", variant_of=None, input_shape=(1, 28, 28),
        params=25_433, trainable_params=25_433, macs=1_034_000, uncounted_operations=(), layers=(),
    )  # fmt: skip


def make_recording(
    *names: str, before: Sequence[Reference] = (), kept: Sequence[str] = (), **changes: Any
) -> Recording:
    """Of nets of these names, where a file holds the references before and keeps some."""
    store = types.SimpleNamespace(studies=types.SimpleNamespace(forget_gate=lambda _: None))
    experiment = types.SimpleNamespace(
        name="gate", store=store, keep_metadata=list, dataset=GREY, device="cpu", engine="torch",
        architectures=[Architecture(name=name, build=_build) for name in names],
        metadata={name: metadata(name) for name in names},
    )  # fmt: skip
    old = {reference.architecture: reference for reference in before}
    baseline = Baseline(
        nets=tuple(experiment.architectures), images="mnist5k", reading=ReadingOptions(), file=Path("t.toml"),
        device="cpu", recipe=Recipe(), epochs=3, before=old, kept={name: old[name] for name in kept}, commit="c0ffee",
        **changes,
    )  # fmt: skip
    return Recording(experiment=cast("Experiment", experiment), baseline=baseline, runs=6)


def end(seed: int, accuracy: float) -> RunRecord:
    """A run that ended at an accuracy; diverged where that is nan."""
    if math.isnan(accuracy):
        return gate_run(seed, None, status="diverged", error="NaN")
    return gate_run(seed, accuracy)


def record(
    given: Recording,
    accuracies: Mapping[str, float],
    monkeypatch: pytest.MonkeyPatch,
    spread: Sequence[float] = (-0.002, 0.002),
) -> list[Event]:
    """Its events, where the reference runs of each net end that far beside an accuracy, in turn, and others at it."""
    monkeypatch.setattr(gate_record, "make_gate_requests", lambda *_, seeds, **__: seeds)

    def train(
        _: object, seeds: Mapping[str, Sequence[int]], *, role: str
    ) -> Generator[Event, None, dict[str, list[RunRecord]]]:
        yield from ()
        assert role in ("reference", "gate")
        beside = spread if role == "reference" else (0.0,)
        return {
            name: [end(seed, accuracies[name] + beside[seed % len(beside)]) for seed in of]
            for name, of in seeds.items()
        }

    monkeypatch.setattr(gate_record, "train", train)
    return list(given.events())


def test_what_was_recorded_is_worked_out_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    given = make_recording("alpha")
    assert record(given, {"alpha": 0.98}, monkeypatch) == []
    now = given.recorded["alpha"].now
    # Three runs 0.002 below and three above: √(6 · 0.002² / 5).
    assert (now.mean, now.deviation, now.runs) == (0.98, 0.002191, 6)
    assert (now.params, now.macs, now.trained, now.commit) == (
        25_433,
        1_034_000,
        "mnist5k, 3 epochs, shared, cpu",
        "c0ffee",
    )
    assert given.recorded["alpha"].first_seeds == (20_000, 20_001, 20_002)
    assert (given.faults, given.writable, given.dropped) == ({}, True, [])


@pytest.mark.parametrize("shape", [NORMAL, LEFT_TAIL], ids=["normal", "left tail"])
def test_accuracies_are_kept_and_a_left_tail_widens_the_limit(
    shape: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = dataclasses.replace(make_recording("alpha"), runs=30)
    record(given, {"alpha": 0.98}, monkeypatch, spread=[value - 0.98 for value in shape])
    now = given.recorded["alpha"].now
    assert sorted(now.accuracies) == sorted(shape)
    assert now.deviation == deviation_of(shape)
    assert now.allowed == find_allowed(shape, now.deviation)
    assert (now.allowed == 1.5) is (shape is NORMAL)
    assert given.recorded["alpha"].limit == now.mean - now.allowed * now.deviation


def test_six_references_are_kept_and_widen_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    given = make_recording("alpha")
    record(given, {"alpha": 0.98}, monkeypatch)
    now = given.recorded["alpha"].now
    assert (now.accuracies, now.allowed) == ((0.978, 0.982) * 3, 1.5)


def test_recording_the_same_runs_again_adds_accuracies_and_no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_recording("alpha")
    record(first, {"alpha": 0.98}, monkeypatch)
    now = first.recorded["alpha"].now
    old = dataclasses.replace(
        first.recorded["alpha"], now=dataclasses.replace(now, accuracies=(), recorded="2026-01-02")
    )
    again = make_recording("alpha", before=[old])
    record(again, {"alpha": 0.98}, monkeypatch)
    assert (again.recorded["alpha"].now, again.recorded["alpha"].history) == (now, ())


def test_what_becomes_history_keeps_its_limit_and_not_its_accuracies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = make_reference("alpha", mean=0.978, deviation=deviation_of(LEFT_TAIL), accuracies=LEFT_TAIL, allowed=2.4).now
    given = make_recording("alpha", before=[dataclasses.replace(make_reference("alpha"), now=now)])
    record(given, {"alpha": 0.98}, monkeypatch)
    assert given.recorded["alpha"].history == (dataclasses.replace(now, accuracies=()),)
    file = tmp_path / "thresholds.toml"
    write_thresholds(file, given.thresholds())
    assert read_thresholds(file).references == given.recorded


def test_a_mean_below_its_floor_is_a_fault_and_the_file_stays_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "thresholds.toml"
    write_thresholds(file, make_thresholds(make_reference("alpha"), make_reference("beta")))
    with_floor = file.read_text().replace(
        "[architectures.beta]", "[architectures.alpha.floors]\naccuracy = 0.975 # by hand\n\n[architectures.beta]"
    )
    file.write_text(with_floor)
    before = read_thresholds(file).references
    given = make_recording("alpha", "beta", before=list(before.values()))
    record(given, {"alpha": 0.97, "beta": 0.99}, monkeypatch)
    assert given.faults == {"alpha": "its mean 0.97000 lies below its accuracy floor 0.975"}
    assert list(given.recorded) == ["beta"]
    assert given.writable
    write_thresholds(file, given.thresholds())
    after = read_thresholds(file).references
    assert after["alpha"] == before["alpha"], "what could not be recorded keeps its old reference"
    assert (after["beta"].now.mean, after["beta"].history) == (0.99, (before["beta"].now,))
    assert "accuracy = 0.975 # by hand" in file.read_text()


def test_a_mean_on_its_floor_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    given = make_recording("alpha", before=[make_reference("alpha", floors=Floors(accuracy=0.97))])
    record(given, {"alpha": 0.97}, monkeypatch)
    assert (given.faults, given.recorded["alpha"].limit) == ({}, 0.97)


def test_a_run_that_failed_is_a_fault_of_its_net_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given = make_recording("alpha", "beta")
    record(given, {"alpha": math.nan, "beta": 0.98}, monkeypatch)
    assert given.faults == {"alpha": "reference run of seed 30000 diverged: NaN"}
    assert (list(given.recorded), given.writable) == (["beta"], True)


@pytest.mark.parametrize(
    ("recorded", "faults", "changed", "writable"),
    [
        (True, False, (), True),
        (True, True, (), True),
        (True, False, ("epochs 3 → 5",), True),
        (True, True, ("epochs 3 → 5",), False),  # the old reference of the one would stand beside the other's new
        (False, True, (), False),
        (False, False, (), False),
    ],
)
def test_what_is_written_is_of_one_kind(
    *, recorded: bool, faults: bool, changed: tuple[str, ...], writable: bool
) -> None:
    given = make_recording("alpha", "beta", before=[make_reference("beta")], changed=changed)
    given.recorded.update({"alpha": make_reference("alpha")} if recorded else {})
    given.faults.update({"beta": "seed 1 failed"} if faults else {})
    assert given.writable is writable


def test_what_nothing_registered_has_is_dropped_and_named() -> None:
    before = [make_reference(name) for name in ("gone", "alpha", "broken", "kept", "also gone")]
    given = make_recording("alpha", "broken", before=before, kept=("kept",))
    given.recorded["alpha"] = dataclasses.replace(make_reference("alpha", mean=0.99))
    given.faults["broken"] = "seed 1 failed"
    assert given.dropped == ["also gone", "gone"]
    assert set(given.thresholds().references) == {"alpha", "broken", "kept"}


@pytest.mark.parametrize(
    ("images", "file", "written"),
    [
        ("pets", "thresholds.toml", "./pets"),
        ("data/pets", "gate/pets.toml", "../data/pets"),
        ("data/pets.npz", "data/t.toml", "./pets.npz"),
    ],
)
def test_images_of_ones_own_are_written_as_seen_from_the_file(
    images: str, file: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(images).mkdir(parents=True)
    Path(file).parent.mkdir(exist_ok=True)
    given, reading = make_recording("alpha"), ReadingOptions(group_by="folder")
    given.baseline = dataclasses.replace(given.baseline, images=images, file=Path(file), reading=reading)
    record(given, {"alpha": 0.98}, monkeypatch)
    given.write(Path(file))
    found = read_thresholds(Path(file))
    assert (found.images, found.reading) == (written, reading)
    monkeypatch.chdir("/")
    assert found.find_images((tmp_path / file).parent) == str(tmp_path / images)
