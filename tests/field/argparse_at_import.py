"""Reads a command line of its own when it is imported, as scripts that were made into net files do."""

import argparse

from torch import nn

from bench.spec import Architecture

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=14)
parser.add_argument("--hidden", type=int, default=16)
arguments = parser.parse_args()


class Tiny(nn.Sequential):
    """One hidden layer."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(784, arguments.hidden), nn.ReLU(), nn.Linear(arguments.hidden, 10))


ARCHITECTURE = Architecture(name="argparse", build=Tiny)
