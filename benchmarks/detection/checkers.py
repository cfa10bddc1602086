"""The checkers that are held side by side: each is told the right loss and somebody's gradients, and says yes or no.

Every peer runs as its documentation has it: its defaults, in float64, on the loss written in its own library. What it
is to check is that loss with the gradients at hand in the place of its derivative. JAX has defaults for float32 too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

import reference as ref
import torch_compare as tc

from ..implementations.correct_gradients import NUMBERS, library, torch_function
from ..implementations.peer_losses import Parameters, arrays_of, loss_function

Array = Any
Leaves = Mapping[str, Array]
Check = Callable[[ref.Problem, Leaves, str], bool]
"""(problem in float64, gradients by place, format that they were computed in) ↦ whether the gradients pass."""

PASSED = ("agrees", "unresolved", "another convention")
"""Statuses of this project's check that call nothing wrong."""
SCIPY_LIMIT = 1e-6
"""check_grad returns ‖error‖ and no verdict. SciPy's own rule, from the documentation of
scipy.optimize._numdiff.check_derivative: right if the error is "on the order of 1e-6 or lower", relative to a
derivative above 1, else absolute."""


@dataclass(frozen=True)
class Checker:
    """One way to check gradients.

    Attributes:
        name: as the table has it.
        passes: the check.
        formats: the formats that it has defaults for.
        whole: whether it tells every element from every other; else it looks along one random direction.
    """

    name: str
    passes: Check
    formats: tuple[str, ...]
    whole: bool


def relative_error(given: Leaves, right: Leaves) -> float:
    """‖error‖/‖right‖ of the array that is furthest off; infinite where an error is, and nothing should be."""
    worst = 0.0
    for place, values in given.items():
        a, b = np.asarray(values, dtype=float), np.asarray(right[place], dtype=float)
        distance, size = float(np.linalg.norm(np.ravel(a - b))), float(np.linalg.norm(np.ravel(b)))
        if distance > 0:
            worst = max(worst, distance / size if size > 0 else np.inf)
    return worst if np.isfinite(worst) else np.inf


def _ordered(problem: ref.Problem, leaves: Leaves) -> Iterator[tuple[str, Array]]:
    """The gradients of weight and bias layer by layer and of x, as float64: the oracle's where one is missing.

    Without the loss: a peer computes that by itself.
    """
    for place, expected in ref.gradients(problem).leaves().items():
        if place != "loss":
            yield place, np.asarray(leaves.get(place, expected), dtype=float)


# ── this project's ───────────────────────────────────────────────────────────────────────────────────


def _ours(certified: bool) -> Check:
    def passes(problem: ref.Problem, leaves: Leaves, name: str) -> bool:
        verdict = tc.check(problem, dict(leaves), name, diagnose=False, certified=certified)
        return verdict.status in PASSED

    return passes


# ── torch ────────────────────────────────────────────────────────────────────────────────────────────


def _gradcheck(fast: bool) -> Check:
    def passes(problem: ref.Problem, leaves: Leaves, name: str) -> bool:
        loss, tensors = torch_function(problem, "float64")
        gradients = [torch.from_numpy(np.array(g)) for _, g in _ordered(problem, leaves)]

        class Loss(torch.autograd.Function):
            @staticmethod
            def forward(_: Any, *inputs: torch.Tensor) -> torch.Tensor:
                return loss(*inputs)

            @staticmethod
            def backward(_: Any, d_loss: torch.Tensor) -> Any:
                return tuple(d_loss * g for g in gradients)

        inputs = [t.requires_grad_() for t in tensors.values()]
        apply: Any = Loss.apply
        return bool(torch.autograd.gradcheck(apply, inputs, raise_exception=False, fast_mode=fast))

    return passes


# ── JAX ──────────────────────────────────────────────────────────────────────────────────────────────


def _nested(problem: ref.Problem, flat: tuple[Array, ...]) -> tuple[Parameters, Array]:
    """(weight, bias) of every layer, and x, from the arrays in order."""
    rest = iter(flat)
    pairs = [(next(rest), None if layer.bias is None else next(rest)) for layer in problem.mlp.layers]
    return pairs, next(rest)


def _flat(pairs: Parameters, x: Array) -> tuple[Array, ...]:
    return (*(array for pair in pairs for array in pair if array is not None), x)


