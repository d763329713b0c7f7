"""Streams: independent, without state, shared or named as the methodology says."""

from __future__ import annotations

import hashlib

import numpy as np

from bench.core.seeds import Stream, derive_seed


def test_the_derivation_written_out_once_more() -> None:
    name = int.from_bytes(hashlib.sha256(b"bn25k").digest()[:8], "little")
    words = np.random.SeedSequence(7, spawn_key=(3, 0, name)).generate_state(1, np.uint64)
    assert derive_seed(7, Stream.INITIALISATION, architecture="bn25k") == int(words[0]) // 2


def test_split_order_and_augmentation_are_shared_by_all_architectures() -> None:
    for stream in (Stream.SPLIT, Stream.ORDER, Stream.AUGMENTATION):
        assert derive_seed(1, stream, architecture="a", epoch=2) == derive_seed(1, stream, architecture="b", epoch=2)
    for stream in (Stream.INITIALISATION, Stream.DROPOUT):
        assert derive_seed(1, stream, architecture="a") != derive_seed(1, stream, architecture="b")


def test_no_two_streams_meet() -> None:
    seeds = [
        derive_seed(seed, stream, architecture="net", epoch=epoch)
        for seed in range(50)
        for stream in Stream
        for epoch in range(20)
    ]
    assert len(set(seeds)) == len(seeds) == 5_000
    assert min(seeds) >= 0
    assert max(seeds) < 2**63
