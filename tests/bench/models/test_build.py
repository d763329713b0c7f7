"""What the hash of a net as built hears: all that its file reads from elsewhere, and nothing that is the same."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from bench.core.metadata import is_other_hash
from bench.models.build import builds_other_net, hash_initial
from bench.models.determinism import fixed_arithmetic
from bench.models.registry import load_file
from bench.spec import Architecture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

NET = """
import importlib.util, os, random, sys
from pathlib import Path
import numpy as np
import torch
from torch import nn
from bench.spec import Architecture
from bench.models.determinism import fixed_arithmetic
HERE = Path(__file__).resolve().parent
{head}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(nn.Flatten(), nn.Linear(784, {hidden}), {between}, nn.Linear({hidden}, 10))

    def forward(self, images):
        return self.stages(images)

ARCHITECTURE = Architecture(name="net", build=Net)
"""
WAYS = {
    "sys.path": (
        "sys.path.insert(0, str(HERE.parent / 'helpers'))\nfrom widths_elsewhere import HIDDEN",
        "helpers/widths_elsewhere.py",
        "HIDDEN = {}",
    ),
    "importlib": (
        (
            "place = HERE.parent / 'helpers' / 'w.py'; spec = importlib.util.spec_from_file_location('w', place); "
            "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module); HIDDEN = module.HIDDEN"
        ),
        "helpers/w.py",
        "HIDDEN = {}",
    ),
    "data file": ("HIDDEN = int((HERE.parent / 'helpers' / 'width.txt').read_text())", "helpers/width.txt", "{}"),
}


def find(folder: Path) -> str:
    """The hash as this process finds it, which runs the net's file anew."""
    return hash_initial(load_file(folder / "nets" / "net.py")[0])


def find_anew(folder: Path) -> str:
    """The hash as a new process finds it, that has no module of before in memory."""
    code = (
        "import sys; from pathlib import Path; from bench.models.registry import load_file; "
        "from bench.models.build import hash_initial; print(hash_initial(load_file(Path(sys.argv[1]))[0]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(folder / "nets" / "net.py")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


@pytest.mark.parametrize("way", WAYS)
def test_a_width_from_elsewhere_is_heard(way: str, tmp_path: Path) -> None:
    head, helper, content = WAYS[way]
    (tmp_path / "nets").mkdir()
    (tmp_path / "helpers").mkdir()
    (tmp_path / "nets" / "net.py").write_text(NET.format(head=head, hidden="HIDDEN", between="nn.ReLU()"))
    look = find_anew if way == "sys.path" else find  # a module stays in the memory of a process
    found = []
    for width in (8, 16, 8):
        (tmp_path / helper).write_text(content.format(width))
        found.append(look(tmp_path))
    assert found[0] == found[2] != ""
    assert is_other_hash(*found[:2])


def test_the_environment_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets").mkdir()
    head = "HIDDEN = int(os.environ['NET_WIDTH'])"
    (tmp_path / "nets" / "net.py").write_text(NET.format(head=head, hidden="HIDDEN", between="nn.ReLU()"))
    found = []
    for width in ("8", "8", "9"):
        monkeypatch.setenv("NET_WIDTH", width)
        found.append(find(tmp_path))
    assert found[0] == found[1]
    assert is_other_hash(found[0], found[2])


def declare(build: Callable[[], nn.Module]) -> Architecture:
    return Architecture(name="net", build=build, input_shape=(1, 4, 4), classes=10)


def linear(*between: nn.Module, scale: float = 1.0) -> nn.Module:
    first = nn.Linear(16, 16)
    with torch.no_grad():
        first.weight.mul_(scale)
    return nn.Sequential(nn.Flatten(), first, *between, nn.Linear(16, 10))


def test_same_counts_and_other_weights_activation_or_dropout_are_heard() -> None:
    hashes = [
        hash_initial(declare(build))
        for build in (
            lambda: linear(nn.ReLU()),
            lambda: linear(nn.ReLU(), scale=1.01),
            lambda: linear(nn.GELU()),
            lambda: linear(nn.ReLU(), nn.Dropout(0.1)),
            lambda: linear(nn.ReLU(), nn.Dropout(0.2)),
        )
    ]
    assert len(set(hashes)) == 5
    assert hash_initial(declare(lambda: linear(nn.ReLU()))) == hashes[0]
    assert len({found.partition(":")[0] for found in hashes}) == 1, "one machine"


def test_no_generator_moves_and_none_decides(tmp_path: Path) -> None:
    """A net that draws from all of them, while it is imported, built and run, is the same net all the same."""
    head = "SHIFT = torch.randn(1).item() + np.random.rand() + random.random()"
    body = NET.format(head=head, hidden="8", between="nn.ReLU()").replace(
        "return self.stages(images)", "return self.stages(images) + SHIFT + np.random.rand() + random.random()"
    )
    (tmp_path / "net.py").write_text(body)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the old global generator is what nets draw from
        random.seed(seed)
        (net,) = load_file(tmp_path / "net.py")  # draws while it is imported, here without a seed of ours
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]  # noqa: NPY002
        found.append(hash_initial(net))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.array_equal(np.random.get_state()[1], before[1])  # type: ignore[index]  # noqa: NPY002
        assert random.getstate() == before[2]
    assert found[0] == found[1] != ""


