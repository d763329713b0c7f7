"""The server on real sockets: its port, its end, results that are replaced under it, and fifty clients at once."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.core.options import UseOptions
from bench.store.store import open_store
from bench.system.environment import PROJECT
from tests.bench.deploy.serving.test_app import IMAGE, encode
from tests.bench.deploy.stored import make_results, options_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.deploy.serving.playground import Loaded, Playground

pytest.importorskip("waitress")


class Served:
    """`--serve` in a process of its own."""

    def __init__(self, results: Path, *words: str) -> None:
        command = [
            sys.executable,
            str(PROJECT / "runner.py"),
            "--serve",
            "--port",
            "0",
            "--results",
            str(results),
            *words,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("Playground: "):
                break
        self.address = self.lines[-1].split()[1]

    def ask(self, path: str, body: bytes | None = None) -> Any:
        """What a path answers, a picture being posted to it where one is given."""
        request = urllib.request.Request(self.address + path, data=body, headers={"Content-Type": "image/png"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own server
            return json.load(response)

    def end(self) -> int:
        """Press Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def served(known: Path) -> Iterator[Served]:
    server = Served(known)
    yield server
    assert server.end() == 0, "Ctrl-C is how it ends well"


def test_it_says_what_it_serves_and_answers(served: Served) -> None:
    said = "".join(served.lines)
    assert "means: seed 3 (best-validated of 3 runs), test accuracy" in said
    assert "by torch" in said
    assert "Warning" not in said
    answer = served.ask("/api/predict", encode(IMAGE))
    assert [net["name"] for net in answer["architectures"]] == ["contrary", "means"]
    assert served.ask("/healthz")["status"] == "ok"


