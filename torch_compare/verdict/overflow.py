"""Whether a problem leaves the range of a format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import Format
from reference.network import graph, passes
from reference.network.composed import UNKNOWN
from reference.rounding.distance import FACTOR

from ..mistakes.rules import RIGHT, backward_with


def in_range(problem: ref.Problem, leaves: Mapping[str, Any], fmt: Format) -> dict[str, Any]:
    """The leaves; if the problem overflows in the format, only those that are finite."""
    finite = {leaf: values for leaf, values in leaves.items() if np.all(np.isfinite(values))}
    return finite if len(finite) < len(leaves) and _overflows(problem, fmt) else dict(leaves)


def _overflows(problem: ref.Problem, fmt: Format) -> bool:
    """Whether a number of the forward or backward pass lies beyond the format's range, or within rounding of it.

    Formulas have larger numbers on their way than in the end: the oracle's are run in a type of that range.
    """
    bound = fmt.largest * (1 - FACTOR * fmt.unit_roundoff)
    if any(not np.all(np.abs(a) <= bound) for a in _numbers(problem)):
        return True
    number = next(t for t in (np.float16, np.float32, np.float64) if fmt.largest <= float(np.finfo(t).max))
    try:
        with np.errstate(all="ignore", over="raise"):
            ref.gradients(problem.in_dtype(number))
    except FloatingPointError:
        return True
    return False


def underflows(problem: ref.Problem, fmt: Format) -> bool:
    """Whether numbers of the forward or backward pass come so near to underflow that flushing it to 0 may show.

    Never in float16, whose subnormals are kept: GPUs compute with them, and elsewhere they are normal in float32.
    """
    if fmt.name == "float16":
        return False
    bound = fmt.smallest * 2.0 ** (2 * fmt.bits + 8)
    return any(np.any((a != 0) & (np.abs(a) < bound)) for a in _numbers(problem))


def _numbers(problem: ref.Problem) -> list[Any]:
    """The numbers of the forward and the backward pass, layer by layer or step by step, in float64."""
    double = problem.in_float64()
    if isinstance(double.network, ref.Network):
        return _of_steps(double, double.network)
    numbers: list[Any] = []

    def slope(problem: ref.Problem, trace: ref.Trace, l: int, d_h: Any) -> Any:
        d_z = RIGHT.slope(problem, trace, l, d_h)
        numbers.extend((d_h, d_z))
        return d_z

    with np.errstate(all="ignore"):
        trace = ref.forward(double.mlp, double.x)
        found = backward_with(replace(RIGHT, slope=slope), double, trace)
        terms = _terms(double, trace.output)
    return [*numbers, *trace.preactivations, *trace.inputs, trace.output, *found.leaves().values(), terms, terms.sum()]


@np.errstate(all="ignore")
def _of_steps(problem: ref.Problem, network: ref.Network) -> list[Any]:
    trace = graph.forward(network, problem.x)
    d_output = {network.output: ref.loss_gradient(problem, trace.output)}
    found = graph.cotangents(network, trace, d_output, problem.leaves())
    made = [value for name, value in trace.values.items() if name not in network.constants]
    terms = ref.loss_value(problem.replace(reduction="none"), trace.output)
    numbers = [np.asarray(a) for a in (*made, *found.values(), terms, terms.sum())]
    return [a for a in numbers if a.dtype.kind == "f"]


def _terms(problem: ref.Problem, y: Any) -> Any:
    """The terms that the customary loss adds up: with label smoothing −log p of every class, before its ε/K."""
    terms = problem.loss.value(y, problem.target)
    if problem.loss.parameters.get("label_smoothing"):
        everywhere = dict(problem.loss.parameters) | {"label_smoothing": 1.0}
        smooth = getattr(ref.losses, problem.loss.name)(**everywhere).value(y, problem.target)
        terms = np.maximum(terms, smooth * y.shape[1])
    return terms


def beyond_rounding(problem: ref.Problem, fmt: Format) -> bool:
    """Whether bce takes the logarithm of 1 − y at a y that rounds to 1: no float implementation can tell how far off.

    The exact derivative of bce behind a sigmoid is y − t there; that of the rounded y is 0, infinite or NaN
    (FluxML/Flux.jl#914; pytorch#103316 is the same on the forward pass). `bce_with_logits` has no such point.
    """
    if problem.loss.name != "bce":
        return False
    with np.errstate(all="ignore"):
        output = passes.forward(problem.network, problem.x).output
    return bool(np.any(1 - output <= UNKNOWN * fmt.unit_roundoff))


def hangs_on_rounding(problem: ref.Problem, fmt: Format, agrees: bool, given: float) -> bool:
    """Whether the textbook scale judges what the format has left of such a 1 − y (see `beyond_rounding`).

    Who takes the activation and the loss as one is within the accurate scale, and agrees. Behind a sigmoid the textbook
    scale holds every finite number that may come of a rounded y: what is beyond it is wrong even so. Behind a softmax
    it does not, for the sum over the classes cancels numbers as large as torch's 1/ε.

    Args:
        problem: the problem.
        fmt: the format of what was given.
        agrees: whether it is within the textbook scale.
        given: the number that is furthest off.
    """
    loss = problem.loss
    if loss.logarithms is None or loss.logarithms.row != (loss.value, loss.gradient):
        return False  # torch's own formula in the place of the row's, say, which is a function of the rounded y
    if not beyond_rounding(problem, fmt):
        return False
    row = passes.last_activation(problem.network)
    bounded = row is not None and row.logarithms is not None and not row.rowwise
    return agrees or not bounded or not np.isfinite(given)
