"""Finding, choosing and sending architectures, with every fault of a net file planted."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from bench.core.errors import ArchitectureError, UnknownNameError
from bench.models.registry import discover, load_architecture, load_file
from bench.spec import Architecture
from tests import ROOT

NET = """
from torch import nn
from bench.spec import Architecture

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(784, 10)

    def forward(self, images):
        return self.out(images.flatten(1))
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def declare(*names: str, variant_of: str | None = None) -> str:
    lines = [f"N{i} = Architecture(name={n!r}, build=Net, variant_of={variant_of!r})" for i, n in enumerate(names)]
    return NET + "\n".join(lines) + "\n"


def test_module_level_architectures_lists_and_tuples_are_found_once_and_in_order(tmp_path: Path) -> None:
    text = (
        declare("a", "b")
        + "MORE = [N0, Architecture(name='c', build=Net)]\nLAST = (Architecture(name='d', build=Net),)"
    )
    path = write(tmp_path / "nets.py", text)
    found = load_file(path)
    assert [architecture.name for architecture in found] == ["a", "b", "c", "d"]
    assert {architecture.file for architecture in found} == {path.resolve()}


def test_a_relative_path_is_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "nets.py", declare("a"))
    monkeypatch.chdir(tmp_path)
    assert load_file(Path("nets.py"))[0].file == (tmp_path / "nets.py").resolve()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ndef f(:\n    pass\n", r"net\.py, line 2: syntax error, .+; fix it"),
        ("x = 1\n\ny = nothing\n", r"net\.py, line 3: importing it raised NameError: name 'nothing' is not defined;"),
        ("raise SystemExit('bye')", r"net\.py, line 1: importing it raised SystemExit: bye;"),
        ("raise ValueError('one\\ntwo')", r"net\.py, line 1: importing it raised ValueError: one;"),
        ("x = 1\nraise KeyboardInterrupt", r"net\.py, line 2: importing it raised KeyboardInterrupt; fix it"),
        ("def f():\n    raise (\n KeyboardInterrupt('a'))\nf()", r"net\.py, line 2: importing it raised KeyboardInt"),
        ("import absent_library_x", r"net\.py, line 1: importing it raised ModuleNotFoundError: No module named 'abs"),
        (
            NET,
            r"net\.py declares no architecture; name what makes one, as --arch \S*net\.py:Net, or add ARCHITECTURE =",
        ),
        (declare("a", "a"), r"net\.py declares 'a' twice;"),
        (NET + "A = Architecture(name='a', build=Net, classes=1)", r"net\.py, line \d+: .*classes is 1; at least 2"),
    ],
)
def test_a_faulty_file_is_one_line_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "net.py", text)
    with pytest.raises(ArchitectureError, match=message) as caught:
        load_file(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    "text",
    [
        "import signal\nsignal.raise_signal(2)\nraise ValueError\n",
        "from helper_rude import stop\nstop()\n",
    ],
)
def test_ctrl_c_during_an_import_is_no_fault_of_the_file(tmp_path: Path, text: str) -> None:
    write(tmp_path / "helper_rude.py", "def stop():\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_file(write(tmp_path / "net.py", text))


def test_a_missing_file_a_folder_and_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=r"No net file at .*absent\.py; give the path"):
        load_file(tmp_path / "absent.py")
    with pytest.raises(ArchitectureError, match="No net file at"):
        load_file(tmp_path)
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArchitectureError, match=r"bytes\.py"):
        load_file(tmp_path / "bytes.py")


def test_a_syntax_error_in_a_neighbour_names_the_neighbour(tmp_path: Path) -> None:
    write(tmp_path / "helper_broken.py", "\n\nx = (")
    path = write(tmp_path / "net.py", "import helper_broken\n" + declare("a"))
    with pytest.raises(ArchitectureError, match=r"helper_broken\.py, line 3: syntax error"):
        load_file(path)


def test_each_net_has_its_own_neighbours_and_nothing_stays_on_the_path(tmp_path: Path) -> None:
    before = list(sys.path)
    for folder, classes in (("one", 3), ("two", 4)):
        write(tmp_path / folder / "helper_same.py", f"CLASSES = {classes}")
        text = f"from helper_same import CLASSES\n{NET}A = Architecture(name='a', build=Net, classes=CLASSES)"
        write(tmp_path / folder / "net.py", text)
    loaded = [load_file(tmp_path / folder / "net.py")[0].classes for folder in ("one", "two", "one")]
    assert loaded == [3, 4, 3]
    assert sys.path == before
    assert "helper_same" not in sys.modules


def test_neighbours_in_a_package_import_each_other_and_imported_nets_are_not_declared_again(tmp_path: Path) -> None:
    package = tmp_path / "nets_of_a_package"
    write(package / "__init__.py", "")
    write(package / "base.py", declare("base"))
    write(
        package / "near.py",
        "from .base import *\nfrom .base import N0, Net\n" + "A = Architecture(name='near', build=Net)",
    )
    write(
        package / "far.py",
        "from nets_of_a_package.base import N0, Architecture\nA = Architecture(name='far', build=N0.build)",
    )
    registry = discover(package)
    assert dict(registry.broken) == {}
    assert [architecture.name for architecture in registry.architectures] == ["base", "far", "near"]


def test_another_package_of_a_known_name_is_loaded_from_its_own_files(tmp_path: Path) -> None:
    import architectures

    write(tmp_path / "architectures" / "__init__.py", "")
    path = write(tmp_path / "architectures" / "lenet.py", declare("lenet21k"))
    assert load_file(path)[0].params is None
    assert load_file(ROOT / "architectures" / "lenet.py")[0].params == 21_840
    assert sys.modules["architectures"] is architectures


