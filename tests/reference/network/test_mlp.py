"""Networks: how they are made, initialised and mapped; nothing given is modified."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from reference.activations.row import AGREE
from reference.network.initialization import SCHEMES
from tests.helpers import DTYPES, assert_same, assert_same_gradients, gamma, leaves, random_mlp

# ── initialisation ───────────────────────────────────────────────────────────────────────────────────

FAN_IN, FAN_OUT = 200, 300
VARIANCE = {
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "torch_uniform": 1 / (3 * FAN_IN),
    "orthogonal": 1 / max(FAN_IN, FAN_OUT),
    "zeros": 0.0,
}


def test_every_scheme_is_tested():
    assert set(VARIANCE) == set(SCHEMES)


@pytest.mark.parametrize("scheme", VARIANCE)
def test_a_scheme_has_its_variance_and_range(scheme):
    weight = ref.initialize([FAN_IN, FAN_OUT], ["tanh"], seed=3, scheme=scheme).layers[0].weight
    assert weight.shape == (FAN_OUT, FAN_IN)
    n, variance = weight.size, VARIANCE[scheme]
    # A mean of n has deviation √(v/n); a variance v·√((κ − 1)/n), with kurtosis κ = 3 normal, 9/5 uniform.
    # Six deviations: a right scheme fails for two seeds in 10⁹, a wrong factor of 1.05 in the weight always.
    kurtosis = 9 / 5 if scheme.endswith("uniform") else 3
    assert abs(weight.mean()) <= 6 * math.sqrt(variance / n)
    assert abs(np.mean(weight**2) - variance) <= 6 * variance * math.sqrt((kurtosis - 1) / n)
    if scheme.endswith("uniform"):
        bound = math.sqrt(3 * variance)
        # ±bound by one rounding of the square root and one of the product; and the whole range is used.
        assert np.abs(weight).max() <= bound * (1 + 2.0**-51)
        assert np.abs(weight).max() >= bound * (1 - 30 / n)
    if scheme.endswith("normal"):
        assert np.abs(weight).max() > 4 * math.sqrt(variance)


@pytest.mark.parametrize("widths", [(3, 3), (5, 3), (3, 5), (1, 4), (4, 1)])
def test_an_orthogonal_weight_keeps_lengths_where_there_is_room(widths):
    fan_in, fan_out = widths
    weight = ref.initialize([fan_in, fan_out], ["identity"], seed=2, scheme="orthogonal").layers[0].weight
    gram = weight.T @ weight if fan_out >= fan_in else weight @ weight.T
    # Householder's QR of m rows is orthogonal to γ of a few m roundings a column (Higham 2002, theorem 19.4).
    assert np.linalg.norm(gram - np.eye(len(gram))) <= min(widths) * gamma(10 * max(widths) ** 2)


def test_orthogonal_weights_do_not_prefer_a_sign():
    """Householder's QR alone makes every diagonal entry of R negative: all first entries would be of one sign."""
    first = [ref.initialize([1, 1], ["identity"], seed=s, scheme="orthogonal").layers[0].weight for s in range(20)]
    assert {float(w[0, 0]) for w in first} == {-1.0, 1.0}


@pytest.mark.parametrize("scheme", sorted(set(SCHEMES) - {"zeros"}))
def test_a_seed_makes_the_same_network_again(scheme):
    first, again, other = (ref.initialize([3, 4, 2], ["tanh", "glu"], seed=s, scheme=scheme) for s in (7, 7, 8))
    for p, q in zip(leaves(first), leaves(again), strict=True):
        assert_same(p, q)
    assert not np.array_equal(first.layers[0].weight, other.layers[0].weight)
    assert not np.array_equal(first.layers[0].weight[:2, :3], first.layers[1].weight[:2, :3])


@pytest.mark.parametrize("dtype", [*DTYPES, np.float16, "float32"])
def test_initialize_makes_the_type_asked_for(dtype):
    mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0, dtype=dtype)
    assert {leaf.dtype for leaf in leaves(mlp)} == {np.dtype(dtype)}


