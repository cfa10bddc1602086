"""Mistakes at the loss: its gradient, its parameters, and what its mean divides by.

y (N, K) is the network's output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.dispatch import indicator, parameter
from reference.network.unchecked import changed

from .mistake import Mistake
from .own_loss import own_mistakes
from .rules import Rules


def _d_output(name: str, text: str, wrong: Callable[[ref.Problem, Any], Any]) -> Mistake:
    def change(rules: Rules) -> Rules:
        return replace(rules, d_output=wrong)

    return Mistake(name, "loss", text, rules=change)


def _reduced(problem: ref.Problem, y: Any, d_y: Any) -> Any:
    return d_y / problem.loss.divisor(y, problem.target) if problem.reduction == "mean" else d_y


def _softmax(y: Any) -> Any:
    return ref.ACTIVATIONS["softmax"].value(y)


def loss_mistakes(problem: ref.Problem) -> Iterator[Mistake]:
    """Every mistake that fits the problem's loss."""
    name = problem.loss.name
    if name == "cross_entropy":
        yield from _cross_entropy(problem)
    if name in ("bce_with_logits", "cross_entropy"):
        yield from _logits(problem)
    if name in ("half_squared_error", "mse"):
        factor = 2 if name == "mse" else 1
        yield _d_output(
            "target not subtracted",
            "the target is not subtracted from the output",
            lambda p, y: _reduced(p, y, factor * y),
        )
    yield from own_mistakes(problem.loss)
    yield from _other_parameters(problem)
    yield from _other_losses(problem)


def _cross_entropy(problem: ref.Problem) -> Iterator[Mistake]:
    softmax = ref.ACTIVATIONS["softmax"]
    assert softmax.vjp is not None
    pull = softmax.vjp
    yield _d_output(
        "softmax applied twice",
        "cross_entropy, which takes logits, is given a softmax of them, and the gradient stops at that softmax",
        lambda p, y: ref.loss_gradient(p, _softmax(y)),
    )
    yield Mistake(
        "softmax applied twice",
        "loss",
        "cross_entropy, which takes logits, is given a softmax of them",
        problem=lambda p: p.replace(
            loss=changed(
                p.loss,
                value=lambda y, t: p.loss.value(_softmax(y), t),
                gradient=lambda y, t: pull(y, p.loss.gradient(_softmax(y), t)),
            )
        ),
    )
    yield _d_output(
        "target not subtracted",
        "the target is not subtracted from the softmax",
        lambda p, y: _reduced(p, y, _softmax(y)),
    )
    yield _d_output(
        "softmax Jacobian diagonal",
        "the Jacobian of the softmax is taken as diagonal",
        lambda p, y: _reduced(p, y, _target_part(p, y) * (1 - _softmax(y))),
    )
    yield _d_output(
        "softmax derivative applied again",
        "softmax − target is multiplied by the derivative of the softmax once more",
        lambda p, y: ref.loss_gradient(p, y) * _softmax(y) * (1 - _softmax(y)),
    )
    yield _d_output(
        "softmax missing",
        "the target is subtracted from the logits: the softmax is missing",
        lambda p, y: ref.loss_gradient(p, y) - _reduced(p, y, _softmax(y) - y),
    )
    ignored, target = problem.loss.ignore_index, np.asarray(problem.target)
    if target.dtype.kind in "iu" and ignored is not None and np.any(target == ignored):
        counted = target != ignored
        yield _d_output(
            "ignored examples not zeroed",
            "examples with ignore_index still give a gradient, softmax(y)",
            lambda p, y: ref.loss_gradient(p, y) + _reduced(p, y, _softmax(y) * indicator(~counted[:, None], y)),
        )
    smoothing = problem.loss.parameters.get("label_smoothing", 0.0)
    if smoothing and target.dtype.kind in "iu":
        yield from _smoothing(problem, smoothing)


def _target_part(problem: ref.Problem, y: Any) -> Any:
    """−q of the gradient softmax·Σq − q: what the target contributes."""
    zero = ref.loss_gradient(problem.replace(reduction="sum"), y)
    return zero - _softmax(y) * _total(problem, y)


def _total(problem: ref.Problem, y: Any) -> Any:
    """Σ_c q_c of every example, (N, 1): minus the sum of the target's part, since the softmax adds up to 1."""
    weight = problem.loss.parameters.get("weight")
    target = np.asarray(problem.target)
    if target.dtype.kind not in "iu":
        rows = np.asarray(target, float) if weight is None else np.asarray(target, float) * np.asarray(weight, float)
        return parameter(rows.sum(axis=1, keepdims=True), y)
    counted = target != problem.loss.ignore_index
    chosen = np.where(counted, target, 0)
    smoothing = problem.loss.parameters.get("label_smoothing", 0.0)
    weights = np.ones(y.shape[1]) if weight is None else np.asarray(weight, dtype=float)
    totals = ((1 - smoothing) * weights[chosen] + smoothing * weights.mean()) * counted
    return parameter(totals[:, None], y)


