"""What the server answers from: the nets of a study, renewed while it serves when the results directory changes."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bench.core.errors import BenchError, StoreError, first_line
from bench.deploy.chosen import Chosen, choose_runs
from bench.deploy.images.prepare import Preparer
from bench.deploy.nets import FOLDER, UsableNet, open_nets
from bench.deploy.predict import find_familiarity
from bench.store.store import open_store
from bench.system.urls import read_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.core.options import StudyOptions, UseOptions
    from bench.data.arrays import Images
    from bench.deploy.images.familiar import Familiarity
    from bench.deploy.serving.limits import Limits

    Signature: TypeAlias = tuple[object, ...]

_LOOK_SECONDS = 1.0
"""How often is looked whether anything changed, when somebody asks."""
_ASK_SECONDS = 10.0
"""How often a database is asked whose files cannot be looked at."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loaded:
    """Everything that one answer is made from; never changed, only replaced.

    Attributes:
        faults: What is wrong with nets that could not be loaded, a line each.
        examples: Label and pixels (C, H, W) of an image of the training data of each class.
        version: Tells this from what was loaded before.
    """

    chosen: Chosen
    nets: tuple[UsableNet, ...]
    faults: tuple[str, ...]
    preparer: Preparer
    familiarity: Familiarity | None
    examples: tuple[tuple[str, Images], ...]
    version: str


class Playground:
    """Loads the nets of a study, and loads them again in a thread of its own when other runs stand for them.

    Attributes:
        fault: Why the results could not be read when they last changed; empty where they could. What was loaded before
            goes on answering.
    """

    def __init__(self, options: StudyOptions, use: UseOptions, limits: Limits) -> None:
        """Load them.

        Raises:
            BenchError: There is nothing to ask.
        """
        self._options, self._use, self.limits = options, use, limits
        self._clock: Callable[[], float] = time.monotonic
        self._lock, self._looked = threading.Lock(), self._clock()
        self.fault = ""
        self._signature = self._sign()
        self._loaded = self._load()

    @property
    def report(self) -> Path:
        """The report's file, which may not be there."""
        return self._options.results / "report.html"

    def current(self) -> Loaded:
        """What is loaded; looks now and then, without being waited for, whether the results are others."""
        if self._clock() - self._looked > _LOOK_SECONDS and self._lock.acquire(blocking=False):
            self._looked = self._clock()
            threading.Thread(target=self._renew, daemon=True).start()  # gives the lock back
        return self._loaded

    def _renew(self) -> None:
        try:
            signature = self._sign()
            if signature != self._signature:
                self._loaded, self.fault = self._load(self._loaded), ""
                self._signature = self._sign()
        except BenchError as fault:
            self.fault, self._signature = str(fault), signature
        except Exception as fault:  # noqa: BLE001 - files that are replaced under one's hands fail in any way
            self.fault = f"The results cannot be read now ({first_line(fault)}); the next look tries again."
        finally:
            self._lock.release()

    def _sign(self) -> Signature:
        """What changes when the results do: a database that is a file, and exported nets."""
        results, url = self._options.results, read_url(self._options.store_url)
        found: list[object] = []
        if url.get_backend_name() == "sqlite" and url.database:
            database = Path(url.database)
            found += [_sign_file(database), _sign_file(database.with_name(f"{database.name}-wal"))]
        else:
            found.append(self._clock() // _ASK_SECONDS)
        with contextlib.suppress(OSError):
            found += [(file.name, _sign_file(file)) for file in sorted((results / FOLDER).glob("*.onnx"))]
        return tuple(found)

    def _load(self, before: Loaded | None = None) -> Loaded:
        """The nets; those of before where the same runs stand for them."""
        options = self._options
        with open_store(options.store_url, create=False) as store:
            chosen = choose_runs(store, options, self._use)
            version = self._name_version(chosen)
            if before is not None and before.version == version:
                return before
            familiarity = find_familiarity(store, chosen)
            pictures = store.artifacts.pictures(chosen.dataset.data_hash)
        nets, faults = open_nets(chosen.runs, options.results, [*options.patterns, *chosen.net_files], threads=1)
        if not nets:
            raise StoreError(f"No net of study {chosen.study} can be loaded: {faults[0]}")
        examples: dict[str, Images] = {}
        if pictures is not None:
            for label, pixels in zip(pictures.sample_labels.tolist(), pictures.samples, strict=True):
                examples.setdefault(chosen.dataset.classes[label], pixels)
        return Loaded(
            chosen=chosen,
            nets=tuple(nets),
            faults=tuple(faults),
            preparer=Preparer(chosen.dataset, most_pixels=self.limits.pixels, most_side=self.limits.side),
            familiarity=familiarity,
            examples=tuple(examples.items()),
            version=version,
        )

    def _name_version(self, chosen: Chosen) -> str:
        """A hash of which runs stand for the nets, and of the exported files."""
        runs = [(run.record.run_id, run.record.checkpoint_hash) for run in chosen.runs]
        files = [sign for sign in self._sign() if isinstance(sign, tuple) and sign and isinstance(sign[0], str)]
        return hashlib.sha256(repr((chosen.study, runs, files)).encode()).hexdigest()[:12]


def _sign_file(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
