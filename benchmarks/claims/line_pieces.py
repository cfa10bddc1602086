"""The linear pieces of a network along a line, counted exactly; and networks that have as many as one wants.

On x(t) = x₀ + t·d a network of piecewise linear activations is, unit by unit, α + βt between breakpoints. Layer by
layer each piece is cut wherever a unit's pre-activation crosses a kink, t = (kink − α)/β. Weights, biases and x are
binary fractions, so α, β are integers over a common power of two, t is rational, and nothing is rounded or sampled.

Shapes: P pieces, I a layer's fan-in, O its fan-out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

import reference as ref
from reference.activations.row import PROBES

Array = Any
Point = tuple[int, int]
"""Numerator and denominator ≥ 0 of a place on the line; (±1, 0) are its ends."""

BEGIN, END = (-1, 0), (1, 0)


@dataclass(frozen=True)
class Segments:
    """A piecewise linear activation: slopes[k]·z + offsets[k] between kinks[k − 1] and kinks[k]."""

    kinks: tuple[Fraction, ...]
    slopes: tuple[Fraction, ...]
    offsets: tuple[Fraction, ...]


def segments(row: ref.Activation) -> Segments:
    """The straight parts of a row.

    Raises:
        ValueError: it has parts that are not straight, or jumps.

    >>> segments(ref.ACTIVATIONS["relu"]).slopes
    (Fraction(0, 1), Fraction(1, 1))
    """
    if row.rowwise or row.second_derivative is None or np.any(row.second_derivative(np.array(PROBES)) != 0):
        raise ValueError(f"{row.name} is not piecewise linear")
    if any(kink.jump for kink in row.kinks):
        raise ValueError(f"{row.name} jumps, so its pieces do not meet")
    if not row.kinks:
        low, high = map(Fraction, np.asarray(row.value(np.array([0.0, 1.0]))).tolist())
        return Segments((), (high - low,), (low,))
    kinks = tuple(Fraction(kink.at) for kink in row.kinks)
    slopes = (Fraction(row.kinks[0].left), *(Fraction(kink.right) for kink in row.kinks))
    height = Fraction(np.asarray(row.value(np.array([row.kinks[0].at]))).tolist()[0])
    offsets = [height - slopes[0] * kinks[0]]
    for kink, before, after in zip(kinks, slopes, slopes[1:], strict=False):
        offsets.append(offsets[-1] + (before - after) * kink)
    return Segments(kinks, slopes, tuple(offsets))


def whole(values: Any) -> tuple[Array, int]:
    """Floats or binary fractions as integers over 2ᵉ: (the integers, e)."""
    flat = [Fraction(v) for v in np.ravel(values).tolist()]
    exponent = max(v.denominator for v in flat).bit_length() - 1
    numbers = np.empty(len(flat), dtype=object)
    numbers[:] = [v.numerator * (2**exponent // v.denominator) for v in flat]
    return numbers.reshape(np.shape(values)), exponent


def breakpoints(
    mlp: ref.MLP, x: Array, direction: Array, between: tuple[Fraction | int, Fraction | int] | None = None
) -> list[Fraction]:
    """Every t where the output along x + t·direction changes its slope, in order.

    Args:
        mlp: of piecewise linear activations that act element by element.
        x: (I,) floats.
        direction: (I,) floats.
        between: the ends of the part of the line that counts; all of it if not given.

    Raises:
        ValueError: an activation is not piecewise linear; the message names its layer.

    >>> tent = ref.MLP((ref.Layer(np.array([[1.0], [1.0]]), np.array([0.0, -1.0]), "relu"),
    ...                 ref.Layer(np.array([[1.0, -2.0]]), None, "identity")))
    >>> breakpoints(tent, np.zeros(1), np.ones(1))
    [Fraction(0, 1), Fraction(1, 1)]
    """
    ends = (BEGIN, END) if between is None else tuple(Fraction(t).as_integer_ratio() for t in between)
    inside: list[Fraction] = []
    both, exponent = whole(np.stack([x, direction]))
    alpha, beta = both[:1], both[1:]
    for index, layer in enumerate(mlp.layers):
        try:
            straight = segments(layer.activation)
        except ValueError as error:
            raise ValueError(f"layers[{index}]: {error}") from None
        alpha, beta, exponent = _affine(layer, alpha, beta, exponent)
        inside, repeats = _cut(straight.kinks, alpha, beta, exponent, inside, ends)
        alpha, beta = np.repeat(alpha, repeats, axis=0), np.repeat(beta, repeats, axis=0)
        alpha, beta, exponent = _activate(straight, alpha, beta, exponent, _edges(inside, ends))
    bends = np.any((alpha[1:] != alpha[:-1]) | (beta[1:] != beta[:-1]), axis=1)
    return [t for t, bent in zip(inside, bends, strict=True) if bent]


def _edges(inside: Sequence[Fraction], ends: Sequence[Point]) -> list[Point]:
    return [ends[0], *(t.as_integer_ratio() for t in inside), ends[1]]


def _affine(layer: ref.Layer, alpha: Array, beta: Array, exponent: int) -> tuple[Array, Array, int]:
    """z = hWᵀ + b on every piece, (P, O)."""
    weight, finer = whole(layer.weight)
    alpha, beta, exponent = alpha @ weight.T, beta @ weight.T, exponent + finer
    if layer.bias is not None:
        bias, finer = whole(layer.bias)
        lift = max(0, finer - exponent)
        alpha, beta, exponent = alpha * 2**lift, beta * 2**lift, exponent + lift
        alpha = alpha + bias * 2 ** (exponent - finer)
    return alpha, beta, exponent


def _sides(kink: Fraction, alpha: Array, beta: Array, exponent: int, edges: Sequence[Point]) -> tuple[Array, Array]:
    """α − kink over a common denominator, and the sign of z − kink at every edge of a piece: (P, O) and (2, P, O)."""
    above = alpha * kink.denominator - kink.numerator * 2**exponent
    slope = beta * kink.denominator
    n, d = (np.array([edge[k] for edge in edges], dtype=object)[:, None] for k in (0, 1))
    at = np.stack([above * d[:-1] + slope * n[:-1], above * d[1:] + slope * n[1:]])
    return above, (at > 0).astype(int) - (at < 0).astype(int)


def _cut(
    kinks: Sequence[Fraction], alpha: Array, beta: Array, exponent: int, inside: list[Fraction], ends: Sequence[Point]
) -> tuple[list[Fraction], list[int]]:
    """The breakpoints with those where a unit crosses a kink, and into how many parts each piece falls."""
    found: list[set[Fraction]] = [set() for _ in alpha]
    for kink in kinks:
        above, sides = _sides(kink, alpha, beta, exponent, _edges(inside, ends))
        for piece, unit in np.argwhere(sides[0] * sides[1] < 0).tolist():
            found[piece].add(Fraction(-above[piece, unit], beta[piece, unit] * kink.denominator))
    edges: list[Fraction] = []
    for piece, within in enumerate(found):
        edges += [*sorted(within), *inside[piece : piece + 1]]
    return edges, [len(within) + 1 for within in found]


def _activate(
    straight: Segments, alpha: Array, beta: Array, exponent: int, edges: Sequence[Point]
) -> tuple[Array, Array, int]:
    """a(z) on every piece: no unit crosses a kink within one, so each takes one segment's line."""
    which = np.zeros(alpha.shape, dtype=int)
    for kink in straight.kinks:
        which += _sides(kink, alpha, beta, exponent, edges)[1].sum(axis=0) > 0
    (slopes, offsets), finer = whole([straight.slopes, straight.offsets])
    return slopes[which] * alpha + offsets[which] * 2**exponent, slopes[which] * beta, exponent + finer


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────


