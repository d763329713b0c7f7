"""The thresholds file: what is written is read again, and what people wrote stays."""

from __future__ import annotations

import dataclasses
import statistics
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import ThresholdsError
from bench.core.reading import ReadingOptions
from bench.core.recipe import Recipe
from bench.core.work.gate import Floors
from bench.studies.gate.thresholds import read_thresholds, write_thresholds
from tests.bench.studies.gate.examples import (
    LEFT_TAIL,
    TEXT,
    deviation_of,
    make_measurement,
    make_reference,
    make_thresholds,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bench.core.work.gate import Measurement


def write(folder: Path, text: str) -> Path:
    path = folder / "thresholds.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_written_by_hand_is_read(tmp_path: Path) -> None:
    found = read_thresholds(write(tmp_path, TEXT))
    assert (found.dataset, found.data_hash, found.device, found.epochs) == ("mnist5k", "da7a", "cpu", 3)
    assert found.recipe == Recipe(lr=0.006, batch_size=128)
    reference = found.references["bn25k"]
    bare = make_measurement(commit="", torch="", architecture_hash="")
    assert reference == dataclasses.replace(make_reference(floors=Floors(accuracy=0.97)), now=bare)
    assert reference.limit == pytest.approx(0.977)  # 0.98 − 1.5 · 0.002, above the floor


def test_everything_comes_back(tmp_path: Path) -> None:
    recipe = Recipe(
        optimizer="sgd", lr=1 / 3, schedule="plateau", nesterov=True, weight_decay=1e-4, label_smoothing=0.1,
        augmentation=(("shift", 2.0), ("rotation", 7.5)), patience=4, stop_at_accuracy=0.995, keep="best",
    )  # fmt: skip
    history = (
        make_measurement(mean=0.97, recorded="2026-03-01", engine="lanes"),
        make_measurement(mean=0.96, recorded="2026-02-01"),
    )
    old = dataclasses.replace(make_reference(mean=1 / 3, deviation=1e-5, engine="lanes"), history=history)
    given = make_thresholds(make_reference("lenet21k"), old, recipe=recipe, epochs=40, device="cuda")
    path = tmp_path / "new" / "gate.toml"
    path.parent.mkdir()
    write_thresholds(path, given)
    assert read_thresholds(path) == given
    assert path.read_text().count('engine = "lanes"') == 2
    assert 'engine = "torch"' not in path.read_text(), "a file from before there were two engines stays as it is"
    before = path.read_bytes()
    write_thresholds(path, given)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("images", "reading"),
    [
        ("./pets", ReadingOptions()),
        ("../data/pets", ReadingOptions(image_size=(28, 40), fit="pad", skip_broken=True, group_by="patient")),
        ("mnist", ReadingOptions(image_size=(32, 32), drop_duplicates=True)),
    ],
)
def test_what_a_dataset_is_made_of_comes_back_and_goes(images: str, reading: ReadingOptions, tmp_path: Path) -> None:
    path = write(tmp_path, TEXT)
    plain = read_thresholds(path)
    write_thresholds(path, plain)
    text = path.read_text()
    made = dataclasses.replace(plain, images=images, reading=reading)
    write_thresholds(path, made)
    assert read_thresholds(path) == made
    write_thresholds(path, plain)
    assert read_thresholds(path) == plain
    assert path.read_text() == text


def with_tail(**changes: Any) -> Measurement:
    """References with a left tail that were kept, and the limit that they ask for."""
    fields = {"mean": round(statistics.fmean(LEFT_TAIL), 6), "deviation": deviation_of(LEFT_TAIL)}
    return make_measurement(**fields | {"accuracies": LEFT_TAIL, "allowed": 2.45} | changes)


def test_accuracies_and_a_widened_limit_come_back_and_stay_with_floors_and_comments(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT + "# the end\n")
    before = read_thresholds(path)
    old = before.references["bn25k"]
    assert (old.now.allowed, old.now.accuracies) == (1.5, ()), "a file from before there were such is as good"
    earlier = dataclasses.replace(old.now, allowed=2.0)
    renewed = dataclasses.replace(old, now=with_tail(), history=(earlier, old.now))
    write_thresholds(path, dataclasses.replace(before, references={"bn25k": renewed}))
    found = read_thresholds(path).references["bn25k"]
    assert found == renewed
    assert found.limit == pytest.approx(found.now.mean - 2.45 * found.now.deviation)
    text = path.read_text()
    assert text.count("allowed = ") == 2, "1.5 of a measurement without accuracies is not written"
    for line in ("# Reviewed by people.", "accuracy = 0.97  # what the customer was promised", "# the end"):
        assert line in text.splitlines()
    write_thresholds(path, read_thresholds(path))
    assert path.read_text() == text


