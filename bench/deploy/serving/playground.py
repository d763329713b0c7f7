"""What the server answers from: the nets of a study, renewed while it serves when the results directory changes."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bench.core.errors import BenchError, StoreError, TooSlowError, first_line
from bench.data.given.prepare import Preparer
from bench.deploy.chosen import Chosen, choose_runs
from bench.deploy.nets import FOLDER, UsableNet, open_nets
from bench.deploy.predict import find_familiarity
from bench.store.store import store_to_read
from bench.system.urls import read_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.core.options import StudyOptions, UseOptions
    from bench.core.pictures import DataPictures
    from bench.data.arrays import Images
    from bench.data.given.prepare import Prepared
    from bench.deploy.chosen import ChosenRun
    from bench.deploy.images.familiar import Familiarity
    from bench.deploy.serving.limits import Limits

    Signature: TypeAlias = tuple[object, ...]

_LOOK_SECONDS = 1.0
"""How often is looked whether anything changed, when somebody asks."""
_ASK_SECONDS = 10.0
"""How often a database is asked whose files cannot be looked at."""
_MOST_DECODING = 2
"""Pictures that are decoded at a time: a large one takes 150 MB meanwhile."""
_log = logging.getLogger(__name__)


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
        is_stale: Whether the results could not be read when they last changed; the log says why. What was loaded before
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
        self._decoding = threading.BoundedSemaphore(_MOST_DECODING)
        self.is_stale = False
        self._runs: Sequence[ChosenRun] = ()
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

    def prepare(self, content: bytes, loaded: Loaded) -> Prepared:
        """A picture's file as nets take it, once fewer others are decoded.

        Raises:
            DataError: As of `Preparer`.
            TooSlowError: Others take all the time that an answer has.
        """
        if not self._decoding.acquire(timeout=self.limits.seconds):
            raise TooSlowError
        try:
            return loaded.preparer.prepare_picture(content)
        finally:
            self._decoding.release()

    def _renew(self) -> None:
        """Load what changed. What changes meanwhile has another signature and is seen by the next look."""
        try:
            signature = self._sign()
            if signature != self._signature:
                self._loaded = self._load(self._loaded)
                self._signature, self.is_stale = signature, False
        except BenchError as fault:
            _log.warning("%s", fault)
            self._signature, self.is_stale = signature, True
        except Exception as fault:  # noqa: BLE001 - files that are replaced under one's hands fail in any way
            _log.warning("The results cannot be read now (%s); the next look tries again.", first_line(fault))
            self.is_stale = True
        finally:
            self._lock.release()

    def _sign(self) -> Signature:
        """What changes when the results do: a database that is a file, weights of the runs in use, exported nets."""
        url = read_url(self._options.store_url)
        found: list[object] = []
        if url.get_backend_name() == "sqlite" and url.database:
            database = Path(url.database)
            found += [_sign_file(database), _sign_file(database.with_name(f"{database.name}-wal"))]
        else:
            found.append(self._clock() // _ASK_SECONDS)
        return (*found, *self._sign_nets())

    def _sign_nets(self) -> Signature:
        """Weights may come after the database that names them, as when a directory is copied while it is served."""
        results = self._options.results
        files = [results / run.record.checkpoint for run in self._runs if run.record.checkpoint]
        with contextlib.suppress(OSError):
            files += sorted((results / FOLDER).glob("*.onnx"))
        return tuple((file.name, _sign_file(file)) for file in files)

    def _load(self, before: Loaded | None = None) -> Loaded:
        """The nets; those of before where the same runs stand for them."""
        options = self._options
        with store_to_read(options.store_url) as store:
            chosen = choose_runs(store, options, self._use)
            self._runs = chosen.runs  # watched from now on, whether they can be loaded or not
            version = self._name_version(chosen)
            if before is not None and before.version == version:
                return before
            familiarity = find_familiarity(store, chosen)
            pictures = store.artifacts.pictures(chosen.dataset.data_hash)
        nets, faults = open_nets(chosen.runs, options.results, [*options.patterns, *chosen.net_files], threads=1)
        if not nets:
            raise StoreError(f"No net of study {chosen.study} can be loaded: {faults[0]}")
        for fault in faults:
            _log.warning("%s", fault)
        examples: dict[str, Images] = {}
        if pictures is not None:
            examples = _choose_examples(pictures, chosen.dataset.classes, familiarity)
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
        """A hash of which runs stand for the nets, and of their files."""
        runs = [(run.record.run_id, run.record.checkpoint_hash) for run in chosen.runs]
        return hashlib.sha256(repr((chosen.study, runs, self._sign_nets())).encode()).hexdigest()[:12]


def _choose_examples(
    pictures: DataPictures, classes: Sequence[str], familiarity: Familiarity | None
) -> dict[str, Images]:
    """An image of the training data of each class: the most typical of those that are stored, where that is told."""
    order = list(range(len(pictures.samples)))
    if familiarity is not None:
        similarity = familiarity.measure(pictures.samples)
        order = sorted(order, key=lambda place: -similarity[place])
    found: dict[int, Images] = {}
    for place in order:
        found.setdefault(int(pictures.sample_labels[place]), pictures.samples[place])
    return {classes[label]: found[label] for label in sorted(found)}


def _sign_file(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
