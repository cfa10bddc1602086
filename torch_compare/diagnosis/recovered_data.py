"""Numbers that nobody has, recovered from wrong gradients: the inputs or targets that they were made of.

d_Wᵀ = xᵀ d_z: the rows of a first weight's gradient are combinations of the examples, whichever d_z is; and if the
examples are linearly independent, it determines d_z. N examples, I a layer's fan-in, O its fan-out, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import is_parameter, place_of

from ..mistakes.loss import loss_mistakes
from ..mistakes.mistake import leaves_with
from .evidence import Evidence, distance, norm, ratio
from .named_factors import nearest, product
from .wording import listed, number

Told = tuple[tuple[str, ...], str]
"""The kinds, none if it tells no mistake, and the text."""


def loss_alone(evidence: Evidence, expected: Mapping[str, Any]) -> Told:
    """The mistake in a loss that is wrong beside right gradients."""
    given, right, slack = evidence.given["loss"], expected["loss"], evidence.slack("loss")
    c = ratio(given, right)
    named = nearest(evidence.table, c, slack) if np.isfinite(c) else ()
    if named and distance(given, product(named) * right) <= slack:
        text = "; and ".join(n.text for n in named)
        return tuple(n.kinds[0] for n in named), f"loss: yours = oracle × {number(product(named))}; {text}"
    for mistake in loss_mistakes(evidence.problem):
        if distance(given, leaves_with((mistake,), evidence.problem)["loss"]) <= slack:
            return (mistake.name,), f"loss: {mistake.what}, in the value alone: the gradients that were given are right"
    return (
        (),
        f"the loss alone is wrong, by no known mistake: yours {float(given):.6g}, the oracle's {float(right):.6g}",
    )


def exchanged(evidence: Evidence, expected: Mapping[str, Any], wrong: list[str]) -> str:
    """Whether the wrong gradients are right ones in each other's place; "" if not."""
    held = {}
    for place in wrong:
        if place == "loss":
            continue
        given, slack = evidence.given[place], evidence.slack(place)
        others = [p for p in expected if p != place and np.shape(expected[p]) == np.shape(given)]
        held[place] = next((p for p in others if distance(given, expected[p]) <= slack), "")
    if not held or not all(held.values()):
        return ""
    return listed([f"{place} holds the gradient of {other}" for place, other in held.items()])


def other_inputs(evidence: Evidence, wrong: list[str]) -> Told:
    """Whether the first weight's gradient can be made of this batch's inputs at all.

    What it has outside the space of the examples has the rank of the examples of another batch, if these are few.
    """
    place, x = place_of(0, "weight"), evidence.problem.x
    if place not in evidence.given or place not in wrong or x.shape[0] >= x.shape[1]:
        return (), ""
    _, singular, rows = np.linalg.svd(x, full_matrices=False)
    rows = rows[singular > singular[0] * x.shape[1] * np.finfo(float).eps]
    given = evidence.given[place]
    outside = given - (given @ rows.T) @ rows
    slack = evidence.slack(place) * norm(given)
    share = norm(outside) / norm(given) if norm(given) > 0 else 0.0
    if norm(outside) <= slack:
        return (), ""
    cannot = f"{share:.2g} of {place} is no combination of this batch's inputs, as any gradient of it must be"
    rank, whole = (_rank(a, slack, 2 * len(rows) + 8) for a in (outside, given))
    most = min(given.shape[0], given.shape[1] - len(rows), 2 * len(rows) + 8)
    if rank < most and all(p in wrong for p in evidence.given if is_parameter(p)):
        examples = f"it has rank {rank}, as {rank} other example{'s make' if rank > 1 else ' makes'} it"
        if whole == rank:
            return ("stale batch",), f"{cannot}; {examples}: it is the gradient of another batch's inputs"
        return ("accumulated",), f"{cannot}; {examples}: the gradient of an earlier batch is in it, not set to 0"
    return (), f"; {cannot}: other inputs went into it, or something was added afterwards"


