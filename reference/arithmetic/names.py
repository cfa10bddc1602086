"""What a name that nobody knows is likely to mean."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 64
"""Letters of a name that are looked at: a stranger's may be long."""


def meant(name: object, names: Iterable[object]) -> str:
    """A clause that names the known name that is nearest to another one; "" if none is near.

    >>> meant("rellu", ["tanh", "relu"]), meant("xyz", ["tanh", "relu"])
    (', is relu meant?', '')
    """
    import difflib  # noqa: PLC0415  (needed by errors alone)

    like = difflib.get_close_matches(str(name)[:LONGEST], [str(known) for known in names], n=1)
    return f", is {like[0]} meant?" if like else ""
