"""What is timed computes the same, and the verdict follows from the table."""

import numpy as np
import pytest

import reference as ref
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
    leaves = ref.gradients(problem).leaves()
    expected = [leaves[name] for name in problem.leaves()]
    assert len(found) == len(expected)
    scale = 1e5 * np.finfo(problem.dtype).eps  # the same numbers in another order, not their accuracy
    for a, b in zip(found, expected, strict=True):
        assert np.all(np.abs(a - b) <= scale * max(1.0, np.abs(b).max()))


def test_a_row_beyond_its_goal_refutes_the_claim():
    rows = [{"ratio": 0.5, "goal": 1.0}, {"ratio": 1.4, "goal": 1.5}]
    assert speed.holds(rows)
    assert not speed.holds([*rows, {"ratio": 1.1, "goal": 1.0}])


def test_a_row_of_the_table_has_all_its_columns():
    work = speed.Work("2-2-1 tanh", speed.perceptron((2, 2, 1), 1, "tanh", np.float32, 0), speed.GOAL)
    row = speed.times(work, 1)
    assert row["ratio"] == pytest.approx(row["ours"] / row["torch"])
    assert {"name", "type", "ours", "torch", "ratio", "goal", "floor"} == set(row)
