"""Records that hold functions, known by the call that made them: so they are compared, copied, pickled and kept.

A row of a table, or an optimiser, is a frozen record whose fields are functions, most of them closures, and no closure
can be pickled or compared. The call that made it can: a maker's name and its arguments. `recorded` writes it down, and
`Recorded` compares and pickles by it.

>>> import copy, pickle
>>> from reference import activations
>>> row = activations.leaky_relu(negative_slope=0.2)
>>> pickle.loads(pickle.dumps(row)) == row == activations.leaky_relu(0.2) != activations.leaky_relu()
True
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

import numpy as np

from ..arithmetic.array import kept
from ..arithmetic.names import meant

P = ParamSpec("P")
R = TypeVar("R", bound="Recorded")


class ReadOnly(dict[str, Any]):
    """A dictionary that does not change; unlike a view of one, it is copied, pickled and written as JSON as others are.

    >>> ReadOnly({"lr": 0.1})["lr"]
    0.1
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("these values are read-only: make a dict of them")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[ReadOnly], tuple[dict[str, Any]]]:
        return ReadOnly, (dict(self),)


@dataclass(frozen=True, eq=False)
class Call:
    """The call that made a record: the maker as its module hands it out, and the arguments, read-only."""

    maker: Callable[..., Any]
    positional: tuple[Any, ...]
    named: Mapping[str, Any]

    def same_as(self, other: Call) -> bool:
        """Whether both ask for the same; an argument left out is its default."""
        return self.maker is other.maker and _same(self.arguments(), other.arguments())

    def arguments(self) -> dict[str, Any]:
        """Every argument by its name, those that were left out as well."""
        bound = inspect.signature(self.maker).bind(*self.positional, **self.named)
        bound.apply_defaults()
        return bound.arguments


class Recorded:
    """A frozen record of functions. It is equal to what the same call made; without a call, to what has the same parts.

    A copy is the record itself, for nothing in it changes. A record that no maker made is pickled part by part.
    """

    _call: Call | None = None

    @property
    def call(self) -> Call | None:
        """The call that made it; None if no maker did."""
        return self._call

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, type(self)) or not isinstance(self, type(other)):
            return NotImplemented
        if self._call is not None and other._call is not None:
            return self._call.same_as(other._call)
        return _same(_parts(self), _parts(other))

    def __hash__(self) -> int:
        return hash((type(self), getattr(self, "name", "")))

    def __copy__(self: R) -> R:
        return self

    def __deepcopy__(self: R, memo: object) -> R:
        return self

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The maker and its arguments, or the parts.

        Raises:
            pickle.PicklingError: a part is a function that pickle cannot find by its name.
        """
        if self._call is not None:
            return _made_again, (self._call.maker, self._call.positional, dict(self._call.named))
        parts = _parts(self)
        if not _asked_by_cloudpickle():
            _require_picklable(self, parts)
        return _put_together, (type(self), parts)


def recorded(maker: Callable[P, R]) -> Callable[P, R]:
    """The maker of records, each of which remembers the call; without arguments it gives the same record every time.

    Arrays among the arguments are copied, read-only: no change of the caller's array reaches the record.
    """
    default: list[R] = []

    @wraps(maker)
    def call(*positional: P.args, **named: P.kwargs) -> R:
        if default and not positional and not named:
            return default[0]
        arguments, options = frozen(positional), {key: frozen(value) for key, value in named.items()}
        record = maker(*arguments, **options)
        if record._call is None:
            object.__setattr__(record, "_call", Call(call, arguments, options))
        if positional or named:
            return record
        default.append(record)
        return default[0]  # of two threads that make it, both get the first

    return call


def row_named(kind: str, row: str | R, rows: Mapping[str, R], of: type[R]) -> R:
    """The row itself, or the row of that name in a table.

    Args:
        kind: what the rows are, for the errors: "activation".
        row: a name, or a row.
        rows: the table.
        of: the rows' type.

    Raises:
        ValueError: no row has that name (the message lists those that exist).
        TypeError: neither a name nor a row.

    >>> from reference.losses import LOSSES, Loss
    >>> row_named("loss", "mse", LOSSES, Loss).formula
    '(y − t)²'
    """
    if isinstance(row, of):
        return row
    if not isinstance(row, str):
        raise TypeError(f"{kind}: expected a name or a row, got {type(row).__name__}")
    if row not in rows:
        raise ValueError(no_row(kind, row, rows))
    return rows[row]


def no_row(kind: str, name: str, names: Iterable[str]) -> str:
    """What is said of a name that no row of a table has: the one that is likely meant, and all that there are.

    >>> no_row("activation", "rellu", ["tanh", "relu"])
    "activation: no row is named 'rellu', is relu meant?; there are relu, tanh"
    """
    known = sorted(names)
    return f"{kind}: no row is named {name!r}{meant(name, known)}; there are {', '.join(known)}"


def frozen(value: Any) -> Any:
    """The value with nothing in it that can change: mappings are read-only, lists tuples, and arrays read-only copies.

    >>> frozen({"weight": [1.0, 2.0]})
    {'weight': (1.0, 2.0)}
    """
    if isinstance(value, Mapping):
        return ReadOnly({key: frozen(part) for key, part in value.items()})
    if type(value) in (list, tuple):
        return tuple(frozen(part) for part in value)
    # A mask is for the maker to refuse, by the name of its parameter.
    return kept(value) if isinstance(value, np.ndarray) and not hasattr(value, "mask") else value


def _parts(record: Recorded) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}  # type: ignore[arg-type]


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def _require_picklable(record: Recorded, parts: Mapping[str, Any]) -> None:
    for name, value in parts.items():
        try:
            pickle.dumps(value)
        except Exception as error:
            kind = type(record).__name__.lower()
            raise pickle.PicklingError(
                f"{kind} {parts.get('name')!r}: its {name} cannot be pickled ({error}); "
                "make it a function at the top level of a module"
            ) from None


def _asked_by_cloudpickle() -> bool:
    """Whether the pickler at work is cloudpickle's, as dask's and joblib's are: it takes lambdas and closures too.

    pickle itself runs no Python, so whichever of its functions is on the way here is the one that asks.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if "cloudpickle" in frame.f_globals.get("__name__", ""):
            return True
        frame = frame.f_back
    return False


def _made_again(maker: Callable[..., R], positional: tuple[Any, ...], named: Mapping[str, Any]) -> R:
    return maker(*positional, **named)


def _put_together(kind: type[R], parts: Mapping[str, Any]) -> R:
    return kind(**parts)
