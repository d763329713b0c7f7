"""Compiles the kernels for this processor, once, and loads them.

What is compiled lies in the cache under a name that is a hash of sources, flags, compiler and processor: whatever of
them changes, it is compiled anew, and nothing runs on a processor that it was not made for.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch

from bench.core.errors import KernelError, first_line, reason
from bench.data.directories import cache_directory
from bench.system.environment import cpu_model
from bench.system.files import hold_lock, write_atomically

SOURCES = tuple(sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".cpp", ".h")))
FLAGS = tuple("-std=c++17 -O3 -ffp-contract=fast -fPIC -shared -fno-exceptions -fno-rtti".split())
# Where torch is kept from instructions (ATEN_CPU_CAPABILITY), so are the kernels.
_LIMITS = {"AVX512": (), "AVX2": ("-mno-avx512f",), "DEFAULT": ("-mno-avx",)}
_COMPILE_SECONDS = 180.0
_BRING_ONE = "pip install -e '.[fast]' brings one"
_OTHER_CACHE = "BENCH_CACHE_DIR names another"
VERSION = 3
"""Raised by hand when the kernels give other numbers for the same request; runs of lanes are then trained anew."""


class Kernels(NamedTuple):
    """The kernels, loaded.

    `lanes` is how many images a vector holds; `forward` and `backward` take stages, their count, the maps' memory,
    images, what is given and where the result goes, and give 0, or 1 where memory ran out.
    """

    name: str
    lanes: int
    stage_bytes: int
    forward: ctypes._NamedFuncPointer
    backward: ctypes._NamedFuncPointer


def why_no_kernels() -> str:
    """Why there are no kernels here, in a few words; empty where there are. The first call may compile them."""
    return _find()[1]


def kernels_name() -> str:
    """What names these kernels, as "lanes8-3f2ab1c09d4e": the lanes, and a hash of what they were made of; or empty."""
    kernels = _find()[0]
    return kernels.name if kernels else ""


def load_kernels() -> Kernels:
    """The kernels; KernelError where there are none."""
    kernels, fault = _find()
    if kernels is None:
        raise KernelError(fault)
    return kernels


@functools.cache
def _find() -> tuple[Kernels | None, str]:
    try:
        return make_kernels(cache_directory() / "kernels"), ""
    except KernelError as error:
        return None, str(error)


def make_kernels(folder: Path, *more_flags: str) -> Kernels:
    """Load the kernels from a folder of the cache, compiled first where they are not there yet or are damaged.

    Raises:
        KernelError: There is no compiler, none works, or the folder cannot be used.
    """
    faults = list[KernelError]()
    for compiler in find_compilers():
        try:
            return _make(folder, compiler, (*FLAGS, *_processor_flags(), *more_flags))
        except KernelError as fault:
            faults.append(fault)
    raise faults[0]


def _make(folder: Path, compiler: tuple[str, ...], flags: tuple[str, ...]) -> Kernels:
    code = _hash(compiler, flags)
    file = folder / f"{code}.so"
    if not _is_whole(file):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with hold_lock(folder / f"{code}.lock", patience_seconds=_COMPILE_SECONDS) as is_alone:
                if not _is_whole(file):  # another process may have compiled it meanwhile
                    if is_alone:
                        _remove_leftovers(file)
                    _compile(compiler, flags, file)
        except OSError as error:
            raise KernelError(f"the cache '{folder}' cannot be written ({reason(error)}); {_OTHER_CACHE}") from error
    try:
        return _load(file, code)
    except KernelError:
        file.unlink(missing_ok=True)  # the next command compiles it anew
        raise


def find_compilers() -> list[tuple[str, ...]]:
    """Commands of C++ compilers: `$CXX` alone where it is set, else what the system has, then that of the extra "fast".

    Raises:
        KernelError: There is none.
    """
    if given := os.environ.get("CXX", "").strip():
        try:
            command = tuple(shlex.split(given))
        except ValueError:
            command = (given,)
        if shutil.which(command[0]) is None:
            raise KernelError(f"the C++ compiler that CXX names, '{given}', is not there; unset CXX")
        return [command]
    found: list[tuple[str, ...]] = [(path,) for path in filter(None, map(shutil.which, ("c++", "g++", "clang++")))]
    commands = list({os.path.realpath(command[0]): command for command in reversed(found)}.values())[::-1]
    if importlib.util.find_spec("ziglang"):
        # As "c++" it would first compile a library of C++ that the kernels do not use, for minutes.
        commands.append((sys.executable, "-m", "ziglang", "cc", "-x", "c++"))
    if not commands:
        raise KernelError(f"no C++ compiler was found; {_BRING_ONE}")
    return commands


def _processor_flags() -> tuple[str, ...]:
    if platform.machine().lower() in ("x86_64", "amd64"):
        return ("-march=native", *_LIMITS.get(torch.backends.cpu.get_cpu_capability(), ()))
    return ("-mcpu=native",)


def _hash(compiler: tuple[str, ...], flags: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for source in SOURCES:
        digest.update(source.read_bytes())
    parts = (*compiler, _run((*compiler, "--version")), *flags, platform.machine(), cpu_model(), _instructions())
    digest.update("\0".join(parts).encode())
    return digest.hexdigest()[:12]


def _instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What instructions the first processor knows, as the kernel lists them; empty where it does not."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(("flags", "Features"))), "")


def _compile(compiler: tuple[str, ...], flags: tuple[str, ...], file: Path) -> None:
    """Compile, and keep what can be loaded, its hash beside it."""
    with tempfile.TemporaryDirectory(prefix=f"{file.stem}-", dir=file.parent) as folder:
        made = Path(folder) / file.name
        source = next(path for path in SOURCES if path.suffix == ".cpp")
        _run((*compiler, *flags, "-o", str(made), str(source)))
        _load(made, "")
        content = made.read_bytes()
    write_atomically(file, content)
    write_atomically(_seal(file), hashlib.sha256(content).hexdigest().encode())


def _remove_leftovers(file: Path) -> None:
    """What compilations of the same kernels left that were killed; called with the lock held."""
    for leftover in file.parent.glob(f"{file.stem}-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _seal(file: Path) -> Path:
    return file.with_suffix(".sha256")


def _is_whole(file: Path) -> bool:
    """Whether a file is what was compiled: loading one that was cut short would end the process."""
    try:
        return _seal(file).read_bytes() == hashlib.sha256(file.read_bytes()).hexdigest().encode()
    except OSError:
        return False


def _run(command: tuple[str, ...]) -> str:
    """What a command prints.

    Raises:
        KernelError: It fails.
    """
    try:
        done = subprocess.run(  # noqa: S603 - a compiler, with our own arguments
            command, capture_output=True, text=True, errors="replace", timeout=_COMPILE_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise KernelError(f"the C++ compiler {command[0]} does not work ({first_line(error)}); {_BRING_ONE}") from error
    if done.returncode:
        said = next((line.strip() for line in done.stderr.splitlines() if "error" in line.lower()), "")
        said = said or done.stderr.strip().partition("\n")[0] or f"exit code {done.returncode}"
        raise KernelError(f"the C++ compiler {command[0]} does not work ({said[:200]}); {_BRING_ONE}")
    return done.stdout


def _load(file: Path, code: str) -> Kernels:
    try:
        library = ctypes.CDLL(str(file))
        passes = library.forward, library.backward
        library.stage_bytes.restype = ctypes.c_size_t
        lanes, size = library.lanes(), library.stage_bytes()
    except (OSError, AttributeError) as error:
        raise KernelError(f"what was compiled cannot be loaded ({first_line(error)}); {_OTHER_CACHE}") from error
    for function in passes:
        function.argtypes = [
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        function.restype = ctypes.c_int
    return Kernels(f"lanes{lanes}-{code}", lanes, size, *passes)
