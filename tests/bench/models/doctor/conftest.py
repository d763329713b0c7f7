"""What tests of the checks before training share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from bench.data.datasets import Sample, find_dataset, take_sample
from tests.bench.runs import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def sample() -> Sample:
    return take_sample(find_dataset("mnist5k", NOWHERE))


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """Some of these nets change what holds for the whole process, in the plain loop here too."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.use_deterministic_algorithms(mode=False)
