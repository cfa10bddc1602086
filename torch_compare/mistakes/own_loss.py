"""Mistakes that are peculiar to one loss: a weight on the wrong side, a bound that is added, a formula of the logits.

y (N, K) is the network's output, t the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.dispatch import magnitude
from reference.functions import logistic
from reference.losses.common import weights_like
from reference.network.unchecked import changed

from .mistake import Mistake

Wrong = tuple[str, str, ref.Loss]
"""The kind of a mistake, a clause that says what is done, and the loss as it is computed then."""


def _array(values: Any) -> Any:
    return None if values is None else np.asarray(values, dtype=float)


def _bce_with_logits(row: ref.Loss) -> Iterator[Wrong]:
    positive, weights = _array(row.parameters["pos_weight"]), _array(row.parameters["weight"])
    if positive is None:
        return

    def with_weights(of_target: bool) -> ref.Loss:
        def sides(y: Any, t: Any) -> tuple[Any, Any]:
            p, w = weights_like(positive, y), weights_like(weights, y)
            return w * p * (1 - t), w * t * (p if of_target else 1)

        def value(y: Any, t: Any) -> Any:
            negative, target = sides(y, t)
            return negative * logistic.softplus(y) + target * logistic.softplus(-y)

        def gradient(y: Any, t: Any) -> Any:
            negative, target = sides(y, t)
            return negative * logistic.sigmoid(y) - target * logistic.sigmoid(-y)

        return changed(row, value=value, gradient=gradient)

    kind = "pos_weight on the negatives"
    yield kind, "pos_weight multiplies the negatives, not the positives", with_weights(of_target=False)
    yield kind, "pos_weight multiplies positives and negatives", with_weights(of_target=True)


def _gaussian_nll(row: ref.Loss) -> Iterator[Wrong]:
    var, eps = np.asarray(row.parameters["var"], dtype=float), float(row.parameters["eps"])

    def with_variance(variance: Any) -> ref.Loss:
        other = ref.losses.gaussian_nll(var=variance, full=row.parameters["full"], eps=float(np.finfo(float).tiny))
        return changed(other, parameters=row.parameters)

    yield "eps added", f"the variance is var + eps, not max(var, eps), eps = {eps:g}", with_variance(var + eps)
    if np.any(var < eps) and np.all(var > 0):
        yield "loss parameter ignored", "eps does not bound the variance from below", with_variance(var)
    if np.any(var != 1):
        kind = "deviation for variance"
        yield kind, "the variance is squared, as if it were a standard deviation", with_variance(var * var)
        yield kind, "the standard deviation stands for the variance", with_variance(np.sqrt(var))


def _huber(row: ref.Loss) -> Iterator[Wrong]:
    delta = float(row.parameters["delta"])

    def gradient(y: Any, t: Any) -> Any:
        far = magnitude(y - t) > delta
        return np.where(far, np.sign(y - t), y - t)

    if delta != 1:
        what = f"the factor delta = {delta:g} of the linear part is missing"
        yield "factor in the derivative missing", what, changed(row, gradient=gradient)


def _smooth_l1(row: ref.Loss) -> Iterator[Wrong]:
    beta = float(row.parameters["beta"])

    def gradient(y: Any, t: Any) -> Any:
        far = magnitude(y - t) >= beta
        return np.where(far, np.sign(y - t), y - t)

    if beta not in (0, 1):
        what = f"the quadratic part is not divided by beta = {beta:g}"
        yield "factor in the derivative missing", what, changed(row, gradient=gradient)


def _bce(row: ref.Loss) -> Iterator[Wrong]:
    weights = _array(row.parameters["weight"])

    def logits(y: Any, t: Any) -> Any:
        return weights_like(weights, y) * (y - t)

    def positives(y: Any, t: Any) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return weights_like(weights, y) * np.where(t != 0, -t / y, 0 * y)

    what = "y − t, the gradient of the logits before a sigmoid, stands for that of the sigmoid's output"
    yield "gradient of the logits", what, changed(row, gradient=logits)
    what = "the term (1 − t)/(1 − y) is missing"
    yield "term of the loss missing", what, changed(row, gradient=positives)


OWN: Mapping[str, Callable[[ref.Loss], Iterator[Wrong]]] = {
    "bce_with_logits": _bce_with_logits, "gaussian_nll": _gaussian_nll, "huber": _huber, "smooth_l1": _smooth_l1,
    "bce": _bce,
}  # fmt: skip
"""By loss."""


def _squared_weight(row: ref.Loss) -> Iterator[Wrong]:
    """A class weight that is multiplied in twice, while the mean divides by what it does."""
    weight = row.parameters.get("weight")
    make = getattr(ref.losses, row.name, None)
    if weight is None or make is None or np.all(np.isin(weight, (0, 1))):
        return
    squared = make(**(dict(row.parameters) | {"weight": np.square(np.asarray(weight, dtype=float))}))
    what = "the class weight is multiplied in twice"
    yield "class weight applied twice", what, changed(squared, divisor=row.divisor)


def own_mistakes(row: ref.Loss) -> Iterator[Mistake]:
    """The mistakes that are peculiar to a loss, at the loss.

    >>> [m.name for m in own_mistakes(ref.LOSSES["gaussian_nll"])]
    ['eps added']
    """
    for name, what, loss in (*(OWN[row.name](row) if row.name in OWN else ()), *_squared_weight(row)):
        yield Mistake(name, "loss", what, problem=_with_loss(loss), particular=True)


def _with_loss(row: ref.Loss) -> Callable[[ref.Problem], ref.Problem]:
    return lambda problem: problem.replace(loss=row)
