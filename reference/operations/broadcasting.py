"""Broadcasting, and its adjoint: what was copied along an axis has its gradients added up along it."""

from __future__ import annotations

from ..arithmetic.array import Array


def unbroadcast(d: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of an array of this shape that was broadcast to the shape of d: the sum over its copies.

    >>> import numpy as np
    >>> unbroadcast(np.ones((4, 2, 3)), (2, 1))
    array([[12.],
           [12.]])
    """
    if tuple(d.shape) == tuple(shape):
        return d
    added = d.ndim - len(shape)
    axes = (*range(added), *(added + k for k, n in enumerate(shape) if n == 1 and d.shape[added + k] != 1))
    return (d.sum(axis=axes) if axes else d).reshape(shape)