def test_a_run_that_asks_goes_on_with_its_own_arithmetic() -> None:
    def flushes() -> bool:
        return bool((torch.full((), 5e-324, dtype=torch.float64) * 1.0).item() == 0.0)

    net, threads = declare(lambda: linear(nn.ReLU())), torch.get_num_threads()
    assert not flushes()
    outside = hash_initial(net)
    assert (flushes(), torch.get_num_threads()) == (False, threads)
    with fixed_arithmetic("cpu"):
        assert flushes()
        assert hash_initial(net) == outside
        assert (flushes(), torch.get_num_threads()) == (True, 1)


def test_a_net_that_no_seed_decides_has_no_hash() -> None:
    def build() -> nn.Module:
        return linear(nn.ReLU(), scale=1 + time.perf_counter_ns() % 1_000_003 / 1e6)

    assert hash_initial(declare(build)) == ""
    assert not builds_other_net(declare(build), "")


class Drifting(nn.Module):
    """Its answers depend on how often any of its kind was asked."""

    asked = 0

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.out = linear(scale=scale)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        Drifting.asked += 1
        logits: Tensor = self.out(images) * Drifting.asked
        return logits


def test_where_answers_differ_from_build_to_build_the_weights_speak_alone() -> None:
    known = hash_initial(declare(Drifting))
    assert known == hash_initial(declare(Drifting)) != ""
    assert not builds_other_net(declare(Drifting), known)
    assert builds_other_net(declare(lambda: Drifting(2.0)), known)


def test_one_build_tells_whether_it_is_another_net() -> None:
    known = hash_initial(declare(lambda: linear(nn.ReLU())))
    assert not builds_other_net(declare(lambda: linear(nn.ReLU())), known)
    assert builds_other_net(declare(lambda: linear(nn.GELU())), known)
    elsewhere = "0:" + known.partition(":")[2]
    assert not builds_other_net(declare(lambda: linear(nn.GELU())), elsewhere), "of another machine: nothing is known"


def test_weights_of_any_type_are_hashed() -> None:
    def build(kind: torch.dtype) -> Callable[[], nn.Module]:
        return lambda: linear(nn.ReLU()).to(kind)

    for kind in (torch.float64, torch.bfloat16):
        with pytest.raises(RuntimeError):  # the images are of the usual type: such a net is refused by the check
            hash_initial(declare(build(kind)))

    class Casting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages = linear(nn.ReLU()).to(torch.bfloat16)
            self.register_buffer("count", torch.tensor(3))

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.stages(images.to(torch.bfloat16))
            return logits

    assert hash_initial(declare(Casting)) == hash_initial(declare(Casting)) != ""
