"""Every fault of a thresholds file is one line: file, line number, value and the way out."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bench.core.errors import ThresholdsError
from bench.studies.gate.thresholds import read_thresholds, write_thresholds
from tests.bench.studies.gate.examples import (
    NORMAL,
    TEXT,
    deviation_of,
    make_measurement,
    make_reference,
    make_thresholds,
)

if TYPE_CHECKING:
    from pathlib import Path

WAY_OUT = "; fix it, or move the file away and record anew with --write-thresholds."


def write(folder: Path, text: str) -> Path:
    path = folder / "thresholds.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ThresholdsError) as caught:
        read_thresholds(path)
    said = str(caught.value)
    assert "\n" not in said
    assert str(path) in said
    return said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("version = 1", "version = 2", "line 2, version: 2 is found, 1 was expected"),
        ("version = 1\n", "", "line 1, top: 'version' is a required property"),
        ("device = \"cpu\"\n", "", "line 4, gate: 'device' is a required property"),
        ('"cpu"', '"cpu"\nimages = ""', "line 8, gate.images: '' should be non-empty"),
        ('"cpu"', '"cpu"\nreading.fit = "stretch"', "line 8, gate.reading.fit: 'stretch' is not one of"),
        ('"cpu"', '"cpu"\nreading.image_size = [32]', "line 8, gate.reading.image_size: [32] is too short"),
        ('"cpu"', '"cpu"\nreading.image_size = [32, 9000]', "line 8, gate.reading: --image-size 32x9000: height and"),
        ("mean = 0.98\n", "", "line 14, architectures.bn25k: 'mean' is a required property"),
        ("first_seeds = [20000, 20001, 20002]\n", "", "line 14, architectures.bn25k: 'first_seeds' is a required"),
        ('device = "cpu"', 'device = "gpu"', "line 7, gate.device: 'gpu' is not one of ['cpu', 'cuda', 'mps']"),
        ("mean = 0.98", 'mean = "98 %"', "line 15, architectures.bn25k.mean: '98 %' is not of type 'number'"),
        ("mean = 0.98", "mean = 98.0", "line 15, architectures.bn25k.mean: 98.0 is greater than the maximum of 1"),
        ("mean = 0.98", "mean = true", "line 15, architectures.bn25k.mean: True is not of type 'number'"),
        ("mean = 0.98", "mean = nan", "line 15, architectures.bn25k.mean: nan is no finite number"),
        ("mean = 0.98", "mean = inf", "line 15, architectures.bn25k.mean: inf is greater than the maximum of 1"),
        ("deviation = 0.002", "deviation = nan", "line 16, architectures.bn25k.deviation: nan is no finite number"),
        ("deviation = 0.002", "deviation = 0.0", "line 16, architectures.bn25k.deviation: 0.0 is less than or equal"),
        ("accuracy = 0.97", "accuracy = nan", "line 25, architectures.bn25k.floors.accuracy: nan is no finite number"),
        ("accuracy = 0.97", "epochs_to_95 = inf", "floors.epochs_to_95: inf is no finite number"),
        ("lr = 0.006", "lr = nan", "line 11, gate.recipe.lr: nan is no finite number"),
        ("runs = 30", "runs = 5", "line 17, architectures.bn25k.runs: 5 is less than the minimum of 6"),
        ("runs = 30", "runs = 30.0", "line 17, architectures.bn25k.runs: 30.0 is not of type 'integer'"),
        ("epochs = 3", "epochs = 3.0", "line 8, gate.epochs: 3.0 is not of type 'integer'"),
        ("batch_size = 128", "batch_size = 128.0", "line 12, gate.recipe.batch_size: 128.0 is not of type 'integer'"),
        ("[20000, 20001, 20002]", "[20000.0, 20001, 20002]", "line 22, architectures.bn25k.first_seeds.0: 20000.0 is"),
        ("[20000, 20001, 20002]", "[20000, 20001]", "line 22, architectures.bn25k.first_seeds: [20000, 20001] is too"),
        ("[20000, 20001, 20002]", "[1, 20001, 20002]", "line 22, architectures.bn25k.first_seeds.0: 1 is less than"),
        ("[20000, 20001, 20002]", "[20000, 20000, 20002]", "has non-unique elements"),
        ('"2026-11-21"', '"yesterday"', "line 21, architectures.bn25k.recorded: 'yesterday' does not match"),
        ("macs =", "macros =", "line 14, architectures.bn25k: "),
        ("[gate.recipe]", "[gate.recipes]", "line 4, gate: "),
        (
            "accuracy = 0.97", "acuracy = 0.97",
            "line 25, architectures.bn25k.floors.acuracy: No field 'acuracy'. Did you mean 'accuracy'?",
        ),
        ("accuracy = 0.97", "accuracy = 0.981", "floors.accuracy: the floor 0.981 lies above the references'"),
        ("lr = 0.006", 'schedule = "cosin"', "gate.recipe: No schedule 'cosin'. Did you mean 'cosine'?"),
        ("lr = 0.006", "lr = -1", "line 10, gate.recipe: learning rate is -1; it must be above 0"),
        ("lr = 0.006", 'augmentation = "blur:2"', "gate.recipe: No augmentation 'blur'"),
        ("lr = 0.006", 'augmentation = "shift:x"', "gate.recipe: Augmentation 'shift:x': 'x' is no number"),
        ("[architectures.bn25k]", '[architectures."a\\nb"]\n[architectures.bn25k]', "'mean' is a required property"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line_with_its_place_its_value_and_the_way_out(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in TEXT
    message = refusal(write(tmp_path, TEXT.replace(old, new, 1)))
    assert said in message
    assert message.endswith((WAY_OUT, WAY_OUT.replace("; fix", "? Fix")))
    assert "thresholds.toml, line " in message


def test_a_fault_in_the_history_has_the_line_of_its_entry(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    reference = dataclasses.replace(make_reference(), history=(make_measurement(), make_measurement(mean=0.9)))
    write_thresholds(path, make_thresholds(reference))
    lines = path.read_text().splitlines()
    at = lines.index("mean = 0.9")
    lines[at] = "mean = -0.9"
    said = refusal(write(tmp_path, "\n".join(lines)))
    assert f"line {at + 1}, architectures.bn25k.history.1.mean: -0.9 is less than the minimum of 0" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = \n", "is no TOML: Invalid value (at line 1, column 11)"),
        (TEXT + "mean = 1\nmean = 2\n", "is no TOML: Cannot overwrite a value (at line 27"),
        (TEXT.replace("runs = 30", "runs = 30 MACs"), "(at line 17"),
        ("<<<<<<< HEAD\n" + TEXT, "is no TOML: Invalid statement (at line 1, column 1)"),
        ("", "line 1, top: 'version' is a required property"),
    ],
)
def test_what_is_no_toml_says_where(tmp_path: Path, text: str, said: str) -> None:
    message = refusal(write(tmp_path, text))
    assert said in message
    assert message.endswith(WAY_OUT)


def test_lists_nested_without_end_are_one_line_too(tmp_path: Path) -> None:
    assert "is no TOML" in refusal(write(tmp_path, "x = " + "[" * 10 * sys.getrecursionlimit()))


def test_bytes_a_folder_and_nothing_are_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    said = refusal(path)
    assert said == f"No thresholds at '{path}'; --write-thresholds {path} in place of --check records them."
    path.write_bytes(b"version = 1 # \xff")
    assert refusal(path) == f"'{path}' is no text{WAY_OUT}"
    with pytest.raises(ThresholdsError, match="is no text"):
        write_thresholds(path, make_thresholds(make_reference()))
    assert path.read_bytes() == b"version = 1 # \xff", "what cannot be read is not written over"
    assert refusal(tmp_path) == f"'{tmp_path}' cannot be read (Is a directory); name another file."


def test_a_broken_file_is_not_written_over(tmp_path: Path) -> None:
    path = write(tmp_path, "version = [")
    with pytest.raises(ThresholdsError, match=r"is no TOML: .*; fix it") as caught:
        write_thresholds(path, make_thresholds(make_reference()))
    assert "\n" not in str(caught.value)
    assert path.read_text() == "version = ["


def test_a_file_that_watches_nothing_is_refused(tmp_path: Path) -> None:
    text = TEXT.partition("[architectures.bn25k]")[0] + "[architectures]\n"
    said = refusal(write(tmp_path, text))
    assert f"line {len(text.splitlines())}, architectures: {{}} should be non-empty" in said
    assert said.endswith(WAY_OUT)


@pytest.mark.parametrize(
    "spelling",
    ["[architectures]\nbn25k = {%s} # by hand\n", "[architectures]\nother = {%s} # by hand\nbn25k = {%s}\n"],
)
def test_an_entry_in_one_line_is_refused_and_stays_as_it_was(tmp_path: Path, spelling: str) -> None:
    head, _, body = TEXT.partition("[architectures.bn25k]\n")
    fields = ", ".join(body.partition("\n\n")[0].splitlines())
    path = write(tmp_path, head + spelling.replace("%s", fields))
    before = read_thresholds(path)
    old, text = before.references["bn25k"], path.read_text()
    renewed = dataclasses.replace(old, now=make_measurement(mean=0.99), history=(old.now,))
    with pytest.raises(ThresholdsError) as caught:
        write_thresholds(path, dataclasses.replace(before, references={**before.references, "bn25k": renewed}))
    assert str(caught.value) == (
        f"'{path}' is written in a way that cannot be brought up to date (tables in one line, say); move it away and "
        "record again: what was trained is stored."
    )
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs = 3", "epochs = 12", "while [gate] says 'mnist5k, 12 epochs, shared, cpu'"),
        ("lr = 0.006", "lr = 0.003", "while [gate] says 'mnist5k, 3 epochs, shared lr=0.003, cpu'"),
        ('trained = "mnist5k, 3', 'trained = "mnist5k, 4', "recorded with 'mnist5k, 4 epochs, shared, cpu', while"),
    ],
)
def test_references_of_another_training_than_the_file_says_are_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "thresholds.toml"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(ThresholdsError, match=r"thresholds\.toml, line \d+, architectures\.bn25k\.trained: ") as caught:
        read_thresholds(path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accuracies": NORMAL[:29]}, "29 accuracies stand beside runs = 30"),
        ({"accuracies": (0.9, *NORMAL[1:])}, "their mean is 0.977475, beside mean = 0.98"),
        ({"accuracies": (0.97, *NORMAL[1:29], 0.99), "deviation": 0.002}, "their deviation is 0.003101, beside"),
        ({"accuracies": NORMAL, "deviation": 0.01}, "beside deviation = 0.01"),
    ],
)
def test_accuracies_of_other_runs_than_mean_and_deviation_are_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = tmp_path / "thresholds.toml"
    good = make_reference(deviation=deviation_of(NORMAL), accuracies=NORMAL)
    write_thresholds(path, make_thresholds(good))
    lines = path.read_text().splitlines()
    for key, value in changes.items():
        at = next(at for at, line in enumerate(lines) if line.startswith(key))
        lines[at] = f"{key} = {list(value) if isinstance(value, tuple) else value}"
    at = next(at for at, line in enumerate(lines, 1) if line.startswith("accuracies"))
    message = refusal(write(tmp_path, "\n".join(lines)))
    assert f"line {at}, architectures.bn25k.accuracies: " in message
    assert said in message
    assert message.endswith(WAY_OUT)


def test_equal_accuracies_stand_beside_the_deviation_of_one_image(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    equal = make_reference(deviation=0.00125, accuracies=(0.98,) * 30, allowed=1.5)
    write_thresholds(path, make_thresholds(equal))
    assert read_thresholds(path).references["bn25k"].now.accuracies == (0.98,) * 30


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("allowed = 1.4", "allowed: 1.4 is less than the minimum of 1.5"),
        ("allowed = 7", "allowed: 7 is greater than the maximum of 6"),
        ("accuracies = [0.98, 1.1, 0.98, 0.98, 0.98, 0.98]", "accuracies.1: 1.1 is greater than the maximum of 1"),
        ("accuracies = [0.98]", "accuracies: [0.98] is too short"),
        ("accuracies = []", "accuracies: [] "),
        ("allowed = nan", "allowed: nan is no finite number"),
    ],
)
def test_a_limit_or_accuracies_that_cannot_be_are_refused(tmp_path: Path, line: str, said: str) -> None:
    message = refusal(write(tmp_path, TEXT.replace("runs = 30", f"runs = 30\n{line}", 1)))
    assert f"architectures.bn25k.{said}" in message
    assert message.endswith(WAY_OUT)


def test_the_file_of_a_net_is_no_file_of_thresholds(tmp_path: Path) -> None:
    with pytest.raises(ThresholdsError, match=r"mine\.py' is the file of a net; write --arch .*mine\.py --check\."):
        read_thresholds(tmp_path / "mine.py")