def test_a_port_that_is_taken_is_said_in_a_line(served: Served, known: Path) -> None:
    port = served.address.rpartition(":")[2]
    command = [sys.executable, str(PROJECT / "runner.py"), "--serve", "--port", port, "--results", str(known)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == (
        f"runner.py: Port {port} on 127.0.0.1 is taken; choose another with --port, or --port 0 for any that is free.\n"
    )


def test_addresses_that_cannot_be_had() -> None:
    from bench.deploy.serving.server import _listen

    with pytest.raises(UsageError, match=r"--host 203\.0\.113\.9: it is no address of this machine"):
        _listen("203.0.113.9", 0)
    with pytest.raises(UsageError, match="no address of this machine"):
        _listen("no such host", 0)
    with _listen("127.0.0.1", 0) as first, pytest.raises(UsageError, match="is taken"):
        _listen("127.0.0.1", first.getsockname()[1])


def test_a_request_that_never_ends_does_not_hold_the_others_up(served: Served) -> None:
    host, port = served.address.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(20)]
    for each in slow:
        each.sendall(b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
    started = time.perf_counter()
    assert served.ask("/healthz")["status"] == "ok"
    assert time.perf_counter() - started < 10
    for each in slow:
        each.close()


def look(playground: Playground) -> Loaded:
    """What is loaded once a look has ended that begins now."""
    playground._looked = -1e9
    playground.current()
    with playground._lock:
        return playground._loaded


def test_results_that_are_replaced_are_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("flask")
    from bench.deploy.serving.limits import Limits
    from bench.deploy.serving.playground import Playground

    results = make_results(tmp_path / "one", names=["means"])
    other = make_results(tmp_path / "two", names=["means", "contrary"], study="second")
    playground = Playground(options_for(results), UseOptions(), Limits())
    first = playground.current()
    assert [net.run.name for net in first.nets] == ["means"]

    assert look(playground) is first, "nothing changed"
    with open_store(options_for(results).store_url) as store:
        store.studies.plan("main", command="again", requests=[], role="compare")
    assert look(playground) is first, "the database did, but not which runs stand for the nets"
    shutil.rmtree(results)
    assert look(playground) is first, "what is loaded goes on answering"
    assert playground.is_stale
    assert "No store at" in caplog.text
    shutil.copytree(other, results)
    second = look(playground)
    assert [net.run.name for net in second.nets] == ["contrary", "means"]
    assert (second.chosen.study, playground.is_stale) == ("second", False)
    assert second.version != first.version


def test_weights_that_come_after_their_database_are_noticed(tmp_path: Path) -> None:
    """As where a directory is copied while it is served."""
    pytest.importorskip("flask")
    from bench.deploy.serving.limits import Limits
    from bench.deploy.serving.playground import Playground

    results = make_results(tmp_path / "one", names=["means"])
    other = make_results(tmp_path / "two", names=["means", "contrary"], study="second")
    playground = Playground(options_for(results), UseOptions(), Limits())

    shutil.rmtree(results)
    weights = sorted((other / "checkpoints").iterdir())
    shutil.copytree(other, results, ignore=shutil.ignore_patterns("*.pt"))
    assert [net.run.name for net in look(playground).nets] == ["means"], "nothing of the new ones can be loaded yet"
    assert playground.is_stale
    for count in range(1, len(weights) + 1):
        shutil.copy(weights[count - 1], results / "checkpoints")
        found = look(playground)
    assert [net.run.name for net in found.nets] == ["contrary", "means"]
    assert (found.faults, playground.is_stale) == ((), False)


def test_what_changes_while_results_are_loaded_is_seen_by_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("flask")
    from bench.deploy.nets import open_nets
    from bench.deploy.serving import playground as module
    from bench.deploy.serving.limits import Limits

    results = make_results(tmp_path / "one", names=["means"])
    playground = module.Playground(options_for(results), UseOptions(), Limits())
    real = open_nets

    def forget(seed: int) -> None:
        with open_store(options_for(results).store_url) as store:
            gone = [run.run_id for run in store.studies.load("main", with_details=False).records if run.seed == seed]
            store.runs.forget_checkpoints(gone)

    def open_and_change(*words: Any, **named: Any) -> Any:
        monkeypatch.setattr(module, "open_nets", real)
        forget(1)  # the next best, while the nets of this look are opened
        return real(*words, **named)

    forget(3)
    monkeypatch.setattr(module, "open_nets", open_and_change)
    assert [net.run.record.seed for net in look(playground).nets] == [1]
    assert [net.run.record.seed for net in look(playground).nets] == [0]


def test_a_body_that_is_too_long_is_refused_as_described(served: Served) -> None:
    for size in ((4 << 20) + 1, 6 << 20):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            served.ask("/api/predict", b"x" * size)
        with refusal.value as answer:
            assert answer.code == 413
            assert "error" in json.load(answer)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.slow
def test_fifty_clients_for_thirty_seconds(served: Served) -> None:
    import psutil

    body, ends = encode(IMAGE), time.monotonic() + 30
    seconds: list[float] = []
    faults: list[str] = []
    process = psutil.Process(served.process.pid)
    for _ in range(50):
        served.ask("/api/predict", body)

    def work() -> None:
        while time.monotonic() < ends:
            started = time.perf_counter()
            try:
                answer = served.ask("/api/predict", body)
                if answer["agreeing"] != 1:
                    faults.append("another answer")
            except OSError as fault:
                faults.append(repr(fault))
            seconds.append(time.perf_counter() - started)

    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    time.sleep(8)
    early = process.memory_info().rss
    for thread in threads:
        thread.join()
    late = process.memory_info().rss
    p50, p99 = np.percentile(seconds, [50, 99])
    sys.stdout.write(
        f"{len(seconds):,} answers in 30 s to 50 clients, {len(faults)} faults, p50 {1000 * p50:.0f} ms, p99 "
        f"{1000 * p99:.0f} ms, memory {early / 1e6:.0f} MB after 8 s and {late / 1e6:.0f} MB at the end\n"
    )
    assert faults == []
    assert late - early < 30e6
