"""Gradients that were computed elsewhere, against the oracle's, in units of the rounding scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import FORMATS, STORED, Format, get_format
from reference.network.in_arithmetic import require_exact
from reference.rounding.distance import FACTOR, digits, worst_place
from reference.rounding.scale import RUNS, rounding_scale

from ..diagnosis import diagnosis
from ..diagnosis.wording import Diagnosis
from .given import Given, read_given
from .overflow import beyond_rounding, in_range, underflows
from .status import Status
from .verdict import Verdict, expected_leaves, judge

__all__ = ["Verdict", "assert_gradients", "check", "check_module", "expected_leaves", "judge"]

OFF = (Status.WRONG, Status.IMPRECISE)
"""Statuses behind which there may be a mistake."""
SCREEN_RUNS = 8
SCREEN = FACTOR / 2
"""σ from 8 runs is within a factor of 2 of σ in all but one element in 10,000 from above (χ² with 8 degrees): what is
within half the factor of it is within the factor of σ. Most correct gradients are, and need no more runs."""


def check(
    problem: ref.Problem,
    given: Any,
    dtype: Any = None,
    *,
    accumulate: str | None = None,
    certified: bool | ref.CertifiedGradients = False,
    diagnose: bool = True,
    seed: int = 0,
) -> Verdict:
    """Judge gradients of a problem that were computed elsewhere, in any way.

    Args:
        problem: the problem that they are gradients of.
        given: a `ref.Gradients`; or a mapping from places ("layers[0].weight", "layers[0].bias", "input",
            "loss") to arrays; or a sequence of (weight, bias) pairs, one per layer; or the `Given` of a result file.
            What is None or missing is not judged. Arrays may be NumPy's, torch's, JAX's, or of anything with
            ``__dlpack__``.
        dtype: the precision that they were computed in: "float64", "float32", "tf32", "float16", "bfloat16",
            "float8_e4m3", "float8_e5m2"; that which they are stored in if not given.
        accumulate: what products and sums of a precision coarser than float32 accumulate in: "float32" or "same";
            if not given both are tried, and `Verdict.dtype` says which it was.
        certified: whether to judge against the certified gradients rather than the oracle's in float64; or
            certified gradients that are at hand already.
        diagnose: whether to look for the mistake behind a gradient that is wrong or seems imprecise, which takes a
            second or a few.
        seed: of the noise that measures the rounding scale.

    Raises:
        TypeError: a leaf is no floating array or a masked one, leaves of several types are given without `dtype`, or
            the problem is of a type that float64 does not hold.
        ValueError: a place or a shape does not fit the problem, nothing is given, the problem holds a number that
            is not finite (named), or there is no such precision.

    >>> mlp = ref.initialize([3, 4, 2], activations=["tanh", "identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.array([[0.5, -1.0, 2.0]]), np.array([[1.0, 0.0]]), loss="mse")
    >>> check(problem, ref.gradients(problem)).status
    'agrees'
    >>> check(problem, {"layers[0].weight": 1.0001 * ref.gradients(problem).layers[0].weight}).status
    'wrong'
    """
    require_exact(problem, "check")
    read = read_given(problem, given)
    fmt = read.common_format() if dtype is None else get_format(dtype)
    certificate = _certificate(problem, certified)
    expected = expected_leaves(problem) if certificate is None else _nearest(certificate, read)
    for attempt in _arithmetics(fmt, accumulate):
        verdict, scale = _judge_with(problem, read, expected, attempt, seed)
        if verdict.agrees:
            break
    else:
        if verdict.status in OFF and underflows(problem, fmt):
            flushed, _ = _judge_with(problem, read, expected, attempt.flushing(), seed)
            verdict = flushed if flushed.agrees else verdict
    agreeing = {place: digits(values, expected[place]) for place, values in read.leaves.items()}
    verdict = replace(verdict, digits=agreeing)
    if certificate is not None:
        verdict = _doubted(_reproducible(verdict), certificate, read, attempt)
    lost = certificate is not None or attempt.bits < FORMATS["float64"].bits
    if lost and verdict.status in OFF and beyond_rounding(problem, attempt):
        text = f"bce takes the logarithm of 1 − y at a y that {attempt.name} rounds to 1: use bce_with_logits"
        return replace(verdict, status=Status.UNRESOLVED, diagnosis=Diagnosis(text, sought=False))
    if not diagnose or verdict.status not in OFF:
        return verdict
    found = diagnosis.diagnose(problem, in_range(problem, read.leaves, attempt), expected, scale(), attempt, seed)
    # A small mistake looks like a low precision. It is one if it leaves no more of the error than rounding leaves.
    if verdict.status is Status.IMPRECISE and not found.scales * FACTOR <= verdict.worst.scales:
        return verdict
    return replace(verdict, status=Status.WRONG, diagnosis=found)


def assert_gradients(
    problem: ref.Problem,
    given: Any,
    dtype: Any = None,
    *,
    accumulate: str | None = None,
    certified: bool | ref.CertifiedGradients = False,
    diagnose: bool = True,
    seed: int = 0,
) -> None:
    """Raise AssertionError with the verdict's text unless the gradients agree. Arguments and errors as for `check`.

    >>> mlp = ref.initialize([3, 2], activations=["tanh"], seed=0)
    >>> problem = ref.Problem(mlp, np.ones((1, 3)), np.zeros((1, 2)), loss="mse")
    >>> assert_gradients(problem, ref.gradients(problem))
    """
    __tracebackhide__ = True  # pytest shows the line of the test that failed
    verdict = check(problem, given, dtype, accumulate=accumulate, certified=certified, diagnose=diagnose, seed=seed)
    if not verdict.agrees:
        raise AssertionError(str(verdict))


def check_module(
    module: Any,
    x: Any,
    target: Any,
    loss_fn: Any,
    dtype: Any = None,
    *,
    accumulate: str | None = None,
    certified: bool = False,
    diagnose: bool = True,
    seed: int = 0,
) -> Verdict:
    """Judge the gradients that torch.autograd makes of a user's own module and loss.

    Args:
        module: a `torch.nn.Sequential` of Linear and activation modules.
        x: the batch, a tensor or array (N, I).
        target: what loss_fn compares the output with.
        loss_fn: a loss module, a function of torch.nn.functional, or any callable (output, target) ↦ loss;
            of the last kind the derivative is taken as given, and the network's gradients are judged.
        dtype: as for `check`; so are accumulate, certified, diagnose and seed.
        accumulate: see `check`.
        certified: see `check`.
        diagnose: see `check`.
        seed: see `check`.

    Raises:
        TypeError: the module holds a layer that the oracle cannot take; the message names it.
        ValueError: shapes or targets do not fit.
    """
    from ..torch_side.modules import (  # noqa: PLC0415  (torch loads for seconds)
        module_gradients,
        number_type,
        problem_from_module,
    )

    problem = problem_from_module(module, x, target, loss_fn)
    given = module_gradients(module, x, target, loss_fn)
    dtype = number_type(module) if dtype is None else dtype
    return check(problem, given, dtype, accumulate=accumulate, certified=certified, diagnose=diagnose, seed=seed)


# ── against a certificate ────────────────────────────────────────────────────────────────────────────


def _certificate(problem: ref.Problem, asked: bool | ref.CertifiedGradients) -> ref.CertifiedGradients | None:
    """The certified gradients that were asked for, or that were given, if they are of this problem's shapes."""
    if not isinstance(asked, ref.CertifiedGradients):
        return ref.certified_gradients(problem) if asked else None
    shapes = {place: np.shape(leaf.nearest) for place, leaf in asked.leaves().items()}
    for place, shape in problem.gradient_shapes().items():
        if shapes.get(place) != shape:
            raise ValueError(f"certified: expected a gradient of {place} of shape {shape}, got {shapes.get(place)}")
    return asked


def _nearest(certificate: ref.CertifiedGradients, given: Given) -> dict[str, Any]:
    """The certified gradients; if an interval stays wide, the number in it that is nearest to what was given."""
    expected = {}
    for place, leaf in certificate.leaves().items():
        near = leaf.nearest
        if place in given.leaves:
            values = np.asarray(given.leaves[place], dtype=float)
            values = np.where(np.isnan(values), np.nan_to_num(near), values)
            lower = np.where(np.isnan(leaf.lower), -np.inf, leaf.lower)
            upper = np.where(np.isnan(leaf.upper), np.inf, leaf.upper)
            near = np.where(leaf.resolved, near, np.clip(values, lower, upper))
        expected[place] = np.asarray(near)
    return expected


def _reproducible(verdict: Verdict) -> Verdict:
    place = verdict.worst
    at = f"[{', '.join(map(str, place.index))}]" if place.index else ""
    return replace(verdict, reproduce=f"ref.certified_gradients(problem).{place.leaf}.nearest{at}")


def _doubted(verdict: Verdict, certificate: ref.CertifiedGradients, given: Given, fmt: Format) -> Verdict:
    """The verdict, unresolved if the certificate leaves more open than one rounding of the format, 32 times over.

    σ says nothing here: behind a kink that no precision decides the noise takes both slopes, and explains any width.
    """
    if not verdict.agrees:
        return verdict
    for place, leaf in certificate.leaves().items():
        if place not in given.leaves or np.all(leaf.resolved):
            continue
        with np.errstate(invalid="ignore"):
            size = np.maximum(np.abs(leaf.lower), np.abs(leaf.upper))
            narrow = leaf.upper - leaf.lower <= FACTOR * fmt.unit_roundoff * size
        wide = np.argwhere(np.atleast_1d(~np.asarray(leaf.resolved | narrow)))
        if len(wide):
            index = tuple(int(i) for i in wide[0])[: np.ndim(leaf.nearest)]
            lower, upper, yours = (float(a[index]) for a in (leaf.lower, leaf.upper, given.leaves[place]))
            text = f"{place}{list(index) if index else ''}: the exact gradient lies between {lower!r} and {upper!r}, "
            text += f"and no precision says where; yours is {yours!r}"
            text += f" ({certificate.undecided})" if certificate.undecided else ""
            return replace(verdict, status=Status.UNRESOLVED, diagnosis=Diagnosis(text, sought=False))
    return verdict


# ── by one arithmetic ────────────────────────────────────────────────────────────────────────────────


def _arithmetics(fmt: Format, accumulate: str | None) -> tuple[Format, ...]:
    """The ways to add up that are tried in turn: in float32, and in the format itself if that is coarser."""
    single = FORMATS["float32"]
    if accumulate not in (None, "same", "float32"):
        raise ValueError(f'accumulate: expected "float32" or "same", got {accumulate!r}')
    if accumulate == "same" or fmt.bits >= single.bits:
        return (fmt,)
    wider = fmt.accumulating_in(single)
    return (wider,) if accumulate == "float32" else (wider, fmt)


def _judge_with(
    problem: ref.Problem, given: Given, expected: Mapping[str, Any], fmt: Format, seed: int
) -> tuple[Verdict, Callable[[], dict[str, Any]]]:
    """The verdict by one arithmetic, from few runs if they leave no doubt, else from all; and its wider scale."""

    @cache
    def scale(textbook: bool, runs: int = RUNS) -> dict[str, Any]:
        found = rounding_scale(problem, fmt, textbook=textbook, seed=seed, runs=runs)
        return _stored(found.leaves(), given, expected, fmt)

    leaves = given.leaves
    quick = scale(False, SCREEN_RUNS)
    if worst_place(leaves, expected, quick, fmt).scales <= SCREEN:
        return judge(problem, leaves, expected, fmt, quick, lambda: quick), lambda: quick

    def wider() -> dict[str, Any]:
        return {place: np.maximum(scale(False)[place], scale(True)[place]) for place in leaves}

    return judge(problem, leaves, expected, fmt, scale(False), lambda: scale(True)), wider


def _stored(scale: dict[str, Any], given: Given, expected: Mapping[str, Any], fmt: Format) -> dict[str, Any]:
    """The scale with the rounding of leaves that are stored in a coarser format than they were computed in."""
    for place, values in given.leaves.items():
        kept = STORED[given.formats[place]]
        if kept.bits < fmt.bits:
            size = np.abs(expected[place])
            rounding = np.where(values == expected[place], 0.0, kept.unit_roundoff * size + kept.smallest / 2)
            scale[place] = np.hypot(scale[place], rounding)
    return scale
