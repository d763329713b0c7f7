"""Datasets that a Python file declares, and what becomes of a file that raises, prints, ends or changes the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from bench.core.errors import DataError
from bench.core.reading import ReadingOptions
from bench.data.own.arrays.declared import read_declared
from bench.spec import ImageData
from tests import ROOT
from tests.bench.data.own.same_images import PLAIN

if TYPE_CHECKING:
    from pathlib import Path

    from bench.data.own.parts import Parts

pytestmark = pytest.mark.usefixtures("no_network")

HEAD = "import numpy as np\nfrom bench.spec import ImageData\nX = np.arange(96).reshape(6, 4, 4)\ny = [0, 1] * 3\n"
"""Four lines."""


def read(folder: Path, text: str, reading: ReadingOptions = PLAIN) -> Parts:
    (folder / "mine.py").write_text(textwrap.dedent(text))
    return read_declared(folder / "mine.py", reading, lambda _done, _of: None)


def test_arrays(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD + "DATASET = ImageData(images=X, labels=y)\n")
    assert found.pool.images.tolist() == np.arange(96).reshape(6, 1, 4, 4).tolist()
    assert (found.pool.labels.tolist(), found.pool.groups) == ([0, 1] * 3, None)
    assert (found.test, found.validation, found.classes) == (None, None, ("0", "1"))


def test_everything(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        HEAD + "DATASET = ImageData(images=(X / 255).tolist(), labels=y, test_images=X / 96, test_labels=y[::-1], "
        "validation_images=X[:2] / 96, validation_labels=[1, 0], groups=[1, 1, 2, 2, 3, 3], classes=['no', 'yes'])\n",
    )
    assert found.validation is not None
    assert found.test is not None
    assert found.pool.images.ravel().tolist() == list(range(96))
    assert (found.test.labels.tolist(), found.validation.labels.tolist()) == ([1, 0] * 3, [1, 0])
    assert (found.classes, found.pool.groups) == (("no", "yes"), ["1", "1", "2", "2", "3", "3"])


def test_a_function_a_neighbour_and_tensors(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text(HEAD)
    text = """
        import torch
        from neighbour import X, y, ImageData

        def load():
            return ImageData(images=torch.tensor(X).to(torch.uint8), labels=torch.tensor(y))

        DATASET = ImageData(load=load)
    """
    assert read(tmp_path, text).pool.images.ravel().tolist() == list(range(96))
    assert "neighbour" not in sys.modules


def test_names_of_pandas_are_text_though_they_are_objects(tmp_path: Path) -> None:
    labels = "np.array(['b', 'a'] * 3, dtype=object)"
    found = read(tmp_path, HEAD + f"DATASET = ImageData(images=X, labels={labels})\n")
    assert (found.classes, found.pool.labels.tolist()) == (("a", "b"), [1, 0] * 3)


def test_classes_without_an_image_are_left_out(tmp_path: Path) -> None:
    for labels, classes in (("[0, 2] * 3", ("a", "c")), ("['c', 'a'] * 3", ("c", "a"))):
        order = ["a", "b", "c"] if labels.startswith("[0") else ["c", "b", "a"]
        found = read(tmp_path, HEAD + f"DATASET = ImageData(images=X, labels={labels}, classes={order})\n")
        assert (found.classes, found.pool.labels.tolist()) == (classes, [0, 1] * 3)
        assert found.notes == ("No image is of class b: left out.",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"mine\.py' declares no DATASET; add DATASET = ImageData\(images=…, labels=…\) at module level"),
        (HEAD + "data = ImageData(images=X, labels=y)", "declares no DATASET; call data so, or add"),
        ("DATASET = {'images': []}", "DATASET is a dict, no ImageData; add"),
        ("x = 1\n\nraise ValueError('a\\nb')", r"mine\.py', line 3 raised ValueError: a; fix it and run again"),
        ("import sys\nsys.exit(3)", r"mine\.py', line 2 raised SystemExit: 3"),
        ("x = 1\nraise KeyboardInterrupt", r"line 2 raised KeyboardInterrupt"),
        ("import nowhere_at_all", r"line 1 raised ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("x = (1,\n", r"mine\.py', line 1: syntax error, '\(' was never closed"),
        ("x = '\0'", "source code .*cannot contain null bytes"),
        (HEAD + "def load():\n    return 1 / 0\nDATASET = ImageData(load=load)", r"line 6 raised ZeroDivisionError"),
        (HEAD + "DATASET = ImageData(load=lambda: X)", "the load of DATASET returns a ndarray; return ImageData"),
        (
            HEAD + "DATASET = ImageData(load=lambda: DATASET)",
            "the load of DATASET returns another function to load by",
        ),
        (HEAD + "DATASET = ImageData(images=X)", r"mine\.py', line 5: ImageData has no labels; images and labels come"),
        (HEAD + "DATASET = ImageData()", "line 5: ImageData has no images and no labels"),
        (HEAD + "DATASET = ImageData(images=X, labels=y, test_labels=y)", "line 5: ImageData has no test_images"),
        (HEAD + "DATASET = ImageData(images=X, load=len)", r"line 5: ImageData\(load=…\) has images too"),
        (HEAD + "DATASET = ImageData(load=3)", "has '3', which is no function"),
        (HEAD + "DATASET = ImageData(images=X, labels=y[:5])", "6 images in images of DATASET .* but 5 labels"),
        (HEAD + "DATASET = ImageData(images=[[1], [2, 3]], labels=y)", "images of DATASET is no array"),
        (HEAD + "DATASET = ImageData(images=X, labels=[1, 'a', None] * 2)", "labels of DATASET holds Python objects"),
        (HEAD + "DATASET = ImageData(images=X, labels=y, groups=[1])", "6 images .* but 1 groups"),
        (
            HEAD + "DATASET = ImageData(images=X, labels=y, classes=['a'])",
            r"labels of DATASET\[1\] is 1; labels",
        ),
        (HEAD + "DATASET = ImageData(images=X, labels=['a', 'b'] * 3, classes=['a'])", r"\[1\] is b; classes are a"),
        (HEAD + "DATASET = ImageData(images=X - 1.0, labels=y)", r"images of DATASET\[0, 0, 0\] is -1\.0"),
    ],
)
def test_a_file_with_a_fault_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read(tmp_path, text)
    assert "mine.py" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ctrl_c_while_it_runs_is_no_fault_of_the_file(tmp_path: Path) -> None:
    text = f"import os, signal\nos.kill({os.getpid()}, signal.SIGINT)\nwhile True: pass\n"
    with pytest.raises(KeyboardInterrupt):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os\nos._exit(0)", "mine.py': running it ended its process with exit code 0; fix it and run again"),
        (
            "import ctypes\nctypes.string_at(0)",
            "mine.py', line 2: running it was killed by SIGSEGV; fix it and run again",
        ),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "mine.py': running it was killed by SIGKILL; fix"),
    ],
)
def test_one_that_ends_its_process_ends_no_command(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


def test_what_it_changes_of_its_process_changes_nothing_here(tmp_path: Path) -> None:
    text = f"""
        import os, signal, sys
        import numpy as np
        import torch
        assert sys.argv == [__file__]
        assert os.getcwd() == {os.getcwd()!r}
        os.chdir("/")
        os.environ["LEFT_BY_A_DATASET"] = "1"
        sys.path.insert(0, "/nowhere")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(5)
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        np.seterr(all="raise")
    """  # noqa: PTH109

    def look() -> list[object]:
        kept = [os.getcwd(), [*sys.path], signal.getsignal(signal.SIGTERM), {*sys.modules}, dict(os.environ)]  # noqa: PTH109
        deterministic = torch.are_deterministic_algorithms_enabled()
        state = [torch.get_num_threads(), torch.is_grad_enabled(), np.geterr(), torch.get_rng_state().tolist()]
        return [*kept, torch.get_default_dtype(), deterministic, *state]

    before = look()
    found = read(tmp_path, textwrap.dedent(text) + HEAD + "DATASET = ImageData(images=X / 96, labels=y)")
    assert found.pool.images.shape == (6, 1, 4, 4)
    assert look() == before


def test_images_that_come_in_many_pieces(tmp_path: Path) -> None:
    text = """
        import numpy as np
        from bench.spec import ImageData
        X = (np.arange(6 * 1100 * 900) * 7 % 251).astype(np.uint8).reshape(6, 1100, 900)
        DATASET = ImageData(images=X, labels=[0, 1] * 3, test_images=X[::-1], test_labels=[1, 0] * 3)
    """
    found = read(tmp_path, text)
    expected = (np.arange(6 * 1100 * 900) * 7 % 251).astype(np.uint8).reshape(6, 1, 1100, 900)
    assert found.test is not None
    np.testing.assert_array_equal(found.pool.images, expected)
    np.testing.assert_array_equal(found.test.images, expected[::-1])


def test_what_it_prints_goes_to_the_standard_error_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(tmp_path, HEAD + "print('hello')\nDATASET = ImageData(images=X, labels=y)")
    assert capsys.readouterr() == ("", "hello\n")


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    for name, said in (("folder.py", "Is a directory"), ("pipe.py", "not a regular file"), ("gone.py", "No such file")):
        with pytest.raises(DataError, match=said):
            read_declared(tmp_path / name, PLAIN, lambda _done, _of: None)
    with pytest.raises(DataError, match=r"--group-by patient: .* tells its groups itself"):
        read(tmp_path, "", ReadingOptions(group_by="patient"))


def test_declaring_needs_no_numpy() -> None:
    script = "import sys, bench.spec as s; s.ImageData(images=[1], labels=[1]); print({'numpy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    with pytest.raises(DataError, match="has no labels"):
        ImageData(images=[1])
