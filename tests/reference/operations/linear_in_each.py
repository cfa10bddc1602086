"""What holds of every operation that is linear in each of its inputs: one check for all that moves or multiplies."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import RAISE, precision
from reference.arithmetic.formats import FORMATS
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.operations import Operation
from reference.operations.row import STEP

U = 2.0**-53


def parts(y: Any) -> tuple[Any, ...]:
    """All outputs."""
    return y if isinstance(y, tuple) else (y,)


def arrays(rng: np.random.Generator, *shapes: tuple[int, ...]) -> tuple[Any, ...]:
    """Random arrays, each the view of another one: with its axes in reverse order, and every other element left out."""
    wholes: Any = (rng.normal(size=tuple(2 * n for n in shape)) for shape in shapes)
    return tuple(np.asarray(x.T[(..., *(slice(1, None, 2),) * x.ndim)].T) for x in wholes)


def like(rng: np.random.Generator, y: Any) -> Any:
    """A random cotangent."""
    found = tuple(np.asarray(rng.normal(size=np.shape(part))) for part in parts(y))
    return found if isinstance(y, tuple) else found[0]


def inner(a: Any, b: Any) -> float:
    """⟨a, b⟩ over all outputs."""
    return sum(float(np.sum(x * y)) for x, y in zip(parts(a), parts(b), strict=True))


def bound(row: Operation, inputs: tuple[Any, ...], d: Any) -> list[Any]:
    """Twice the a priori error of a sum of products, γₙ Σ|a||b| (Higham 2002, §3.5), of each gradient."""
    absolute = tuple(x if x is None or row.is_data(k) else np.abs(x) for k, x in enumerate(inputs))
    y = row.value(*absolute)
    terms = 4 + sum(np.size(x) for x in (*inputs, *parts(y)) if x is not None)
    factor = max([1.0, *(abs(v) for v in row.parameters.values() if isinstance(v, float))])
    sizes: tuple[Any, ...] = row.pullback(absolute, y, tuple(map(np.abs, d)) if isinstance(d, tuple) else np.abs(d))
    return [None if s is None else 2 * terms * U * factor * np.abs(s) for s in sizes]


def check(row: Operation, inputs: tuple[Any, ...], rng: np.random.Generator) -> None:
    """The pullback against the complex step, element by element, and its adjoint; the same lines in each arithmetic."""
    y = row.value(*inputs)
    d = like(rng, y)
    found: tuple[Any, ...] = row.pullback(inputs, y, d)
    most = bound(row, inputs, d)
    assert len(found) == len(inputs)
    for k, x in enumerate(inputs):
        if x is None or row.is_data(k):
            assert found[k] is None
            continue
        assert found[k].shape == x.shape
        assert found[k].dtype == x.dtype
        assert np.all(np.abs(found[k] - by_complex_step(row, inputs, k, d)) <= most[k]), row.name_of(k)
        change = rng.normal(size=x.shape)
        pushed = row.pushforward(inputs, y, tuple(change if j == k else None for j in range(len(inputs))))
        assert [np.shape(p) for p in parts(pushed)] == [np.shape(p) for p in parts(y)]
        slack = float(np.sum(most[k] * np.abs(change))) + 8 * np.size(x) * U * inner_size(pushed, d)
        assert abs(inner(pushed, d) - inner((found[k],), (change,))) <= slack
    _check_float32(row, inputs, d)
    _check_balls(row, inputs, d, found, most)
    _check_noise(row, inputs, d, found, most)


def inner_size(a: Any, b: Any) -> float:
    """⟨|a|, |b|⟩."""
    return inner(tuple(map(np.abs, parts(a))), tuple(map(np.abs, parts(b))))


def by_complex_step(row: Operation, inputs: tuple[Any, ...], k: int, d: Any) -> Any:
    """∂⟨d, y⟩ by every element of one input."""
    gradient = np.zeros(inputs[k].shape)
    for at in np.ndindex(inputs[k].shape):
        stepped = inputs[k].astype(complex)
        stepped[at] += 1j * STEP
        y = row.value(*inputs[:k], stepped, *inputs[k + 1 :])
        gradient[at] = inner(tuple(np.imag(p) / STEP for p in parts(y)), d)
    return gradient


def _mapped(f: Any, row: Operation, inputs: tuple[Any, ...], d: Any) -> tuple[tuple[Any, ...], Any, Any]:
    given = tuple(x if x is None or row.is_data(k) else f(x) for k, x in enumerate(inputs))
    return given, row.value(*given), tuple(map(f, d)) if isinstance(d, tuple) else f(d)


def _check_float32(row: Operation, inputs: tuple[Any, ...], d: Any) -> None:
    given, y, cotangent = _mapped(lambda x: x.astype(np.float32), row, inputs, d)
    assert {p.dtype for p in parts(y)} == {np.dtype(np.float32)}
    assert {g.dtype for g in row.pullback(given, y, cotangent) if g is not None} == {np.dtype(np.float32)}


def _check_balls(row: Operation, inputs: tuple[Any, ...], d: Any, found: Any, most: Any) -> None:
    """Balls hold the exact gradient: the floats are as far from it as rounding takes them, and no further."""
    with precision(128):
        given, y, cotangent = _mapped(lambda x: Ball.exact(x, RAISE), row, inputs, d)
        exact: tuple[Any, ...] = row.pullback(given, y, cotangent)
        for g, b, m in zip(found, exact, most, strict=True):
            assert (g is None) == (b is None)
            if g is not None:
                assert b.shape == g.shape
                errors = [abs(e - float(x)) for e, x in zip(b.flat, g.ravel(), strict=True)]
                assert all(bool(e <= float(n)) for e, n in zip(errors, m.ravel(), strict=True))


def _check_noise(row: Operation, inputs: tuple[Any, ...], d: Any, found: Any, most: Any) -> None:
    """The run without noise is the float64 result, up to the order of summation."""
    source = NoiseSource(FORMATS["float64"], 4, np.random.default_rng(1))
    given, y, cotangent = _mapped(lambda x: Noisy.exact(x, source), row, inputs, d)
    noisy: tuple[Any, ...] = row.pullback(given, y, cotangent)
    for g, n, m in zip(found, noisy, most, strict=True):
        assert (g is None) == (n is None)
        if g is not None:
            assert n.shape == g.shape
            assert np.all(np.abs(n.data[0] - g) <= m)


def assert_mistakes_show(row: Operation, inputs: tuple[Any, ...], rng: np.random.Generator) -> None:
    """Every mistake of the row changes the gradient, and keeps its shapes."""
    y = row.value(*inputs)
    d = like(rng, y)
    right: tuple[Any, ...] = row.pullback(inputs, y, d)
    most = bound(row, inputs, d)
    for name, wrong in row.mistakes.items():
        given: tuple[Any, ...] = wrong(inputs, y, d)
        assert [np.shape(g) for g in given] == [np.shape(g) for g in right], name
        assert any(np.any(np.abs(g - r) > m) for g, r, m in zip(given, right, most, strict=True) if r is not None), name
