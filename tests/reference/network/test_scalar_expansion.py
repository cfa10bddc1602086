"""S1: a network written node by node is the network written with matrices.

Numerically, and as a proof: the package's own forward and backward passes run on arrays of SymPy
expressions with an activation that is an undefined function, and differ from the derivative of the loss,
and from the formulas written node by node, by 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from reference.network.unchecked import unchecked
from tests.helpers import ELEMENTWISE

# ── the 2-2-1 network, node by node ──────────────────────────────────────────────────────────────────
# inputs x1, x2; hidden h1, h2; output y; a at the output too; E = ½(t − a(y))².


def expansion(a: Any, da: Any, x: Any, t: Any, w: Any, b: Any) -> dict[str, Any]:
    """Every quantity of the 2-2-1 network by scalar formulas; w = (w1, …, w6), b = (b1, b2, b3)."""
    x1, x2 = x
    w1, w2, w3, w4, w5, w6 = w
    b1, b2, b3 = b
    z1 = x1 * w1 + x2 * w2 + b1
    z2 = x1 * w3 + x2 * w4 + b2
    h1 = a(z1)
    h2 = a(z2)
    y = h1 * w5 + h2 * w6 + b3
    loss = (a(y) - t) * (a(y) - t) / 2
    return {
        "h1": h1,
        "h2": h2,
        "y": y,
        "output": a(y),
        "E": loss,
        "w1": (a(y) - t) * da(y) * w5 * da(z1) * x1,
        "w2": (a(y) - t) * da(y) * w5 * da(z1) * x2,
        "w3": (a(y) - t) * da(y) * w6 * da(z2) * x1,
        "w4": (a(y) - t) * da(y) * w6 * da(z2) * x2,
        "w5": (a(y) - t) * da(y) * h1,
        "w6": (a(y) - t) * da(y) * h2,
        "b1": (a(y) - t) * da(y) * w5 * da(z1),
        "b2": (a(y) - t) * da(y) * w6 * da(z2),
        "b3": (a(y) - t) * da(y),
        "x1": (a(y) - t) * da(y) * w5 * da(z1) * w1 + (a(y) - t) * da(y) * w6 * da(z2) * w3,
        "x2": (a(y) - t) * da(y) * w5 * da(z1) * w2 + (a(y) - t) * da(y) * w6 * da(z2) * w4,
    }


def matrix_form(row: ref.Activation, x: Any, t: Any, w: Any, b: Any, kind: Any) -> dict[str, Any]:
    """The same names from the package's forward and backward passes."""
    w1, w2, w3, w4, w5, w6 = w
    b1, b2, b3 = b
    problem = objects_problem(
        row,
        [
            (np.array([[w1, w2], [w3, w4]], kind), np.array([b1, b2], kind)),
            (np.array([[w5, w6]], kind), np.array([b3], kind)),
        ],
        np.array([x], kind),
        np.array([[t]], kind),
        "half_squared_error",
    )
    trace = ref.forward(problem.mlp, problem.x)
    g = ref.gradients(problem)
    hidden, output = g.layers
    return {
        "h1": trace.inputs[1][0, 0],
        "h2": trace.inputs[1][0, 1],
        "y": trace.preactivations[1][0, 0],
        "output": trace.output[0, 0],
        "E": g.loss,
        **{f"w{k + 1}": d for k, d in enumerate([*hidden.weight.ravel(), *output.weight.ravel()])},
        **{f"b{k + 1}": d for k, d in enumerate([*hidden.bias, *output.bias])},
        **{f"x{k + 1}": d for k, d in enumerate(g.input[0])},
    }


def objects_problem(row: ref.Activation, layers: Any, x: Any, target: Any, loss: str) -> ref.Problem:
    """A problem of any kind of number, its dtype unchecked."""
    mlp = unchecked(ref.MLP, layers=tuple(unchecked(ref.Layer, weight=w, bias=b, activation=row) for w, b in layers))
    return unchecked(ref.Problem, network=mlp, x=x, target=target, loss=ref.LOSSES[loss], reduction="mean")


def assert_equal_names(got: dict[str, Any], expected: dict[str, Any], difference: Any) -> None:
    assert got.keys() == expected.keys()
    for name, number in expected.items():
        assert difference(got[name], number) == 0, f"{name}: {got[name]} is not {number}"


# ── numerically ──────────────────────────────────────────────────────────────────────────────────────


def on_floats(row: ref.Activation) -> ref.Activation:
    """The row on arrays of Python floats, whose products NumPy sums in the order in which they are written."""

    def lifted(f: Any) -> Any:
        return np.frompyfunc(lambda z: float(f(np.array([z]))[0]), 1, 1)

    return unchecked(
        ref.Activation, name=row.name, value=lifted(row.value), derivative=lifted(row.derivative), vjp=None, jvp=None
    )


@pytest.mark.parametrize("name", ELEMENTWISE)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_nine_gradients_of_the_2_2_1_network(name, seed):
    """Both forms round alike here, operation by operation, up to the order of the factors of the chain."""
    rng = np.random.default_rng(seed)
    x, t, w, b = (
        rng.normal(size=2).tolist(),
        float(rng.normal()),
        rng.normal(size=6).tolist(),
        rng.normal(size=3).tolist(),
    )
    row = on_floats(ref.ACTIVATIONS[name])
    got = matrix_form(row, x, t, w, b, object)
    expected = expansion(row.value, row.derivative, x, t, w, b)
    for forward in ("h1", "h2", "y", "output", "E"):
        assert got[forward] == expected[forward], forward
    for place in (*(f"w{k}" for k in range(1, 7)), "b1", "b2", "b3"):
        # E′·a′·w·a′·x in the order of the chain rule, from the output back: the same multiplications.
        assert got[place] == expected[place], place
    assert got["x1"] == expected["x1"]
    assert got["x2"] == expected["x2"]


