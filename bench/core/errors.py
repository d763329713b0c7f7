"""Every exception of the suite: what a user can get wrong, as one tree, and what its parts tell each other, as another.

    BenchError
    ├── UsageError ──── ActionError, UnknownNameError
    ├── DataError ───── DownloadError
    ├── StoreError ──── NoStoreError, DamagedStoreError
    ├── ArchitectureError ── MisfitError
    └── RecipeError, ThresholdsError, ClaimsError, DamagedStateError, MachineError, ClusterError

    InternalError
    ├── DiedError ───── LostRunError
    ├── UnfitError ──── PendingError
    ├── HungError, BusyError, PausedError, DivergedError, DataMissingError, RaisedError, WorkerFaultError
    └── KernelError, ClosedTestSetError, TooSlowError

The front door prints a message as one line and exits 2; our own bugs are other exceptions and keep their traceback.
A message says what happened with the value, what was expected and what to do next.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class BenchError(Exception):
    """Something the user can fix. Its message is one clear line."""


class UsageError(BenchError):
    """A flag, a name or a value on the command line that cannot be used."""


class ActionError(UsageError):
    """No action on the command line, or two that exclude each other."""


_OTHER_WORDS = {"gpu": "cuda", "nvidia": "cuda", "metal": "mps", "apple": "mps"}
"""What people call what has another name here."""


class UnknownNameError(UsageError):
    """A name that nobody knows, of what a user calls an "architecture", say; the message has the nearest known one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        other = _OTHER_WORDS.get(name.lower())
        near = [other] if other in names else difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(names) or 'none'}."
        super().__init__(f"No {kind} '{name}'. {hint}")


class DataError(BenchError):
    """A dataset that is missing, damaged or not what it claims to be."""


class DownloadError(DataError):
    """A dataset that could not be downloaded; whoever asked may have another way."""


class ArchitectureError(BenchError):
    """A net file that cannot be loaded, or a net that does not do what it declares.

    Attributes:
        check: Which check of the doctor says so, one of `bench.core.metadata.CHECKS`.
    """

    def __init__(self, *args: object, check: str = "runs") -> None:
        super().__init__(*args)
        self.check = check


class MisfitError(ArchitectureError):
    """A sound net that cannot take the images or the classes of a dataset.

    A net's `build` may raise it for an input shape that it cannot be fitted to; the message says why, as
    "after the second pool nothing is left".
    """


class RecipeError(BenchError):
    """A recipe or a budget that cannot be trained."""


class ThresholdsError(BenchError):
    """A thresholds file that is missing, or a line of it that cannot be used."""


class ClaimsError(BenchError):
    """A file of claims that is missing, or a claim that cannot be judged as it is declared.

    Attributes:
        field: Which field of the claim is wrong; empty where no single one is.
        keys: Where that stands in its file, from the top; empty where nobody knows.
    """

    def __init__(self, message: str, *, field: str = "", keys: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.field, self.keys = field, keys


class DamagedStateError(BenchError):
    """A state file that is torn, changed or of something else."""


class MachineError(BenchError):
    """A machine without the memory or the file that counting a net needs, which says nothing of the net."""


class ClusterError(BenchError):
    """A scheduler that does not answer, or workers that cannot do the work."""


class StoreError(BenchError):
    """A results directory or a database that cannot be used."""


class NoStoreError(StoreError):
    """A place where nothing is stored yet."""


class DamagedStoreError(StoreError):
    """A database whose bytes are not those that were written."""


class InternalError(Exception):
    """What one part of the suite tells another by raising; the one that hears it says so in its own words."""


class BusyError(InternalError):
    """Another runner trains this run."""


class PausedError(InternalError):
    """The run has come to where its task pauses it."""


class DivergedError(InternalError):
    """The loss is no longer a finite number."""


class UnfitError(InternalError):
    """A net that cannot be trained as it is; the message says why and what to do."""


class PendingError(UnfitError):
    """A net that the lanes engine cannot run as it is; the proof before training finds nearly all of them."""


class KernelError(InternalError):
    """There are no kernels here; the message says why, in words that fit behind a colon."""


class DataMissingError(InternalError):
    """A worker of a cluster has not got the dataset of a task."""

    def __init__(self, worker: str, dataset: str, data_hash: str) -> None:
        super().__init__(worker, dataset, data_hash)  # the arguments that unpickling gives it
        self.worker, self.dataset, self.data_hash = worker, dataset, data_hash


class DiedError(InternalError):
    """A process ended, or was ended, before its call did; the message ends a sentence ("was killed by SIGSEGV").

    Attributes:
        trace: What Python said last of where it was; empty when it could not.
        hung: Whether it took too long.
    """

    def __init__(self, reason: str, *, trace: str = "", hung: bool = False) -> None:
        super().__init__(reason)
        self.trace, self.hung = trace, hung


class LostRunError(DiedError):
    """Every try at a run ended its process or hung; the message is a sentence."""


class HungError(InternalError, InterruptedError):
    """A try at a run took too long; the next goes on from its saved state."""


class RaisedError(InternalError):
    """A call raised what is none of our errors; the text says what, its traceback is a note."""


class WorkerFaultError(InternalError):
    """What training raised in a worker that is none of our errors; its traceback is a note of it."""


class ClosedTestSetError(InternalError):
    """The test set was looked at under a protocol that never does: a fault of ours, not of the user's."""


class TooSlowError(InternalError):
    """A request to the playground that is not answered in time."""


def blames_machine(error: BaseException) -> bool:
    """Whether an error that ended a run says nothing of its net: a file, memory, the data, a connection, a worker.

    What the suite and its workers raise is the machine's, and Python's own errors of files and memory; those that a net
    derives from them are the net's, as is all else.
    """
    kind = type(error)
    if isinstance(error, BenchError | InternalError):
        return not isinstance(error, DivergedError | UnfitError)
    if kind.__module__.startswith(("distributed.", "concurrent.futures.")):
        return True
    return isinstance(error, OSError | MemoryError) and kind.__module__ == "builtins"


def reason(error: OSError) -> str:
    """What the system says of it (`No space left on device`); its kind where it says nothing."""
    return error.strerror or type(error).__name__


def first_line(error: BaseException) -> str:
    """`TypeError: what happened`: kind and first line of an error, fit for a one-line message; ours need no kind."""
    try:
        line = next(iter(str(error).strip().splitlines()), "")
    except BaseException:  # noqa: BLE001 - a net's error may raise when it is asked for its text
        line = "(its text cannot be read)"
    if isinstance(error, BenchError):
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


class UnreadableError(ValueError):
    """Stored bytes that are not those that were written; the store makes a DamagedStoreError of it."""
