"""Operations that move numbers without computing: their pullbacks move the gradients back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from ..arithmetic.array import Array
from ..functions.recipe import recorded
from .probe import probe
from .row import Inputs, Operation


@recorded
def reshape(shape: tuple[int, ...]) -> Operation:
    """The same numbers in another shape; one length may be −1."""
    shape = tuple(shape)
    size = abs(int(np.prod(shape))) if shape else 1
    return Operation(
        "reshape",
        "the same numbers in C order",
        "numpy.reshape",
        ("input",),
        lambda x: x.reshape(*shape),
        lambda inputs, y, d_y: (d_y.reshape(*inputs[0].shape),),
        lambda inputs, y, changes: changes[0].reshape(*shape),
        probes=((probe(size),),),
        parameters={"shape": shape},
    )


def _cat_pullback(inputs: Inputs, d_y: Array, dim: int) -> tuple[Array, ...]:
    ends = np.cumsum([0, *(x.shape[dim] for x in inputs)]).tolist()
    before = (slice(None),) * (dim % d_y.ndim)
    return tuple(d_y[(*before, slice(a, b))] for a, b in pairwise(ends))


@recorded
def cat(dim: int = 0) -> Operation:
    """Arrays joined along an axis."""
    return Operation(
        "cat",
        "[a; b; …]",
        "torch.cat",
        ("tensors",),
        lambda *tensors: np.concatenate(tensors, axis=dim),
        lambda inputs, y, d_y: _cat_pullback(inputs, d_y, dim),
        lambda inputs, y, changes: np.concatenate(
            [x * 0 if dx is None else dx for x, dx in zip(inputs, changes, strict=True)], axis=dim
        ),
        probes=((probe(2, 2, 2), probe(2, 2, 2, start=4)), (probe(1, 1, 2),)),
        variadic=True,
        parameters={"dim": dim},
    )


MAKERS: tuple[Callable[..., Operation], ...] = (reshape, cat)
