"""What is timed computes the same, and the verdict follows from the table."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.speed import rivals, speed


@pytest.mark.parametrize(
    "problem",
    [
        speed.perceptron((2, 2, 1), 1, "tanh", np.float64, 0),
        speed.perceptron((4, 5, 3), 6, "gelu", np.float64, 0),
        speed.transformer(0, width=32, layers=1, shape=(2, 4)),
    ],
    ids=["one output", "classes", "GPT-2"],
)
def test_torch_is_timed_at_the_same_gradients(problem):
    run = rivals.eager(problem)
    for _ in range(2):  # the tensors are made once
        found = [t.numpy() for t in run()]
    assert tc.check(problem, dict(zip(problem.leaves(), found, strict=True))).agrees


def test_compiled_loops_are_timed_at_the_same_gradients():
    problem = speed.perceptron((4, 5, 1), 6, "silu", np.float64, 0)
    assert tc.check(problem, rivals.in_loops(problem)()).agrees


@pytest.mark.skipif(not speed.HAS_JAX, reason="JAX is an extra")
def test_jax_is_timed_at_the_same_gradients():
    problem = speed.perceptron((4, 5, 3), 6, "gelu", np.float64, 0)
    loss, (pairs, d_x) = speed.by_jax(problem)()
    expected = ref.gradients(problem)
    given = {"loss": loss, "input": d_x}
    for index, pair in enumerate(pairs):
        given |= {f"layers[{index}].{kind}": np.asarray(d) for kind, d in zip(("weight", "bias"), pair, strict=True)}
    assert given.keys() == expected.leaves().keys()
    assert tc.check(problem, {place: np.asarray(leaf) for place, leaf in given.items()}).agrees


def test_a_row_beyond_its_goal_is_named_and_what_is_not_measured_is_not():
    row = {"name": "one", "type": "float32", "ratio": 0.5, "goal": 1.0, "jax": 2.0, "jax goal": float("nan")}
    assert speed.beyond([row], "torch") == speed.beyond([row], "jax.jit") == []
    assert speed.beyond([row, row | {"ratio": 1.1}], "torch") == ["one, float32: 1.10 for 1"]


def test_a_row_of_the_table_has_all_its_columns():
    work = speed.Work("2-2-1 tanh", speed.perceptron((2, 2, 1), 1, "tanh", np.float32, 0))
    row = speed.times(work, 1) | speed.memory(work)
    assert row["ratio"] == pytest.approx(row["loops"] / row["torch"])
    ratios = {column for pair in speed.RATIOS.values() for column in pair}
    assert row.keys() == {"name", "type", "ours", "loops", "torch", "quartiles", "compiled", "MB", *ratios}


def test_memory_is_that_of_the_gradients_and_of_what_they_are_made_of():
    """At least the gradients themselves, of all parameters and of x; below the width, it is not measured."""
    problem = speed.perceptron((300, 300, 300), 2, "tanh", np.float32, 0)
    row = speed.memory(speed.Work("wide", problem, 300))
    assert row["MB"] > sum(leaf.nbytes for leaf in problem.leaves().values()) / 1e6
    assert row["memory"] > 0
    assert np.isnan(speed.memory(speed.Work("narrow", problem, 64))["memory"])