def test_a_broken_file_fails_alone_by_name(tmp_path: Path) -> None:
    write(tmp_path / "good.py", declare("good"))
    write(tmp_path / "_private.py", "raise ValueError")
    broken = write(tmp_path / "bad.py", declare("bad7") + "1 / 0")
    registry = discover(tmp_path)
    assert [architecture.name for architecture in registry.architectures] == ["good"]
    assert list(registry.broken) == [broken]
    assert "ZeroDivisionError" in str(registry.broken[broken])
    assert [architecture.name for architecture in registry.select(["good"])] == ["good"]
    with pytest.raises(UnknownNameError, match=r"No architecture 'goood'\. Did you mean 'good'"):
        registry.select(["goood"])


def test_asking_for_a_net_of_a_broken_file_shows_what_broke_it(tmp_path: Path) -> None:
    write(tmp_path / "family.py", NET + 'A = Architecture(name="wanted", build=Net)\n1 / 0')
    with pytest.raises(ArchitectureError, match=r"family\.py, line \d+: .*ZeroDivisionError"):
        discover(tmp_path).select(["wanted"])


def test_one_name_in_two_files_names_both(tmp_path: Path) -> None:
    write(tmp_path / "one.py", declare("same"))
    write(tmp_path / "two.py", declare("same"))
    with pytest.raises(ArchitectureError, match=r"The name 'same' is taken by .*one\.py; give the one in .*two\.py"):
        discover(tmp_path)
    with pytest.raises(ArchitectureError, match="No folder of architectures"):
        discover(tmp_path / "absent")


def test_selection_by_name_glob_and_path(tmp_path: Path) -> None:
    registry = discover(ROOT / "architectures")
    other = write(tmp_path / "mine.py", declare("mine1", "mine2"))

    def names(*patterns: str) -> list[str]:
        return [architecture.name for architecture in registry.select(patterns)]

    assert names("bn25k", "conv16k") == ["bn25k", "conv16k"]
    assert names("fc*") == ["fc3136", "fc3136d2"]
    assert names("fc3136", "fc*", str(ROOT / "architectures" / "fc3136.py")) == ["fc3136", "fc3136d2"]
    assert names(str(other), "lenet21k") == ["mine1", "mine2", "lenet21k"]
    assert {a.name for a in registry.all()} == {"conv16k", "lenet21k", "bn25k", "fc3136"}
    assert len(registry.all(variants=True)) == len(registry.architectures) >= 8
    for wrong, near in (("bn25", "bn25k"), ("BN25K", "bn25k"), ("lenet", "lenet21k")):
        with pytest.raises(UnknownNameError, match=rf"No architecture '{wrong}'\. Did you mean '{near}'"):
            names(wrong)
    with pytest.raises(UnknownNameError, match="zz"):
        names("zz*")


@pytest.mark.parametrize("others", [(), ("bn25k",), ("lenet21k",)])
def test_a_file_cannot_take_the_name_of_a_registered_net_asked_for_or_not(
    tmp_path: Path, others: tuple[str, ...]
) -> None:
    copy = write(tmp_path / "copy.py", declare("mine", "bn25k"))
    registry = discover(ROOT / "architectures")
    for order in ((*others, str(copy)), (str(copy), *others)):
        with pytest.raises(ArchitectureError, match=r"'bn25k' is taken by .*batchnorm\.py; .*copy\.py") as caught:
            registry.select(order)
        assert "\n" not in str(caught.value)


def test_two_files_cannot_have_one_name_and_one_file_may_be_given_twice(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, declare("mine")) for name in ("one.py", "two.py"))
    registry = discover(ROOT / "architectures")
    with pytest.raises(ArchitectureError, match=r"'mine' is taken by .*one\.py; give the one in .*two\.py another"):
        registry.select([str(one), str(two)])
    assert [net.name for net in registry.select([str(one), str(one)])] == ["mine"]


def test_a_registered_file_can_be_given_by_any_of_its_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = discover(ROOT / "architectures")
    (tmp_path / "linked.py").symlink_to(ROOT / "architectures" / "lenet.py")
    monkeypatch.chdir(ROOT)
    for path in ("architectures/lenet.py", "./bench/../architectures/lenet.py", str(tmp_path / "linked.py")):
        assert "lenet21k" in [net.name for net in registry.select([path])]


def test_load_architecture_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "nets.py", declare("first", "second"))
    assert load_architecture(path, "second").name == "second"
    with pytest.raises(UnknownNameError, match="Did you mean 'second'"):
        load_architecture(path, "secnd")


def test_an_architecture_with_a_file_is_loaded_again_in_another_process(tmp_path: Path) -> None:
    write(tmp_path / "net" / "helper_width.py", "WIDTH = 10")
    text = NET.replace("10)", "WIDTH)") + "A = Architecture(name='away', build=Net, macs=7)"
    path = write(tmp_path / "net" / "net.py", "from helper_width import WIDTH\n" + text)
    pickled = pickle.dumps(load_file(path)[0])
    (tmp_path / "pickled").write_bytes(pickled)
    program = (
        "import pickle, pathlib; a = pickle.loads(pathlib.Path('pickled').read_bytes());"
        "print(a.name, a.macs, a.file, sum(p.numel() for p in a.build().parameters()))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["away", "7", str(path.resolve()), "7850"]


def build_nothing() -> None:
    """Stands for a net in the test of pickling without a file."""


def test_an_architecture_without_a_file_is_pickled_as_usual() -> None:
    architecture = Architecture(name="here", build=build_nothing, classes=3)  # type: ignore[arg-type]
    again = pickle.loads(pickle.dumps(architecture))  # noqa: S301
    assert again == architecture
    assert again.build is build_nothing
