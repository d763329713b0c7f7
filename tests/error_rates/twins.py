"""One net under two names: what a true A/A test compares. Initialisation and dropout differ by name."""

from __future__ import annotations

from architectures.lenet import LeNet
from bench.spec import Architecture

TWINS = [
    Architecture(name=name, build=LeNet, summary="lenet21k under another name", source="a true A/A test")
    for name in ("twin-a", "twin-b")
]
