"""The benchmark of vanishing gradients: its norms are the backward pass's, its verdict follows from its figures.

That no gradient exceeds its bound is a property in tests/reference/bounds/test_gradient_norms.py.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from benchmarks.claims import vanishing_gradients as bench
from reference.bounds import gradient_norms
from reference.bounds.slopes import largest_slope
from reference.network.initialization import SCHEMES
from tests.benchmarks.helpers import PNG, run_script
from tests.helpers import random_mlp

SMALL = {"names": ("sigmoid", "tanh", "relu", "glu", "tanhshrink", "square"), "depths": (3, 40), "width": 8}


@pytest.fixture(scope="module")
def small():
    return bench.measure(quick=True, seed=0, **SMALL)


def changed(rows, change, **which):
    """The rows, with a change in those that agree with `which`."""
    return [row | change if all(row[k] == v for k, v in which.items()) else row for row in rows]


@given(st.integers(0, 2**32), st.integers(1, 5))
def test_the_norms_are_those_of_the_backward_pass(seed, depth):
    rng = np.random.default_rng(seed)
    mlp = random_mlp(rng, depth)
    x, d_output = rng.normal(size=(4, mlp.layers[0].fan_in)), rng.normal(size=(4, mlp.layers[-1].width))
    with np.errstate(all="ignore"):
        expected = ref.backward(mlp, ref.forward(mlp, x), d_output)
    found = bench.norms(mlp, x, d_output)
    assert found.d_h.shape == found.bound.shape == (depth + 1,)
    assert found.d_h[-1] == bench.norm(d_output)
    assert found.d_h[0] == bench.norm(expected.input)
    assert found.d_weight.tolist() == [bench.norm(layer.weight) for layer in expected.layers]


@given(st.integers(0, 2**32), st.integers(1, 8), st.booleans())
def test_computed_gradients_stay_below_the_bound_with_its_roundings(seed, depth, aligned):
    """In float64, as the benchmark computes them; `aligned` makes the bound tight: only roundings are left."""
    rng = np.random.default_rng(seed)
    if aligned:
        mlp = ref.initialize([4] * (depth + 1), ["identity"] * depth, seed=seed, scheme="orthogonal")
    else:
        mlp = random_mlp(rng, depth, names=[name for name in ref.ACTIVATIONS if name != "square"])
    x, d_output = rng.normal(size=(4, mlp.layers[0].fan_in)), rng.normal(size=(4, mlp.layers[-1].width))
    assert not bench.share(bench.norms(mlp, x, d_output)) > 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [([[3.0, 4.0]], 5.0), ([[3e200, 4e200]], 5e200), ([[3e-200], [4e-200]], 5e-200), ([[0.0]], 0.0)],
)
def test_the_norm_neither_over_nor_underflows(values, expected):
    assert bench.norm(np.array(values)) == pytest.approx(expected, rel=2.0**-50)


def test_the_norm_of_what_overflowed_is_no_number():
    assert np.isnan(bench.norm(np.array([1.0, np.inf])))
    assert np.isnan(bench.norm(np.array([np.nan])))


def test_known_weight_norms_are_those_of_the_network():
    for name in ("tanh", "glu"):
        mlp = bench.network(name, "he_normal", 3, 5, seed=2)
        expected = [gradient_norms.spectral_norm(layer.weight) for layer in mlp.layers]
        assert list(bench.weight_norms(mlp.layers[0].activation.shrink, "he_normal", 3, 5, 2)) == expected


def test_the_report_shows_the_claim(small):
    assert small.holds
    assert len(small.rows) == len(SMALL["names"]) * len(SCHEMES) * 2
    assert {row["scheme"] for row in small.rows} == set(SCHEMES)
    assert all(len(row["d_h"]) == row["depth"] + 1 == len(row["d_weight"]) + 1 for row in small.rows)
    assert [row["activation"] for row in small.digest] == list(SMALL["names"])
    assert small.figures["largest ‖d_h‖ [bound]"] <= 1


def test_zero_weights_pass_no_gradient_and_are_no_scheme_to_compare(small):
    for row in small.rows:
        if row["scheme"] == "zeros":
            assert row["d_h"][:-1] == [0] * row["depth"]
            assert row["outcome"] == "dies"
            assert row["share"] == 0
    assert not any("zeros" in line["best"] + line["worst"] for line in small.digest)


def test_dead_and_overflowing_networks_are_named(small):
    lines = {line["activation"]: line for line in small.digest}
    assert "(dies)" in lines["tanhshrink"]["best"]
    assert {row["outcome"] for row in small.rows if row["activation"] == "square"} <= {"dies", "overflows", "arrives"}
    assert not any(row["outcome"] == "arrives" and not row["arrives"] > 0 for row in small.rows)


@pytest.mark.parametrize(
    ("which", "change"),
    [
        ({"activation": "glu", "scheme": "he_normal", "depth": 3}, {"share": 1 + 2.0**-52}),
        ({"activation": "sigmoid", "scheme": "orthogonal", "depth": 40}, {"arrives": 2.0**-20}),
        ({"activation": "tanh", "scheme": "torch_uniform", "depth": 40}, {"arrives": 2.0**-20}),
        ({"activation": "relu", "scheme": "he_uniform", "depth": 40}, {"arrives": 2.0**-30}),
    ],
)
def test_a_contradiction_refutes_the_claim(small, which, change):
    assert bench.holds(small.rows)
    assert not bench.holds(changed(small.rows, change, **which))


def test_too_small_a_slope_refutes_the_claim(monkeypatch):
    monkeypatch.setattr(gradient_norms, "largest_slope", lambda row, width: largest_slope(row, width) * 0.9)
    assert not bench.measure(quick=True, seed=0, names=("sigmoid", "tanh", "relu"), depths=(40,), width=8).holds


def test_a_layer_left_out_of_the_product_refutes_the_claim(monkeypatch):
    honest = bench.weight_norms

    def forgetful(*network):
        return (0.5, *honest(*network)[1:])

    monkeypatch.setattr(bench, "weight_norms", forgetful)
    assert not bench.measure(quick=True, seed=0, names=("sigmoid", "tanh", "relu"), depths=(1, 40), width=8).holds


def test_the_script_writes_its_table_and_its_picture(small, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(bench, "measure", lambda *given: asked.append(given) or small)
    ran = run_script(monkeypatch, tmp_path, "vanishing_gradients", "--quick", "--seed", "3", width=140)
    assert asked == [(True, 3)]
    assert len(ran.document["rows"]) == len(ran.report.rows)
    assert ran.document["header"]["seed"] == "3"
    assert ran.picture.startswith(PNG)
    assert "torch uniform" in ran.printed
