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
from reference.rounding.distance import FACTOR, digits
from reference.rounding.scale import RUNS, Rounding, rounding_errors
from reference.rounding.statistics import LIMITS, SIZE

from ..diagnosis import diagnosis
from ..diagnosis.wording import Diagnosis
from .by_scale import ByScale
from .given import Given, read_given
from .lower_precision import TYPICAL, holds_coarser, lower_precision
from .overflow import hangs_on_rounding, in_range, underflows
from .printed import as_printed, settled
from .status import Status
from .verdict import Verdict, expected_leaves, judge

__all__ = ["Verdict", "assert_gradients", "check", "check_module", "expected_leaves", "judge"]

OFF = (Status.WRONG, Status.IMPRECISE)
"""Statuses behind which there may be a mistake."""
COARSE = TYPICAL[1] / LIMITS[SIZE]
"""Numbers that a coarser format holds, and errors larger than rounding makes as a rule, may be of that format."""
SCREEN_RUNS = 8
SCREEN = 0.5
"""σ from 8 runs is within a factor of 2 of σ in all but one element in 10,000 from above (χ² with 8 degrees): what is
within half of every limit of it is within the limit of σ. Most correct gradients are, and need no more runs."""


def check(
    problem: ref.Problem,
    given: Any,
    dtype: Any = None,
    *,
    accumulate: str | None = None,
    certified: bool | ref.CertifiedGradients = False,
    strict: bool = False,
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
        accumulate: what products and sums of a precision coarser than float32 accumulate in: "float32" or "same". If
            not given it is float32, as on tensor cores and CPUs, and what only "same" explains is imprecise.
        certified: whether to judge against the certified gradients rather than the oracle's in float64; or
            certified gradients that are at hand already.
        strict: whether the accurate scale is demanded: digits that the customary formulas lose are then imprecise.
        diagnose: whether to look for the mistake behind a gradient that is wrong, which takes a second or a few. The
            status does not depend on it.
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
    arithmetic = _arithmetic(fmt, accumulate)

    def by(attempt: Format) -> Judged:
        return _judge_with(problem, read, expected, attempt, seed, strict)

    verdict, wider = by(arithmetic)
    if verdict.status is Status.WRONG:
        formats = (fmt, arithmetic, accumulate is None and fmt is not arithmetic)
        more = _more_rounding(problem, read, expected, verdict, wider, (by, formats, seed))
        verdict = verdict if more is None else more
    elif verdict.agrees and verdict.statistics.get(SIZE, 0.0) > COARSE and holds_coarser(read, arithmetic):
        verdict = _coarser(problem, read, expected, verdict, wider(), arithmetic, seed) or verdict
    if read.prints:
        verdict = settled(verdict, problem, read, expected, wider().sigma, arithmetic)
    agreeing = {place: digits(values, expected[place]) for place, values in read.leaves.items()}
    verdict = replace(verdict, digits=agreeing)
    if certificate is not None:
        verdict = _doubted(_reproducible(verdict), certificate, read, arithmetic)
    accurate = verdict.agrees and verdict.scale == "accurate"
    if not accurate and hangs_on_rounding(problem, arithmetic, verdict.agrees, verdict.worst.given):
        text = f"bce takes the logarithm of 1 − y at a y that {arithmetic.name} rounds to 1: use bce_with_logits"
        return replace(verdict, status=Status.UNRESOLVED, diagnosis=Diagnosis(text, sought=False))
    if not diagnose or verdict.status is not Status.WRONG:
        return verdict
    if read.prints:
        coarse = as_printed(arithmetic, read)
        by_digits, wide = by(coarse)
        if by_digits.status is Status.WRONG:
            arithmetic, wider = coarse, wide
    held = in_range(problem, read.leaves, arithmetic)
    return replace(verdict, diagnosis=diagnosis.diagnose(problem, held, expected, wider().sigma, arithmetic, seed))


def assert_gradients(
    problem: ref.Problem,
    given: Any,
    dtype: Any = None,
    *,
    accumulate: str | None = None,
    certified: bool | ref.CertifiedGradients = False,
    strict: bool = False,
    diagnose: bool = True,
    seed: int = 0,
) -> None:
    """Raise AssertionError with the verdict's text unless the gradients agree. Arguments and errors as for `check`.

    >>> mlp = ref.initialize([3, 2], activations=["tanh"], seed=0)
    >>> problem = ref.Problem(mlp, np.ones((1, 3)), np.zeros((1, 2)), loss="mse")
    >>> assert_gradients(problem, ref.gradients(problem))
    """
    __tracebackhide__ = True  # pytest shows the line of the test that failed
    how: dict[str, Any] = {
        "accumulate": accumulate,
        "certified": certified,
        "strict": strict,
        "diagnose": diagnose,
        "seed": seed,
    }
    verdict = check(problem, given, dtype, **how)
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
    strict: bool = False,
    diagnose: bool = True,
    seed: int = 0,
    as_: Mapping[Any, Any] | None = None,
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
        strict: see `check`.
        diagnose: see `check`.
        seed: see `check`.
        as_: the row that a module of your own computes, by its type or name, as ``{MyGELU: "gelu"}``; see
            `problem_from_module`. Its gradients are judged, its backward pass included.

    Raises:
        TypeError: the module holds a layer that the oracle cannot take; the message says what to do instead.
        ValueError: shapes or targets do not fit.
    """
    from ..torch_side.modules import (  # noqa: PLC0415  (torch loads for seconds)
        module_gradients,
        number_type,
        problem_from_module,
    )

    problem = problem_from_module(module, x, target, loss_fn, as_)
    given = module_gradients(module, x, target, loss_fn, as_)
    dtype = number_type(module) if dtype is None else dtype
    how: dict[str, Any] = {
        "accumulate": accumulate,
        "certified": certified,
        "strict": strict,
        "diagnose": diagnose,
        "seed": seed,
    }
    return check(problem, given, dtype, **how)


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
    if verdict.status not in (Status.AGREES, Status.UNRESOLVED):
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

Judged = tuple[Verdict, Callable[[], Rounding]]
"""A verdict, and the wider of the two scales."""


def _arithmetic(fmt: Format, accumulate: str | None) -> Format:
    """The format with what its sums accumulate in: float32 below float32, as tensor cores and CPUs do."""
    single = FORMATS["float32"]
    if accumulate not in (None, "same", "float32"):
        raise ValueError(f'accumulate: expected "float32" or "same", got {accumulate!r}')
    return fmt if accumulate == "same" or fmt.bits >= single.bits else fmt.accumulating_in(single)


def _more_rounding(
    problem: ref.Problem,
    given: Given,
    expected: Mapping[str, Any],
    verdict: Verdict,
    wider: Callable[[], Rounding],
    how: tuple[Callable[[Format], Judged], tuple[Format, Format, bool], int],
) -> Verdict | None:
    """The verdict if other rounding explains the errors: where subnormals are flushed, of sums, of a coarser format."""
    by, (fmt, arithmetic, coarse_sums), seed = how

    def imprecise(verdict: Verdict, text: str) -> Verdict:
        return replace(verdict, status=Status.IMPRECISE, diagnosis=Diagnosis(text, sought=False))

    if underflows(problem, fmt):
        flushed, _ = by(arithmetic.flushing())
        if flushed.agrees:
            return flushed
    if coarse_sums:
        found, _ = by(fmt)
        if found.agrees or (found.status is Status.UNRESOLVED and _sums(given, expected)):
            return imprecise(found, f"sums accumulated in {fmt.name}, not in float32")
    if np.isnan(verdict.worst.scales):
        return None
    return _coarser(problem, given, expected, verdict, wider(), arithmetic, seed)


def _coarser(
    problem: ref.Problem,
    given: Given,
    expected: Mapping[str, Any],
    verdict: Verdict,
    wider: Rounding,
    fmt: Format,
    seed: int,
) -> Verdict | None:
    """The verdict if the errors are those of a coarser format, which is named."""
    lower = lower_precision(problem, given, expected, wider, fmt, seed)
    if lower is None:
        return None
    text = f"the errors are those of {lower}, not of {fmt.name.partition(' accumulated')[0]}"
    return replace(verdict, status=Status.IMPRECISE, diagnosis=Diagnosis(text, sought=False))


def _sums(given: Given, expected: Mapping[str, Any]) -> bool:
    """Whether every leaf may come of coarse sums: they may lose most of it, but leave no zeros where there are none."""
    return all(np.any(values) or not np.any(expected[place]) for place, values in given.leaves.items())


def _judge_with(
    problem: ref.Problem, given: Given, expected: Mapping[str, Any], fmt: Format, seed: int, strict: bool
) -> Judged:
    """The verdict by one arithmetic, from few runs if they leave no doubt, else from all; and its wider scale."""

    @cache
    def scale(textbook: bool, runs: int = RUNS) -> Rounding:
        found = rounding_errors(problem, fmt, textbook=textbook, seed=seed, runs=runs)
        return _stored(found, given, expected, fmt)

    leaves = given.leaves
    quick = scale(False, SCREEN_RUNS)
    if all(excess <= SCREEN for excess in ByScale(problem, leaves, expected, quick, fmt).in_limits().values()):
        return judge(problem, leaves, expected, fmt, quick, lambda: quick, strict=strict), lambda: quick

    def wider() -> Rounding:
        return scale(False).wider(scale(True))

    return judge(problem, leaves, expected, fmt, scale(False), lambda: scale(True), strict=strict), wider


def _stored(scale: Rounding, given: Given, expected: Mapping[str, Any], fmt: Format) -> Rounding:
    """The scale with the rounding of leaves that are stored more coarsely than they were computed, or were printed."""
    for place, values in given.leaves.items():
        kept = STORED[given.formats[place]]
        if kept.bits < fmt.bits:
            size = np.abs(expected[place])
            rounding = np.where(values == expected[place], 0.0, kept.unit_roundoff * size + kept.smallest / 2)
            scale = scale.with_error(place, rounding)
    for place, found in given.prints.items():
        scale = scale.with_bounded_error(place, found.half)
    return scale