def test_a_net_whose_entry_stays_gets_no_new_lines(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    write_thresholds(path, make_thresholds(make_reference()))
    before, text = read_thresholds(path), path.read_text()
    other = dataclasses.replace(make_reference("tail"), now=with_tail())
    write_thresholds(path, dataclasses.replace(before, references={**before.references, "tail": other}))
    assert path.read_text().startswith(text)
    assert read_thresholds(path).references["tail"] == other


def test_a_floor_above_a_widened_limit_is_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    write_thresholds(path, make_thresholds(dataclasses.replace(make_reference("tail"), now=with_tail())))
    path.write_text(path.read_text() + "\n[architectures.tail.floors]\naccuracy = 0.976\n")
    assert read_thresholds(path).references["tail"].limit == 0.976


def test_comments_floors_and_order_stay_when_it_is_recorded_again(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT + "# the end\n")
    before = read_thresholds(path)
    old = before.references["bn25k"]
    renewed = dataclasses.replace(old, now=make_measurement(mean=0.99), history=(old.now,))
    references = {"alpha": make_reference("alpha"), "bn25k": renewed}
    write_thresholds(path, dataclasses.replace(before, references=references))
    text = path.read_text()
    for line in ("# Reviewed by people.", "accuracy = 0.97  # what the customer was promised", "# the end"):
        assert line in text.splitlines()
    assert text.index("bn25k]") < text.index("alpha]")
    found = read_thresholds(path).references
    assert found == {"bn25k": dataclasses.replace(renewed, floors=Floors(accuracy=0.97)), "alpha": references["alpha"]}
    twice = dataclasses.replace(renewed, now=make_measurement(mean=0.991), history=(renewed.now, old.now))
    write_thresholds(path, dataclasses.replace(before, references={"alpha": references["alpha"], "bn25k": twice}))
    again = read_thresholds(path).references["bn25k"]
    assert [measured.mean for measured in (again.now, *again.history)] == [0.991, 0.99, 0.98]
    assert again.floors == Floors(accuracy=0.97)
    assert "# what the customer was promised" in path.read_text()


def test_what_did_not_change_stays_as_it_was_spelt(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT.replace("macs = 1034000", "macs   = 1_034_000 # twice a"))
    before = read_thresholds(path)
    now = dataclasses.replace(before.references["bn25k"].now, mean=0.99)
    renewed = dataclasses.replace(before.references["bn25k"], now=now)
    write_thresholds(path, dataclasses.replace(before, references={"bn25k": renewed}))
    lines = path.read_text().splitlines()
    assert "macs   = 1_034_000 # twice a" in lines
    assert [line for line in lines if line.startswith("mean")] == ["mean = 0.99"]


@pytest.mark.parametrize(
    "floors",
    [
        "floors = {accuracy = 0.97, epochs_to_95 = 1.5} # by hand",
        "floors.accuracy = 0.97 # by hand\nfloors.epochs_to_95 = 1.5",
        "[architectures.bn25k.floors]\naccuracy = 0.97\nepochs_to_95 = 1.5 # by hand",
        "[architectures.zeta]\n[architectures.bn25k.floors] # by hand\naccuracy = 0.97\nepochs_to_95 = 1.5",
    ],
)
def test_floors_stay_however_they_are_spelt(tmp_path: Path, floors: str) -> None:
    body = TEXT.partition("[architectures.bn25k]")[2].partition("[architectures.bn25k.floors]")[0]
    other = f"[architectures.zeta]{body}"
    text = TEXT.partition("[architectures.bn25k.floors]")[0] + floors.replace("[architectures.zeta]\n", other) + "\n"
    path = write(tmp_path, text)
    before = read_thresholds(path)
    old = before.references["bn25k"]
    renewed = dataclasses.replace(old, now=make_measurement(mean=0.99), history=(old.now,))
    expected = {**before.references, "bn25k": renewed}
    write_thresholds(path, dataclasses.replace(before, references=expected))
    assert read_thresholds(path).references == expected
    assert renewed.floors == Floors(accuracy=0.97, epochs_to_95=1.5)
    assert "# by hand" in path.read_text()


def test_what_is_no_longer_recorded_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    write_thresholds(path, make_thresholds(make_reference("a"), make_reference("b"), make_reference("c")))
    write_thresholds(path, make_thresholds(make_reference("a"), make_reference("c")))
    assert list(read_thresholds(path).references) == ["a", "c"]
    assert "[architectures.b]" not in path.read_text()


def test_a_new_file_says_what_it_is_in_comments(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    write_thresholds(path, make_thresholds(make_reference()))
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# What `runner.py --check`")
    assert sum(line.startswith("#") for line in lines) == len([line for line in lines if "#" in line])
    assert tomllib.loads(path.read_text())["version"] == 1


def test_a_default_of_a_later_version_changes_no_gate(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    write_thresholds(path, make_thresholds(make_reference()))
    stored = tomllib.loads(path.read_text())["gate"]["recipe"]
    unset = {"patience", "stop_at_accuracy"}
    assert set(stored) == {field.name for field in dataclasses.fields(Recipe)} - unset


NAMES = st.text(min_size=1, max_size=80).filter(lambda name: name.strip() != "" and name.isprintable())


@settings(deadline=None, max_examples=60, derandomize=True)
@given(names=st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_whatever_an_architecture_is_called(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("names") / "thresholds.toml"
    given = make_thresholds(*(make_reference(name, trained=f"3 epochs, {name}") for name in names))
    write_thresholds(path, given)
    assert read_thresholds(path) == given
    newer = make_thresholds(*(make_reference(name, mean=0.99) for name in names))
    write_thresholds(path, newer)
    assert read_thresholds(path) == newer


@pytest.mark.parametrize(
    "name", ["bn25k hidden=32 dropout=0.1", "a.b", 'say "x"', "it's", "a # b", "]", "é😀", "\\u0041"]
)
def test_odd_names_that_an_architecture_may_have(tmp_path: Path, name: str) -> None:
    path = tmp_path / "thresholds.toml"
    for mean in (0.98, 0.97):
        given = make_thresholds(make_reference(name, mean=mean), make_reference("plain"))
        write_thresholds(path, given)
        assert read_thresholds(path) == given
    text = path.read_text().replace("mean = 0.97", "mean = 97", 1)
    at = text.splitlines().index("mean = 97") + 1
    with pytest.raises(ThresholdsError) as caught:
        read_thresholds(write(tmp_path, text))
    assert f"line {at}, architectures.{name}.mean: 97 is greater" in str(caught.value)
