"""Libraries that need not be there: each comes with an extra of the package, and an error says which.

Nothing is imported here. Whoever is about to import one of them does so within `named`:

>>> with named():
...     import a_library_of_nobody
Traceback (most recent call last):
    ...
ModuleNotFoundError: No module named 'a_library_of_nobody'
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "torch": "torch",
        "hypothesis": "hypothesis",
        "joblib": "verify",
        "threadpoolctl": "verify",
        "jinja2": "html",
        "distributed": "dask",
        "transformers": "zoo",
    }
)
"""The extra that brings each library, by the library's name."""


@contextmanager
def named(extra: str = "") -> Iterator[None]:
    """Let an error about a missing library of `EXTRAS` say what to install.

    Args:
        extra: what brings all that is imported here, where one library is not enough.

    Raises:
        ModuleNotFoundError: a library is missing; the message names the extra and the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in EXTRAS:
            raise
        text = missing(library, extra or EXTRAS[library])
        raise ModuleNotFoundError(text, name=library) from None


def missing(library: str, extra: str) -> str:
    """What is said of a library that is missing.

    >>> missing("torch", "torch")
    "torch is not installed; it comes with gradient-oracle[torch]: pip install -c constraints.txt '.[torch]'"
    """
    return (
        f"{library} is not installed; it comes with gradient-oracle[{extra}]: "
        f"pip install -c constraints.txt '.[{extra}]'"
    )
