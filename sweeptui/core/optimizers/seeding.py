"""Random streams that depend on what they are for, and on nothing else."""

from __future__ import annotations

import hashlib


def stream_seed(*parts: int | str) -> int:
    """A 64-bit seed for the stream named by `parts`: the same in every process, on every machine and Python.

    Separate names give independent streams, so that one draw more in one place shifts nothing elsewhere.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def trial_seed(seed: int, number: int) -> int:
    """The seed that trial `number` is trained with, of 31 bits, which every library takes."""
    return stream_seed(seed, "trial", number) % 2**31
