"""Convolutions by the suite's kernels and by torch, GFLOP/s of one thread, measured in one process.

    python -m tests.speed.kernels

Batches of 128 images; the best of many calls, lanes and torch by turns. Each number is what a net gets that consists of
this convolution alone: images come and go in torch's layout, so that packing them into lanes and out of them is in it,
which in a chain of layers is paid once. torch (oneDNN) is given images and weights once contiguous and once in
channels_last, and the faster one counts. A backward pass is timed with the gradient of the images alone, or of the
weights alone, asked for; the forward pass before it is not timed, whatever it left for later is. Forward, backward data
and backward weights take the same multiplications and additions, 2·N·C·k²·K·H·W of the output's H and W; Winograd's are
counted as if there were as many.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from bench.execution.profiling.phase import fresh_process
from bench.models.rewriting.kernels.chain import Chain
from bench.models.rewriting.kernels.library import kernels_name, load_kernels
from bench.system.environment import describe_environment
from tests.speed.peak import sgemm_peak

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Net = Callable[[Tensor], Tensor]

BATCH = 128
LIMIT_SECONDS = 3_600.0
KINDS = ("forward", "backward data", "backward weights")


class Shape(NamedTuple):
    """A convolution and what it is given."""

    channels: int
    filters: int
    side: int  # of the images
    kernel: int
    padding: int = 0

    @property
    def name(self) -> str:
        """As the table shows it."""
        padded = f", padding {self.padding}" if self.padding else ""
        return f"{self.channels}→{self.filters}, {self.side}, {self.kernel}{padded}"

    @property
    def operations(self) -> int:
        """Multiplications and additions of one pass over a batch."""
        out = self.side + 2 * self.padding - self.kernel + 1
        return 2 * BATCH * self.filters * out * out * self.channels * self.kernel**2


SHAPES = (
    Shape(1, 4, 28, 3),
    Shape(4, 8, 26, 3),
    Shape(8, 16, 12, 3),
    Shape(16, 32, 10, 3),
    Shape(1, 10, 28, 5),
    Shape(10, 20, 12, 5),
    Shape(1, 16, 30, 3),
    Shape(16, 32, 16, 3),
    Shape(1, 32, 30, 3),
    Shape(32, 64, 16, 3),
    Shape(32, 64, 14, 3, padding=1),
)
"""Those of the registered nets as the prototype timed them, and fc3136's large one as it is printed."""


def measure(shape: Shape, repeats: int) -> dict[str, tuple[float, float]]:
    """GFLOP/s of each kind of pass, by lanes and by torch; backward data is left out for images of one channel."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    images = torch.rand(BATCH, shape.channels, shape.side, shape.side)
    layers = [nn.Conv2d(shape.channels, shape.filters, shape.kernel, padding=shape.padding) for _ in range(3)]
    chained, plain, last = layers
    last.weight.data = last.weight.data.contiguous(memory_format=torch.channels_last)
    nets: list[tuple[nn.Conv2d, Net, Tensor]] = [
        (chained, Chain([chained]), images),
        (plain, plain, images),
        (last, last, images.to(memory_format=torch.channels_last)),
    ]
    found = {}
    for kind in KINDS:
        if kind == "backward data" and shape.channels == 1:
            continue
        best = [float("inf")] * len(nets)
        for _ in range(repeats):
            for place, (layer, net, given) in enumerate(nets):
                best[place] = min(best[place], pass_seconds(kind, layer, net, given))
        lanes, *others = (shape.operations / seconds / 1e9 for seconds in best)
        found[kind] = lanes, max(others)
    return found


def pass_seconds(kind: str, layer: nn.Conv2d, net: Net, images: Tensor) -> float:
    """How long one pass takes."""
    layer.requires_grad_(requires_grad=False)
    if kind == "forward":
        with torch.no_grad():
            started = time.perf_counter()
            net(images)
            return time.perf_counter() - started
    wanted = images.detach().requires_grad_() if kind == "backward data" else layer.weight.requires_grad_()
    maps = net(wanted if kind == "backward data" else images)
    gradient = torch.ones_like(maps)  # in the layout that the maps have
    started = time.perf_counter()
    torch.autograd.grad(maps, wanted, gradient)
    return time.perf_counter() - started


def row(shape: Shape, found: dict[str, tuple[float, float]]) -> str:
    """A line of the table."""
    cells = []
    for kind in KINDS:
        cells += [f"{rate:.0f}" for rate in found[kind]] if kind in found else ["–", "–"]
    return f"| {shape.name} | {' | '.join(cells)} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=60)
    given = parser.parse_args()
    load_kernels()  # compiled here, or refused in one line
    environment = describe_environment()
    with fresh_process(limit_seconds=LIMIT_SECONDS) as pool:
        peak = pool.submit(sgemm_peak).result() / 1e9
        print(f"{environment['cpu']}, torch {torch.__version__}, kernels {kernels_name()}, batch {BATCH}")
        print(f"sgemm peak (torch.mm of 512×512): {peak:.0f} GFLOP/s\n")
        print(f"| in→out, side, kernel | {' | '.join(f'{kind}: lanes | torch' for kind in KINDS)} |")
        print(f"|---|{'---:|' * 2 * len(KINDS)}")
        for shape in SHAPES:
            print(row(shape, pool.submit(measure, shape, given.repeats).result()), flush=True)
        print(f"\nsgemm peak afterwards: {pool.submit(sgemm_peak).result() / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
