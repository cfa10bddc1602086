"""Gradients that are given to be judged: arrays of any library, by their places in the gradient tree.

>>> array, name = as_array("input", [[0.5, -1.0]])
>>> array, name
(array([[ 0.5, -1. ]]), 'float64')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.array import refuse_masked
from reference.arithmetic.formats import FORMATS, STORED, Format, get_format
from reference.arithmetic.names import meant
from reference.network.gradients import place_of
from reference.rounding.scale import Rounding

from ..files.printed import Print

_NARROW = {name: name for name in ("bfloat16", "float8_e4m3", "float8_e5m2")} | {"float8_e4m3fn": "float8_e4m3"}
"""Types that NumPy does not have, by the name that torch, JAX and ml_dtypes give them."""


@dataclass(frozen=True)
class Given:
    """Gradients to be judged.

    Attributes:
        leaves: NumPy arrays by place.
        formats: what each is stored in, a name in `reference.arithmetic.formats.FORMATS`, by place.
        prints: how those were printed that came as decimals which do not name their numbers, by place.
    """

    leaves: Mapping[str, Any]
    formats: Mapping[str, str]
    prints: Mapping[str, Print] = field(default_factory=dict)

    def stored_coarser(self, fmt: Format) -> dict[str, Format]:
        """The format of every leaf that is stored in a coarser one than it was computed in, by place."""
        kept = {place: STORED[name] for place, name in self.formats.items()}
        return {place: found for place, found in kept.items() if found.bits < fmt.bits}

    def with_printing(self, rounding: Rounding, expected: Mapping[str, Any]) -> Rounding:
        """The rounding errors of the expected numbers with those of printing them as the given ones were printed."""
        for place, found in self.prints.items():
            rounding = rounding.printed(place, expected[place], found.half)
        return rounding

    def common_format(self) -> Format:
        """The one format that all are stored in.

        Raises:
            TypeError: there are several, so that the precision has to be said.
        """
        first: dict[str, str] = {}
        for place, name in self.formats.items():
            first.setdefault(name, place)
        if len(first) > 1:
            (a, at), (b, there) = list(first.items())[:2]
            raise TypeError(f"{at} is {a} but {there} is {b}: say with dtype= which precision to judge by")
        return get_format(next(iter(first)))


def as_array(place: str, values: Any) -> tuple[Any, str]:
    """An array of any library as a NumPy array of floating numbers, and the name of the format that it was stored in.

    NumPy, torch (detached and copied from its device), JAX, ml_dtypes, anything with ``__array__`` or
    ``__dlpack__``, and lists of numbers. Types narrower than float16 that NumPy does not have come back as float32.

    Raises:
        TypeError: no floating numbers, or a masked array; the message names the place.
    """
    refuse_masked(place, values)
    if hasattr(values, "detach") and hasattr(values, "cpu"):
        values = values.detach().cpu()
        name = str(values.dtype).removeprefix("torch.")
        if name in _NARROW:
            return values.float().numpy(), _NARROW[name]
        values = values.numpy() if hasattr(values, "numpy") else values
    elif not hasattr(values, "__array__") and hasattr(values, "__dlpack__"):
        values = np.from_dlpack(values)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise TypeError(f"{place}: expected an array of floating numbers, got ragged input ({error})") from None
    if array.dtype.name in _NARROW:
        return array.astype(np.float32), _NARROW[array.dtype.name]
    if array.dtype.kind != "f":
        raise TypeError(f"{place}: expected floating numbers, got {array.dtype}")
    return array, array.dtype.name if array.dtype.name in FORMATS else "float64"


def read_given(problem: ref.Problem, given: Any) -> Given:
    """The given gradients as NumPy arrays by place; see `check` for what they may be and what it raises."""
    leaves, formats = {}, {}
    shapes = problem.gradient_shapes()
    for place, values in _named(problem, given).items():
        if values is None:
            continue
        if place not in shapes:
            known = ", ".join(sorted(shapes))
            raise ValueError(f"{place}: the problem has no such gradient{meant(place, shapes)}; it has {known}")
        leaves[place], formats[place] = as_array(place, values)
        if isinstance(given, Given):
            formats[place] = given.formats[place]
        if leaves[place].shape != shapes[place]:
            turned = len(shapes[place]) == 2 and leaves[place].shape == shapes[place][::-1]
            named = "; weights are stored (fan_out, fan_in)" if place.endswith("weight") else "; it is the transpose"
            hint = named if turned else ""
            raise ValueError(f"{place}: expected shape {shapes[place]}, got {leaves[place].shape}{hint}")
    if not leaves:
        raise ValueError("gradients: nothing was given to judge")
    return Given(leaves, formats, given.prints if isinstance(given, Given) else {})


def _named(problem: ref.Problem, given: Any) -> dict[str, Any]:
    if isinstance(given, Given):
        return dict(given.leaves)
    if isinstance(given, ref.Gradients):
        return given.leaves()
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise TypeError(
            f"gradients: expected a Gradients, a mapping or a sequence of pairs, got {type(given).__name__}"
        )
    named: dict[str, Any] = {}
    if isinstance(problem.network, ref.Network):
        raise TypeError(f"gradients: expected a mapping from names to arrays, got {type(given).__name__}")
    for index, pair in enumerate(given):
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise TypeError(f"{place_of(index)}: expected a (weight, bias) pair, got {type(pair).__name__}")
        named |= {place_of(index, "weight"): pair[0], place_of(index, "bias"): pair[1]}
    return named
