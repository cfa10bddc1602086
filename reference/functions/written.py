"""What a function that a decorator made is written as: the parts that it shares with others, and its formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_AS = "written"


def note(function: Callable[..., Any], *parts: Any) -> None:
    """Write down what a function is made of."""
    setattr(function, _AS, (function, *parts))


def noted(function: Callable[..., Any] | None) -> tuple[Any, ...] | None:
    """What was written down of this very function; None if nothing was.

    `functools.wraps` hands the note on to a function that does more, of which it says nothing.

    >>> from functools import wraps
    >>> def square(x):
    ...     return x * x
    >>> note(square, "x", "x·x")
    >>> noted(square), noted(wraps(square)(lambda x: -square(x)))
    (('x', 'x·x'), None)
    """
    found = getattr(function, _AS, None)
    return found[1:] if found is not None and found[0] is function else None
