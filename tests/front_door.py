"""What tests type at the front door, and what they read of the results."""

from __future__ import annotations

import csv
from pathlib import Path
from textwrap import indent

import runner
from bench.system import process

process.PRELOADED += process.TO_TRAIN  # once: of the commands of one test process the first need not train
RUNNER = Path(runner.__file__)
SHORT = ("--dataset", "mnist5k", "--epochs", "1", "--no-timing", "--quiet")

TINY = '''
"""A net outside the repository."""
from torch import nn
from bench.spec import Architecture

class TinyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(nn.Flatten(), nn.Linear(784, {hidden}), nn.ReLU(), nn.Linear({hidden}, {classes}))

    def forward(self, images):
        return self.stages(images)

ARCHITECTURE = Architecture(name="tiny", build=TinyNet, summary="as small as it gets", source="these tests")
'''


def write_tiny(folder: Path, *, hidden: int = 8, classes: int = 10) -> Path:
    path = folder / "tiny.py"
    path.write_text(TINY.format(hidden=hidden, classes=classes))
    return path


def write_faulty(folder: Path, name: str, *, fault: str) -> Path:
    """The tiny net under another name, with lines that stand at the end of its forward pass, before it returns."""
    path, end = folder / f"{name}.py", "return self.stages"
    named = TINY.format(hidden=8, classes=10).replace('name="tiny"', f'name="{name}"')
    path.write_text(named.replace(end, f"{indent(fault, 8 * ' ').lstrip()}\n        {end}"))
    return path


def run(*words: object) -> int:
    return runner.main([str(word) for word in words])


def rows(results: Path) -> list[dict[str, str]]:
    with (results / "runs.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def weights(results: Path) -> dict[tuple[str, str], str]:
    return {(row["architecture"], row["seed"]): row["weights_hash"] for row in rows(results)}