def _jax(problem: ref.Problem, leaves: Leaves, name: str) -> bool:
    import jax  # noqa: PLC0415
    from jax.test_util import check_grads  # noqa: PLC0415

    number = NUMBERS["float32" if name == "float32" else "float64"]
    function = loss_function(library("JAX"), problem, number)
    gradients = [jax.numpy.asarray(g.astype(number)) for _, g in _ordered(problem, leaves)]

    @jax.custom_vjp
    def loss(*flat: Array) -> Array:
        return function(*_nested(problem, flat))

    def backward(_: Any, d_loss: Array) -> tuple[Array, ...]:
        return tuple(d_loss * g for g in gradients)

    loss.defvjp(lambda *flat: (loss(*flat), None), backward)
    try:
        check_grads(loss, _flat(*arrays_of(problem, number)), order=1, modes=("rev",))
    except AssertionError:
        return False
    return True


# ── HIPS autograd, SciPy: functions of one vector ────────────────────────────────────────────────────


def _vector(arrays: Any) -> Array:
    return np.concatenate([np.ravel(a) for a in arrays])


def _of_vector(problem: ref.Problem) -> Callable[[Array], tuple[Parameters, Array]]:
    """A vector of all parameters and x, cut into the arrays in order."""
    shapes = [a.shape for a in _flat(*arrays_of(problem))]
    ends = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])

    def cut(vector: Array) -> tuple[Parameters, Array]:
        pieces = (vector[a:b].reshape(s) for (a, b), s in zip(pairwise(ends), shapes, strict=True))
        return _nested(problem, tuple(pieces))

    return cut


def _autograd(problem: ref.Problem, leaves: Leaves, name: str) -> bool:
    from autograd.extend import defvjp, primitive  # noqa: PLC0415
    from autograd.test_util import check_grads  # noqa: PLC0415

    function, cut = loss_function(library("autograd"), problem), _of_vector(problem)
    gradient = _vector(g for _, g in _ordered(problem, leaves))
    loss = primitive(lambda vector: float(function(*cut(vector))))
    defvjp(loss, lambda value, vector: lambda d_loss: d_loss * gradient)
    kept = np.random.get_state()  # noqa: NPY002  (autograd draws its direction from NumPy's global generator)
    np.random.seed(0)  # noqa: NPY002
    try:
        check_grads(loss, modes=["rev"], order=1)(_vector(_flat(*arrays_of(problem))))
    except AssertionError:
        return False
    finally:
        np.random.set_state(kept)  # noqa: NPY002
    return True


def _scipy(problem: ref.Problem, leaves: Leaves, name: str) -> bool:
    from scipy.optimize import check_grad  # noqa: PLC0415

    function, cut = loss_function(library("autograd"), problem), _of_vector(problem)
    gradient = _vector(g for _, g in _ordered(problem, leaves))

    def value(v: Any) -> float:
        return float(function(*cut(v)))

    def slope(v: Any) -> Any:
        return gradient

    error = check_grad(value, slope, _vector(_flat(*arrays_of(problem))))
    return bool(error <= SCIPY_LIMIT * max(1.0, float(np.linalg.norm(gradient))))


def _quiet(check: Check) -> Check:
    """The check with its warnings unheard."""

    def passes(problem: ref.Problem, leaves: Leaves, name: str) -> bool:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return check(problem, leaves, name)

    return passes


DOUBLE = ("float64",)
CHECKERS: tuple[Checker, ...] = (
    Checker("gradient-oracle", _ours(certified=False), tuple(NUMBERS), whole=True),
    Checker("gradient-oracle, certified", _ours(certified=True), tuple(NUMBERS), whole=True),
    Checker("torch gradcheck, slow", _quiet(_gradcheck(fast=False)), DOUBLE, whole=True),
    Checker("torch gradcheck, fast", _quiet(_gradcheck(fast=True)), DOUBLE, whole=False),
    Checker("JAX check_grads", _quiet(_jax), ("float64", "float32"), whole=False),
    Checker("autograd check_grads", _quiet(_autograd), DOUBLE, whole=False),
    Checker("SciPy check_grad", _quiet(_scipy), DOUBLE, whole=True),
)
