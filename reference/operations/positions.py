"""What tells attention where a token stands: rotary embedding, and ALiBi's bias.

T positions, E features, H heads, L queries, S keys. Derived in the README of this room, "Positions".
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache

import numpy as np

from ..arithmetic.array import Array, NumPyArray, is_numpy
from ..arithmetic.constants import Constant
from ..arithmetic.dispatch import constant, parameter
from ..functions.recipe import recorded
from .broadcasting import unbroadcast
from .probe import probe
from .products import sum_of
from .row import Inputs, Operation, Passes, Pullback

LAYOUTS = ("half", "interleaved")


# ── rotary embedding ─────────────────────────────────────────────────────────────────────────────────


def _turned(x: Array, layout: str) -> Array:
    """Each pair of features (a, b) as (−b, a): pairs are (i, i + E/2) by halves, (2i, 2i + 1) if interleaved."""
    if layout == "half":
        half = x.shape[-1] // 2
        return np.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return np.stack([-pairs[..., 1], pairs[..., 0]], axis=-1).reshape(*x.shape)


def _widened(table: Array, width: int, layout: str) -> Array:
    """A table (…, E/2) of one number a pair as (…, E); one of E numbers as it is."""
    if table.shape[-1] == width:
        return table
    if layout == "half":
        return np.concatenate([table, table], axis=-1)
    return np.stack([table, table], axis=-1).reshape(*table.shape[:-1], width)


def _narrowed(d: Array, shape: tuple[int, ...], layout: str) -> Array:
    """The gradient of a table, from that of its widened form: the sum over all that it was copied to."""
    width = d.shape[-1]
    if shape[-1] == width:
        return unbroadcast(d, shape)
    d = unbroadcast(d, (*shape[:-1], width))
    if layout == "half":
        return d[..., : width // 2] + d[..., width // 2 :]
    return d.reshape(*shape[:-1], width // 2, 2).sum(axis=-1)


def _shifted(cos: Array, sin: Array, places: int) -> tuple[Array, Array]:
    """The tables of so many positions later: turned on by the angle between the first two rows."""
    if cos.ndim < 2 or cos.shape[-2] < 2 or cos.shape != sin.shape:
        return cos, sin
    (c0, c1), (s0, s1) = ((table[..., k : k + 1, :] for k in (0, 1)) for table in (cos, sin))
    c, s = c0 * c1 + s0 * s1, (s1 * c0 - c1 * s0) * places
    return cos * c - sin * s, sin * c + cos * s


def _check_rotary(x: Array, cos: Array, sin: Array) -> None:
    if not x.ndim or x.shape[-1] % 2 or not x.shape[-1]:
        raise ValueError(f"rotary_embedding: x: expected an even number of features, got shape {x.shape}")
    width = x.shape[-1]
    for name, table in (("cos", cos), ("sin", sin)):
        try:
            fits = np.broadcast_shapes(table.shape[:-1], x.shape[:-1]) == tuple(x.shape[:-1])
        except ValueError:
            fits = False
        if not fits or not table.ndim or table.shape[-1] not in (width, width // 2):
            raise ValueError(
                f"rotary_embedding: {name}: expected {width} or {width // 2} features, and what is broadcast to "
                f"{(*x.shape[:-1], width)} before, got shape {table.shape}"
            )


@recorded
def rotary_embedding(layout: str = "half") -> Operation:
    """x∘cos + turn(x)∘sin: each pair of features turned by its position's angle, x (…, T, E).

    cos and sin are (T, E/2), one number a pair, or (T, E); they are broadcast against x, and have gradients.

    Args:
        layout: which features are a pair: "half", i and i + E/2 (GPT-NeoX, Llama: rotate_half), or "interleaved",
            2i and 2i + 1 (RoFormer, GPT-J).

    >>> quarter = np.array([[0.0]]), np.array([[1.0]])
    >>> rotary_embedding().value(np.array([[3.0, 5.0]]), *quarter)
    array([[-5.,  3.]])
    """
    if layout not in LAYOUTS:
        raise ValueError(f"rotary_embedding: layout: expected one of {', '.join(LAYOUTS)}, got {layout!r}")
    other = LAYOUTS[layout == "half"]

    def value(x: Array, cos: Array, sin: Array) -> Array:
        _check_rotary(x, cos, sin)
        width = x.shape[-1]
        return x * _widened(cos, width, layout) + _turned(x, layout) * _widened(sin, width, layout)

    def back(pairs: str = layout, sign: int = -1, *, turn_first: bool = False, places: int = 0) -> Pullback:
        """d_x = d∘cos − turn(d∘sin), for a turn's transpose is the turn back; wrong ones are so many places later."""

        def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array, ...]:
            x, cos, sin = inputs
            tables = _shifted(cos, sin, places) if places else (cos, sin)
            wide_cos, wide_sin = (_widened(table, x.shape[-1], pairs) for table in tables)
            turned = _turned(d_y, pairs) * wide_sin if turn_first else _turned(d_y * wide_sin, pairs)
            return (
                d_y * wide_cos + sign * turned,
                _narrowed(d_y * x, cos.shape, layout),
                _narrowed(d_y * _turned(x, layout), sin.shape, layout),
            )

        return pullback

    def passes(pairs: str, sign: int) -> Passes:
        """Both passes with other pairs, or turned the other way."""

        def other_value(x: Array, cos: Array, sin: Array) -> Array:
            wide_cos, wide_sin = (_widened(table, x.shape[-1], pairs) for table in (cos, sin))
            return x * wide_cos + sign * _turned(x, pairs) * wide_sin

        def pullback(inputs: Inputs, y: Array, d_y: Array) -> tuple[Array | None, ...]:
            x, cos, sin = inputs
            d_sin = sign * _narrowed(d_y * _turned(x, pairs), sin.shape, pairs)
            return back(pairs, -sign)(inputs, y, d_y)[0], _narrowed(d_y * x, cos.shape, pairs), d_sin

        return other_value, pullback

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        (x, _, sin), (dx, dcos, dsin) = inputs, changes
        width = x.shape[-1]
        terms = [
            None if dx is None else value(dx, inputs[1], sin),
            None if dcos is None else x * _widened(dcos, width, layout),
            None if dsin is None else _turned(x, layout) * _widened(dsin, width, layout),
        ]
        return sum_of(terms, y)

    return Operation(
        "rotary_embedding",
        "x∘cos + turn(x)∘sin",
        "Su et al. 2021, arXiv:2104.09864, eq. 34",
        ("x", "cos", "sin"),
        value,
        back(),
        pushforward,
        probes=(
            (probe(2, 2, 4), probe(2, 2, start=3), probe(2, 2, start=8)),
            (probe(2, 4), probe(2, 4, start=3), probe(2, 4, start=8)),
        ),
        mistakes={
            "sign_of_the_rotation": back(sign=1),
            f"{other}_layout_for_{layout}": back(pairs=other),
            # Right for one number a pair, wrong where cos and sin have one a feature.
            "turned_before_sin": back(turn_first=True),
            "a_position_later": back(places=1),
            "a_position_earlier": back(places=-1),
            "rotation_left_out": lambda inputs, y, d_y: (d_y, *back()(inputs, y, d_y)[1:]),
        },
        other_passes={
            "sign_of_the_rotation": passes(layout, -1),
            f"{other}_layout_for_{layout}": passes(other, 1),
        },
        parameters={"layout": layout},
        textbook_value=lambda inputs, y: (
            np.abs(inputs[0] * _widened(inputs[1], inputs[0].shape[-1], layout))
            + np.abs(_turned(inputs[0], layout) * _widened(inputs[2], inputs[0].shape[-1], layout))
        ),
    )


