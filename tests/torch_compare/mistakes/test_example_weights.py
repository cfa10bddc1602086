"""Examples that count unlike each other."""

import numpy as np
import pytest

import reference as ref
from tests.torch_compare.diagnosis.helpers import network
from torch_compare.mistakes.example_weights import counts_of, in_micro_batches, micro_batch_weights, weighed
from torch_compare.mistakes.mistake import leaves_with

ROWS = (
    ref.losses.cross_entropy(), ref.losses.cross_entropy(ignore_index=2), ref.losses.mse(),
    ref.losses.cross_entropy(weight=np.array([0.5, 1.0, 2.0])),
)  # fmt: skip


@pytest.mark.parametrize("averaged", [True, False])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name} {row.ignore_index}")
def test_it_makes_what_micro_batches_make(row, averaged):
    problem = network([4, 5, 3], ["tanh", "identity"], examples=8, loss=row.name)
    problem = problem.replace(loss=row)
    parts = [slice(0, 3), slice(3, 6), slice(6, 8)]
    each = [ref.gradients(problem.replace(x=problem.x[p], target=problem.target[p])).leaves() for p in parts]
    made = leaves_with((in_micro_batches(problem, 3, averaged),), problem)
    for place in each[0].keys() - {"input"}:
        together = sum(g[place] for g in each) / (3 if averaged else 1)
        np.testing.assert_allclose(made[place], together, rtol=1e-12, atol=1e-15, err_msg=place)


def test_counts_are_shares_of_the_divisor():
    problem = network([4, 3], ["identity"], examples=5, loss="cross_entropy")
    for row in ROWS[:2] + ROWS[3:]:
        counts = counts_of(problem.replace(loss=row))
        y = ref.forward(problem.mlp, problem.x).output
        assert counts.sum() == pytest.approx(float(np.asarray(row.divisor(y, problem.target))))
    assert np.all(counts_of(network([4, 3], ["identity"], examples=5)) == 3)


def test_micro_batches_of_one_size_weigh_nothing_when_averaged():
    np.testing.assert_allclose(micro_batch_weights(np.ones(6), [2, 4, 6], averaged=True), 1)
    np.testing.assert_allclose(micro_batch_weights(np.ones(6), [2, 4, 6], averaged=False), 3)
    ignored = micro_batch_weights(np.array([0.0, 0.0, 1.0, 1.0]), [2, 4], averaged=False)
    np.testing.assert_allclose(ignored, [0, 0, 1, 1])


def test_weights_of_another_batch_are_refused():
    problem = network([4, 3], ["identity"], examples=5)
    with pytest.raises(ValueError, match="4 weights for 5 examples"):
        leaves_with((weighed("n", "w", np.ones(4)),), problem)
