"""Problems for differences of the loss, and what lies outside their bars."""

from __future__ import annotations

import numpy as np

import reference as ref
from reference.differences import (
    Difference,
)
from tests.helpers import derivatives

ULP = 2.0**-52
ACTIVATIONS = list(ref.ACTIVATIONS)
LOSSES = list(ref.LOSSES)
OUTPUT_IN_DOMAIN = {"bce": "sigmoid"}


def targets(rng, kind, n, k):
    match kind:
        case "real":
            return rng.normal(size=(n, k))
        case "probabilities":
            return rng.random((n, k))
        case "nonnegative":
            return rng.integers(0, 4, (n, k)).astype(float)
        case "classes" | "indices":
            return rng.integers(0, k, n)
        case "signs":
            return rng.choice([-1.0, 1.0], (n, k))
        case "labels":
            return np.where(
                np.arange(k) < rng.integers(0, k + 1, (n, 1)), rng.permuted(np.tile(np.arange(k), (n, 1)), axis=1), -1
            )
    raise ValueError(kind)


def network_problem(seed, activations, loss, widths, n=3, scale=1.0, zeros=0.0):
    rng = np.random.default_rng(seed)
    layers = []
    for fan_in, width, name in zip(widths, widths[1:], activations, strict=False):
        row = ref.ACTIVATIONS[name]
        weight = rng.normal(0, scale / np.sqrt(fan_in), (width * row.shrink, fan_in))
        weight[rng.random(weight.shape) < zeros] = 0
        layers.append(ref.Layer(weight, rng.normal(0, scale / 2, width * row.shrink), row))
    x = rng.normal(size=(n, widths[0]))
    reduction = ["mean", "sum"][int(rng.integers(2))]
    return ref.Problem(ref.MLP(tuple(layers)), x, targets(rng, ref.LOSSES[loss].target, n, widths[-1]), loss, reduction)


def stiff_problem(seed):
    """A problem of any activation and loss: weights of 1e-3 to 100, exact zeros, targets met, one to six layers."""
    rng = np.random.default_rng(seed)
    loss = LOSSES[seed % len(LOSSES)]
    depth = int(rng.integers(1, 7))
    names = [ACTIVATIONS[i] for i in rng.integers(0, len(ACTIVATIONS), depth)]
    names[-1] = OUTPUT_IN_DOMAIN.get(loss, names[-1] if rng.random() < 0.5 else "identity")
    widths = [int(w) for w in rng.integers(1, 9, depth + 1)]
    scale = 10 ** rng.uniform(-3, 2) if rng.random() < 0.5 else 1.0
    with np.errstate(all="ignore"):
        problem = network_problem(
            seed, names, loss, widths, int(rng.integers(1, 7)), scale, rng.choice([0.0, 0.0, 0.5, 1.0])
        )
        if problem.loss.target == "real" and rng.random() < 0.3:
            y = ref.forward(problem.mlp, problem.x).output
            met = y * (1 + 10 ** rng.uniform(-16, -2) * rng.normal(size=y.shape))
            problem = problem.replace(target=np.where(np.isfinite(met), met, 0.0))
    return problem


def finite_gradients(problem):
    with np.errstate(all="ignore"):
        g = ref.gradients(problem)
    return g if all(np.all(np.isfinite(leaf)) for leaf in g.leaves().values()) else None


def outside(difference, gradients):
    """The places and elements where a gradient lies outside the bar."""
    found = []
    for place, leaf in derivatives(gradients).items():
        value, error = difference.value.leaves()[place], difference.error.leaves()[place]
        judged = np.isfinite(value)
        assert np.array_equal(judged, np.isfinite(error))
        assert value.dtype == error.dtype == np.float64
        assert value.shape == error.shape == leaf.shape
        found += [(place, tuple(i)) for i in np.argwhere(judged & ~(np.abs(value - leaf) <= error))]
    return found


def judged(difference):
    values = difference.value if isinstance(difference, Difference) else difference
    return sum(int(np.isfinite(leaf).sum()) for leaf in derivatives(values).values())


def largest(gradients):
    return max(float(np.abs(leaf).max()) for leaf in derivatives(gradients).values())


def with_fault(gradients, layer, factor):
    """The gradients with one layer's weights and bias scaled."""
    faulty = [
        ref.LayerGradients(g.weight * factor, None if g.bias is None else g.bias * factor) if i == layer else g
        for i, g in enumerate(gradients.layers)
    ]
    return ref.Gradients(tuple(faulty), gradients.input, gradients.loss)


def kinked(at):
    """One example; unit 0 of layer 0 sits `at` from relu's kink and is moved by x[0], not by x[1] = 0."""
    layers = (
        ref.Layer(np.array([[1.0, 2.0], [0.5, -0.25]]), np.array([at - 1.0, 0.25]), "relu"),
        ref.Layer(np.array([[0.75, -1.5]]), None, "identity"),
    )
    return ref.Problem(ref.MLP(layers), np.array([[1.0, 0.0]]), np.array([[2.0]]), "mse")
