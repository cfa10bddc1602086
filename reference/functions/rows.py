"""A table of rows, each of which is made, and so checks itself, where it is first asked for.

Some two hundred rows take longer to make than all else that importing the package does, and few programs use many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

R = TypeVar("R")


class Rows(Mapping[str, R]):
    """Rows by name, read-only. A row is made once, and is the same one from then on.

    Args:
        makers: what makes each row, by its name.

    >>> table = Rows({"one": lambda: [1], "two": lambda: [2]})
    >>> list(table), table["one"], table["one"] is table["one"], "three" in table
    (['one', 'two'], [1], True, False)
    """

    __slots__ = ("_made", "_makers")

    def __init__(self, makers: Mapping[str, Callable[[], R]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, R] = {}

    def __getitem__(self, name: str) -> R:
        if name not in self._made:
            make = self._makers[name]
            try:
                self._made.setdefault(name, make())  # of two threads that make it, both get the first
            except KeyError as error:  # `get` would take it for a name that there is none of
                raise RuntimeError(f"row {name!r} cannot be made: there is no {error}") from error
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __repr__(self) -> str:
        return f"Rows({', '.join(self)})"
