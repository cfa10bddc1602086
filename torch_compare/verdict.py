"""The verdict: given gradients against the oracle's, in units of the rounding scale.

agrees              within the accurate scale; or within the textbook scale, and then it says where
                    and how many digits the customary formulas lose
imprecise           the right formula with more rounding than either scale explains: fits a lower precision
another convention  differs only through units that sit exactly on a kink, by a slope between its sides
wrong               none of these
unresolved          the scale is not finite: the problem overflows in the stated precision
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref
from reference.noise import Format, get_format, rounding_scale
from reference.validation import require_finite

from .explanations import another_convention, lower_precision
from .measure import FACTOR, Place, worst_place


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
    """

    status: str
    worst: Place
    scale: str
    dtype: str
    diagnosis: str
    reproduce: str
    accurate: float

    @property
    def agrees(self) -> bool:
        """Whether the status is "agrees"."""
        return self.status == "agrees"

    def __str__(self) -> str:
        return (
            f"{self.status} ({self.dtype}, {self.scale} scale): {self.diagnosis}\n"
            f"  worst at {self.worst}\n  expected is {self.reproduce}"
        )


def check(problem: ref.Problem, given: Any, dtype: Any = None, *, seed: int = 0) -> Verdict:
    """Judge gradients of a problem that were computed elsewhere, in any way.

    Args:
        problem: the problem that they are gradients of.
        given: a `ref.Gradients`; or a mapping from places ("layers[0].weight", "layers[0].bias", "input",
            "loss") to arrays; or a sequence of (weight, bias) pairs, one per layer. What is None or
            missing is not judged.
        dtype: the precision that they were computed in; their own type if not given.
        seed: of the noise that measures the rounding scale.

    Raises:
        TypeError: a leaf is no floating array, or leaves of several types are given without `dtype`.
        ValueError: a place or a shape does not fit the problem, nothing is given, or the problem holds a
            number that is not finite (named).

    >>> mlp = ref.initialize([3, 4, 2], activations=["tanh", "identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.array([[0.5, -1.0, 2.0]]), np.array([[1.0, 0.0]]), loss="mse")
    >>> check(problem, ref.gradients(problem)).status
    'agrees'
    >>> check(problem, {"layers[0].weight": 1.0001 * ref.gradients(problem).layers[0].weight}).status
    'wrong'
    """
    require_finite(problem)
    leaves = given_leaves(problem, given)
    fmt = get_format(_common_dtype(leaves) if dtype is None else dtype)
    expected = expected_leaves(problem)
    for leaf, values in leaves.items():
        if values.shape != np.shape(expected[leaf]):
            raise ValueError(f"{leaf}: expected shape {np.shape(expected[leaf])}, got {values.shape}")
    accurate = _scale(problem, fmt, seed, textbook=False)
    return judge(problem, leaves, expected, fmt, accurate, lambda: _scale(problem, fmt, seed, textbook=True))


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


def given_leaves(problem: ref.Problem, given: Any) -> dict[str, Any]:
    """What was given, as NumPy arrays by place; see `check` for what it may be and what it raises."""
    named: dict[str, Any]
    if isinstance(given, ref.Gradients):
        named = given.leaves() | {"loss": given.loss}
    elif isinstance(given, Mapping):
        named = dict(given)
    elif isinstance(given, Sequence) and not isinstance(given, str):
        named = {}
        for index, pair in enumerate(given):
            if not isinstance(pair, Sequence) or len(pair) != 2:
                raise TypeError(f"layers[{index}]: expected a (weight, bias) pair, got {type(pair).__name__}")
            named |= {f"layers[{index}].weight": pair[0], f"layers[{index}].bias": pair[1]}
    else:
        raise TypeError(
            f"gradients: expected a Gradients, a mapping or a sequence of pairs, got {type(given).__name__}"
        )
    places = {"input", "loss"}
    for index, layer in enumerate(problem.mlp.layers):
        places |= {f"layers[{index}].weight"} | ({f"layers[{index}].bias"} if layer.bias is not None else set())
    leaves = {}
    for place, values in named.items():
        if values is None:
            continue
        if place not in places:
            raise ValueError(f"{place}: the problem has no such gradient; it has {', '.join(sorted(places))}")
        array = np.asarray(values)
        if array.dtype.kind != "f":
            raise TypeError(f"{place}: expected floating numbers, got {array.dtype}")
        leaves[place] = array
    if not leaves:
        raise ValueError("gradients: nothing was given to judge")
    return leaves


def _common_dtype(leaves: Mapping[str, Any]) -> Any:
    found = {str(values.dtype): place for place, values in leaves.items()}
    if len(found) > 1:
        (a, at), (b, there) = list(found.items())[:2]
        raise TypeError(f"{at} is {a} but {there} is {b}: say with dtype= which precision to judge by")
    return next(iter(leaves.values())).dtype


def _scale(problem: ref.Problem, fmt: Format, seed: int, textbook: bool) -> dict[str, Any]:
    found = rounding_scale(problem, fmt, textbook=textbook, seed=seed)
    return found.leaves() | {"loss": np.asarray(found.loss)}
