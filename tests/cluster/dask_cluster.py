"""A Dask scheduler and workers as a user starts them, each a process of its own, gone at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from distributed import Client

from bench.data.directories import cache_directory
from bench.models.rewriting.kernels.library import why_no_kernels

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

_QUIET = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
_STARTS_WITHIN_SECONDS = 60.0


class DaskCluster:
    """A scheduler on 127.0.0.1 and workers that tests start.

    Attributes:
        port: Where the scheduler listens.
        folder: Where workers run, each in a folder of its own, with the output of all.
        workers: Processes of `dask worker`, by name.
    """

    def __init__(self, folder: Path, *, protocol: str = "tcp", environment: Mapping[str, str] | None = None) -> None:
        self.port, self.folder, self.protocol = free_port(), folder, protocol
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {**os.environ, **_QUIET, **(environment or {})}
        self._environment.pop("BENCH_DATA_DIR", None)  # a worker has what it is given
        self._scheduler: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """What `--cluster` is told."""
        return f"{self.protocol}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start_scheduler()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self.workers):
            self.kill(name)
        self.kill_scheduler()

    def start_scheduler(self) -> None:
        """Start it and wait until it listens."""
        words = ("scheduler", "--host", f"{self.protocol}://127.0.0.1:{self.port}", "--no-dashboard", "--no-show")
        self._scheduler = self._start("scheduler", words, {})
        wait_until(lambda: _listens(self.port))

    def kill_scheduler(self) -> None:
        """End it at once."""
        if self._scheduler is not None:
            _kill_group(self._scheduler)
            self._scheduler = None

    def add(
        self,
        name: str,
        *words: str,
        data: Path | None = None,
        environment: Mapping[str, str] | None = None,
        at: str | None = None,
        nthreads: int = 1,
        count: int = 1,
        wait: bool = True,
    ) -> None:
        """Start a worker and wait until the scheduler knows it.

        Args:
            name: What it is called.
            words: More of its command line.
            data: Its data directory; none of its own when None.
            environment: More of its environment.
            at: Address of the scheduler, when another way leads there.
            nthreads: Its threads.
            count: Worker processes that the command starts.
            wait: Whether to wait.
        """
        cache = self.folder / f"cache-{name}"
        _lend_kernels(cache)
        surroundings = {"BENCH_CACHE_DIR": str(cache)}
        surroundings |= {"BENCH_DATA_DIR": str(data)} if data else {}
        place = ("--local-directory", str(self.folder / name), "--host", "127.0.0.1")
        given = ("--name", name, "--nthreads", str(nthreads), "--memory-limit", "0", "--no-dashboard")
        command = ("worker", at or self.address, *given, *place, *words)
        self.workers[name] = self._start(name, command, {**surroundings, **(environment or {})})
        if wait:
            wait_until(lambda: sum(known == name or known.startswith(f"{name}-") for known in self.names()) == count)

    def names(self) -> dict[str, Mapping[str, Any]]:
        """The workers that the scheduler knows, by name."""
        with Client(self.address, set_as_default=False) as client:
            return {str(worker["name"]): worker for worker in client.scheduler_info()["workers"].values()}

    def kill(self, name: str) -> None:
        """End a worker and its nanny at once."""
        _kill_group(self.workers.pop(name))

    def kill_process(self, name: str) -> None:
        """Kill the worker process alone, as for lack of memory; its nanny starts another."""
        with Client(self.address, set_as_default=False) as client:
            address = next(a for a, w in client.scheduler_info()["workers"].items() if str(w["name"]) == name)
            pid = client.run(os.getpid, workers=[address])[address]
        os.kill(pid, signal.SIGKILL)

    def said(self, name: str) -> str:
        """Output of a process."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def _start(self, name: str, words: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        place = self.folder / f"home-{name}"
        place.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *words], cwd=place, env={**self._environment, **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip


def _lend_kernels(cache: Path) -> None:
    """Kernels that this process has compiled serve a worker too: each would else compile its own for seconds."""
    if not why_no_kernels() and not (cache / "kernels").exists():
        cache.mkdir(parents=True, exist_ok=True)
        (cache / "kernels").symlink_to(cache_directory() / "kernels")


def wait_until(happened: Any, *, seconds: float = _STARTS_WITHIN_SECONDS) -> None:
    """Wait for something, at most so long."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(0.1)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """A process and all it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
