"""The memory that a piece of work takes, measured in a process of its own."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Memory(NamedTuple):
    """GB (10⁹ bytes) that a process has held, libraries included.

    Attributes:
        before: when the work began.
        most: at most, until it was done.
    """

    before: float
    most: float


def memory_of(prepare: Callable[..., Callable[[], Any]], *given: Any) -> Memory:
    """What a process holds before and at most during the work that `prepare(*given)` makes there.

    A server forks the process: on Linux, a program started from here would begin with the peak of this one. The work is
    done twice, so that what is made once, libraries' own buffers and tensors, is there before; of the second time the
    peak is taken on Linux, elsewhere that of the whole process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([prepare.__module__])  # imports once what every process would import
    with context.Pool(1) as pool:
        return pool.apply(_measured, (prepare, given))


def _measured(prepare: Callable[..., Callable[[], Any]], given: tuple[Any, ...]) -> Memory:
    work = prepare(*given)
    work()
    _give_back()
    if not _STATUS.exists():
        before = peak()
        work()
        return Memory(before, peak())
    _RESET.write_text("5")  # the peak is what is held now: proc(5)
    before = _field("VmRSS")
    work()
    return Memory(before, _field("VmHWM"))


def _give_back() -> None:
    """Return freed memory to the system, where the C library can (glibc): it would be taken again unseen."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _field(name: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e9


def peak() -> float:
    """Of the whole process; macOS counts in bytes, other systems in kilobytes of 1024."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
