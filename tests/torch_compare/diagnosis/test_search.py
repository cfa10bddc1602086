"""The walk from the output down: what it finds, and that what it finds explains the gradients."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference.arithmetic.formats import FORMATS
from tests.torch_compare.diagnosis.helpers import leaves_of, network
from torch_compare.diagnosis.candidate import Effort
from torch_compare.diagnosis.evidence import Evidence
from torch_compare.diagnosis.search import explanations
from torch_compare.mistakes.mistake import habits, leaves_with


def walked(problem, given, budget):
    """Every set of so many mistakes at most that the walk finds, and the evidence that it found them in."""
    expected, scale = leaves_of(problem), ref.rounding_scale(problem).leaves()
    evidence = Evidence.of(problem, given, expected, scale, FORMATS["float64"].unit_roundoff)
    return explanations(evidence, (), budget, Effort(1e9)), evidence


def test_a_mistaken_slope_of_the_only_layer_is_seen_without_the_inputs_gradient():
    """Nothing lies below it, and its own weight and bias show it."""
    problem = network([4, 3], ["tanh"])
    d_y = ref.loss_gradient(problem, ref.forward(problem.mlp, problem.x).output)
    given = {"layers[0].weight": d_y.T @ problem.x, "layers[0].bias": d_y.sum(axis=0)}
    names = tc.check(problem, given).diagnosis.names
    assert names in (("activation derivative missing",), ("gradient before the derivative",))
    assert tc.check(problem, {"layers[0].bias": given["layers[0].bias"]}).diagnosis.names == names
    twice = d_y * (1 - ref.forward(problem.mlp, problem.x).output ** 2) ** 2
    given = {"layers[0].weight": twice.T @ problem.x, "layers[0].bias": twice.sum(axis=0)}
    assert tc.check(problem, given).diagnosis.names == ("derivative applied twice",)


def test_a_mistake_that_no_gradient_shows_is_not_looked_for():
    """Of two layers only the upper one's gradients are given: nothing is said of the lower one's slope."""
    problem = network([4, 5, 3], ["tanh", "identity"])
    given = {place: 2 * leaf for place, leaf in leaves_of(problem).items() if place.startswith("layers[1]")}
    found, _ = walked(problem, given, 2)
    assert found
    for mistakes in found:
        assert not any("layers[0]" in m.where and "down" not in m.where for m in mistakes)


FACTORS = [(2.0, 3.0), (3.0, 2.0), (-1.0, 2.0), (2.0, 2.0), (2.0, 1.0), (1.0, -1.0)]


@pytest.mark.parametrize(("weight", "bias"), FACTORS)
@pytest.mark.parametrize("widths", [[4, 3], [4, 5, 3]])
def test_every_way_that_the_walk_finds_makes_the_gradients_that_were_given(weight, bias, widths):
    """Factors of the uppermost weight and bias: one for both goes down to all the rest only where it is the same."""
    problem = network(widths, ["tanh"] * (len(widths) - 2) + ["identity"], examples=7)
    top = f"layers[{len(widths) - 2}]"
    given = leaves_of(problem, "loss", "input")
    given |= {f"{top}.weight": weight * given[f"{top}.weight"], f"{top}.bias": bias * given[f"{top}.bias"]}
    found, evidence = walked(problem, given, 2)
    assert found
    for mistakes in found:
        assert 1 <= habits(mistakes) <= 2
        made = leaves_with(mistakes, problem)
        for place in given:
            assert evidence.same(place, made[place]), f"{place} by {[m.key for m in mistakes]}"


def test_a_factor_of_everything_is_one_mistake_and_two_factors_are_two():
    problem = network([4, 5, 3], ["tanh", "identity"], examples=7)
    given = {place: 2 * leaf for place, leaf in leaves_of(problem, "loss").items()}
    found, _ = walked(problem, given, 1)
    assert any([m.where for m in mistakes] == ["every gradient"] for mistakes in found)
    given["layers[0].bias"] = -given["layers[0].bias"]
    assert walked(problem, given, 1)[0] == []
    assert walked(problem, given, 2)[0]


def test_right_gradients_and_none_at_all_are_explained_by_no_mistake():
    problem = network([4, 5, 3], ["tanh", "identity"])
    assert walked(problem, leaves_of(problem), 2)[0] == []
    assert walked(problem, {"loss": np.array(1.0)}, 2)[0] == []


def test_a_walk_that_may_cost_nothing_finds_nothing():
    problem = network([4, 3], ["identity"])
    given = {place: 2 * leaf for place, leaf in leaves_of(problem, "loss").items()}
    _, evidence = walked(problem, given, 1)
    assert explanations(evidence, (), 1, Effort(1e9))
    spent = Effort(1.0)
    assert explanations(evidence, (), 1, spent) == []
    assert spent.exhausted