def _smoothing(problem: ref.Problem, smoothing: float) -> Iterator[Mistake]:
    """Label smoothing that gives its share to the other classes only, ε/(K − 1) each, or to all in full."""
    k = problem.mlp.layers[-1].width
    target = np.asarray(problem.target)
    counted = target != problem.loss.ignore_index
    onehot = np.zeros((len(counted), k))
    onehot[np.flatnonzero(counted), target[counted]] = 1.0
    weight = problem.loss.parameters.get("weight")
    weights = np.ones(k) if weight is None else np.asarray(weight, dtype=float)

    def by(distribution: Any) -> Callable[[ref.Problem, Any], Any]:
        q = distribution * weights * counted[:, None]

        def d_output(p: ref.Problem, y: Any) -> Any:
            total = parameter(q.sum(axis=1, keepdims=True), y)
            return _reduced(p, y, _softmax(y) * total - parameter(q, y))

        return d_output

    others = 1 - onehot
    for title, q in (
        ("ε/(K − 1) for each other class", (1 - smoothing) * onehot + smoothing / max(1, k - 1) * others),
        ("ε/K for each other class and 1 − ε for the target", (1 - smoothing) * onehot + smoothing / k * others),
        ("ε for each other class", (1 - smoothing) * onehot + smoothing * others),
    ):
        yield _d_output("label smoothing mis-normalised", f"label smoothing gives {title}", by(q))


def _logits(problem: ref.Problem) -> Iterator[Mistake]:
    if problem.loss.name != "bce_with_logits":
        return
    sigmoid = ref.ACTIVATIONS["sigmoid"]
    assert sigmoid.derivative is not None
    slope = sigmoid.derivative
    yield _d_output(
        "sigmoid derivative applied again",
        "σ(y) − t is multiplied by the derivative of the sigmoid once more",
        lambda p, y: ref.loss_gradient(p, y) * slope(y),
    )
    yield _d_output(
        "sigmoid applied twice",
        "bce_with_logits, which takes logits, is given a sigmoid of them, and the gradient stops at that sigmoid",
        lambda p, y: ref.loss_gradient(p, sigmoid.value(y)),
    )


_KINDS = {
    "label_smoothing": "label smoothing mis-normalised",
    "weight": "class weights mis-normalised",
    "pos_weight": "class weights mis-normalised",
    "ignore_index": "ignore_index mis-normalised",
}


def _other_parameters(problem: ref.Problem) -> Iterator[Mistake]:
    """The same loss with a parameter left at its default, or divided by another number than its mean divides by."""
    row = problem.loss
    make = getattr(ref.losses, row.name, None)
    defaults = ref.LOSSES[row.name].parameters if row.name in ref.LOSSES else {}
    for key, value in row.parameters.items():
        default = defaults.get(key)
        if value is default or (np.ndim(value) == 0 and value == default) or make is None:
            continue
        other = make(**(dict(row.parameters) | {key: default}))
        kind = _KINDS.get(key, "loss parameter ignored")
        left_out = f"{key} is left out of what the mean divides by", changed(row, divisor=other.divisor)
        for text, stands in (
            (f"{key} is ignored", other),
            (f"{key} counts in what the mean divides by and nowhere else", changed(other, divisor=row.divisor)),
            left_out,
        ):
            yield Mistake(kind, "loss", text, problem=_with_loss(stands))
        yield _in_gradient_alone(kind, *left_out)
    if row.name == "cross_entropy" and not row.parameters.get("label_smoothing"):
        smoothed = ref.losses.cross_entropy(**(dict(row.parameters) | {"label_smoothing": 0.1}))
        text = "there is a label smoothing of 0.1"
        yield Mistake("label smoothing mis-normalised", "loss", text, problem=_with_loss(smoothed))
    indices = np.asarray(problem.target).dtype.kind in "iu"
    if row.ignore_index is not None and indices and np.any(problem.target == row.ignore_index):
        counted = changed(row, divisor=lambda y, t: y.shape[0])
        text = "the mean divides by all examples, those with ignore_index included"
        yield Mistake("ignore_index mis-normalised", "loss", text, problem=_with_loss(counted))
        yield _in_gradient_alone("ignore_index mis-normalised", text, counted)


def _in_gradient_alone(kind: str, text: str, row: ref.Loss) -> Mistake:
    """The gradient of another loss beside the value of the right one."""
    return _d_output(kind, f"{text}, in the gradient alone", lambda p, y: ref.loss_gradient(p.replace(loss=row), y))


def _with_loss(row: ref.Loss) -> Callable[[ref.Problem], ref.Problem]:
    return lambda problem: problem.replace(loss=row)


def _other_losses(problem: ref.Problem) -> Iterator[Mistake]:
    """Another loss of the table that takes the same target."""
    for row in ref.LOSSES.values():
        if row.target == problem.loss.target and row.name != problem.loss.name and row.outputs is None:
            yield Mistake(
                "another loss",
                "loss",
                f"the gradient is that of {row.name}, not of {problem.loss.name}",
                problem=_with_loss(row),
                vague=True,
            )
