"""Networks and problems print in a few lines, however many numbers they hold."""

import numpy as np

import reference as ref
from benchmarks.implementations.transformers import gpt2, next_tokens


def test_a_problem_prints_its_types_and_shapes():
    problem = ref.Problem(ref.initialize([3, 2], ["tanh"], seed=0), np.ones((5, 3)), np.ones((5, 2)), "mse")
    layer = "Layer(weight=float64[2, 3], bias=float64[2], activation=tanh)"
    assert repr(problem) == (
        f"Problem(network=MLP(layers=({layer},)), x=float64[5, 3], target=float64[5, 2], loss=mse, reduction='mean')"
    )


def test_a_network_of_thousands_of_numbers_prints_in_a_few_lines():
    text = repr(next_tokens(gpt2()))
    assert len(text) < 1500
    assert "wte.weight: float64[40, 16]" in text
    assert "Step(output='wte', operation=embedding, inputs=('ids', 'wte.weight')" in text
    assert " more}" in text
