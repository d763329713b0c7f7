"""Every command of the README and the pages of docs/: the command line takes it, or a reason says why not here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli.arguments import parse_arguments
from bench.core.errors import BenchError

PROJECT = Path(__file__).resolve().parent.parent
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
_STARTS = r"(?:\.venv/bin/)?(?:python3? |make |archbench |pip |bash |\. )"
_RUNNER = re.compile(r"(?:\.venv/bin/)?(?:python (?:\.bench/)?runner\.py|archbench)\s?(.*)")
LEFT_OUT = {
    "python3 -m venv": "makes an environment: `make test` itself does, and CI in a fresh clone",
    ". .venv/bin/activate": "is a shell's own",
    "python -m pip": "installs: `make test` does",
    ".venv/bin/python -m pip": "installs: `make test` does",
    "pip install": "installs: `make test` does",
    "python -m dask": "waits for other machines: tests/cluster starts schedulers and workers the same way",
    "python -m tests.": "measures for minutes: a script of tests/speed or tests/error_rates",
    "python -m pytest": "is a test run itself",
    ".venv/bin/python -m pytest": "is a test run itself",
    "bash .ci/run": "is CI",
}


def commands() -> list[tuple[str, str]]:
    """Name of the page and command, of code blocks and of code within a line, comments left out."""
    found = dict[tuple[str, str], None]()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```(?:console|sh|bash)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        lines = [line.split(" #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        inline = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
        found |= dict.fromkeys((page.name, line) for line in lines + inline if re.match(_STARTS, line))
    return list(found)


COMMANDS = commands()


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 30
    assert ("README.md", "python runner.py --all") in COMMANDS


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_documented_command_can_be_typed(
    page: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_images").mkdir()
    if any(command.startswith(start) for start in LEFT_OUT):
        return
    if target := re.match(r"make ([\w-]+)", command):
        assert re.search(rf"^{target[1]}:", (PROJECT / "Makefile").read_text(), re.MULTILINE), f"{page}: no such target"
        return
    found = _RUNNER.fullmatch(command)
    assert found is not None, f"{page}: neither runner.py nor left out for a reason: {command}"
    if not (words := shlex.split(found[1].replace("…", ""))):
        return  # the program's name
    if words == ["--help"]:
        return  # ends the process: tests/bench/cli reads what it prints
    try:
        parse_arguments(words)
    except BenchError as error:
        pytest.fail(f"{page}: {command}: {error}")


NOT_RUN = {
    "--cluster": "needs the machines it names; tests/cluster trains on some",
    "--check": "CI's gate runs it",
    "--claims": "takes hours; tests/program runs some",
    "--write-thresholds": "trains 30 runs of each net; tests/program records some",
    ".bench/": "a checkout in another repository; tests/program records nets of outside files",
}
PLAIN_NET = """
from torch import nn

class MyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    def forward(self, images):
        return self.stages(images)
"""


def small(words: list[str]) -> list[str]:
    """The words, and what makes a training short where they do not say it themselves."""
    kept = ["1,2" if word == "1,3,10" else "2" if before == "--trials" else word
            for before, word in zip(["", *words], words, strict=False)]  # fmt: skip
    if "--doctor" in words or not {"--all", "--arch"} & set(words):
        return kept
    beside = {"--dataset": "mnist5k", "--epochs": "1", "--seeds": "2", "--jobs": "2"}
    beside |= {"--trials": "2"} if "--tune" in words else {}
    return [*kept, *(word for flag, value in beside.items() if flag not in words for word in (flag, value)),
            *([] if "--no-timing" in words else ["--no-timing"])]  # fmt: skip


def write_pictures(folder: Path) -> None:
    """Two classes of noise, dark and bright."""
    chance = np.random.default_rng(0)
    for brightness, name in enumerate(("dark", "bright")):
        (folder / name).mkdir(parents=True)
        for number in range(150):
            pixels = chance.integers(0, 128, (28, 28), dtype=np.uint8) + np.uint8(127 * brightness)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.mark.slow
def test_documented_commands_run(tmp_path: Path) -> None:
    """One after the other in one folder, as a reader would, on the embedded images and for an epoch."""
    (tmp_path / "my_net.py").write_text(PLAIN_NET)
    page = (PROJECT / "docs" / "architectures.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    [declared] = [block for block in blocks if 'name="tiny"' in block]
    (tmp_path / "tiny.py").write_text(declared)
    write_pictures(tmp_path / "my_images")
    wanted = dict.fromkeys(
        found[1]
        for _, command in COMMANDS
        if (found := _RUNNER.fullmatch(command)) and found[1] and "…" not in command
        if not any(reason in command for reason in NOT_RUN)
    )
    assert len(wanted) > 15
    training = [words for words in wanted if "--all" in words or "--arch" in words]
    again = "--arch my_net.py:MyNet --arch bn25k --arch fc3136 --study main"
    for text in [*training, again, *(words for words in wanted if words not in training)]:
        if text == again:  # edited, trained again in the study that the commands behind it look at
            (tmp_path / "my_net.py").write_text(
                PLAIN_NET.replace("nn.Linear(784, 10)", "nn.Linear(784, 10, bias=False)")
            )
        words = small(shlex.split(text))
        done = subprocess.run(
            [sys.executable, PROJECT / "runner.py", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
