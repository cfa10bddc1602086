"""Mistakes in the forward pass: other inputs, weights or biases than the problem's, so that the loss is wrong, too.

N examples, I a layer's fan-in, O its fan-out; l is a layer's index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import reference as ref
from reference.arithmetic.formats import FORMATS
from reference.network.gradients import place_of
from reference.network.unchecked import changed, unchecked

from .mistake import Mistake
from .rules import Rules

DEEPEST = 8
"""Layers of a network up to which a mistake in one of them is tried, and not in all of them alone."""
RATES = (1.0, 0.5, 0.1, 0.05, 0.01, 0.001)
"""Learning rates by whose step weights are tried as too old or too new."""
SAID = "the forward pass differs"
"""With this begins the clause of every mistake here."""


def forward_mistakes(problem: ref.Problem) -> Iterator[Mistake]:
    """Other inputs, biases or weights in the forward pass, the likeliest first."""
    yield from _biases(problem)
    yield from _inputs(problem)
    yield from _transposed(problem)
    yield from _stored(problem)
    yield from _stepped(problem)


def _with_layers(change: Callable[[int, ref.Layer], ref.Layer]) -> Callable[[ref.Problem], ref.Problem]:
    def apply(problem: ref.Problem) -> ref.Problem:
        layers = tuple(change(l, layer) for l, layer in enumerate(problem.mlp.layers))
        return problem.replace(network=unchecked(ref.MLP, layers=layers))

    return apply


def _where(problem: ref.Problem, which: list[int]) -> Iterator[tuple[str, list[int]]]:
    """Every one of some layers by itself, and all of them: the place and the layers."""
    if len(which) > 1:
        yield "every layer" if len(which) == len(problem.mlp.layers) else "every such layer", which
    if len(problem.mlp.layers) <= DEEPEST:
        yield from ((place_of(l), [l]) for l in which)


# ── biases and inputs ────────────────────────────────────────────────────────────────────────────────


def _biases(problem: ref.Problem) -> Iterator[Mistake]:
    which = [l for l, layer in enumerate(problem.mlp.layers) if layer.bias is not None and np.any(layer.bias)]
    for where, layers in _where(problem, which):
        for factor, done in (
            (0.0, "no bias is added"),
            (-1.0, "the bias is subtracted"),
            (2.0, "the bias counts twice"),
        ):

            def change(l: int, layer: ref.Layer, layers: list[int] = layers, factor: float = factor) -> ref.Layer:
                return layer if layer.bias is None or l not in layers else changed(layer, bias=layer.bias * factor)

            yield Mistake("bias in the forward pass", where, f"{SAID}: {done}", problem=_with_layers(change))


@dataclass(frozen=True)
class Affine:
    """x ↦ (x − shift)·scale, both numbers or one for each feature, and the words for it."""

    shift: Any
    scale: Any
    done: str

    def of(self, x: Any) -> Any:
        """The inputs that are used for x."""
        return (x - self.shift if np.any(self.shift) else x) * self.scale

    def __call__(self, problem: ref.Problem) -> ref.Problem:
        """The problem with the inputs that are used."""
        return problem.replace(x=self.of(problem.x))


def _inputs(problem: ref.Problem) -> Iterator[Mistake]:
    """The gradient of the input is that of the inputs that are used."""
    for one in affine(np.asarray(problem.x)):
        yield Mistake("inputs scaled", "inputs", f"{SAID}: {one.done}", problem=one)


def affine(x: Any) -> Iterator[Affine]:
    """Inputs that are scaled otherwise: bytes for numbers up to 1, [0, 1] for [−1, 1], standardised once too often."""
    yield from (Affine(0.0, c, f"the inputs are multiplied by {c:g}") for c in (255.0, 256.0, 2.0, -1.0))
    yield from (Affine(0.0, 1 / c, f"the inputs are divided by {c:g}") for c in (255.0, 256.0, 2.0))
    yield Affine(0.5, 2.0, "the inputs x are taken as 2x − 1")
    yield Affine(-1.0, 0.5, "the inputs x are taken as (x + 1)/2")
    if x.size < 2:
        return
    features, everything = (x.mean(axis=0), x.std(axis=0)), (x.mean(), x.std())
    for (mean, std), of in ((features, "over the batch, feature by feature"), (everything, "all of them together")):
        if np.all(std > 0):
            yield Affine(mean, 1 / std, f"the inputs are standardised, {of}")
            yield Affine(mean, np.ones_like(std), f"their mean is subtracted from the inputs, {of}")


# ── weights ──────────────────────────────────────────────────────────────────────────────────────────


def _transposed(problem: ref.Problem) -> Iterator[Mistake]:
    """x·W for x·Wᵀ of square weights."""
    which = [l for l, layer in enumerate(problem.mlp.layers) if layer.weight.shape[0] == layer.weight.shape[1] > 1]
    for where, layers in _where(problem, which):

        def turned(l: int, weight: Any, layers: list[int] = layers) -> Any:
            return weight.T if l in layers else weight

        done = "x·W for x·Wᵀ, the weight transposed"
        yield from _other_weights("weight not transposed", where, done, turned, turned)


def _stored(problem: ref.Problem) -> Iterator[Mistake]:
    weights = [np.asarray(layer.weight) for layer in problem.mlp.layers]
    for title, kept in stored_ways():
        deltas = [kept(w) - w for w in weights]
        yield from _moved("quantised weights", f"its weights are rounded to {title}", deltas)


def stored_ways() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Weights (O, I) rounded to a coarser format, or to bytes by their largest magnitude, by the words for it."""
    yield "float16", lambda w: w.astype(np.float16).astype(float)
    yield "bfloat16", lambda w: _rounded(w, FORMATS["bfloat16"].bits)
    yield "tf32", lambda w: _rounded(w, FORMATS["float16"].bits)
    yield "int8, by the largest of each weight", lambda w: _bytes(w, np.abs(w).max())
    yield "int8, by the largest of each row", lambda w: _bytes(w, np.abs(w).max(axis=-1, keepdims=True))


