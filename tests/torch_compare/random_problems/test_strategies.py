"""The strategies of hypothesis find each structure, shrink it, and keep to what they are asked for."""

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings

import reference as ref
from torch_compare import check, problems, specs


@pytest.mark.parametrize(
    "wanted",
    [
        lambda s: 1 in s.widths[1:-1],
        lambda s: s.batch == 1,
        lambda s: not any(s.biases),
        lambda s: len(s.activations) >= 60,
        lambda s: "kinks" in s.features,
        lambda s: s.dtype == "float32",
    ],
)
def test_hypothesis_finds_each_structure(wanted):
    generate = settings(max_examples=3000, derandomize=True, database=None, deadline=None, phases=(Phase.generate,))
    find(specs(), wanted, settings=generate)


def test_hypothesis_shrinks_to_a_small_network():
    smallest = find(
        specs(), lambda s: len(s.activations) >= 2, settings=settings(derandomize=True, database=None, deadline=None)
    )
    assert smallest.widths == (1, 1, 1)
    assert smallest.batch == 1


@given(problems(dtypes=("float64",), max_depth=4, max_width=8, losses=("mse",), activations=("tanh", "relu")))
def test_constraints_are_kept_and_others_can_use_the_strategy(problem):
    assert problem.dtype == np.float64
    assert len(problem.mlp.layers) <= 4
    assert problem.loss.name == "mse"
    assert {layer.activation.name for layer in problem.mlp.layers} <= {"tanh", "relu"}
    assert check(problem, ref.gradients(problem)).agrees


def test_outsiders_narrow_the_problems_to_what_their_code_can_do():
    drawn = []

    @settings(max_examples=100)
    @given(problems(activations=("tanh",), losses=("mse",), reductions=("sum",), biases=(True,), dtypes=("float32",)))
    def draw(problem):
        drawn.append(problem)

    draw()
    assert all(p.reduction == "sum" and p.loss.name == "mse" and p.dtype == np.float32 for p in drawn)
    layers = [layer for p in drawn for layer in p.mlp.layers]
    assert all(layer.bias is not None and layer.activation.name == "tanh" for layer in layers)
    bare = find(problems(biases=(False,), max_depth=3), lambda p: len(p.mlp.layers) == 3)
    assert all(layer.bias is None for layer in bare.mlp.layers)
