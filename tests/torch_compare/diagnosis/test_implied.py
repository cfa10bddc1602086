"""What wrong gradients imply: a derivative, or a product that alone is wrong."""

import numpy as np
import pytest

import reference as ref
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.diagnosis.evidence import Evidence
from torch_compare.diagnosis.implied import implied_derivative, product_alone
from torch_compare.mistakes.mistake import Mistake, leaves_with
from torch_compare.mistakes.rules import at_step

U = 2.0**-53


def odd(problem, layer):
    """Gradients with cos(3z) for the derivative of one layer."""
    slope = at_step("slope", lambda p, t, l, d: d * np.cos(3 * t.preactivations[l]), layer)
    return leaves_with((Mistake("odd", "here", "it is odd", rules=slope),), problem)


def evidence_of(problem, given, *places):
    expected = ref.gradients(problem).leaves()
    scale = {k: U * np.maximum(np.abs(v), 1.0) for k, v in expected.items()}
    kept = {k: v for k, v in given.items() if not places or k in places}
    return Evidence.of(problem, kept, expected, scale, U), expected


@pytest.mark.parametrize(("examples", "places", "told_by"), [
    (1, ("layers[1].bias",), "layers[1].bias"), (5, ("layers[1].weight",), "layers[1].weight"),
    (5, (), "layers[1].weight"),
])  # fmt: skip
def test_the_implied_derivative_is_that_which_was_taken(examples, places, told_by):
    problem = network([4, 6, 5, 3], ["tanh", "gelu", "identity"], examples=examples)
    evidence, expected = evidence_of(problem, odd(problem, 1), *places)
    implied = implied_derivative(evidence, expected, 1)
    assert (implied.layer, implied.activation, implied.place) == ("layers[1]", "gelu", told_by)
    gelu = ref.ACTIVATIONS["gelu"].derivative
    for z, value, right in implied.points:
        assert value == pytest.approx(np.cos(3 * z))
        assert right == gelu(np.array([z]))[0]
    assert f"{told_by} implies for gelu′(z): " in str(implied)
    assert str(implied).count(" at z = ") == len(implied.points) == 3


def test_the_input_s_gradient_tells_the_first_layer_s_derivative():
    problem = network([6, 4, 2], ["silu", "identity"], examples=9)
    evidence, expected = evidence_of(problem, odd(problem, 0), "input")
    assert "input implies for silu′(z): " in str(implied_derivative(evidence, expected, 0))


def test_nothing_is_implied_where_it_cannot_be_told_or_is_right():
    problem = network([4, 6, 5, 3], ["tanh", "gelu", "softmax"], examples=30)
    for layer, places in ((1, ("layers[1].weight",)), (1, ("layers[1].bias",)), (2, ())):
        evidence, expected = evidence_of(problem, odd(problem, 1), *places)
        assert implied_derivative(evidence, expected, layer) is None
    problem = network([4, 6, 5, 3], ["tanh", "gelu", "identity"], examples=5)
    evidence, expected = evidence_of(problem, leaves_of(problem))
    assert implied_derivative(evidence, expected, 1) is None


def test_a_product_alone_is_wrong_if_all_that_is_made_of_the_same_d_z_is_right():
    problem = network([4, 6, 3], ["tanh", "identity"])
    evidence, _ = evidence_of(problem, leaves_of(problem))
    assert "look at the product" in product_alone(evidence, ["layers[1].weight"], 1)
    assert "look at the sum" in product_alone(evidence, ["layers[1].bias"], 1)
    for wrong in (["layers[1].weight", "layers[1].bias"], ["layers[1].weight", "input"], ["input"]):
        assert product_alone(evidence, wrong, 1) == ""
    alone, _ = evidence_of(problem, leaves_of(problem), "layers[1].weight")
    assert product_alone(alone, ["layers[1].weight"], 1) == ""
