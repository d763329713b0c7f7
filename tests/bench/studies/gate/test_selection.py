"""Which architectures a check trains, and which have failed before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.core.errors import ArchitectureError, BenchError, UnknownNameError
from bench.models.registry import discover
from bench.studies.gate.check import Selection
from tests.bench.runs import noise
from tests.bench.studies.gate.examples import GREY, make_reference, make_thresholds

if TYPE_CHECKING:
    from pathlib import Path

    from bench.models.registry import Registry

NETS = """
from torch import nn
from bench.spec import Architecture

class Net(nn.Module):
    def __init__(self, outputs=10):
        super().__init__()
        self.out = nn.Linear(784, outputs)

    def forward(self, images):
        return self.out(images.flatten(1))
"""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Nets plain, other and wide, a variant plain-v, and a file broken.py that declares "lost"."""
    (tmp_path / "nets.py").write_text(
        NETS
        + "ARCHITECTURES = [Architecture(name=n, build=Net) for n in ('plain', 'other')]\n"
        + "V = Architecture(name='plain-v', build=Net, variant_of='plain')\n"
        + "W = Architecture(name='wide', build=lambda: Net(11))\n"
    )
    (tmp_path / "broken.py").write_text('NAME = "lost"\nraise ValueError("one")\n')
    return discover(tmp_path)


def select(*references: str) -> Selection:
    return Selection(make_thresholds(*map(make_reference, references)))


def names(selection: Selection) -> list[str]:
    return [net.name for net in selection.nets]


def test_all_takes_every_one_and_misses_those_without_a_reference(registry: Registry) -> None:
    selection = select("plain", "other")
    selection.add_all(registry, variants=False)
    assert names(selection) == ["plain", "other"]
    assert set(selection.judged) == {"wide", "broken.py"}
    wide = selection.judged["wide"]
    assert (wide.passed, wide.reference, wide.stages) == (False, None, ())
    assert wide.reason == "It has no reference. --write-thresholds in place of --check records one."


def test_all_takes_variants_that_have_a_reference_and_the_others_only_when_asked(registry: Registry) -> None:
    selection = select("plain", "other", "wide", "plain-v")
    selection.add_all(registry, variants=False)
    assert names(selection) == ["plain", "other", "wide", "plain-v"]
    without = select("plain", "other", "wide")
    without.add_all(registry, variants=False)
    assert set(without.judged) == {"broken.py"}
    asked = select("plain", "other", "wide")
    asked.add_all(registry, variants=True)
    assert set(asked.judged) == {"broken.py", "plain-v"}


def test_a_net_that_is_gone_fails_by_its_reference(registry: Registry) -> None:
    selection = select("plain", "gone")
    selection.add_all(registry, variants=False)
    gone = selection.judged["gone"]
    assert (gone.passed, gone.reference) == (False, make_reference("gone"))
    assert gone.reason.startswith("It has a reference, and no net of that name is registered. Bring it back;")
    assert "\n" not in gone.reason


def test_a_broken_file_fails_by_the_name_of_its_net(registry: Registry) -> None:
    selection = select("plain", "lost")
    selection.add_all(registry, variants=False)
    lost = selection.judged["lost"]
    assert lost.reference == make_reference("lost")
    assert "broken.py, line 2: importing it raised ValueError: one" in lost.reason
    assert "broken.py" not in selection.judged, "it is said once"


def test_a_broken_file_that_no_reference_knows_fails_all_the_same_under_all(registry: Registry) -> None:
    selection = select("plain")
    selection.add_all(registry, variants=False)
    nobody = selection.judged["broken.py"]
    assert (nobody.passed, nobody.reference) == (False, None)
    assert "importing it raised ValueError: one" in nobody.reason
    quiet = select("plain")
    quiet.add_references(registry)
    assert (names(quiet), quiet.judged) == (["plain"], {})


def test_two_broken_files_are_two_failures(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "broken2.py").write_text("x = 1\n")
    selection = select("lost")
    selection.add_all(discover(tmp_path), variants=False)
    assert registry.broken.keys() < discover(tmp_path).broken.keys()
    assert {"lost", "broken2.py"} <= set(selection.judged)


def test_what_the_file_names_is_judged_when_nothing_is_selected(registry: Registry) -> None:
    selection = select("other", "gone")
    selection.add_references(registry)
    assert names(selection) == ["other"]
    assert set(selection.judged) == {"gone"}