# ── ALiBi ────────────────────────────────────────────────────────────────────────────────────────────


def alibi_slopes(heads: int) -> tuple[Fraction, ...]:
    """Minus the binary logarithms of ALiBi's slopes: 8/n, 16/n, …, 8 for n heads, n a power of two.

    For another number the slopes of the power below, and then every other one of twice that power (the code of Press
    et al., `get_slopes`).

    >>> [str(e) for e in alibi_slopes(3)]
    ['4', '8', '2']
    """
    power = 1 << (heads.bit_length() - 1)
    first = [Fraction(8 * (k + 1), power) for k in range(power)]
    return (*first, *(Fraction(8 * (2 * k + 1), 2 * power) for k in range(heads - power)))


def _power_of_two(exponent: Fraction) -> Constant:
    """2^−exponent, in every arithmetic to its own precision."""
    if exponent.denominator == 1:
        power = Fraction(1, 2**exponent.numerator)
        return Constant(str(Decimal(power.numerator) / power.denominator), lambda make, pi: make(power))
    context = Context(prec=60)
    digits = context.power(2, context.divide(Decimal(-exponent.numerator), Decimal(exponent.denominator)))
    return Constant(f"{digits:e}", lambda make, pi: np.exp(-(np.log(make(2)) * make(exponent))))


