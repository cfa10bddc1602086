"""Attention, rotary embedding and ALiBi: derivatives, exact masks, saturated scores, mistakes, errors."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import reference as ref
from reference import operations as ops
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import precision
from reference.operations.positions import alibi_slopes
from reference.operations.row import Operation

from .checking import (
    assert_derivatives,
    assert_every_arithmetic,
    assert_mistakes_change_the_gradient,
    problem_of,
    row_errors,
)

INFINITE = np.where(np.tri(3, 5, k=1, dtype=bool), 0.25 * np.arange(15.0).reshape(3, 5) % 1.1, -np.inf)
SOME = np.array([[True, False, True, True, False], [False] * 5, [False, True, False, False, False]])
attention = ops.scaled_dot_product_attention

ROWS: dict[str, tuple[Any, ...]] = {
    "plain": (attention(), (2, 3, 4), (2, 5, 4), (2, 5, 2)),
    "two axes": (attention(), (3, 4), (5, 4), (5, 2), (3, 5)),
    "causal": (attention(is_causal=True), (2, 5, 4), (2, 3, 4), (2, 3, 1)),
    "causal, one query": (attention(True, 0.5), (1, 1), (3, 1), (3, 2)),
    "truth values": (attention(), (2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 2), SOME),
    "truth values, causal": (attention(True), (2, 3, 4), (2, 5, 4), (2, 5, 2), SOME),
    "minus infinity": (attention(scale=-2.0), (2, 3, 4), (2, 5, 4), (2, 5, 2), INFINITE),
    "learned bias, broadcast": (attention(), (2, 2, 3, 4), (2, 1, 5, 4), (5, 2), (2, 1, 5)),
    "groups": (attention(enable_gqa=True), (2, 4, 3, 2), (2, 2, 5, 2), (2, 2, 5, 3), (4, 1, 5)),
    "one group, causal": (attention(True, None, True), (4, 3, 2), (1, 3, 2), (1, 3, 3)),
    "rotary by halves": (ops.rotary_embedding(), (2, 3, 4), (3, 2), (3, 2)),
    "rotary, interleaved": (ops.rotary_embedding("interleaved"), (2, 2, 3, 4), (3, 2), (1, 3, 2)),
    "rotary, a number a feature": (ops.rotary_embedding(), (3, 4), (3, 4), (1, 4)),
    "rotary, interleaved, a feature": (ops.rotary_embedding("interleaved"), (3, 6), (3, 6), (6,)),
    "alibi": (ops.alibi(), (2, 3, 2, 4), (3,)),
    "alibi to both sides": (ops.alibi(symmetric=True), (2, 3, 3), (2,)),
    "alibi's own slopes": (ops.alibi(), (12, 2, 2)),
}


def drawn(shapes: tuple[Any, ...], rng: np.random.Generator) -> tuple[Any, ...]:
    return tuple(s if isinstance(s, np.ndarray) else rng.normal(size=(*s[:-1], 2 * s[-1]))[..., ::2] for s in shapes)


@pytest.mark.parametrize("case", ROWS)
def test_derivatives(case: str) -> None:
    row, *shapes = ROWS[case]
    rng = np.random.default_rng(0)
    assert_derivatives(row, drawn(tuple(shapes), rng), rng)


@pytest.mark.parametrize("case", ROWS)
def test_noise_and_balls(case: str) -> None:
    row, *shapes = ROWS[case]
    rng = np.random.default_rng(1)
    assert_every_arithmetic(row, drawn(tuple(shapes), rng), rng)


@pytest.mark.parametrize("case", ROWS)
def test_mistakes(case: str) -> None:
    assert_mistakes_change_the_gradient(ROWS[case][0], np.random.default_rng(2))


@pytest.mark.parametrize("mask", [SOME, np.where(SOME, 0.0, -np.inf)], ids=["truth values", "minus infinity"])
def test_what_is_masked_is_exactly_zero(mask: Any) -> None:
    """Query 1 attends to nothing, key 4 is attended by none: zeros there, as torch 2.13 has them, and no NaN."""
    rng = np.random.default_rng(3)
    inputs = (*drawn(((3, 4), (5, 4), (5, 2)), rng), mask)
    row = attention()
    y = row.value(*inputs)
    d_query, d_key, d_value, d_mask = row.pullback(inputs, y, rng.normal(size=y.shape))
    assert np.all(y[1] == 0)
    assert np.all(d_query[1] == 0)
    assert np.all(d_key[4] == 0)
    assert np.all(d_value[4] == 0)
    assert d_mask is None if mask.dtype == bool else np.all(d_mask[~SOME] == 0)
    certified = ref.certified_gradients(problem_of(row, inputs, rng.normal(size=y.shape))).leaves()
    assert np.all(certified["query_"].lower[1] == 0)
    assert np.all(certified["query_"].upper[1] == 0)


def test_an_infinite_mask_in_balls_and_noise_is_exact() -> None:
    """The mask itself as an array of the other arithmetic, as a parameter would be."""
    rng = np.random.default_rng(3)
    inputs = (*drawn(((3, 4), (5, 4), (5, 2)), rng), np.where(SOME, 0.5, -np.inf))
    with precision(200):
        balls = tuple(map(Ball.exact, inputs))
        y = attention().value(*balls)
        gradients = attention().pullback(balls, y, Ball.exact(np.ones((3, 2))))
        low, high = y.bounds()
        d_low, d_high = gradients[3].bounds()  # type: ignore[union-attr]
    assert np.all(low[1] == 0)
    assert np.all(high[1] == 0)
    assert np.all(d_low[~SOME] == 0)
    assert np.all(d_high[~SOME] == 0)
    np.testing.assert_allclose(low, attention().value(*inputs), rtol=1e-13)


@pytest.mark.parametrize(("length", "keys"), [(40, 40), (33, 45), (40, 20)])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_long_causal_sequence_is_that_of_a_mask(length: int, keys: int, grouped: bool) -> None:
    """Queries are taken 32 at a time; with a mask for the causality all are taken at once. In balls of 200 bits."""
    rng = np.random.default_rng(length)
    numbers = rng.normal(size=(2, length, 2)), *(rng.normal(size=(1 if grouped else 2, keys, 2)) for _ in "kv")
    seen, d_y = np.tri(length, keys, dtype=bool), rng.normal(size=(2, length, 2))
    causal, masked = attention(True, None, grouped), attention(False, None, grouped)
    with precision(200):
        inputs = tuple(map(Ball.exact, numbers))
        y, pull = causal.linearized(inputs)
        expected = masked.value(*inputs, seen), *masked.pullback((*inputs, seen), y, Ball.exact(d_y))
        for found in (pull(Ball.exact(d_y)), causal.pullback(inputs, y, Ball.exact(d_y))):
            for got, right in zip((y, *found), expected, strict=False):
                assert got.shape == right.shape
                assert all(a.overlaps(b) and a.rad() < 2.0**-150 for a, b in zip(got.flat, right.flat, strict=True))
                assert all(a.is_zero() for a, b in zip(got.flat, right.flat, strict=True) if b.is_zero())
        unseen = pull(Ball.exact(d_y))[1][:, length:]
        assert all(b.is_zero() for b in unseen.flat)


def test_keys_that_no_query_sees_have_no_part_in_a_long_causal_sequence() -> None:
    """Not even where they are infinite: 0·∞ would be NaN."""
    rng = np.random.default_rng(1)
    query, key, value = rng.normal(size=(40, 2)), rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    value[-1] = np.inf
    with np.errstate(invalid="ignore"):  # the last queries' own
        y = attention(True).value(query, key, value)
    assert np.all(np.isfinite(y[:32]))
    assert np.array_equal(y[:32], attention(True).value(query[:32], key[:32], value[:32]))


def test_a_long_causal_sequence_in_balls_and_noise() -> None:
    rng = np.random.default_rng(2)
    assert_every_arithmetic(attention(True), tuple(rng.normal(size=(34, 2)) for _ in "qkv"), rng)


def test_a_long_causal_sequence_of_keys_and_values_that_differ_is_refused() -> None:
    with pytest.raises(ValueError, match="value: expected 50 rows"):
        attention(True).value(np.ones((40, 2)), np.ones((50, 2)), np.ones((60, 2)))


def test_scores_of_plus_and_minus_a_thousand() -> None:
    """exp(1000) overflows; e^−2000 is 0 in float64 and no 0 in a ball."""
    key = np.array([[1000.0], [-1000.0], [999.0]])
    inputs = (np.ones((1, 1)), key, np.array([[1.0], [3.0], [7.0]]))
    assert row_errors(attention(), inputs, np.array([[1.0]]))["value"] <= 4
    assert_every_arithmetic(attention(), inputs, np.random.default_rng(0))
    np.testing.assert_allclose(attention().value(*inputs), [[(1 + 7 * np.exp(-1)) / (1 + np.exp(-1))]], rtol=1e-15)


def test_a_gradient_through_a_saturated_softmax() -> None:
    """P = (1 − e^−40, e^−40): P∘(d_P − Σ P∘d_P) is lost in 1 − 1 by the customary formula; here it is not."""
    inputs = (np.ones((1, 1)), np.array([[40.0], [0.0]]), np.array([[1.0], [3.0]]))
    p = 1 / (1 + np.exp(40.0))
    d_key = attention().pullback(inputs, attention().value(*inputs), np.array([[1.0]]))[1]
    np.testing.assert_allclose(d_key, [[-2 * p], [2 * p]], rtol=1e-14)


def test_torch_s_own_example_of_causality_counts_from_the_first_key() -> None:
    """torch.ones(L, S).tril(diagonal=0): with fewer queries than keys, query 0 sees key 0 alone."""
    value = np.eye(4)
    y = attention(is_causal=True).value(np.zeros((2, 1)), np.zeros((4, 1)), value)
    np.testing.assert_array_equal(y, [[1, 0, 0, 0], [0.5, 0.5, 0, 0]])


def test_rotary_turns_pairs() -> None:
    """A turn keeps lengths and, of queries and keys, what only the difference of positions decides."""
    rng = np.random.default_rng(4)
    angle = np.arange(3.0)[:, None] * np.array([1.0, 0.1])
    for layout in ("half", "interleaved"):
        row = ops.rotary_embedding(layout)
        q, k = rng.normal(size=(2, 1, 4))
        turned_q, turned_k = (row.value(np.repeat(z, 3, axis=0), np.cos(angle), np.sin(angle)) for z in (q, k))
        np.testing.assert_allclose(np.linalg.norm(turned_q, axis=1), np.linalg.norm(q), rtol=1e-14)
        np.testing.assert_allclose(turned_q[1] @ turned_k[0], turned_q[2] @ turned_k[1], rtol=1e-13)


def test_alibi_s_slopes() -> None:
    """Press et al.: 1/2 … 1/256 for 8 heads; for 12 heads every other one of 16 besides."""
    assert [2.0 ** -float(e) for e in alibi_slopes(8)] == [2.0**-k for k in range(1, 9)]
    assert alibi_slopes(12)[8:] == tuple(Fraction(k, 2) for k in (1, 3, 5, 7))
    x = np.zeros((16, 1, 2))
    np.testing.assert_allclose(-ops.alibi().value(x)[:, 0, 0], 2.0 ** -(np.arange(1, 17) / 2), rtol=2e-16)
    with precision(200):
        low, high = ops.alibi().value(Ball.exact(x)).bounds()
    np.testing.assert_allclose(low, high, rtol=3e-16)


@pytest.mark.parametrize(
    ("row", "shapes", "match"),
    [
        (attention(), ((3, 4), (5, 3), (5, 2)), "key: expected 4 features"),
        (attention(), ((3, 4), (5, 4), (4, 2)), "value: expected 5 rows"),
        (attention(), ((3,), (5, 4), (4, 2)), "query: expected shape"),
        (attention(), ((3, 4), (5, 4), (5, 2), (3, 4)), "attn_mask: expected what is broadcast to"),
        (attention(), ((2, 3, 4), (3, 5, 4), (3, 5, 2)), "leading axes"),
        (attention(enable_gqa=True), ((3, 3, 4), (2, 5, 4), (2, 5, 2)), "a divisor of query's 3 heads"),
        (ops.rotary_embedding(), ((3, 3), (3, 2), (3, 2)), "x: expected an even number"),
        (ops.rotary_embedding(), ((3, 4), (3, 3), (3, 2)), "cos: expected 4 or 2 features"),
        (ops.rotary_embedding(), ((3, 4), (3, 2), (2, 2)), "sin: expected 4 or 2 features"),
        (ops.alibi(), ((3, 4), (3,)), "x: expected shape"),
        (ops.alibi(), ((2, 3, 4), (3,)), r"slopes: expected shape \(2,\)"),
    ],
)
def test_errors_say_what_was_expected(row: Operation, shapes: tuple[Any, ...], match: str) -> None:
    with pytest.raises(ValueError, match=f"{row.name}: .*{match}"):
        row.value(*map(np.ones, shapes))


def test_parameters_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="layout: expected one of half, interleaved"):
        ops.rotary_embedding("neox")
    with pytest.raises(ValueError, match="expected a finite scale"):
        attention(scale=np.inf)


def test_a_row_with_a_mistake_for_its_pullback_is_refused() -> None:
    for row in (attention(is_causal=True), ops.rotary_embedding(), ops.rotary_embedding("interleaved")):
        for name, wrong in row.mistakes.items():
            with pytest.raises(ValueError, match="its pullback"):
                Operation(
                    name, "", "", row.inputs, row.value, wrong, row.pushforward, row.probes, optional=row.optional
                )