def sawtooth(depth: int, folds: int = 2) -> ref.MLP:
    """A network of `depth` ReLU layers, `folds` wide, that folds [0, 1] into foldsᵈᵉᵖᵗʰ linear pieces.

    g(y) = relu(ky) + 2 Σⱼ (−1)ʲ relu(ky − j), j = 1 … k − 1, goes up and down between 0 and 1 k times; the network is
    g ∘ … ∘ g. Two folds: Telgarsky 2016, Benefits of depth in neural networks; k folds: Montúfar, Pascanu, Cho &
    Bengio 2014, On the number of linear regions of deep neural networks, §3. Its weights are integers.

    >>> ref.forward(sawtooth(2), np.array([[0.0], [0.25], [0.5], [0.75], [1.0]])).output.ravel()
    array([0., 1., 0., 1., 0.])
    """
    j = np.arange(folds, dtype=float)
    back = np.where(j == 0, 1.0, 2.0 * (-1.0) ** j)[None]
    first = ref.Layer(np.full((folds, 1), float(folds)), -j, "relu")
    inner = ref.Layer(folds * np.repeat(back, folds, axis=0), -j, "relu")
    return ref.MLP((first, *[inner] * (depth - 1), ref.Layer(back, None, "identity")))


def random_network(widths: Sequence[int], name: str, seed: int, gain: float) -> ref.MLP:
    """Normal weights of standard deviation gain/√fan-in, normal biases of a tenth, the last layer linear."""
    rng = np.random.default_rng([seed, *widths])
    layers = [
        ref.Layer(rng.normal(size=(o, i)) * gain / np.sqrt(i), rng.normal(size=o) / 10, name)
        for i, o in pairwise(widths)
    ]
    return ref.MLP((*layers[:-1], ref.Layer(layers[-1].weight, layers[-1].bias, "identity")))