def test_biases_are_zeros_where_there_are_any():
    mlp = ref.initialize([3, 4, 2, 1], ["tanh"] * 3, seed=0, bias=[True, False, True])
    assert [layer.bias is None for layer in mlp.layers] == [False, True, False]
    assert_same(mlp.layers[0].bias, np.zeros(4))
    assert all(layer.bias is None for layer in ref.initialize([3, 4], ["relu"], seed=0, bias=False).layers)


def test_a_layer_behind_which_the_width_halves_has_twice_the_rows():
    mlp = ref.initialize([3, 4, 2], ["glu", "tanh"], seed=0)
    assert mlp.layers[0].weight.shape == (8, 3)
    assert mlp.layers[0].width == 4
    assert ref.forward(mlp, np.ones((1, 3))).output.shape == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"widths": [3]}, ValueError, r"widths: expected at least two whole numbers of at least 1, got \[3\]"),
        ({"widths": []}, ValueError, "widths: expected at least two"),
        ({"widths": [3, 0, 1]}, ValueError, r"widths: .*got \[3, 0, 1\]"),
        ({"widths": [3, -2, 1]}, ValueError, "widths: "),
        ({"widths": [3, 2.5, 1]}, (ValueError, TypeError), "widths: .*2.5"),
        ({"widths": ["3", "2", "1"]}, (ValueError, TypeError), "widths: "),
        ({"widths": "321"}, (ValueError, TypeError), "widths: "),
        ({"activations": ["tanh"]}, ValueError, r"activations: expected one per layer \(2\), got \['tanh'\]"),
        ({"activations": "tanh"}, ValueError, r"activations: expected one per layer \(2\), got 'tanh'"),
        ({"activations": ["tanh", "Tanh"]}, ValueError, "activation: no row is named 'Tanh'"),
        ({"activations": ["tanh", None]}, TypeError, "activation: expected a name or a row, got NoneType"),
        ({"scheme": "xavier"}, ValueError, "scheme: expected one of glorot_normal, .*, got 'xavier'"),
        ({"dtype": int}, TypeError, "dtype: expected a floating type, got int"),
        ({"dtype": complex}, TypeError, "dtype: expected a floating type, got complex"),
        ({"bias": [True]}, ValueError, r"bias: expected one flag per layer \(2\), got \[True\]"),
    ],
)
def test_initialize_names_what_is_wrong(arguments, error, message):
    fields: dict[str, Any] = {"widths": [3, 2, 1], "activations": ["tanh", "identity"], "seed": 0}
    with pytest.raises(error, match=message):
        ref.initialize(**(fields | arguments))


# ── records ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_name_becomes_its_row():
    layer = ref.Layer(np.ones((2, 3)), None, "tanh")
    assert layer.activation is ref.ACTIVATIONS["tanh"]
    assert (layer.fan_in, layer.width) == (3, 2)


def test_lists_become_arrays():
    layer = ref.Layer([[1.0, 2.0]], [0.5], "identity")
    assert_same(layer.weight, np.array([[1.0, 2.0]]))
    assert_same(layer.bias, np.array([0.5]))
    assert isinstance(ref.MLP([layer]).layers, tuple)


def test_parameters_counts_weights_and_biases():
    mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0, bias=[True, False])
    assert mlp.parameters == 4 * 3 + 4 + 2 * 4


@pytest.mark.parametrize(
    "record",
    [
        ref.initialize([2, 1], ["tanh"], seed=0),
        ref.initialize([2, 1], ["tanh"], seed=0).layers[0],
        ref.forward(ref.initialize([2, 1], ["tanh"], seed=0), np.ones((1, 2))),
        ref.LayerGradients(np.ones((1, 1)), None),
        ref.Gradients((), np.ones((1, 1))),
    ],
    ids=lambda record: type(record).__name__,
)
def test_records_are_frozen(record):
    name = next(iter(record.__dataclass_fields__))
    with pytest.raises(AttributeError):
        setattr(record, name, None)


