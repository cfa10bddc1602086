"""What every row of the table must hold on inputs of any shape, and the exact values to measure errors against."""

from __future__ import annotations

from typing import Any

import numpy as np

import reference as ref
from reference.operations.row import STEP, Operation
from tests.helpers.comparing import assert_output_within_rounding

Arrays = tuple[Any, ...]


def problem_of(row: Operation, inputs: Arrays, d_y: Any) -> ref.Problem:
    """The vector-Jacobian product as a problem; what holds no finite floats is a constant."""
    names = [None if x is None else f"{row.name_of(k)}_" for k, x in enumerate(inputs)]
    given = {n: x for n, x in zip(names, inputs, strict=True) if n is not None}
    leaves = {n: x for n, x in given.items() if x.dtype.kind == "f" and np.all(np.isfinite(x))}
    constants = {n: x for n, x in given.items() if n not in leaves}
    network = ref.Network({}, [ref.Step("y", row, *names)], inputs=tuple(leaves), constants=constants)
    return ref.Problem(network, leaves, d_y, loss="inner_product", reduction="sum")


def assert_derivatives(row: Operation, inputs: Arrays, rng: np.random.Generator) -> None:
    """The pushforward is the complex step's, and the pullback its adjoint, along random directions."""
    real = [x is not None and not row.is_data(k) and x.dtype.kind == "f" for k, x in enumerate(inputs)]
    changes = tuple(rng.normal(size=x.shape) if yes else None for x, yes in zip(inputs, real, strict=True))
    stepped = [x if dx is None else x + 1j * STEP * dx for x, dx in zip(inputs, changes, strict=True)]
    expected = np.imag(row.value(*stepped)) / STEP
    y = row.value(*inputs)
    np.testing.assert_allclose(row.pushforward(inputs, y, changes), expected, rtol=1e-9, atol=1e-11)
    d_y = rng.normal(size=y.shape)
    found = row.pullback(inputs, y, d_y)
    total = 0.0
    for x, dx, d_x in zip(inputs, changes, found, strict=True):
        if dx is None:
            assert d_x is None
        else:
            assert d_x.shape == x.shape
            total += np.sum(d_x * dx)
    np.testing.assert_allclose(total, np.sum(d_y * expected), rtol=1e-9, atol=1e-11)


def assert_every_arithmetic(row: Operation, inputs: Arrays, rng: np.random.Generator) -> None:
    """The float gradients lie within what noise allows of the certified ones, in float64 and float32."""
    d_y = rng.normal(size=row.value(*inputs).shape)
    for dtype in (np.float64, np.float32):
        given = tuple(x.astype(dtype) if x is not None and x.dtype.kind == "f" else x for x in inputs)
        problem = problem_of(row, given, d_y.astype(dtype))
        certified = ref.certified_gradients(problem)
        assert certified.status == "certified"
        sigma = ref.rounding_scale(problem, dtype=np.dtype(dtype).name).leaves()
        found = ref.gradients(problem).leaves()
        for place, leaf in certified.leaves().items():
            error = np.abs(np.asarray(found[place], dtype=float) - leaf.nearest)
            assert np.all(error <= 32 * sigma[place]), (row.name, place, dtype)


def assert_value(row: Operation, inputs: Arrays, expected: Any) -> None:
    """The row's value is the expected one, within the rounding of its own formula."""
    assert_output_within_rounding(problem_of(row, inputs, np.ones(np.shape(expected))), expected)


def row_errors(row: Operation, inputs: Arrays, d_y: Any) -> dict[str, float]:
    """The largest error of each gradient, in units of u times the largest element of its row."""
    problem = problem_of(row, inputs, d_y)
    exact, found = ref.certified_gradients(problem), ref.gradients(problem).leaves()
    assert exact.status == "certified"
    return {
        place.rstrip("_"): largest_error(found[place], leaf.nearest)
        for place, leaf in exact.leaves().items()
        if place != "loss"
    }


def largest_error(found: Any, exact: Any) -> float:
    """The largest error in units of u times the largest element of its row; infinite for NaN."""
    u = np.finfo(np.asarray(found).dtype).eps / 2
    size = np.abs(exact).max(axis=-1, keepdims=True)
    error = np.abs(np.asarray(found, dtype=float) - exact)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nan_to_num(np.where(error == 0, 0.0, error / size / u), nan=np.inf).max())


def assert_mistakes_change_the_gradient(row: Operation, rng: np.random.Generator) -> None:
    """Every mistake of the row gives another gradient at some probe."""
    assert row.mistakes
    for name, wrong in row.mistakes.items():
        assert any(_differs(row, wrong, inputs, rng) for inputs in row.probes), (row.name, name)


def _differs(row: Operation, wrong: Any, inputs: Arrays, rng: np.random.Generator) -> bool:
    y = row.value(*inputs)
    d_y = rng.normal(size=y.shape)
    right, other = row.pullback(inputs, y, d_y), wrong(inputs, y, d_y)
    return any(
        a is not None and b is not None and (a.shape != b.shape or np.abs(a - b).max() > 1e-7 * np.abs(a).max())
        for a, b in zip(right, other, strict=True)
    )
