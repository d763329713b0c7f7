"""The kernels are compiled once for this processor, and where they cannot be, one line says why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from torch import nn

from bench.core.errors import KernelError
from bench.models.rewriting.kernels import chain, library
from bench.models.rewriting.kernels.library import find_compilers, kernels_name, make_kernels, why_no_kernels
from tests import ROOT
from tests.bench.models.rewriting.kernels.test_chain import assert_as_torch, images_of, randomised

if TYPE_CHECKING:
    from pathlib import Path

SMALL = """
extern "C" int lanes() { return 8; }
extern "C" unsigned long stage_bytes() { return 1; }
extern "C" int forward() { return 0; }
extern "C" int backward() { return 0; }
"""


@pytest.fixture(autouse=True)
def _no_given_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Kernels that compile at once."""
    source = tmp_path / "small.cpp"
    source.write_text(SMALL)
    monkeypatch.setattr(library, "SOURCES", (source,))
    return source


@pytest.fixture
def writes_nonsense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that writes nothing that a processor could run."""
    fake = tmp_path / "c++"
    fake.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo fake 1 && exit\nwhile [ $1 != -o ]; do shift; done\necho nonsense > $2\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("CXX", str(fake))


def test_here_they_are() -> None:
    assert why_no_kernels() == ""
    lanes, _, code = kernels_name().removeprefix("lanes").partition("-")
    assert int(lanes) in (4, 8, 16)
    assert len(code) == 12


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_every_width_of_vectors(lanes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = make_kernels(tmp_path, f"-DLANES={lanes}", "-O1")
    assert kernels.lanes == lanes
    assert kernels.name.startswith(f"lanes{lanes}-")
    monkeypatch.setattr(chain, "load_kernels", lambda: kernels)
    layers = (
        *(nn.Conv2d(1, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(5, 16, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(16, 17, 3, padding=1), nn.MaxPool2d(3, 2, 1)),
    )
    assert_as_torch(randomised(*layers), images_of(21, 1, 22, 20))


def test_without_a_compiler_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(KernelError, match=r"^no C\+\+ compiler was found; pip install -e .* brings one$"):
        make_kernels(tmp_path)


def test_the_compiler_that_cxx_names_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "clang-of-mine --fast")
    with pytest.raises(KernelError, match="that CXX names, 'clang-of-mine --fast', is not there; unset CXX"):
        make_kernels(tmp_path)


def test_a_broken_compiler_is_named_with_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "c++"
    broken.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo 1 && exit\necho 'a.h:3: error: no such thing' >&2; exit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(KernelError, match=r"does not work \(a\.h:3: error: no such thing\)"):
        make_kernels(tmp_path / "kernels")
    broken.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(KernelError, match=r"does not work \(exit code 3\)"):
        make_kernels(tmp_path / "kernels")
    assert not list((tmp_path / "kernels").glob("*.so"))


@pytest.mark.usefixtures("writes_nonsense")
def test_what_cannot_be_loaded_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="cannot be loaded"):
        make_kernels(tmp_path / "kernels")
    assert not list((tmp_path / "kernels").glob("*.so"))


@pytest.mark.parametrize("given", ["'", "g++ '"])
def test_a_cxx_that_cannot_be_read_is_named(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", given)
    with pytest.raises(KernelError, match=r"that CXX names, .*, is not there"):
        make_kernels(tmp_path)


@pytest.mark.usefixtures("small")
def test_where_one_compiler_does_not_work_the_next_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\necho 'error: no licence' >&2; exit 1\n")
    broken.chmod(0o755)
    works = find_compilers()[0]
    monkeypatch.setattr(library, "find_compilers", lambda: [(str(broken),), works])
    assert make_kernels(tmp_path / "kernels").name.startswith("lanes8-")
    monkeypatch.setattr(library, "find_compilers", lambda: [(str(broken),)])
    with pytest.raises(KernelError, match="no licence"):
        make_kernels(tmp_path / "kernels")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_never_loaded_but_compiled_anew(share: float, tmp_path: Path) -> None:
    kernels = make_kernels(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    file = tmp_path / "other" / f"{kernels.name.partition('-')[2]}.so"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert make_kernels(tmp_path / "other").name == kernels.name
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(KernelError, match=r"cache/kernels' cannot be written .*; BENCH_CACHE_DIR names another"):
        make_kernels(tmp_path / "cache" / "kernels")


@pytest.mark.usefixtures("small")
def test_another_processor_has_kernels_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for model in ("one", "another"):
        monkeypatch.setattr(library, "cpu_model", lambda model=model: model)
        names.add(make_kernels(tmp_path).name)
    assert len(names) == 2


def test_torch_without_avx512_has_kernels_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    for capability, flags in {"AVX512": (), "AVX2": ("-mno-avx512f",), "DEFAULT": ("-mno-avx",)}.items():
        monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda capability=capability: capability)
        assert library._processor_flags() == ("-march=native", *flags)


def test_processes_that_start_at_once_compile_once(tmp_path: Path, small: Path) -> None:
    counting = tmp_path / "c++"
    counting.write_text(
        f'#!/bin/sh\n[ $1 = --version ] || echo x >> {tmp_path}/calls\nexec {find_compilers()[0][0]} "$@"\n'
    )
    counting.chmod(0o755)
    code = "import sys; from pathlib import Path; from bench.models.rewriting.kernels import library\n"
    code += "library.SOURCES = (Path(sys.argv[2]),); print(library.make_kernels(Path(sys.argv[1])).name)"
    command = [sys.executable, "-c", code, str(tmp_path / "kernels"), str(small)]
    surroundings = os.environ | {"CXX": str(counting), "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    names = {process.communicate()[0].strip() for process in running}
    assert len(names) == 1
    assert names.pop().startswith("lanes8-")
    assert (tmp_path / "calls").read_text() == "x\n"
