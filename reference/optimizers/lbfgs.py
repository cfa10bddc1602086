"""L-BFGS: quasi-Newton directions from the last few steps and changes of the gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, cast

import numpy as np

from ..arithmetic.array import Array, NumPyArray, is_numpy
from ..functions.recipe import recorded
from .hyperparameters import FINITE, numbers, require
from .line_search import At, Point, strong_wolfe
from .optimizer import Flat, FlatEvaluate, Optimizer, zeros_like
from .state import State

LEAST_CURVATURE = 1e-10
"""A pair with yᵀs up to this much is not kept: the approximation must stay positive definite. torch's constant."""

Pairs = tuple[tuple[Array, Array, Any], ...]
"""(y, s, 1/yᵀs) of the last steps, the oldest first: the change of the gradient, and the step that made it."""


@recorded
def lbfgs(
    lr: float = 1.0,
    max_iter: int = 20,
    max_eval: int | None = None,
    tolerance_grad: float = 1e-7,
    tolerance_change: float = 1e-9,
    history_size: int = 100,
    line_search_fn: str | None = None,
) -> Optimizer:
    """L-BFGS: θ ← θ + td, d = −Hg, up to `max_iter` times a step.

    H is the inverse Hessian that BFGS makes of the last pairs s (step) and y (change of the gradient), from
    (sᵀy/yᵀy)·I, applied by the two-loop recursion. t is η, or what a line search finds from there on; at the very first
    iteration t starts at min(1, 1/‖g‖₁)·η. Liu & Nocedal 1989; Nocedal & Wright 2006, algorithms 7.4 and 7.5.

    `update` needs `evaluate`, and takes the loss and the gradients from it even where it starts: the gradients that it
    is given are not used. All arrays are one vector to it, so they must be of one type.

    Args:
        lr: η.
        max_iter: iterations a step.
        max_eval: evaluations a step, after which no iteration begins; 1.25 max_iter if not given.
        tolerance_grad: a step ends where no derivative is larger.
        tolerance_change: a step ends where the slope along d, every change of a parameter, or the change of the loss
            has become so small.
        history_size: how many pairs are kept.
        line_search_fn: "strong_wolfe" (see `line_search`), or None for t = η.

    Raises:
        TypeError: a hyperparameter is no number, or no whole one; from `init`, the arrays are not of one real type.
        ValueError: a hyperparameter is out of range; from `update`, `evaluate` or the state do not fit the parameters.

    >>> def evaluate(params):
    ...     (x,) = params
    ...     return ((x - 3.0) ** 2).sum(), [2 * (x - 3.0)]
    >>> opt = lbfgs(line_search_fn="strong_wolfe")
    >>> params = [np.array([0.0, 10.0])]
    >>> params, state = opt.update(params, evaluate(params)[1], opt.init(params), evaluate)
    >>> params, state["n_iter"], state["func_evals"]
    ([array([3., 3.])], 1, 3)
    """
    lr, max_iter, max_eval, history_size = numbers(lr, max_iter, max_eval, history_size)
    tolerance_grad, tolerance_change = numbers(tolerance_grad, tolerance_change)
    max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
    require("lbfgs", lr=(lr, 0.0, FINITE), max_iter=(max_iter, 1, np.inf), max_eval=(max_eval, 1, np.inf),
            history_size=(history_size, 1, np.inf), tolerance_grad=(tolerance_grad, 0.0, FINITE),
            tolerance_change=(tolerance_change, 0.0, FINITE))  # fmt: skip
    for key, value in (("max_iter", max_iter), ("max_eval", max_eval), ("history_size", history_size)):
        if not isinstance(value, int):
            raise TypeError(f"lbfgs: {key} must be a whole number, got {value!r}")
    if line_search_fn not in (None, "strong_wolfe"):
        raise ValueError(f'lbfgs: line_search_fn must be "strong_wolfe" or None, got {line_search_fn!r}')

    def step(params: Flat, grads: Flat, state: State, evaluate: FlatEvaluate | None) -> tuple[Flat, State]:
        assert evaluate is not None
        x = _vector(params)
        _check(x, state)

        def loss_at(x: Array) -> tuple[Any, Array]:
            return _checked(x, *evaluate(_shaped(params, x)))

        loss, g = loss_at(x)
        count, evaluations = state["n_iter"], 1
        if _within(g, tolerance_grad):
            return params, state | {"step": state["step"] + 1, "func_evals": state["func_evals"] + 1}
        s, last, scale, pairs = _memory(state)
        for iteration in range(1, max_iter + 1):
            count += 1
            if count > 1:
                y = g - last
                pairs, scale = _with_newest(pairs, scale, y, s, history_size)
            d = two_loop(g, pairs, scale)
            last, loss_before = g, loss
            t = _first_trial(g, lr, very_first=count == 1)
            slope = _dot(g, d)
            if slope > -tolerance_change:
                s = t * d
                break
            if line_search_fn is not None:
                start = Point(0.0, loss, g, slope)
                line = _along(x, d, loss_at)
                found, trials = strong_wolfe(line, start, t, np.abs(d).max(), max_eval - evaluations)
                t, loss, g = found.step, found.loss, found.grad
                evaluations += trials
            s = t * d
            x = x + s
            if line_search_fn is None and iteration < max_iter:
                loss, g = loss_at(x)
                evaluations += 1
            if iteration == max_iter or evaluations >= max_eval or _within(g, tolerance_grad):
                break
            if _within(s, tolerance_change) or -tolerance_change < loss - loss_before < tolerance_change:
                break
        return _shaped(params, x), {
            "step": state["step"] + 1,
            "n_iter": count,
            "func_evals": state["func_evals"] + evaluations,
            "last_step": s,
            "prev_flat_grad": last,
            "H_diag": scale,
            "history": _history(pairs),
        }

    return Optimizer(
        "lbfgs",
        "θ ← θ + td, d = −Hg, H from the last pairs s = Δθ, y = Δg",
        "Liu & Nocedal 1989",
        {"lr": lr, "max_iter": max_iter, "max_eval": max_eval, "tolerance_grad": tolerance_grad,
         "tolerance_change": tolerance_change, "history_size": history_size, "line_search_fn": line_search_fn},
        _start,
        step,
        needs_evaluate=True,
    )  # fmt: skip


