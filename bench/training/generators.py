"""The random generators that a net may draw from without asking: torch's, NumPy's and Python's own."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


def seed_generators(seed: int) -> None:
    """Seed all three with one derived seed; NumPy takes its lower 32 bits.

    Args:
        seed: From 0 to 2**63 - 1, as `bench.seeds.derive_seed` gives it.
    """
    torch.manual_seed(seed)
    np.random.seed(seed & 0xFFFF_FFFF)  # noqa: NPY002 - nets draw from the old global generator, so that one is seeded
    random.seed(seed)


@contextlib.contextmanager
def kept_generators() -> Iterator[None]:
    """Give all three back the state that they have now; of torch's that of the CPU."""
    of_numpy, of_python = np.random.get_state(), random.getstate()  # noqa: NPY002 - as above
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(of_numpy)  # noqa: NPY002 - as above
        random.setstate(of_python)


def generator_states() -> tuple[bytes, bytes, str]:
    """Where the three stand, to be compared."""
    of_numpy = np.random.get_state(legacy=False)  # noqa: NPY002 - as above
    return torch.get_rng_state().numpy().tobytes(), repr(of_numpy).encode(), repr(random.getstate())