def _rounded(w: Any, bits: int) -> Any:
    mantissa, exponent = np.frexp(w)
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)


def _bytes(w: Any, largest: Any) -> Any:
    step = np.where(largest > 0, largest, 1.0) / 127
    return np.round(w / step) * step


def _stepped(problem: ref.Problem) -> Iterator[Mistake]:
    """Weights and biases of before or after a step of gradient descent."""
    right = ref.gradients(problem)
    for rate in RATES:
        for sign, when in ((-1, "newer"), (1, "older")):
            step = sign * rate

            def change(l: int, layer: ref.Layer, step: float = step) -> ref.Layer:
                found = right.layers[l]
                assert found.weight is not None
                bias = layer.bias if layer.bias is None or found.bias is None else layer.bias + found.bias * step
                return changed(layer, weight=layer.weight + found.weight * step, bias=bias)

            done = f"weights and biases are {when} by a step of gradient descent with learning rate {rate:g}"
            yield Mistake("stale weights", "every layer", f"{SAID}: {done}", problem=_with_layers(change))


def _moved(kind: str, done: str, deltas: list[Any]) -> Iterator[Mistake]:
    if any(np.any(delta) for delta in deltas):
        yield from _other_weights(
            kind, "every layer", done, lambda l, w: w + deltas[l], lambda l, w: w - deltas[l]
        )  # fmt: skip


def _other_weights(
    kind: str, where: str, done: str, other: Callable[[int, Any], Any], back: Callable[[int, Any], Any]
) -> Iterator[Mistake]:
    """Other weights in the forward pass, in the backward pass too or not.

    Args:
        kind: of the mistake.
        where: its place.
        done: the words.
        other: (l, weight) ↦ the other one.
        back: (l, the other one) ↦ the weight.
    """
    problem = _with_layers(lambda l, layer: changed(layer, weight=other(l, layer.weight)))

    def rules(right: Rules) -> Rules:
        return replace(right, downward=lambda p, t, l, d: d @ back(l, p.mlp.layers[l].weight))

    yield Mistake(kind, where, f"{SAID}, and the backward pass too: {done}", problem=problem)
    yield Mistake(kind, where, f"{SAID}, though not the backward pass: {done}", problem=problem, rules=rules)
