"""Initial networks: each scheme has its variance and range, and a seed makes the same network again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import reference as ref
from reference.network.initialization import SCHEMES
from tests.helpers import DTYPES, assert_same, gamma, leaves

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