def problem(rng: np.random.Generator, dtype: Any = np.float64, loss: str = "mse") -> ref.Problem:
    mlp = random_mlp(rng, int(rng.integers(1, 4)), dtype)
    x = rng.normal(size=(3, mlp.layers[0].fan_in)).astype(dtype)
    return ref.Problem(mlp, x, rng.normal(size=(3, mlp.layers[-1].width)).astype(dtype), loss)


@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_given_is_modified(seed):
    case = problem(np.random.default_rng(seed))
    for array in leaves(case):
        array.flags.writeable = False
    trace = ref.forward(case.mlp, case.x)
    for array in (*trace.inputs, *trace.preactivations, trace.output):
        array.flags.writeable = False
    before = [array.copy() for array in leaves(case)]
    d_output = ref.loss_gradient(case, trace.output)
    d_output.flags.writeable = False
    ref.backward(case.mlp, trace, d_output)
    ref.gradients(case)
    ref.loss_value(case)
    for array, copy in zip(leaves(case), before, strict=True):
        assert_same(array, copy)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_same_problem_gives_the_same_bits(seed):
    case = problem(np.random.default_rng(seed))
    assert_same_gradients(ref.gradients(case), ref.gradients(case))


def test_gradients_name_and_map_their_leaves():
    mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0, bias=[True, False])
    g = ref.gradients(ref.Problem(mlp, np.ones((1, 3)), np.ones((1, 2)), "mse"))
    assert list(g.leaves()) == ["layers[0].weight", "layers[0].bias", "layers[1].weight", "input", "loss"]
    assert_same(g["layers[0].bias"], g.layers[0].bias)
    with pytest.raises(KeyError, match=r"no place of these gradients; there are layers\[0\].weight"):
        g["layers[1].bias"]
    doubled = g.map(lambda leaf: 2 * leaf)
    assert_same(doubled.loss, 2 * g.loss)
    assert doubled.layers[1].bias is None
    assert_same_gradients(doubled, g.map(lambda p, q: p + q, g))
    without = ref.backward(mlp, ref.forward(mlp, np.ones((1, 3))), np.ones((1, 2)))
    assert without.loss is None
    assert without.map(lambda leaf: leaf).loss is None


def test_map_and_replace_leave_the_problem_alone():
    case = problem(np.random.default_rng(0))
    half = case.map(lambda array: array / 2)
    assert_same(half.x, case.x / 2)
    assert_same(half.target, case.target)
    assert_same(half.mlp.layers[0].weight, case.mlp.layers[0].weight / 2)
    assert half.mlp.layers[0].activation is case.mlp.layers[0].activation
    assert case.replace(reduction="sum").reduction == "sum"
    assert case.reduction == "mean"


def test_complex_problems_give_the_complex_step():
    """The same lines on complex128: the imaginary part of the loss is the derivative along the direction."""
    rng = np.random.default_rng(4)
    mlp = ref.initialize([2, 3, 1], ["tanh", "identity"], seed=4)
    case = ref.Problem(mlp, rng.normal(size=(2, 2)), rng.normal(size=(2, 1)), "half_squared_error")
    step = ref.loss_value(case.map(lambda array: array + 1e-100j * array)).imag * 1e100
    g = ref.gradients(case)
    pieces = [(layer.weight, d.weight) for layer, d in zip(mlp.layers, g.layers, strict=True)]
    pieces += [(layer.bias, d.bias) for layer, d in zip(mlp.layers, g.layers, strict=True)] + [(case.x, g.input)]
    along = sum(float(np.sum(p * d)) for p, d in pieces)
    size = sum(float(np.sum(np.abs(p * d))) for p, d in pieces)
    # Formulas are compared here (rows.AGREE); roundings elsewhere.
    assert abs(step - along) <= AGREE * size
