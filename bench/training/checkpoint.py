"""Files of a run: the final weights, and the state to go on from when it is cut short."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
from typing import TYPE_CHECKING, Any

import torch

from bench.core.errors import DamagedStateError
from bench.models.state import read_bits
from bench.system.files import read_regular, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

_SEAL = b"architecture-bench run state 1\n"
"""First line of a state file; the next one is the SHA-256 of all that follows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """Final weights as they lie on disk, in the fields of a record; all empty when there are none.

    The file's path is relative to the results directory; `weights_hash` is a SHA-256 over names and values, to compare
    runs bit for bit.
    """

    checkpoint: str = ""
    checkpoint_bytes: int | None = None
    checkpoint_hash: str = ""
    weights_hash: str = ""


def keep_weights(model: nn.Module, results: Path, path: str) -> Weights:
    """Write a net's weights under their plain names and dense layout, so that the printed net can load them.

    Raises:
        OSError: The file, a path relative to the results directory, cannot be written.
    """
    values = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    content = _pack(values)
    write_atomically(results / path, content)
    digest = hashlib.sha256()
    for name in sorted(values):
        digest.update(name.encode() + read_bits(values[name]))
    return Weights(
        checkpoint=path,
        checkpoint_bytes=len(content),
        checkpoint_hash=hashlib.sha256(content).hexdigest(),
        weights_hash=digest.hexdigest(),
    )


def save_state(state: dict[str, Any], path: Path, *, run_id: str) -> None:
    """Write the state of an unfinished run in place of the one before, whole or not at all; else an OSError."""
    content = _pack({"run_id": run_id, "state": state})
    write_atomically(path, _SEAL + hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def load_state(path: Path, *, run_id: str) -> dict[str, Any]:
    """Read what `save_state` wrote; nothing in the file is run.

    Raises:
        FileNotFoundError: There is none.
        DamagedStateError: It is torn, changed, of another run or of something else; the message says which.
    """
    first, _, rest = read_regular(path).partition(b"\n")
    seal, _, content = rest.partition(b"\n")
    if first + b"\n" != _SEAL:
        raise DamagedStateError("it is not a run's state")
    if hashlib.sha256(content).hexdigest().encode() != seal:
        raise DamagedStateError("it is torn or was changed")
    try:
        stored = torch.load(io.BytesIO(content), weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DamagedStateError("it holds something else than tensors and numbers") from error
    if stored["run_id"] != run_id:
        raise DamagedStateError(f"it is of run {stored['run_id']}")
    state: dict[str, Any] = stored["state"]
    return state


def _pack(values: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    torch.save(values, stream)
    return stream.getvalue()
