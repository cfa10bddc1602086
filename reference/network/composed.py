"""The last activation and the loss as one function of z, where a probability between them would lose its digits.

Behind a sigmoid z = 40 gives a y that float64 rounds to 1: 1 − y is gone, and with it the loss −log(1 − y) = 40 and its
derivative 1. The logarithms are not: log(1 − y) = −log(1 + e^z). A row that gives probabilities states both
(`Activation.logarithms`), a loss of probabilities states itself by them (`Loss.logarithms`), and the chain rule does
the rest.
"""

from __future__ import annotations

import numpy as np

from ..activations.row import Activation
from ..arithmetic.array import Array
from ..arithmetic.dispatch import magnitude
from ..functions.basics import zero
from ..losses.row import Loss
from .unchecked import changed

UNKNOWN = 4.0
"""Where 1 − y is at most this many u, what a format keeps of it may be error alone: that of y and of 1 − y."""


def composed(activation: Activation, loss: Loss, unit_roundoff: float = 0.0, least: float = 0.0) -> Loss | None:
    """The loss as a function of z, the activation's input; None where the two do not state it.

    Args:
        activation: the last layer's.
        loss: of its output.
        unit_roundoff: u of the format that the textbook sizes are for, in which the customary 1 − y is off by u: at
            the most by as much as the loss may be off, and its gradient by as much as it is.
        least: a y below this may be lost to 0 in that format, and log y with it: 1/(1 + e^−z) gives 0 where e^−z
            overflows, and many machines flush what is subnormal.

    >>> from reference import ACTIVATIONS, LOSSES
    >>> row = composed(ACTIVATIONS["sigmoid"], LOSSES["bce"])
    >>> z, t = np.array([[40.0]]), np.array([[0.0]])
    >>> row.value(z, t), row.gradient(z, t)
    (array([[40.]]), array([[1.]]))
    """
    inner, outer = activation.logarithms, loss.logarithms
    if inner is None or outer is None:
        return None
    if inner.row != (activation.value, activation.derivative, activation.vjp) or outer.row != (
        loss.value,
        loss.gradient,
    ):
        return None  # one of them computes something else than it was made with: with noise, say, or a mistake

    def value(z: Array, t: Array) -> Array:
        return outer.value(*inner.values(z), t)

    def gradient(z: Array, t: Array) -> Array:
        return inner.vjp(z, *outer.gradient(*inner.values(z), t))

    def amplified(z: Array, t: Array, most: float) -> tuple[Array, Array, Array]:
        """|d_p| and |d_q|, p = log y and q = log(1 − y), and by how many u the customary q, or 1/(1 − y), is off."""
        _, q = inner.values(z)
        d_p, d_q = outer.gradient(zero(z), zero(z), t)
        rest, u = np.exp(q), max(unit_roundoff, np.finfo(float).tiny)
        return magnitude(d_p), magnitude(d_q), np.where(rest > UNKNOWN * u, 1 / rest, zero(z) + most / u)

    def lost(z: Array, t: Array) -> Array:
        """|d_p| where y may be lost, in units of u."""
        if not least:
            return zero(z)
        p, _ = inner.values(z)
        d_p = magnitude(outer.gradient(zero(z), zero(z), t)[0])
        return np.where((p < np.log(least)) & (p > -outer.furthest), d_p / unit_roundoff, zero(z))

    def gradient_of_lost(z: Array, t: Array) -> Array:
        """The gradient on a machine on which every y below `least` is 0: then all are lost together."""
        p, q = inner.values(z)
        gone = np.where(p < np.log(least), zero(p) - 2 * outer.furthest, p)
        return inner.vjp(z, *outer.gradient(gone, q, t))

    def value_size(z: Array, t: Array) -> Array:
        d_p, d_q, times = amplified(z, t, outer.furthest)
        return d_p + d_q * times + lost(z, t) * outer.furthest

    def gradient_size(z: Array, t: Array) -> Array:
        d_p, d_q, times = amplified(z, t, 1.0)
        own = (d_p + d_q).sum(axis=1, keepdims=True) * (1 + activation.textbook_derivative(z))
        gone = lost(z, t)
        through_sum = np.exp(inner.values(z)[0]) * gone.sum(axis=1, keepdims=True)  # of a softmax, whose y add up to 1
        return own + inner.share(z) * (d_q * times).sum(axis=1, keepdims=True) + gone + through_sum

    return changed(
        loss,
        value=value,
        gradient=gradient,
        domain=lambda z: np.ones(z.shape, dtype=bool),
        domain_text="any real number",
        switches=lambda z, t: outer.switches(*inner.values(z)),
        textbook_value=value_size,
        textbook_gradient=gradient_size,
        other_gradient=gradient_of_lost if least else None,
    )
