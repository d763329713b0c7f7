"""A hundred thousand pictures: how long they take to read, and how much memory two workers train on them in.

    python -m tests.speed.many_pictures --images 100000 --side 64

Pictures in colour, PNG, in ten class folders, are made first. `runner.py` then decodes them and trains one epoch of two
seeds on two workers; a second command finds what was decoded. Memory is the sum over the command and all processes
below it, looked at ten times a second: a page that several share counts once (PSS); beside it stand the resident sizes
added up. Wants a quiet machine and room for the pictures twice (in files, and decoded).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from bench.system.environment import PROJECT, describe_environment

CLASSES = 10
TRAINING = ("--epochs", "1", "--no-timing", "--quiet")


def make_pictures(folder: Path, label: int, images: int, side: int) -> None:
    """Pictures of one class: a colour of its own, and noise coarse enough that a picture takes some kilobytes."""
    generator = np.random.default_rng(label)
    place = folder / f"class{label}"
    place.mkdir(parents=True)
    colour = generator.integers(60, 200, 3)
    for number in range(images):
        coarse = generator.normal(colour, 40, (side // 4, side // 4, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(coarse).resize((side, side), Image.Resampling.NEAREST).save(place / f"{number}.png")


def watch(words: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Seconds of a command, and the most memory of it and its processes: shared pages once, and resident, in bytes.

    Raises:
        RuntimeError: It failed.
    """
    started = time.perf_counter()
    process = subprocess.Popen(words, env=environment, cwd=PROJECT)
    most_shared, most_resident = 0.0, 0.0
    while process.poll() is None:
        shared, resident = look(psutil.Process(process.pid))
        most_shared, most_resident = max(most_shared, shared), max(most_resident, resident)
        time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"The command ended with {process.returncode}.")
    return time.perf_counter() - started, most_shared, most_resident


def look(root: psutil.Process) -> tuple[int, int]:
    """PSS and resident bytes of a process and all below it, as far as they are still there."""
    shared = resident = 0
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0, 0
    for process in processes:
        try:
            memory = process.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        shared, resident = shared + memory.pss, resident + memory.rss
    return shared, resident


def main() -> None:
    """Make the pictures, read and train twice, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--arch", default="lenet21k")
    given = parser.parse_args()
    environment = describe_environment()
    print(f"{environment['cpu']}, {environment['cores']} cores; {given.images:,} PNG of {given.side}×{given.side}×3\n")
    with tempfile.TemporaryDirectory() as name:
        pictures = Path(name) / "pictures"
        with ProcessPoolExecutor() as pool:
            each = given.images // CLASSES
            list(
                pool.map(make_pictures, [pictures] * CLASSES, range(CLASSES), [each] * CLASSES, [given.side] * CLASSES)
            )
        surroundings = os.environ | {"BENCH_CACHE_DIR": f"{name}/cache"}
        words = [
            sys.executable,
            "runner.py",
            *TRAINING,
            "--arch",
            given.arch,
            "--dataset",
            str(pictures),
            "--jobs",
            "2",
        ]
        print(
            "| command | seconds | memory, shared pages once (GiB) | resident sizes added up (GiB) |\n"
            "|---|---:|---:|---:|"
        )
        for what, more in (
            ("read all, train nothing", ["--plan"]),
            ("found again, train nothing", ["--plan"]),
            ("one epoch of two seeds", ["--seeds", "2"]),
        ):
            seconds, shared, resident = watch([*words, "--results", f"{name}/results", *more], surroundings)
            print(f"| {what} | {seconds:.1f} | {shared / 2**30:.2f} | {resident / 2**30:.2f} |", flush=True)


if __name__ == "__main__":
    main()
