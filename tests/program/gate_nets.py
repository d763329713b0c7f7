"""Nets that a gate watches, with changes that hurt and that do not, and what is typed and read to check them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.front_door import run

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("gate.md", "gate.junit.xml", "gate.json", "gate.benchmark.json")

NET = '''
"""A net that a team watches."""
from pathlib import Path

import torch
from torch import nn
from bench.spec import Architecture

class Watched(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
        )

    def forward(self, images):
        assert not (self.training and len(images) > 100 and Path(__file__).with_name("broken").exists())
        return self.stages(images)

ARCHITECTURE = Architecture(name="watched", build=Watched)
'''

DROPOUT = NET.replace("nn.Linear(64, 10)", "nn.Dropout(0.95), nn.Linear(64, 10)")
FORGOTTEN_RELU = NET.replace("nn.ReLU(), ", "")
LABEL_NOISE = NET.replace(
    "return self.stages(images)",
    """logits = self.stages(images)
        if self.training:  # half of the images are taught as another class
            taught = torch.arange(len(logits), device=logits.device)[:, None] % 2 == 0
            logits = torch.where(taught, logits, logits.roll(1, dims=1))
        return logits""",
)
SAME = NET.replace("return self.stages(images)", "logits = self.stages(images)\n        return logits")
WIDER = NET.replace("64", "65")
NO_MEMORY = NET.replace(
    "return self.stages",
    "if self.training and len(images) > 100:\n            raise MemoryError\n        return self.stages",
)
DIVERGES = NET.replace(
    "return self.stages(images)",
    "return self.stages(images) * (float('nan') if self.training and len(images) > 100 else 1.0)",
)
TORCH_MEMORY = NO_MEMORY.replace(
    "raise MemoryError",
    """raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
                "to allocate 4096000000 bytes. Error code 12 (Cannot allocate memory)"
            )""",
)
CRASHES = NET.replace(
    "return self.stages(images)", "assert not self.training or len(images) < 100\n        return self.stages(images)"
)


def check(place: Path, *words: object, results: Path | None = None) -> int:
    """The check of net.py against t.toml; in place/r where nothing else is said."""
    where = ("--results", results or place / "r", "--jobs", 1, "--quiet")
    return run("--arch", place / "net.py", "--check", place / "t.toml", *where, *words)


def judgement(results: Path) -> dict[str, object]:
    (found,) = json.loads((results / "gate.json").read_text())["architectures"]
    assert found["name"] == "watched"
    return dict(found)


def one_line(text: str) -> str:
    return " ".join(text.split())