@pytest.mark.parametrize("name", ["identity", "relu", "square", "hardtanh", "relu6"])
@given(seed=st.integers(0, 2**32 - 1))
def test_the_2_2_1_network_in_float64_where_it_makes_no_rounding_error(name, seed):
    """On BLAS, with integers, so that the equality is exact in any order of summation."""
    rng = np.random.default_rng(seed)
    x, t, w, b = (rng.integers(-4, 5, n).astype(float) for n in (2, 1, 6, 3))
    row = ref.ACTIVATIONS[name]

    def scalar(f: Any) -> Any:
        return lambda z: float(f(np.array([z]))[0])

    got = matrix_form(row, x, t[0], w, b, float)
    expected = expansion(scalar(row.value), scalar(row.derivative), x.tolist(), float(t[0]), w.tolist(), b.tolist())
    assert_equal_names(got, expected, lambda p, q: p - q)


# ── as a proof ───────────────────────────────────────────────────────────────────────────────────────


class slope(sympy.Function):  # noqa: N801
    """a′, undefined but for its name."""


class a(sympy.Function):  # noqa: N801
    """An undefined activation, whose derivative is `slope`."""

    def fdiff(self, argindex=1):  # noqa: ARG002
        return slope(self.args[0])


ABSTRACT = unchecked(
    ref.Activation,
    name="a",
    value=np.frompyfunc(a, 1, 1),
    derivative=np.frompyfunc(slope, 1, 1),
    vjp=None,
    jvp=None,
)


def symbols(name: str, *shape: int) -> Any:
    array = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        array[index] = sympy.Symbol(name + "".join(str(i + 1) for i in index), real=True)
    return array


def vanishes(expression: Any) -> bool:
    return sympy.expand(expression) == 0


def test_the_matrix_form_of_the_2_2_1_network_is_its_scalar_expansion_for_any_activation():
    x, t, w, b = symbols("x", 2), sympy.Symbol("t"), symbols("w", 6), symbols("b", 3)
    got = matrix_form(ABSTRACT, list(x), t, list(w), list(b), object)
    expected = expansion(a, slope, x, t, w, b)
    assert_equal_names(got, expected, lambda p, q: sympy.expand(p - q))
    for symbol in (*w, *b, *x):
        assert vanishes(got[symbol.name] - sympy.diff(expected["E"], symbol)), symbol


@pytest.mark.parametrize("fault", ["w1", "b2", "w6"])
def test_the_proof_fails_for_a_wrong_formula(fault):
    x, t, w, b = symbols("x", 2), sympy.Symbol("t"), symbols("w", 6), symbols("b", 3)
    wrong = expansion(a, lambda z: slope(a(z)) if fault != "w6" else a(z), x, t, w, b)
    assert not vanishes(wrong[fault] - sympy.diff(wrong["E"], sympy.Symbol(fault, real=True)))


def batch_expansion(x: Any, t: Any, w: Any, b: Any, u: Any, c: Any) -> Any:
    """The mean loss of a 3-2-2 network over 2 examples, node by node."""
    total = 0
    for n in range(2):
        h1 = a(x[n, 0] * w[0, 0] + x[n, 1] * w[0, 1] + x[n, 2] * w[0, 2] + b[0])
        h2 = a(x[n, 0] * w[1, 0] + x[n, 1] * w[1, 1] + x[n, 2] * w[1, 2] + b[1])
        y1 = a(h1 * u[0, 0] + h2 * u[0, 1] + c[0])
        y2 = a(h1 * u[1, 0] + h2 * u[1, 1] + c[1])
        total += ((t[n, 0] - y1) ** 2 + (t[n, 1] - y2) ** 2) / 2
    return total / 2


def test_the_matrix_form_of_a_3_2_2_network_with_a_batch_of_2_for_any_activation():
    x, t = symbols("x", 2, 3), symbols("t", 2, 2)
    w, b, u, c = symbols("w", 2, 3), symbols("b", 2), symbols("u", 2, 2), symbols("c", 2)
    g = ref.gradients(objects_problem(ABSTRACT, [(w, b), (u, c)], x, t, "half_squared_error"))
    loss = batch_expansion(x, t, w, b, u, c)
    assert vanishes(g.loss - loss)
    first, second = g.layers
    for of, d in ((w, first.weight), (b, first.bias), (u, second.weight), (c, second.bias), (x, g.input)):
        assert d.shape == of.shape
        for symbol, entry in zip(of.ravel(), d.ravel(), strict=True):
            assert vanishes(entry - sympy.diff(loss, symbol)), symbol


def test_a_network_without_biases_for_any_activation():
    x, t, w, u = symbols("x", 2, 3), symbols("t", 2, 2), symbols("w", 2, 3), symbols("u", 2, 2)
    g = ref.gradients(objects_problem(ABSTRACT, [(w, None), (u, None)], x, t, "half_squared_error"))
    loss = batch_expansion(x, t, w, np.zeros(2, int), u, np.zeros(2, int))
    assert g.layers[0].bias is None
    assert all(vanishes(d - sympy.diff(loss, s)) for s, d in zip(w.ravel(), g.layers[0].weight.ravel(), strict=True))
