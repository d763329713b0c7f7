"""What changes the hash of a net and what does not, one edit at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from bench.core.errors import ArchitectureError
from bench.models.fingerprint import architecture_hash
from bench.models.registry import load_file
from bench.spec import Architecture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NET = '''"""A family. Shapes: (N, 10)."""

from functools import partial

from torch import nn

from bench.spec import Architecture, Recipe

SOURCE = "somewhere"
PUBLISHED = Recipe(lr=1e-3)
WIDTH = 3


class Net(nn.Module):
    """One layer."""

    def __init__(self, *, hidden: int = WIDTH) -> None:
        super().__init__()
        self.out = nn.Linear(784, hidden)  # a comment

    def forward(self, images):
        """Logits."""
        return self.out(images.flatten(1))


A = Architecture(name="a", build=Net, summary="text", source=SOURCE, params=1, recipe=PUBLISHED)
B = Architecture(name="b", build=partial(Net, hidden=5), summary="other", variant_of="a")
'''


def hashes(folder: Path, text: str) -> dict[str, str]:
    path = folder / "net.py"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {architecture.name: architecture_hash(architecture) for architecture in load_file(path)}


def changed(folder: Path, old: str, new: str, *, text: str = NET) -> set[str]:
    """Names of the nets whose hash an edit changes."""
    assert old in text
    before, after = hashes(folder / "before", text), hashes(folder / "after", text.replace(old, new))
    return {name for name in before if before[name] != after[name]}


def test_hash_is_16_hexadecimal_digits_differs_by_name_and_not_by_folder(tmp_path: Path) -> None:
    first, second = hashes(tmp_path / "one", NET), hashes(tmp_path / "two", NET)
    assert first == second
    assert len(set(first.values())) == 2
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in first.values())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('summary="text"', 'summary="better text"'),
        ("params=1", "params=2, macs=7"),
        ("# a comment", "# another"),
        ('"""One layer."""', '"""One layer, said otherwise.\n\n    At length."""'),
        ('"""Logits."""\n', "\n"),
        ("super().__init__()\n", "super().__init__()\n\n"),
        ("lr=1e-3", "lr=2e-3"),
        ("recipe=PUBLISHED", "recipe=Recipe(lr=0.5)"),
        ('SOURCE = "somewhere"', 'SOURCE = "elsewhere"'),
        ("B = Arch", 'C = Architecture(name="c", build=partial(Net, hidden=9))\nB = Arch'),
        ("\n\nA = Arch", "\n\nclass Sub(Net):\n    pass\n\n\nC = Architecture(name='c', build=Sub)\nA = Arch"),
        ("import Architecture, Recipe", "import Architecture, Budget, Recipe"),
        ("from functools import partial", "import math\nfrom functools import partial"),
    ],
)
def test_what_describes_a_net_or_adds_another_retrains_nothing(tmp_path: Path, old: str, new: str) -> None:
    assert changed(tmp_path, old, new) == set()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("nn.Linear(784, hidden)", "nn.Linear(784, hidden, bias=False)", {"a", "b"}),
        ("WIDTH = 3", "WIDTH = 4", {"a", "b"}),
        ("class Net", "globals()['EXTRA'] = 1\n\nclass Net", {"a", "b"}),
        ("hidden=5", "hidden=6", {"b"}),
        ('name="a", build=Net', 'name="a", build=partial(Net, hidden=4)', {"a"}),
        ('name="a", build=Net', 'name="a", input_shape=(3, 32, 32), build=Net', {"a"}),
        ('name="a", build=Net', 'name="a", classes=12, build=Net', {"a"}),
    ],
)
def test_what_decides_a_net_retrains_it(tmp_path: Path, old: str, new: str, expected: set[str]) -> None:
    assert changed(tmp_path, old, new) == expected


def test_a_star_import_of_the_standard_library_is_heard(tmp_path: Path) -> None:
    text = NET.replace("WIDTH = 3", "from math import *\nWIDTH = round(pi)")
    assert changed(tmp_path, "from math", "from cmath", text=text) == {"a", "b"}


def test_declarations_in_a_list_are_told_apart(tmp_path: Path) -> None:
    text = (
        NET.replace("A = Arch", "ALL = [\n    Arch")
        .replace('of="a")', 'of="a"),\n]')
        .replace("PUBLISHED)\nB = ", "PUBLISHED),\n    ")
    )
    assert changed(tmp_path, "hidden=5", "hidden=6", text=text) == {"b"}
    assert changed(tmp_path, '"other"', '"else"', text=text) == set()
    assert changed(tmp_path, "]", '    Architecture(name="c", build=partial(Net, hidden=8)),\n]', text=text) == set()


def test_declarations_of_a_loop_or_a_helper_are_kept_whole(tmp_path: Path) -> None:
    loop = (
        NET.partition("A = ")[0] + 'ALL = [Architecture(name=f"n{h}", build=partial(Net, hidden=h)) for h in (3, 4)]\n'
    )
    assert changed(tmp_path, "(3, 4)", "(3, 4, 5)", text=loop) == {"n3", "n4"}
    helper = NET.partition("A = ")[0] + (
        "def declare(name, hidden):\n    return Architecture(name=name, build=partial(Net, hidden=hidden + 1))\n"
        'A = declare("a", 3)\nB = declare("b", 4)\n'
    )
    assert changed(tmp_path, "hidden + 1", "hidden + 2", text=helper) == {"a", "b"}
    assert changed(tmp_path, "3)", "5)", text=helper) >= {"a"}


def test_a_declaration_made_from_another_hears_it(tmp_path: Path) -> None:
    text = NET + 'import dataclasses\nC = dataclasses.replace(B, name="c")\n'
    assert changed(tmp_path, "hidden=5", "hidden=6", text=text) == {"a", "b", "c"}


def test_imported_project_files_are_heard_wherever_they_are_imported(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "__init__.py").write_text("")
    inner, outer = tmp_path / "deep" / "inner.py", tmp_path / "outer.py"
    inner.write_text('"""Old words."""\nSCALE = 2\n')
    outer.write_text("from deep import inner\nWIDTH = inner.SCALE\n")
    unrelated = tmp_path / "unrelated.py"
    text = NET.replace("WIDTH = 3", "from outer import WIDTH")
    first = hashes(tmp_path, text)
    inner.write_text('"""New words."""\nSCALE = 2  # comment\n')
    unrelated.write_text("x = 1")
    assert hashes(tmp_path, text) == first
    inner.write_text("SCALE = 3\n")
    second = hashes(tmp_path, text)
    assert all(first[name] != second[name] for name in first)


@pytest.mark.parametrize(
    "line", ["from ..near import WIDTH", "from .. import near", "from fingerprinted.near import WIDTH"]
)
def test_a_relative_import_and_a_late_one_are_heard(tmp_path: Path, line: str) -> None:
    package = tmp_path / "fingerprinted"
    (package / "inner").mkdir(parents=True)
    for folder in (package, package / "inner"):
        (folder / "__init__.py").write_text("")
    text = NET.replace("WIDTH = 3", f"def late():\n    {line}\nWIDTH = 3").replace(
        "flatten(1))", "flatten(1)) * late()"
    )
    (package / "inner" / "net.py").write_text(text)
    net = Architecture(name="a", build=nn.Identity, file=package / "inner" / "net.py")
    (package / "near.py").write_text("WIDTH = 3\n")
    before = architecture_hash(net)
    (package / "near.py").write_text("WIDTH = 4\n")
    assert architecture_hash(net) != before


def test_files_that_import_each_other_end(tmp_path: Path) -> None:
    (tmp_path / "helper_ring.py").write_text("import net\n")
    (tmp_path / "net.py").write_text("import helper_ring\n" + NET)
    assert len(architecture_hash(Architecture(name="a", build=nn.Identity, file=tmp_path / "net.py"))) == 16


def test_a_file_that_is_gone_or_broken_is_one_line(tmp_path: Path) -> None:
    net = Architecture(name="a", build=nn.Identity, file=tmp_path / "net.py")
    with pytest.raises(ArchitectureError, match=r"net\.py cannot be read"):
        architecture_hash(net)
    (tmp_path / "net.py").write_text("def (")
    with pytest.raises(ArchitectureError, match=r"net\.py cannot be read"):
        architecture_hash(net)


class Small(nn.Module):
    """A net of this program."""

    def __init__(self, *, hidden: int = 1) -> None:
        super().__init__()
        self.out = nn.Linear(784, hidden)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images."""
        logits: torch.Tensor = self.out(images.flatten(1))
        return logits


class Smaller(nn.Module):
    """Another."""


def test_a_net_without_a_file_is_known_by_its_source() -> None:
    builds: list[Callable[[], Any]] = [
        Small,
        partial(Small, hidden=2),
        partial(Small, hidden=3),
        Smaller,
        lambda: Small(hidden=4),
    ]
    found = [architecture_hash(Architecture(name="x", build=build)) for build in builds]
    assert len(set(found)) == len(builds)
    assert architecture_hash(Architecture(name="x", build=Small)) == found[0]
    assert architecture_hash(Architecture(name="y", build=Small)) != found[0]

    def without_source() -> nn.Module:
        return Small()

    without_source.__code__ = without_source.__code__.replace(co_filename="<nowhere>")
    without = architecture_hash(Architecture(name="x", build=without_source))
    assert len(without) == 16
    assert without not in found
