"""Work on the workers of a Dask cluster, each part of it once, whichever workers come and go."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

from ..torch_side.extras import named

Part = TypeVar("Part")
Made = TypeVar("Made")


def on_cluster(work: Callable[[Part], Made], parts: Iterable[Part], scheduler: str) -> Generator[Made, None, None]:
    """What the work makes of every part, as the parts end.

    The scheduler gives a part that a worker died with to another one; what was collected is not run again.

    Args:
        work: what each worker does with a part; the workers import it, so they need the same packages.
        parts: of the work.
        scheduler: its address, as "tcp://host:8786".

    Raises:
        ValueError: Dask is not installed.
        OSError: there is no scheduler at the address.
    """
    with named():
        from distributed import Client, as_completed  # noqa: PLC0415 (few installations have it)
    with Client(scheduler, set_as_default=False) as client:
        futures: list[Any] = client.map(work, list(parts), pure=False)
        try:
            for future in as_completed(futures, loop=client.loop):
                yield future.result()
                future.release()  # what was collected needs no place on the cluster
        finally:
            client.cancel(futures)
