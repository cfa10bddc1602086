"""What a forward pass keeps for the backward pass: the same gradients, and never in place of another pullback."""

import numpy as np
import pytest

import reference as ref
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import precision
from reference.arithmetic.ball_elements import as_arb
from reference.arithmetic.formats import get_format
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from reference.network.graph import forward
from reference.network.unchecked import changed

KEEPING = [name for name, row in ref.OPERATIONS.items() if row.kept is not None]


def test_the_dear_operations_keep_what_their_pullback_needs() -> None:
    assert {"scaled_dot_product_attention", "layer_norm", "gelu_tanh", "silu"} <= set(KEEPING)


@pytest.mark.parametrize("name", KEEPING)
def test_what_is_kept_changes_no_bit(name: str) -> None:
    row = ref.OPERATIONS[name]
    for inputs in row.probes:
        y, pull = row.linearized(inputs)
        np.testing.assert_array_equal(y, row.value(*inputs))
        d_y = np.sin(np.arange(1.0, y.size + 1)).reshape(y.shape)
        for found, expected in zip(pull(d_y), row.pullback(inputs, y, d_y), strict=True):
            assert (found is None) == (expected is None)
            if found is not None:
                np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", KEEPING)
def test_balls_keep_it_too_and_hold_the_same_numbers(name: str) -> None:
    """What is kept saves a certificate the second evaluation; each value lies in both enclosures."""
    row = ref.OPERATIONS[name]
    with precision(128):
        for inputs in row.probes:
            balls = tuple(x if x is None or x.dtype == bool else Ball.exact(x) for x in inputs)
            y, pull = row.linearized(balls)
            d_y = Ball.exact(np.sin(np.arange(1.0, y.size + 1)).reshape(y.shape))
            for found, expected in zip(pull(d_y), row.pullback(balls, row.value(*balls), d_y), strict=True):
                assert (found is None) == (expected is None)
                if found is not None:
                    assert all(
                        as_arb(one).overlaps(as_arb(other))
                        for one, other in zip(found.flat, expected.flat, strict=True)
                    )


def test_noise_keeps_nothing_and_balls_do() -> None:
    network = ref.Network({}, [ref.Step("y", "silu", "x")])
    x = np.array([[0.5, -2.0]])
    noisy = Noisy.held(x, NoiseSource(get_format("float32"), 2, np.random.default_rng(0)))
    kept = [bool(forward(network, {"x": given}, keep=True).pullbacks) for given in (x, Ball.exact(x), noisy)]
    assert kept == [True, True, False]


def test_a_wrong_pullback_is_not_passed_over_for_what_is_kept() -> None:
    """A mistake planted in a row whose forward pass keeps something: it must reach the gradients."""
    row = ref.OPERATIONS["layer_norm"]
    wrong = changed(row, pullback=lambda inputs, y, d_y: (0 * d_y, np.zeros(3), np.zeros(3)))
    x, w = np.array([[1.0, 2.0, 4.0]]), np.ones(3)
    found = [
        ref.gradients(
            ref.Problem(ref.Network({"w": w, "b": w}, [ref.Step("y", r, "x", "w", "b")]), x, x, "inner_product", "sum")
        )["b"]
        for r in (row, wrong)
    ]
    np.testing.assert_array_equal(found, [x[0], 0 * x[0]])