# ── the steps of an iteration ────────────────────────────────────────────────────────────────────────


def _with_newest(pairs: Pairs, scale: Any, y: Array, s: Array, history_size: int) -> tuple[Pairs, Any]:
    """The last pairs, the newest among them, and sᵀy/yᵀy; the old ones if the loss hardly curves upward along s."""
    curvature = _dot(y, s)
    if curvature > LEAST_CURVATURE:
        pairs = (*pairs, (y, s, 1 / curvature))[-history_size:]
        scale = curvature / _dot(y, y)
    return pairs, scale


def two_loop(g: Array, pairs: Sequence[tuple[Array, Array, Any]], scale: Any) -> Array:
    """−Hg for H made from scale·I by BFGS updates with the pairs, the oldest first.

    Nocedal & Wright 2006, algorithm 7.4.

    Args:
        g: (P,).
        pairs: (y, s, 1/yᵀs), each y and s (P,).
        scale: of the first approximation of H.

    >>> y, s = np.array([2.0, 0.0]), np.array([1.0, 0.0])
    >>> two_loop(np.array([4.0, 1.0]), [(y, s, 0.5)], 0.5)
    array([-2. , -0.5])
    """
    q = -g
    shares = []
    for y, s, ro in reversed(pairs):
        share = _dot(s, q) * ro
        q = q - share * y
        shares.append(share)
    d = q * scale
    for (y, s, ro), share in zip(pairs, reversed(shares), strict=True):
        d = d + (share - _dot(y, d) * ro) * s
    return d


def _first_trial(g: Array, lr: Any, very_first: bool) -> Any:
    """The step length that an iteration tries first: η, or min(1, 1/‖g‖₁)·η while nothing is known of the curvature."""
    (t,) = numbers(np.minimum(1.0, 1.0 / np.abs(g).sum()) * lr) if very_first else (lr,)
    return t


def _along(x: Array, d: Array, loss_at: Callable[[Array], tuple[Any, Array]]) -> At:
    """Step t ↦ the point x + td."""

    def at(t: Any) -> Point:
        (t,) = numbers(t)
        loss, g = loss_at(x + t * d)
        return Point(t, loss, g, _dot(g, d))

    return at


# ── the state ────────────────────────────────────────────────────────────────────────────────────────


def _start(params: Flat) -> State:
    kinds = {p.dtype for p in params}
    if len(kinds) > 1 or np.dtype(params[0].dtype).kind != "f":
        raise TypeError(
            f"lbfgs: expected parameters of one real floating type, got {', '.join(sorted(map(str, kinds)))}"
        )
    zero = zeros_like(_vector(params))
    return {"step": 0, "n_iter": 0, "func_evals": 0, "last_step": zero, "prev_flat_grad": zero, "H_diag": 1,
            "history": _history(())}  # fmt: skip


def _memory(state: State) -> tuple[Array, Array, Any, Pairs]:
    """The last step s, the gradient before it, the scale and the pairs: what the next direction is made from."""
    history = state["history"]
    pairs = tuple(zip(history["old_dirs"], history["old_stps"], history["ro"], strict=True))
    return state["last_step"], state["prev_flat_grad"], state["H_diag"], pairs


def _history(pairs: Pairs) -> dict[str, tuple[Any, ...]]:
    """The pairs as torch keeps them."""
    ys, steps, ro = zip(*pairs, strict=True) if pairs else ((), (), ())
    return {"old_dirs": ys, "old_stps": steps, "ro": ro}


def _check(x: Array, state: State) -> None:
    if x.shape != state["last_step"].shape:
        raise ValueError(f"state: made for {state['last_step'].shape[0]} numbers, the parameters have {x.shape[0]}")


# ── vectors ──────────────────────────────────────────────────────────────────────────────────────────


def _dot(a: Array, b: Array) -> Any:
    return (a * b).sum()


def _within(vector: Array, bound: float) -> bool:
    """Whether every |aᵢ| ≤ bound; from both sides, so that noise on 0 shows on which side of it a may lie."""
    a = cast(NumPyArray, vector)
    return a.max() <= bound and (-a).max() <= bound


def _vector(arrays: Flat) -> NumPyArray:
    return np.concatenate([cast(NumPyArray, a).reshape(-1) for a in arrays])


def _shaped(params: Flat, x: Array) -> Flat:
    """The parts of the vector x in the shapes of the parameters."""
    ends = accumulate(p.size for p in params)
    return tuple(cast(NumPyArray, x[end - p.size : end]).reshape(p.shape) for p, end in zip(params, ends, strict=True))


def _checked(x: Array, loss: Any, grads: Flat) -> tuple[Any, Array]:
    """The loss as a number that leaves the type of arrays alone, and the gradients as a vector."""
    if getattr(loss, "shape", ()) != ():
        raise ValueError(f"evaluate: expected one number as the loss, got an array of shape {loss.shape}")
    g = _vector(grads)
    if g.shape != x.shape or g.dtype != x.dtype:
        raise ValueError(f"evaluate: expected {x.shape[0]} derivatives of {x.dtype}, got {g.shape[0]} of {g.dtype}")
    return (loss.item() if is_numpy(loss) else loss), g
