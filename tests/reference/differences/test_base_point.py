"""The point that differences are taken at: on which piece a variant lies."""

from __future__ import annotations

import numpy as np

import reference as ref
from reference.differences import one_parameter as variants
from reference.differences.base_point import Base


def test_a_step_that_reaches_a_kink_along_a_curve_is_not_used():
    """The slope at z = 0.1 does not tell that (z + h)² passes relu's kink within the first step."""
    layers = (ref.Layer(np.array([[0.1]]), None, "square"), ref.Layer(np.array([[1.0]]), np.array([-0.05]), "relu"))
    problem = ref.Problem(ref.MLP(layers), np.array([[1.0]]), np.array([[1.0]]), "mse")
    trace = ref.forward(problem.mlp, problem.x)
    evaluate = variants.along_elements(problem, trace, np.array([0]), [np.ones((1, 1))])
    run = evaluate(np.array([0]), np.array([[0.0, 0.12, 0.125, -0.125, -0.35]]))
    with np.errstate(all="ignore"):
        same = Base.of(problem).same_region(run)
    assert np.array_equal(same, [[True, True, False, True, False]])
