"""The verdict: given gradients against the oracle's, in units of the rounding scale.

agrees              within the accurate scale; or within the textbook scale, and then it says where
                    and how many digits the customary formulas lose
imprecise           the right formula with more rounding than either scale explains: fits a lower precision
another convention  differs only through units that sit exactly on a kink, by a slope between its sides
wrong               none of these
unresolved          the problem overflows in the stated precision
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

import reference as ref
from reference.formats import FORMATS, STORED, Format, get_format
from reference.noise import RUNS, rounding_scale
from reference.validation import require_finite

from .diagnosis import Diagnosis, diagnose
from .explanations import another_convention, lower_precision
from .given import Given, read_given
from .measure import FACTOR, Place, digits, worst_place

SCREEN_RUNS = 8
SCREEN = FACTOR / 2
"""σ from 8 runs is within a factor of 2 of σ in all but one element in 10,000 from above (χ² with 8 degrees): what is
within half the factor of it is within the factor of σ. Most correct gradients are, and need no more runs."""


@dataclass(frozen=True)
class Verdict:
    """What `check` found.

    Attributes:
        status: "agrees", "imprecise", "another convention", "wrong" or "unresolved".
        worst: the element whose error is largest in units of the scale that it was judged by.
        scale: "accurate" or "textbook": the scale that it was judged by.
        dtype: the precision that was asked of it.
        diagnosis: one sentence saying what the status means here.
        reproduce: a line that computes the expected number again.
        accurate: the largest error in units of the accurate scale.
        digits: the decimal digits that agree in the worst element of every leaf, −log₁₀ of its relative error, as
            NIST's Statistical Reference Datasets score it; infinite where all are equal.
        explanation: of a wrong gradient: the mistake that makes it; None otherwise.
    """

    status: str
    worst: Place
    scale: str
    dtype: str
    diagnosis: str
    reproduce: str
    accurate: float
    digits: Mapping[str, float] = field(default_factory=dict)
    explanation: Diagnosis | None = None

    @property
    def agrees(self) -> bool:
        """Whether the status is "agrees"."""
        return self.status == "agrees"

    def __str__(self) -> str:
        return (
            f"{self.status} ({self.dtype}, {self.scale} scale): {self.diagnosis}\n"
            f"  worst at {self.worst}\n  expected is {self.reproduce}"
        )


def check(
    problem: ref.Problem,
    given: Any,
    dtype: Any = None,
    *,
    accumulate: str | None = None,
    certified: bool = False,
    explain: bool = True,
    seed: int = 0,
) -> Verdict:
    """Judge gradients of a problem that were computed elsewhere, in any way.

    Args:
        problem: the problem that they are gradients of.
        given: a `ref.Gradients`; or a mapping from places ("layers[0].weight", "layers[0].bias", "input",
            "loss") to arrays; or a sequence of (weight, bias) pairs, one per layer. What is None or
            missing is not judged. Arrays may be NumPy's, torch's, JAX's, or of anything with ``__dlpack__``.
        dtype: the precision that they were computed in: "float64", "float32", "tf32", "float16", "bfloat16",
            "float8_e4m3", "float8_e5m2"; that which they are stored in if not given.
        accumulate: what products and sums of a precision coarser than float32 accumulate in: "float32" or "same";
            if not given both are tried, and `Verdict.dtype` says which it was.
        explain: whether to look for the mistake behind a wrong gradient, which takes a second or a few.
        certified: whether to judge against the certified gradients rather than the oracle's in float64.
        seed: of the noise that measures the rounding scale.

    Raises:
        TypeError: a leaf is no floating array, or leaves of several types are given without `dtype`.
        ValueError: a place or a shape does not fit the problem, nothing is given, the problem holds a number that
            is not finite (named), or there is no such precision.

    >>> mlp = ref.initialize([3, 4, 2], activations=["tanh", "identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.array([[0.5, -1.0, 2.0]]), np.array([[1.0, 0.0]]), loss="mse")
    >>> check(problem, ref.gradients(problem)).status
    'agrees'
    >>> check(problem, {"layers[0].weight": 1.0001 * ref.gradients(problem).layers[0].weight}).status
    'wrong'
    """
    require_finite(problem)
    read = read_given(problem, given)
    fmt = read.common_format() if dtype is None else get_format(dtype)
    expected = _certified(problem, read) if certified else expected_leaves(problem)
    for attempt in _arithmetics(fmt, accumulate):
        verdict, scale = _judge_with(problem, read, expected, attempt, seed)
        if verdict.agrees:
            break
    agreeing = {place: digits(values, expected[place]) for place, values in read.leaves.items()}
    verdict = replace(verdict, digits=agreeing)
    if not explain or verdict.status != "wrong":
        return verdict
    explanation = diagnose(problem, read.leaves, expected, scale(), attempt, seed)
    return replace(verdict, diagnosis=explanation.text, explanation=explanation)


def _certified(problem: ref.Problem, given: Given) -> dict[str, Any]:
    """The certified gradients; where an interval stays wide, the number in it that is nearest to what was given."""
    found = ref.certified_gradients(problem)
    expected = {}
    for place, leaf in (found.leaves() | {"loss": found.loss}).items():
        near = leaf.nearest
        if place in given.leaves:
            near = np.where(leaf.resolved, near, np.clip(given.leaves[place], leaf.lower, leaf.upper))
        expected[place] = np.asarray(near)
    return expected


def _arithmetics(fmt: Format, accumulate: str | None) -> tuple[Format, ...]:
    """The ways to add up that are tried in turn: in float32 and in the format itself where that is coarser."""
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
    """The verdict by one arithmetic, from few runs where they leave no doubt, else from all; and its wider scale."""

    @cache
    def scale(textbook: bool, runs: int = RUNS) -> dict[str, Any]:
        found = rounding_scale(problem, fmt, textbook=textbook, seed=seed, runs=runs)
        return _stored(found.leaves() | {"loss": np.asarray(found.loss)}, given, expected, fmt)

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


def judge(
    problem: ref.Problem,
    leaves: Mapping[str, Any],
    expected: Mapping[str, Any],
    fmt: Format,
    accurate: Mapping[str, Any],
    textbook: Callable[[], Mapping[str, Any]],
) -> Verdict:
    """The verdict on given leaves, from the expected ones and the two scales (see `check`)."""
    worst = worst_place(leaves, expected, accurate, fmt)

    def verdict(status: str, place: Place, scale: str, diagnosis: str) -> Verdict:
        at = f"[{', '.join(map(str, place.index))}]" if place.index else ""
        return Verdict(
            status, place, scale, fmt.name, diagnosis, f"ref.gradients(problem).{place.leaf}{at}", worst.scales
        )

    if np.isnan(worst.scales):
        return verdict("unresolved", worst, "accurate", f"the problem's gradients overflow in {fmt.name}")
    if not np.isfinite(worst.given) and _overflows(problem, fmt):
        return verdict("unresolved", worst, "accurate", f"numbers on the way to the gradients overflow in {fmt.name}")
    if worst.scales <= FACTOR:
        return verdict("agrees", worst, "accurate", "every element is within rounding of the oracle's")
    wider = textbook()
    wider = {leaf: np.maximum(accurate[leaf], wider[leaf]) for leaf in leaves}
    place = worst_place(leaves, expected, wider, fmt)
    if place.scales <= FACTOR:
        lost = np.log10(worst.scales)
        text = f"within rounding of the customary formulas, which lose {lost:.1f} digits in {worst.leaf}"
        return verdict("agrees", place, "textbook", text)
    if not np.isnan(place.scales):
        slope = another_convention(problem, leaves, wider, fmt)
        if slope:
            return verdict("another convention", place, "textbook", slope)
        lower = lower_precision(leaves, expected, wider, fmt)
        if lower:
            text = f"the errors are those of {lower}, not of {fmt.name}"
            return verdict("imprecise", place, "textbook", text)
    return verdict("wrong", place, "textbook", "no rounding of a correct formula explains the difference")


def _overflows(problem: ref.Problem, fmt: Format) -> bool:
    """Whether a number of the forward or backward pass lies beyond the format's range."""
    double = problem.in_float64()
    with np.errstate(all="ignore"):
        trace = ref.forward(double.mlp, double.x)
        found = ref.backward(double.mlp, trace, ref.loss_gradient(double, trace.output))
        terms = double.loss.value(trace.output, double.target)
    numbers = (*trace.preactivations, *trace.inputs, trace.output, *found.leaves().values(), terms, terms.sum())
    return any(not np.all(np.abs(a) <= fmt.largest) for a in numbers)


def assert_gradients(problem: ref.Problem, given: Any, dtype: Any = None, *, seed: int = 0) -> None:
    """Raise AssertionError with the verdict's text unless the gradients agree. Arguments as for `check`.

    >>> mlp = ref.initialize([3, 2], activations=["tanh"], seed=0)
    >>> problem = ref.Problem(mlp, np.ones((1, 3)), np.zeros((1, 2)), loss="mse")
    >>> assert_gradients(problem, ref.gradients(problem))
    """
    verdict = check(problem, given, dtype, seed=seed)
    if not verdict.agrees:
        raise AssertionError(str(verdict))


def check_module(module: Any, x: Any, target: Any, loss_fn: Any, *, seed: int = 0) -> Verdict:
    """Judge the gradients that torch.autograd makes of a user's own module and loss.

    Args:
        module: a `torch.nn.Sequential` of Linear and activation modules.
        x: the batch, a tensor or array (N, I).
        target: what loss_fn compares the output with.
        loss_fn: a loss module, a function of torch.nn.functional, or any callable (output, target) ↦ loss;
            of the last kind the derivative is taken as given, and the network's gradients are judged.
        seed: of the noise that measures the rounding scale.

    Raises:
        TypeError: the module holds a layer that the oracle cannot take; the message names it.
        ValueError: shapes or targets do not fit.
    """
    from .torch_source import module_gradients, problem_from_module  # noqa: PLC0415  (torch loads for seconds)

    problem = problem_from_module(module, x, target, loss_fn)
    return check(problem, module_gradients(module, x, target, loss_fn), seed=seed)


# ── what is compared ─────────────────────────────────────────────────────────────────────────────────


def expected_leaves(problem: ref.Problem) -> dict[str, Any]:
    """The oracle's gradients by place, the loss included, computed in float64."""
    with np.errstate(all="ignore"):
        found = ref.gradients(problem.in_float64())
    return found.leaves() | {"loss": np.asarray(found.loss)}


def _scale(problem: ref.Problem, fmt: Format, seed: int, textbook: bool) -> dict[str, Any]:
    found = rounding_scale(problem, fmt, textbook=textbook, seed=seed)
    return found.leaves() | {"loss": np.asarray(found.loss)}
