"""Wrong derivatives of activations: each is wrong, and by the formula that it names."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference.rounding.distance import FACTOR
from torch_compare.mistakes.derivatives import TRUNCATED, other_forms, wrong_derivatives

ROWS = [row for row in ref.ACTIVATIONS.values() if row.name != "identity"]
Z = np.array([[-7.5, -4.0, -1.25, -0.375], [0.25, 0.8125, 2.5, 6.5]])
D = np.array([[0.75, -1.5, 0.5, 2.0], [1.25, -0.625, -2.5, 1.75]])


def points(row):
    """Pre-activations, of softplus with one beyond its threshold."""
    return Z * 3.25 if row.name == "softplus" else Z


def made(row, wrong):
    z = points(row)
    return wrong.pullback(z, row.value(z), D[:, : Z.shape[1] // row.shrink])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_is_wrong_and_says_so_in_a_clause_of_its_own(row):
    found = list(wrong_derivatives(row))
    assert len({wrong.what for wrong in found}) == len(found)
    with np.errstate(all="ignore"):
        right = row.pullback(points(row), D[:, : Z.shape[1] // row.shrink])
        for wrong in found:
            assert made(row, wrong).shape == Z.shape
            assert not np.array_equal(made(row, wrong), right), wrong.what


def of(name, clue, row=None):
    row = row or ref.ACTIVATIONS[name]
    return made(row, next(w for w in wrong_derivatives(row) if clue in w.what))


def test_the_formulas_are_those_that_the_clauses_state():
    h = np.tanh(Z)
    np.testing.assert_allclose(of("tanh", "d − h²"), D - h * h)
    np.testing.assert_allclose(of("tanh", "1 − z²"), D * (1 - Z * Z))
    sigmoid = 1 / (1 + np.exp(-Z))
    np.testing.assert_allclose(of("sigmoid", "d·h − h²"), D * sigmoid - sigmoid * sigmoid)
    np.testing.assert_allclose(of("silu", "the z before"), D * (sigmoid + sigmoid * (1 - sigmoid)))
    np.testing.assert_allclose(of("hardswish", "the saturated part is"), D * (2 * Z + 3) / 6)
    above = np.where(Z > 3, (2 * Z + 3) / 6, ref.ACTIVATIONS["hardswish"].derivative(Z))
    np.testing.assert_allclose(of("hardswish", "above 3"), D * above)
    y = ref.ACTIVATIONS["softmax"].value(Z)
    np.testing.assert_allclose(of("log_softmax", "the formula of softmax"), y * (D - (y * D).sum(1, keepdims=True)))
    np.testing.assert_allclose(of("softmax", "the formula of log_softmax"), D - y * D.sum(1, keepdims=True))


def test_the_cubic_term_s_3_is_all_that_is_missing():
    k, c = np.sqrt(2 / np.pi), 0.044715
    t = np.tanh(k * (Z + c * Z**3))
    without = (1 + t) / 2 + Z / 2 * (1 - t * t) * k * (1 + c * Z * Z)
    np.testing.assert_allclose(of("gelu_tanh", "the 3 of the cubic"), D * without, rtol=1e-12, atol=1e-15)


def test_a_parameter_is_ignored_only_where_it_is_not_the_default():
    def ignored(row):
        return [w for w in wrong_derivatives(row) if w.name == "activation parameter ignored"]

    assert not any(ignored(row) for row in ROWS)
    row = ref.activations.elu(alpha=0.5)
    (wrong,) = ignored(row)
    assert wrong.what == "alpha=0.5 is ignored: the derivative is that of elu with alpha=1"
    np.testing.assert_allclose(made(row, wrong), D * ref.ACTIVATIONS["elu"].derivative(Z))
    assert ignored(ref.activations.hardtanh(-3.0, -2.0))[0].what.startswith("max_val"), "min_val = −1 contradicts −2"


def test_another_form_is_one_function_with_its_own_derivative():
    forms = [(row, *form) for row in ROWS for form in other_forms(row)]
    assert len(forms) > len(TRUNCATED)
    for row, _, what, other in forms:
        z = points(row)
        slope = np.imag(other.value(z + 1e-100j)) * 1e100
        terms = np.maximum(np.abs(slope), other.textbook_derivative(z))  # the complex step is the customary formula's
        assert np.all(np.abs(other.derivative(z) - slope) <= FACTOR * 2.0**-53 * terms), what
        assert not np.array_equal(other.value(z), row.value(z))


SMOOTH = ref.activations.softplus(threshold=np.inf)


@pytest.mark.parametrize("how", ["operation", "mlp", "network"])
def test_softplus_without_its_threshold_is_named_with_it(how):
    """log(1 + e^z) itself, as JAX has it."""
    x = np.array([[20.5, 1.0], [22.0, -2.0]])
    if how == "operation":
        problem = tc.operation_problem("softplus", {"input": x}, np.ones((2, 2)))
        given = {"input": SMOOTH.derivative(x)}
    elif how == "mlp":
        problem, other = (
            ref.Problem(ref.MLP((ref.Layer(np.eye(2), None, row),)), x, np.ones((2, 2)), "mse")
            for row in (ref.ACTIVATIONS["softplus"], SMOOTH)
        )
        given = ref.gradients(other)
    else:
        net = ref.Network({"w": np.eye(2)}, [ref.Step("h", "linear", "x", "w"), ref.Step("y", "softplus", "h")])
        problem = ref.Problem(net, x, np.ones((2, 2)), "mse")
        d = (SMOOTH.value(x) - 1) / 2 * SMOOTH.derivative(x)
        given = {"x": d, "w": d.T @ x}
    verdict = tc.check(problem, given)
    assert verdict.diagnosis.names == ("threshold of softplus left out",), str(verdict)
    assert "z where z > 20" in verdict.diagnosis
