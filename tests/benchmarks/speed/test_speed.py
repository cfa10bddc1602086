"""What is timed computes the same, and the verdict follows from the table."""

import os

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from benchmarks.speed import speed


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
    run = speed.eager(problem)
    for _ in range(2):  # the tensors are made once
        found = [t.numpy() for t in run()]
    assert tc.check(problem, dict(zip(problem.leaves(), found, strict=True))).agrees


@pytest.mark.skipif(not speed.HAS_JAX, reason="JAX is an extra")
def test_jax_is_timed_at_the_same_gradients():
    problem = speed.perceptron((4, 5, 3), 6, "gelu", np.float64, 0)
    loss, (pairs, d_x) = speed.compiled(problem)()
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
    work = speed.Work("2-2-1 tanh", speed.perceptron((2, 2, 1), 1, "tanh", np.float32, 0), speed.GOAL)
    row = speed.times(work, 1)
    assert row["ratio"] == pytest.approx(row["ours"] / row["torch"])
    assert row.keys() == {"name", "type", "ours", "torch", *(c for pair in speed.RATIOS.values() for c in pair)}


def test_one_core_is_given_back():
    before = os.sched_getaffinity(0)
    with speed.on_one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
