"""Memory that the process keeps when arrays are freed."""

from __future__ import annotations

from functools import cache

import numpy as np

_TAUGHT = 31 * 2**20
"""Bytes, below the 32 MiB up to which glibc learns."""


@cache
def keep_freed_memory() -> None:
    """Have glibc's malloc keep up to 64 MB of freed memory at hand, from the first call on.

    A pass makes and frees arrays of megabytes. As a program starts, malloc gives such memory back to the system at
    once, and every page of the next array costs a page fault: a fifth of the time of a small transformer's gradients.
    When a block is freed that was mapped by itself, glibc takes its size, up to 32 MiB, for what the program uses: it
    maps smaller ones no more, and keeps twice as much (mallopt(3), M_MMAP_THRESHOLD). One block that nobody writes to
    will do; elsewhere it changes nothing.
    """
    np.empty(_TAUGHT, np.uint8)
