"""The table of operations: one row each, with torch's names, parameters and defaults.

A function of this room makes a row with parameters of its own: ``layer_norm(eps=1e-6)``. `MAKERS` holds these
functions by name, and `OPERATIONS` every row that needs no parameters, activations and losses among them.

>>> OPERATIONS["linear"].formula, "reshape" in OPERATIONS, MAKERS["reshape"]((2, 3)).parameters
('X Wᵀ + 1 bᵀ', False, {'shape': (2, 3)})
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from types import MappingProxyType

from ..activations.table import ACTIVATIONS
from ..functions.recipe import no_row, row_named
from ..functions.rows import Rows
from ..losses.table import LOSSES
from . import (
    added_products,
    attention,
    choices,
    convolution,
    copies,
    cumulative,
    diagonals,
    distances,
    einstein,
    elementwise,
    folding,
    functions_of_one,
    gated,
    hyperbolic,
    interpolation,
    joining,
    local_response,
    logarithms,
    moments,
    normalization,
    ordered,
    padding,
    parts,
    pooled_maxima,
    pooled_means,
    positions,
    products,
    putting,
    recurrence,
    recurrent_cells,
    reductions,
    shape,
    shuffling,
    stepwise,
    taking,
    unit_vectors,
    vectors,
)
from .of_activation import MAKERS as OF_ACTIVATIONS
from .of_activation import of_activation
from .of_loss import of_loss
from .row import Operation

__all__ = ["MAKERS", "OPERATIONS", "Operation", "get"]

_ROOMS = (
    OF_ACTIVATIONS,
    added_products.MAKERS,
    attention.MAKERS,
    choices.MAKERS,
    convolution.MAKERS,
    copies.MAKERS,
    cumulative.MAKERS,
    diagonals.MAKERS,
    distances.MAKERS,
    einstein.MAKERS,
    elementwise.MAKERS,
    folding.MAKERS,
    functions_of_one.MAKERS,
    gated.MAKERS,
    hyperbolic.MAKERS,
    interpolation.MAKERS,
    joining.MAKERS,
    local_response.MAKERS,
    logarithms.MAKERS,
    moments.MAKERS,
    normalization.MAKERS,
    ordered.MAKERS,
    padding.MAKERS,
    parts.MAKERS,
    pooled_maxima.MAKERS,
    pooled_means.MAKERS,
    positions.MAKERS,
    products.MAKERS,
    putting.MAKERS,
    recurrence.MAKERS,
    recurrent_cells.MAKERS,
    reductions.MAKERS,
    shape.MAKERS,
    shuffling.MAKERS,
    stepwise.MAKERS,
    taking.MAKERS,
    unit_vectors.MAKERS,
    vectors.MAKERS,
)
MAKERS: Mapping[str, Callable[..., Operation]] = MappingProxyType({make.__name__: make for make in chain(*_ROOMS)})
"""What makes each row, by its name; the rows of activations and losses come from `of_activation` and `of_loss`."""


_ONE_AT_LEAST = (choices.clamp, interpolation.interpolate)
"""Makers whose every parameter may be left out, but not all of them."""


def _needs_parameters(make: Callable[..., Operation]) -> bool:
    f = inspect.unwrap(make)  # its counts are there already, where a signature is built and takes longer than a row
    positional, named = len(f.__defaults__ or ()), len(f.__kwdefaults__ or ())
    return make in _ONE_AT_LEAST or f.__code__.co_argcount > positional or f.__code__.co_kwonlyargcount > named


OPERATIONS: Mapping[str, Operation] = Rows(
    {name: make for name, make in MAKERS.items() if not _needs_parameters(make)}
    | {name: partial(of_activation, name) for name in ACTIVATIONS}
    | {name: partial(of_loss, name) for name in LOSSES}
)
"""Every row that can be made without parameters, by name."""


def get(row: str | Operation) -> Operation:
    """The row itself, or the row of that name.

    Raises:
        ValueError: no row has that name (the message lists those that exist), or its maker needs parameters.
        TypeError: neither a name nor a row.

    >>> get("add").formula
    'a + b'
    """
    if isinstance(row, str) and row not in OPERATIONS:
        raise ValueError(_unknown(row))
    return row_named("operation", row, OPERATIONS, Operation)


def _unknown(name: str) -> str:
    if name in MAKERS:
        return f"operation: {name} needs parameters: give ref.operations.{signature(name)}"
    return no_row("operation", name, {*OPERATIONS, *MAKERS})


def signature(name: str) -> str:
    """How the maker of that name is called, without its types.

    >>> signature("rms_norm")
    'rms_norm(normalized_shape=None, *, eps)'
    """
    found = inspect.signature(MAKERS[name])
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in found.parameters.values()]
    return name + str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty))
