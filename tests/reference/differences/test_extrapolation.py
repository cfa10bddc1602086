"""Extrapolation: steps stay in the base point's region, and bars hold whatever the signs."""

from __future__ import annotations

import numpy as np

import reference as ref
from reference.differences import (
    central_difference,
)
from reference.differences.one_parameter import in_float64
from tests.reference.differences.helpers import (
    outside,
    with_fault,
)
from torch_compare.random_problems.spec import Spec, build


def test_a_met_target_and_constant_units_do_not_pass_for_exact():
    """Where the base point happens to be free of rounding errors, the points beside it are not."""
    rng = np.random.default_rng(2)
    bias = rng.normal(size=5)
    for name in ("identity", "sigmoid", "softshrink"):
        layers = (
            ref.Layer(np.zeros((4, 3)), np.zeros(4), name),
            ref.Layer(rng.normal(size=(5, 4)) * 1e-9, bias, "identity"),
        )
        x = rng.normal(size=(6, 3))
        for gap in (0.0, 1e-12, 1e-3):
            y = ref.forward(ref.MLP(layers), x).output
            for loss in ("mse", "l1"):
                problem = ref.Problem(ref.MLP(layers), x, y * (1 + gap * rng.normal(size=y.shape)), loss)
                assert outside(central_difference(problem), ref.gradients(problem)) == [], (name, gap, loss)


def test_exact_sums_of_large_numbers_do_not_pass_for_exact_beside_the_base_point():
    """2³⁰ + ½ − 2³⁰ is exact; with a step added to the first, it is off by 2⁻²³."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        layers = (
            ref.Layer(np.zeros((2, 3)), np.array([2.0**30 + 0.5, 2.0**30]), "identity"),
            ref.Layer(np.array([[1.0, -1.0]]), None, "identity"),
        )
        problem = ref.Problem(ref.MLP(layers), rng.normal(size=(3, 3)), rng.normal(size=(3, 1)), "mse")
        assert outside(central_difference(problem), ref.gradients(problem)) == [], seed


def test_a_bend_far_narrower_than_the_first_steps_is_found():
    """From afar softplus(βz)/β looks like relu, whose central difference at 0 is ½ for every step."""
    for beta in (1e2, 1e4, 1e6):
        row = ref.activations.softplus(beta=beta, threshold=np.inf)
        layer = ref.Layer(np.array([[1.0]]), np.array([0.1 / beta]), row)
        problem = ref.Problem(ref.MLP((layer,)), np.zeros((1, 1)), np.array([[1.0]]), "l1")
        found, g = central_difference(problem), ref.gradients(problem)
        assert outside(found, g) == []
        assert outside(found, with_fault(g, 0, 0.5 / 0.525)), "a half is not the slope at 0.1"


def test_where_the_error_changes_its_sign_two_neighbours_that_meet_do_not_make_a_bar():
    """The finest two entries of a column are 7e-12 apart there and 1.2e-11 off; no finer one of that ladder says so."""
    spec = Spec(
        widths=(1, 19), activations=("softmax",), loss="bce", batch=12, seed=5411976150159623319, reduction="mean",
        dtype="float32", features=("saturated", "huge"), variants=True,
    )  # fmt: skip
    problem = in_float64(build(spec))
    assert outside(central_difference(problem), ref.gradients(problem)) == []