@recorded
def alibi(symmetric: bool = False) -> Operation:
    """The scores (…, H, L, S) with each head's slope times the distance from query to key added, −(i − j).

    The last query and the last key stand at the same position, as with a cache of earlier keys.

    The slopes (H,) have a gradient where they are given. Left out, they are those of the paper (`alibi_slopes`).

    Args:
        symmetric: −|i − j|, for attention to both sides.

    >>> alibi().value(np.zeros((1, 2, 2)), np.array([0.5]))
    array([[[ 0. ,  0.5],
            [-0.5,  0. ]]])
    """

    def distance(scores: Array) -> NumPyArray:
        """J − i, or −|j − i|, (L, S)."""
        length, keys = scores.shape[-2:]
        d = np.arange(keys) - (np.arange(length)[:, None] + (keys - length))
        return (-np.abs(d) if symmetric else d).astype(float)

    def bias(scores: Array, slopes: Array) -> Array:
        return np.expand_dims(slopes, (-2, -1)) * parameter(distance(scores), scores)

    def value(scores: Array, slopes: Array | None = None) -> Array:
        if scores.ndim < 3:
            raise ValueError(f"alibi: x: expected shape (…, heads, queries, keys), got {scores.shape}")
        heads = scores.shape[-3]
        if slopes is None:
            constants = [constant(c, scores) for c in _slopes(heads)]
            slopes = np.stack(constants) if is_numpy(scores) else np.stack([c.reshape(()) for c in constants])
        elif tuple(slopes.shape) != (heads,):
            raise ValueError(f"alibi: slopes: expected shape ({heads},), got {slopes.shape}")
        return scores + bias(scores, slopes)

    def pullback(inputs: Inputs, y: Array, d_y: Array, sign: int = 1) -> tuple[Array | None, ...]:
        found = tuple(
            None if s is None else sign * unbroadcast(d_y * parameter(distance(d_y), d_y), (*s.shape, 1, 1)).reshape(-1)
            for s in inputs[1:]
        )
        return (d_y, *found)

    def pushforward(inputs: Inputs, y: Array, changes: Inputs) -> Array:
        dx, d_slopes = (*changes, None)[:2]
        return sum_of([dx, None if d_slopes is None else bias(y, d_slopes)], y)

    scores = probe(2, 2, 3)
    return Operation(
        "alibi",
        "scores − slope·|i − j|" if symmetric else "scores − slope·(i − j)",
        "Press, Smith & Lewis 2022, arXiv:2108.12409, §3",
        ("x", "slopes"),
        value,
        pullback,
        pushforward,
        probes=((scores, probe(2, start=4)), (scores,)),
        optional=("slopes",),
        mistakes={"sign_of_the_distance": lambda inputs, y, d_y: pullback(inputs, y, d_y, -1)},
        parameters={"symmetric": symmetric},
    )


@cache
def _slopes(heads: int) -> tuple[Constant, ...]:
    return tuple(map(_power_of_two, alibi_slopes(heads)))


MAKERS: tuple[Callable[..., Operation], ...] = (rotary_embedding, alibi)
