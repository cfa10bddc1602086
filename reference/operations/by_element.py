"""The row of an operation element by element: its Jacobian is diagonal, so pullback and pushforward are one product.

y = f(x₁, x₂, …) of arrays that are broadcast together. With v an array of the shape of y,

    ∂f/∂x_k ∘ v

is the change of y that a change v of x_k makes, and the gradient of x_k that a gradient v of y makes: there what was
broadcast is summed over its copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import numpy as np

from ..arithmetic.array import Array, Term, is_numpy
from ..arithmetic.dispatch import magnitude, parameter, zeros
from .broadcasting import unbroadcast
from .probe import probe
from .row import Inputs, Operation, Pullback

Product: TypeAlias = "Callable[..., Array]"
"""(v, y, *inputs) ↦ v ∘ ∂f/∂x_k, for one input x_k."""

PAIR = ((probe(3), probe(1, start=6)), (probe(3, 3), probe(3, start=20)))
"""Two arrays, one of which is broadcast; along a square one, where the wrong axis has the right length."""


def by_element(
    name: str,
    formula: str,
    source: str,
    inputs: tuple[str, ...],
    value: Callable[..., Array],
    products: tuple[Product | None, ...],
    probes: tuple[Inputs, ...],
    conventions: Mapping[str, tuple[Product | None, ...]] | None = None,
    mistakes: Mapping[str, tuple[Product | None, ...]] | None = None,
    **rest: Any,
) -> Operation:
    """The row of an operation element by element.

    Args:
        name: torch's name.
        formula: in plain mathematics.
        source: where it is defined.
        inputs: their names.
        value: (*inputs) ↦ y.
        products: for each input (v, y, *inputs) ↦ v ∘ ∂y/∂input, None for data.
        probes: inputs that the row is checked with.
        conventions: other products for points where there is no derivative.
        mistakes: wrong products.
        rest: further fields of `Operation`.

    >>> import numpy as np
    >>> row = by_element("double", "2a", "none", ("input",), lambda a: 2 * a, (lambda v, y, a: 2 * v,), ((probe(2),),))
    >>> row.pullback((np.zeros(2),), np.zeros(2), np.ones(2))
    (array([2., 2.]),)
    """
    wrong = {what: _pullback(variant) for what, variant in (mistakes or {}).items()}
    if sum(product is not None for product in products) > 1:
        wrong |= {
            "a broadcast input's gradient summed along the wrong axis": _pullback(products, _other_axis),
            "a broadcast input's gradient averaged over the copies": _pullback(products, _averaged),
        }

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        total = zeros(y.shape, y)
        for product, change in zip(products, changes, strict=True):
            if product is not None and change is not None:
                total = total + product(change, y, *inputs)
        return total

    return Operation(
        name,
        formula,
        source,
        inputs,
        value,
        _pullback(products),
        pushforward,
        probes,
        data=tuple(name for name, product in zip(inputs, products, strict=True) if product is None),
        conventions={what: _pullback(other) for what, other in (conventions or {}).items()},
        mistakes=wrong,
        **rest,
    )


def numbers(values: object, like: Array) -> Array:
    """A number, a mask or an array as numbers in the arithmetic of `like`; what is in an arithmetic stays."""
    if hasattr(values, "__array_ufunc__") and not is_numpy(values):
        return cast(Array, values)
    return parameter(np.asarray(values), like)


Adjoint: TypeAlias = "Callable[[Array, tuple[int, ...]], Array]"


def _pullback(products: tuple[Product | None, ...], adjoint: Adjoint = unbroadcast) -> Pullback:
    def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
        return tuple(
            None if product is None else adjoint(product(d_y, y, *inputs), x.shape)
            for product, x in zip(products, inputs, strict=True)
        )

    return pullback


def _other_axis(d: Array, shape: tuple[int, ...]) -> Array:
    """As one writes it who sums over the last axis what was copied along the one before it."""
    square = d.ndim > 1 and d.shape[-1] == d.shape[-2] and tuple(d.shape) != tuple(shape)
    return unbroadcast(d.swapaxes(-1, -2) if square else d, shape)


def _averaged(d: Array, shape: tuple[int, ...]) -> Array:
    total = unbroadcast(d, shape)
    return total / (d.size // total.size)


def scaled(sizes: Callable[..., tuple[Term, ...]]) -> Callable[[Inputs, Array, Array], tuple[Term, ...]]:
    """`textbook_pullback` of an operation without broadcasting: |d_y| times a size for each input."""
    return lambda inputs, y, d_y: tuple(magnitude(d_y) * size for size in sizes(y, *inputs))