def test_names_globs_and_paths_choose_and_each_net_is_trained_once(tmp_path: Path, registry: Registry) -> None:
    selection = select("plain", "other", "plain-v")
    selection.add_named(["plain*", "plain", str(tmp_path / "nets.py"), "plain"], registry)
    assert names(selection) == ["plain", "plain-v", "other"]
    assert set(selection.judged) == {"wide"}


def test_a_glob_finds_what_is_gone(registry: Registry) -> None:
    selection = select("plain", "plain-gone", "oth-gone")
    selection.add_named(["plain*", "oth-*"], registry)
    assert names(selection) == ["plain"]
    assert {name: judgement.passed for name, judgement in selection.judged.items()} == {
        "plain-gone": False, "oth-gone": False, "plain-v": False
    }  # fmt: skip
    assert "no net of that name is registered" in selection.judged["oth-gone"].reason
    assert "no reference" in selection.judged["plain-v"].reason


def test_a_watched_file_that_is_gone_or_broken_has_failed(tmp_path: Path, registry: Registry) -> None:
    selection = select("plain")
    selection.add_named([str(tmp_path / "broken.py"), str(tmp_path / "absent.py")], registry)
    assert {name.rpartition("/")[2]: judgement.passed for name, judgement in selection.judged.items()} == {
        "broken.py": False, "absent.py": False
    }  # fmt: skip
    assert all("Cannot be loaded: " in judgement.reason for judgement in selection.judged.values())


def test_two_files_that_give_one_name_are_refused(tmp_path: Path, registry: Registry) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(NETS + "A = Architecture(name='mine', build=Net)\n")
    selection = select("mine")
    with pytest.raises(
        ArchitectureError, match=r"'mine' is taken by .*here/mine\.py; give the one in .*there"
    ) as caught:
        selection.add_named([str(tmp_path / folder / "mine.py") for folder in ("here", "there")], registry)
    assert "\n" not in str(caught.value)


def test_a_name_that_neither_registry_nor_file_knows_is_bad_usage(registry: Registry) -> None:
    selection = select("plain", "gone")
    selection.add_named(["gone"], registry)
    assert set(selection.judged) == {"gone"}
    with pytest.raises(UnknownNameError, match=r"No architecture 'plian'\. Did you mean 'plain'\?"):
        selection.add_named(["plian"], registry)
    with pytest.raises(ArchitectureError, match=r"broken\.py, line 2"):
        selection.add_named(["lost"], registry)


def test_counts_are_taken_and_a_net_that_cannot_be_built_has_failed(registry: Registry) -> None:
    selection = select("plain", "wide")
    selection.add_named(["plain", "wide"], registry)
    selection.count(noise(GREY), device="cpu")
    assert names(selection) == ["plain"]
    assert (selection.metadata["plain"].params, selection.metadata["plain"].macs) == (784 * 10 + 10, 784 * 10)
    wide = selection.judged["wide"]
    assert (wide.passed, wide.reference) == (False, make_reference("wide"))
    assert "11" in wide.reason
    assert "wide" not in selection.metadata


@pytest.mark.parametrize(
    "raised",
    [
        "MemoryError()",
        "OSError(28, 'No space left on device')",
        'RuntimeError("DefaultCPUAllocator: can\'t allocate memory")',
    ],
)
def test_what_the_machine_lacks_while_counting_is_no_failure(tmp_path: Path, raised: str) -> None:
    (tmp_path / "poor.py").write_text(
        f"{NETS}def build():\n    raise {raised}\nA = Architecture(name='poor', build=build)\n"
    )
    selection = select("poor")
    selection.add_all(discover(tmp_path), variants=False)
    with pytest.raises(BenchError, match="poor cannot be counted on this machine: ") as caught:
        selection.count(noise(GREY), device="cpu")
    assert "\n" not in str(caught.value)
    assert selection.judged == {}


@pytest.mark.parametrize("name", ["x=1", "x y=2", "mine.py"])
def test_names_that_look_like_something_else_are_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "odd.py").write_text(f"{NETS}A = Architecture(name={name!r}, build=Net)\n")
    (tmp_path / "empty").mkdir()
    registered, empty = discover(tmp_path), discover(tmp_path / "empty")
    by_all, by_file, by_name, gone = (select(name) for _ in range(4))
    by_all.add_all(registered, variants=False)
    by_file.add_references(registered)
    by_name.add_named([name], registered)
    for here in (by_all, by_file, by_name):
        assert (names(here), here.judged) == ([name], {})
    gone.add_references(empty)
    assert gone.judged[name].reason.startswith("It has a reference, and no net of that name is registered.")
