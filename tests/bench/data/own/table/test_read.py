"""Tables of images: what their columns are, what is read, and which line is named when it is damaged."""

from __future__ import annotations

import gzip
import os
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from bench.core.errors import DataError
from bench.core.reading import ReadingOptions
from bench.data.own.table import csv_file
from bench.data.own.table.read import read_table
from tests.bench.data.own.same_images import PLAIN, TRAINING, csv_text, digits

if TYPE_CHECKING:
    from pathlib import Path

    from bench.data.own.parts import Parts

pytestmark = pytest.mark.usefixtures("no_network")


def read(path: Path, text: str | bytes | None = None, reading: ReadingOptions = PLAIN) -> Parts:
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(path, reading, lambda _done, _of: None)


def test_a_table_of_digits(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", csv_text())
    images, labels = digits()
    assert found.test is not None
    assert np.array_equal(found.pool.images, images[:TRAINING, None])
    assert np.array_equal(found.test.images, images[TRAINING:, None])
    assert found.test.labels.tolist() == labels[TRAINING:].tolist()
    assert (found.classes, found.validation, found.notes) == (tuple("0123456789"), None, ())


@pytest.mark.parametrize("chunk", [3 * 65, 7 * 65, 1 << 22])
def test_some_lines_at_a_time_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(csv_file, "CELLS", chunk)
    told: list[tuple[int, int]] = []
    (tmp_path / "a.csv").write_text(csv_text(split=False))
    found = read_table(tmp_path / "a.csv", PLAIN, lambda done, of: told.append((done, of)))
    assert np.array_equal(found.pool.images[:, 0], digits().images)
    assert len(told) == {3 * 65: 100, 7 * 65: 43}.get(chunk, 1)
    assert told[-1] == (300, 300)


def test_without_a_header_the_first_column_is_the_label(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv.gz", gzip.compress(csv_text(header=False, split=False).encode()))
    assert np.array_equal(found.pool.images[:, 0], digits().images)
    assert found.pool.labels.tolist() == digits().labels.tolist()
    assert found.notes == ("Without a header, the first column is taken for the label.",)


FOUR = "label,a,b,c,d\n"


@pytest.mark.parametrize(
    "text",
    [
        "label,a,b,c,d\n7,1,2,3,4\n9,5,6,7,8\n",
        "\ufefflabel,a,b,c,d\r\n7,1,2,3,4\r\n\r\n9,5,6,7,8\r\n\r\n",
        "a;b;CLASS;c;d\n1;2;7;3;4\n5;6;9;7;8",
        "1x1\t1x2\t2x1\t2x2\ttarget\n1\t2\t3\t4\t7\n5\t6\t7\t8\t9\n",
        'y,"0","1","2","3"\n7, 1,2.0,"3",4\n9.0,5,6,7e0,8\n',
        "id,label,name,p0,p1,p2,p3\n33,7,x.png,1,2,3,4\n44,9,y.png,5,6,7,8\n",
    ],
)
def test_tables_as_people_write_them(tmp_path: Path, text: str) -> None:
    found = read(tmp_path / "a.csv", text)
    assert found.pool.images.tolist() == [[[[1, 2], [3, 4]]], [[[5, 6], [7, 8]]]]
    assert (found.classes, found.pool.labels.tolist()) == (("7", "9"), [0, 1])


def test_classes_may_be_words_without_a_header(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", "dog,1,2,3,4\ncat,5,6,7,8\n")
    assert (found.classes, found.pool.labels.tolist()) == (("cat", "dog"), [1, 0])
    assert found.pool.images[:, 0].tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]


def test_columns_without_names_below_a_label_that_has_one_have_a_header(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", "label,0,1,2,3\n7,1,2,3,4\n9,5,6,7,8\n")
    assert found.pool.labels.tolist() == [0, 1]


def test_a_number_of_the_picture_is_no_pixel_though_all_columns_make_a_square(tmp_path: Path) -> None:
    head = "id,label," + ",".join(f"pixel{place}" for place in range(48))
    rows = [f"{number},{number},{','.join(['9'] * 48)}" for number in (1, 2)]
    found = read(tmp_path / "a.csv", "\n".join([head, *rows]), ReadingOptions(image_size=(4, 4)))
    assert found.pool.images.shape == (2, 3, 4, 4)
    assert found.notes[0] == "Columns that are no pixels were left out: id."
    with pytest.raises(DataError, match=r"48 columns beside the label, which are no square .* say --image-size 4"):
        read(tmp_path / "a.csv", "\n".join([head, *rows]))


def test_columns_that_are_no_pixels_are_said(tmp_path: Path) -> None:
    text = "id,label,p0,p1,p2,p3\n33,0,1,2,3,4\n44,1,5,6,7,8\n"
    assert read(tmp_path / "a.csv", text).notes == ("Columns that are no pixels were left out: id.",)


def test_names_groups_and_parts(tmp_path: Path) -> None:
    text = (
        "set,label,patient,a,b,c,d\n"
        'train,"dog, small",p1,1,1,1,1\nTRAIN,cat,p2,2,2,2,2\nvalidation,cat,p3,3,3,3,3\n'
        'Testing,"dog, small",p1,4,4,4,4\n'
    )
    found = read(tmp_path / "a.csv", text, ReadingOptions(group_by="patient"))
    assert found.validation is not None
    assert found.test is not None
    assert found.classes == ("cat", "dog, small")
    parts = (found.pool, found.validation, found.test)
    assert [part.images[:, 0, 0, 0].tolist() for part in parts] == [[1, 2], [3], [4]]
    assert [part.labels.tolist() for part in parts] == [[1, 0], [0], [1]]
    assert [part.groups for part in parts] == [["p1", "p2"], ["p3"], ["p1"]]


def test_fractions_in_the_last_line_make_all_floats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "CELLS", 5)
    found = read(tmp_path / "a.csv", FOUR + "0,0,1,0,1\n1,1,0,0,0\n0,0.2,0.4,0.6,0.8\n")
    assert found.pool.images[:, 0].reshape(3, 4).tolist() == [[0, 255, 0, 255], [255, 0, 0, 0], [51, 102, 153, 204]]
    assert found.notes == ("Pixels are floats from 0 to 1, times 255.",)


def test_a_size_tells_the_shape(tmp_path: Path) -> None:
    row = ",".join(map(str, range(1, 13)))
    head = "label," + ",".join(f"p{place}" for place in range(12)) + "\n"
    text = f"{head}0,{row}\n1,{row}\n"
    found = read(tmp_path / "a.csv", text, ReadingOptions(image_size=(4, 3)))
    assert found.pool.images[0].tolist() == [[[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]]
    found = read(tmp_path / "a.csv", text, ReadingOptions(image_size=(2, 2)))
    assert found.pool.images[0].tolist() == [[[1, 4], [7, 10]], [[2, 5], [8, 11]], [[3, 6], [9, 12]]]
    assert found.notes == ("Columns were taken for red, green and blue of one pixel after the other.",)
    with pytest.raises(DataError, match=r"12 columns .* no square .* one pixel after the other, say --image-size 2\."):
        read(tmp_path / "a.csv", text)
    found = read(tmp_path / "a.csv", text, ReadingOptions(image_size=(5, 5)))
    assert found.pool.images.shape == (2, 3, 5, 5), "twelve are a square of 2×2 in colour, brought to another size"
    text = f"{head.strip()},p12\n0,{row},1\n1,{row},1\n"
    with pytest.raises(DataError, match="nor 1 or 3 times the pixels of --image-size 5x5"):
        read(tmp_path / "a.csv", text, ReadingOptions(image_size=(5, 5)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; a line for each image"),
        ("\n \n", "is empty; a line for each image"),
        (FOUR, "has a header and no line below it"),
        (FOUR + "0,1,2,3,4\n1,1,2,3\n", r"a\.csv', line 3 has 4 columns, the first has 5; mend that line"),
        (FOUR + "0,1,2,3,4\n\n1,1,2,3,4,5\n", r"line 4 has 6 columns, the first has 5"),
        (FOUR + '0,1,2,3,4\n1,"1,2,3,4\n', r"line 3 has 0 columns"),
        (FOUR + "0,1,2,3,4\n1,1,2,,4\n", r"line 3: column 'c' is empty; pixels are numbers from 0 to 255"),
        (FOUR + "0,1,2,3,4\n1,1,x<b>,3,4\n", r"line 3: column 'b' is 'x<b>'"),
        (FOUR + "0,1,2,3,4\n1,1,2,3,256\n", r"line 3: column 'd' is '256'"),
        (FOUR + "0,1,2,3,4\n1,1,2,-1,4\n", r"line 3: column 'c' is '-1'"),
        (FOUR + "0,1,2,3,4\n1,1,nan,3,4\n", r"line 3: column 'b' is 'nan'"),
        (FOUR + "0,1,2,3,4\n1,1,NA,3,4\n", r"line 3: column 'b' is 'NA'"),
        (FOUR + "0,1,2,3,4\n1,1,1_0,3,4\n", r"line 3: column 'b' is '1_0'"),
        (FOUR + "0,1,2,3,4\n1,True,True,False,True\n", r"line 3: column 'a' is 'True'"),
        (FOUR + "0,True,True,False,True\n", r"line 2: column 'a' is 'True'"),
        (FOUR + "0,1,2,3,4\n1,1,inf,3,4\n", r"line 3: column 'b' is 'inf'"),
        (FOUR + "0,1,2,3,4\n ,1,2,3,4\n", r"line 3: column 'label' is empty; one word is needed"),
        (FOUR + "0,1,2,3,4\n" + "x" * 1_001 + ",1,2,3,4\n", "line 3: column 'label' has 1,001 characters"),
        ("0,1,2,3,4\n1,1,2,3,x\n", "line 2: column 5 is 'x'"),
        ("id,a,b,c,d\n1,1,2,3,4\n", r"has no column 'label' .*in line 1 \(id, a, b, c, d\); name the column"),
        ("label,class,a,b,c,d\n0,0,1,2,3,4\n", "columns 'label' and 'class', each of which could be the label"),
        (
            "label,a,b,c\n0,1,2,3\n",
            "has 3 columns beside the label, .*; if they are red, green and blue .*--image-size 1",
        ),
        ("label,a,b\n0,1,2\n", "has 2 columns beside the label, which are no square of pixels; say height and width"),
        ("label,split,a,b,c,d\n0,tarin,1,2,3,4\n", "line 2: the part is 'tarin'; train, val or test is needed"),
        ("label,split,a,b,c,d\n0,test,1,2,3,4\n", "has no line of part train"),
        (b"label,a,b,c,d\nb\xe4r,1,2,3,4\n", "is no UTF-8 text"),
        ((FOUR + "0,1,2,3,4\n").encode("utf-16"), "is no UTF-8 text"),
    ],
)
def test_a_damaged_table_is_one_line_that_names_its_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read(tmp_path / "a.csv", text)
    assert str(tmp_path / "a.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "group", "said"),
    [
        (csv_text(header=False, split=False), "patient", "has no header that names columns"),
        ("label,id,a1,b1,c1,d1\n0,1,1,2,3,4\n", "patient", "has no such column; it has label and id"),
        ("label,a,b,c,d\n0,1,2,3,4\n", "label", "that column of .* is the label or the part"),
        ("label,p,a1,b1,c1,d1\n0,,1,2,3,4\n", "p", "line 2: column 'p' is empty"),
    ],
)
def test_groups_that_cannot_be_had(tmp_path: Path, text: str, group: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(tmp_path / "a.csv", text, ReadingOptions(group_by=group))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"label,a\n", "Not a gzipped file"),
        (gzip.compress(csv_text().encode())[:-20], "damaged"),
        (gzip.compress(b"0," * 40_000_000), "has 67,108,864 characters or more; is it a table?"),
    ],
)
def test_compressed_tables_that_are_damaged(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(tmp_path / "a.csv.gz", content)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "b.csv").mkdir()
    for name, said in (("a.csv", "not a regular file"), ("b.csv", "Is a directory"), ("c.csv", "No such file")):
        with pytest.raises(DataError, match=said):
            read(tmp_path / name)


def test_parquet_is_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "a.csv").write_text(csv_text())
    frame = pd.read_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    found, expected = read(tmp_path / "a.parquet"), read(tmp_path / "a.csv")
    assert found.test is not None
    assert expected.test is not None
    assert np.array_equal(found.pool.images, expected.pool.images)
    assert found.test.labels.tolist() == expected.test.labels.tolist()
    damages: list[tuple[pd.DataFrame, str]] = [
        (frame.assign(pixel3=np.where(np.arange(300) == 0, np.nan, 1)), r"row 1: column 'pixel3' is empty"),
        (frame.assign(pixel3=[*[1] * 299, 300]), r"row 300: column 'pixel3' is '300'"),
        (frame.assign(pixel3="a"), r"column 'pixel3' holds .*string, no pixels"),
        (frame.assign(label=np.where(np.arange(300) == 299, "", "a")), r"row 300: column 'label' is empty"),
        (frame.iloc[:0], "has no row"),
    ]
    for damaged, said in damages:
        damaged.to_parquet(tmp_path / "b.parquet")
        with pytest.raises(DataError, match=said):
            read(tmp_path / "b.parquet")
    with pytest.raises(DataError, match="is no Parquet file, or is damaged"):
        read(tmp_path / "c.parquet", csv_text())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="needs the package 'pyarrow', which is not installed; pip install pyarrow"):
        read(tmp_path / "a.parquet")
