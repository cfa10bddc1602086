"""A mean taken as a product with 1/N: the rounding of one number that every gradient shares."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import reference as ref
from reference.arithmetic.formats import FORMATS, Format
from reference.losses.reduced import in_rows
from reference.network import passes
from reference.network.problem import loss_divisor


@np.errstate(all="ignore")
def shared_errors(problem: ref.Problem, fmt: Format) -> tuple[float, ...]:
    """How far all gradients move together, relative to themselves, where 1/N is rounded to the format first.

    Thousands of elements tell such an error from independent ones of the same size, and it is no mistake: torch's means
    are such products. The divisors are what the loss's mean divides by, and the number K of outputs, by which losses of
    several outputs divide besides: at once, or one after the other. Only errors that are not 0.

    >>> one = ref.MLP((ref.Layer(np.ones((1, 1)), None, "identity"),))
    >>> batch = np.ones((3, 1))
    >>> shared_errors(ref.Problem(one, batch, batch, "mse"), FORMATS["float16"])
    (-0.000244140625,)
    >>> shared_errors(ref.Problem(one, batch[:2], batch[:2], "mse"), FORMATS["float16"])
    ()
    """
    double = problem.in_float64()
    output = passes.forward(double.network, double.x).output
    n, k = map(float, in_rows(output).shape)
    chains: list[tuple[float, ...]] = [(k,)]
    if problem.reduction == "mean":
        d = float(np.asarray(loss_divisor(double, output)))
        if not 0 < d < np.inf:
            return ()
        chains = [(d,), (d * k,), (d, k), (n, k), (k, n)]
    found = (_relative_error(chain, fmt) for chain in chains)
    return tuple(dict.fromkeys(error for error in found if error != 0))


def shared_error(problem: ref.Problem, fmt: Format, moved: float) -> float:
    """The error of the numbers that all gradients are products with which is nearest to how far they moved together.

    In float32 and finer, parameters of the loss (a weight, a variance) are multiplied into 1/N, each product with a
    rounding of its own: as many u as there are such numbers, with 1/N and 1/K, are granted to either side. Coarser
    formats compute them in float32 and round once: only the errors of `shared_errors` are.
    """
    if fmt.bits < FORMATS["float32"].bits:
        return min(shared_errors(problem, fmt), key=lambda error: abs(moved - error), default=0.0)
    factors = [v for v in problem.loss.parameters.values() if v is not None and not isinstance(v, bool)]
    bound = (2 + len(factors)) * fmt.unit_roundoff
    return float(np.clip(moved, -bound, bound))


def _relative_error(divisors: tuple[float, ...], fmt: Format) -> float:
    """Of 1 divided by one number after the other, each quotient rounded to the format."""
    quotient, exact = 1.0, Fraction(1)
    for divisor in divisors:
        ulp = float(fmt.ulp(quotient / divisor))
        quotient = float(np.rint(quotient / divisor / ulp)) * ulp
        exact /= Fraction(divisor)
    return float(Fraction(quotient) / exact - 1)