def _rank(a: Any, slack: float, most: int) -> int:
    """The rank of a matrix but for noise, counted no further than to a number: of so many combinations of columns."""
    if most < min(a.shape):
        a = a @ np.random.default_rng(0).normal(size=(a.shape[1], most)) / np.sqrt(most)
    return int(np.sum(np.linalg.svd(a, compute_uv=False) > slack))


def below(evidence: Evidence, layer: int, expected: Mapping[str, Any]) -> Any:
    """The d_z (N, O) of a layer from which all that lies below follows, as it was given; None if nothing tells it."""
    problem, given = evidence.problem, evidence.given
    weight, bias = place_of(layer, "weight"), place_of(layer, "bias")
    trace = evidence.trace
    if weight not in given:
        return None
    x = trace.inputs[layer]
    if x.shape[0] > x.shape[1]:
        return None
    singular = np.linalg.svd(x, compute_uv=False)
    if not singular[-1] > singular[0] * x.shape[1] * np.finfo(float).eps:
        return None
    found = d_z = np.linalg.lstsq(x.T, given[weight].T, rcond=None)[0]
    follows = {weight: d_z.T @ x, bias: d_z.sum(axis=0)}
    for l in reversed(range(layer)):
        d_h = d_z @ problem.mlp.layers[l + 1].weight
        d_z = problem.mlp.layers[l].activation.pullback(trace.preactivations[l], d_h)
        follows |= {place_of(l, "weight"): d_z.T @ trace.inputs[l], place_of(l, "bias"): d_z.sum(axis=0)}
    follows["input"] = d_z @ problem.mlp.layers[0].weight
    condition = float(singular[0] / singular[-1])
    judged = [p for p in follows if p in given]
    if len(judged) < 2 or any(distance(given[p], follows[p]) > evidence.slack(p) * condition for p in judged):
        return None
    told = any(distance(given[p], expected[p]) > evidence.slack(p) * condition for p in judged)
    return found if told else None


def other_targets(evidence: Evidence, d_z: Any) -> Told:
    """The targets from which the gradient of the output follows, if they are this batch's in another order, or classes.

    Squared error: d = c(y − t)/D. Cross entropy: d = (softmax(y) − onehot(t))/D.
    """
    problem, trace = evidence.problem, evidence.trace
    loss, target = problem.loss, np.asarray(problem.target)
    if d_z.shape != trace.output.shape or problem.mlp.layers[-1].activation.name != "identity":
        return (), ""
    y = trace.output
    divisor = float(np.asarray(loss.divisor(y, target))) if problem.reduction == "mean" else 1.0
    if loss.name in ("mse", "half_squared_error"):
        theirs = y - d_z * divisor / (2 if loss.name == "mse" else 1)
        order = np.array([int(np.argmin(np.abs(target - row).sum(axis=1))) for row in theirs])
        if len(set(order.tolist())) == len(order) and _near(theirs, target[order]):
            return (
                "stale batch",
            ), f"the targets belong to other examples: they are in the order {listed([*map(str, order)])}"
    plain = (
        loss.name == "cross_entropy" and loss.parameters["weight"] is None and not loss.parameters["label_smoothing"]
    )
    if plain and target.dtype.kind in "iu" and np.all(target != loss.ignore_index):
        onehot = ref.ACTIVATIONS["softmax"].value(y) - d_z * divisor
        classes = onehot.argmax(axis=1)
        if _near(onehot, np.eye(y.shape[1])[classes]) and np.any(classes != target):
            off = np.flatnonzero(classes != target)
            text = listed([f"example {i} had class {classes[i]}, not {target[i]}" for i in off], 3)
            return ("stale batch",), f"the targets are others than this batch's: as if {text}"
    return (), ""


def _near(a: Any, b: Any) -> bool:
    """Whether two arrays are the same but for rounding, of which the way back to d_z has made much more."""
    return distance(a, b) <= CLOSE


CLOSE = 2.0**-10
"""Targets that are others differ by about their own size; a thousandth of it is the rounding of a coarse format."""
