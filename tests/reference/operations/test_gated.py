"""The gated units: derivatives, layouts, kinks, mistakes, errors."""

from __future__ import annotations

import numpy as np
import pytest

from reference import operations as ops
from reference.operations.row import Operation

from .checking import assert_derivatives, assert_every_arithmetic, assert_mistakes_change_the_gradient, row_errors

LAYOUTS = (None, "gate_first", "gate_last")
ROWS = {
    f"{name}, {packed}": make(packed=packed)
    for name, make in (
        ("swiglu", ops.swiglu),
        ("geglu", ops.geglu),
        ("geglu by tanh", lambda packed: ops.geglu("tanh", packed)),
        ("reglu", ops.reglu),
    )
    for packed in LAYOUTS
}


@pytest.mark.parametrize("case", ROWS)
def test_derivatives_in_every_arithmetic(case: str) -> None:
    row = ROWS[case]
    rng = np.random.default_rng(0)
    for shape in ((2, 3, 4), (1, 2), (6,)):
        inputs = tuple(rng.normal(size=(*shape[:-1], 2 * shape[-1]))[..., ::2] for _ in row.inputs)
        assert_derivatives(row, inputs, rng)
        assert_every_arithmetic(row, inputs, rng)
    assert_mistakes_change_the_gradient(row, rng)


@pytest.mark.parametrize("make", [ops.swiglu, ops.geglu, ops.reglu])
def test_the_layouts_are_one_function(make) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(1)
    gate, up, d_y = rng.normal(size=(3, 2, 4))
    d_gate, d_up = make().pullback((gate, up), None, d_y)
    (first,) = make(packed="gate_first").pullback((np.hstack([gate, up]),), None, d_y)
    (last,) = make(packed="gate_last").pullback((np.hstack([up, gate]),), None, d_y)
    np.testing.assert_array_equal(first, np.hstack([d_gate, d_up]))
    np.testing.assert_array_equal(last, np.hstack([d_up, d_gate]))


@pytest.mark.parametrize("row", [ops.swiglu(), ops.geglu(), ops.geglu("tanh")])
def test_few_ulps_far_out_and_near_the_minimum_of_the_gate(row: Operation) -> None:
    """Where the derivative is small (its zero is at −1.28 for silu) and where an exponential is about to underflow."""
    for gate in (-700.0, -36.0, -1.25, -1e-300, 0.0, 1e200):
        inputs = (np.array([[gate]]), np.array([[3.0]]))
        assert max(row_errors(row, inputs, np.array([[0.75]])).values()) <= 4


def test_the_kink_of_relu_takes_0_and_states_both_slopes() -> None:
    row = ops.reglu()
    inputs, d_y = (np.zeros(1), np.array([3.0])), np.array([2.0])
    found = {name: f(inputs, None, d_y)[0] for name, f in row.conventions.items()}
    assert row.pullback(inputs, None, d_y)[0] == 0
    assert found == {"the slope from the left": 0.0, "the slope from the right": 6.0}
    assert [s.tolist() for s in row.switches(*inputs)] == [[0.0]]


def test_errors_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match=r"swiglu: up: expected the shape of gate \(2,\), got \(3,\)"):
        ops.swiglu().value(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="reglu: x: expected an even number"):
        ops.reglu("gate_last").value(np.ones(3))
    with pytest.raises(ValueError, match="swiglu: packed: expected one of None, gate_first"):
        ops.swiglu("interleaved")
    with pytest.raises(ValueError, match="geglu: approximate: expected one of none, tanh"):
        ops.geglu("sigmoid")
