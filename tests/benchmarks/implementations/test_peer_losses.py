"""The losses in customary formulas: all of the table, over every library, with the problem's own divisor."""

import numpy as np
import pytest

import reference as ref
from benchmarks.implementations.correct_gradients import library
from benchmarks.implementations.peer_losses import LOSSES, arrays_of, loss_function
from benchmarks.wrong_gradients.problems import class_weights, network


def test_every_loss_of_the_table_has_a_formula():
    assert set(LOSSES) == set(ref.LOSSES)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("peer", ["JAX", "autograd"])
@pytest.mark.parametrize(
    "loss",
    [
        "mse", "half_squared_error", "l1", "huber", "bce_with_logits",
        ref.losses.cross_entropy(weight=class_weights(), label_smoothing=0.25, ignore_index=1),
        ref.losses.bce_with_logits(pos_weight=class_weights()),
        ref.losses.nll(weight=class_weights(), ignore_index=1),
        ref.losses.huber(0.25), ref.losses.smooth_l1(0.5),
    ],
    ids=lambda loss: loss if isinstance(loss, str) else f"{loss.name}({', '.join(loss.parameters)})",
)  # fmt: skip
def test_it_is_the_loss_of_the_problem(loss, peer, reduction):
    """48 elements summed in another order behind 4 layers: formulas are compared, not digits.

    A quarter of the examples are of the class that is ignored.
    """
    problem = network(3, loss=loss, reduction=reduction)
    given = float(loss_function(library(peer), problem)(*arrays_of(problem)))
    assert given == pytest.approx(float(ref.loss_value(problem)), rel=1e-13)


def test_the_arrays_are_those_of_the_problem_in_the_type_that_is_asked_for():
    problem = network(0, widths=(2, 3, 1), bias=False)
    pairs, x = arrays_of(problem, np.dtype(np.float32))
    assert [(weight.shape, weight.dtype, bias) for weight, bias in pairs] == [
        ((3, 2), np.float32, None), ((1, 3), np.float32, None),
    ]  # fmt: skip
    np.testing.assert_array_equal(x, problem.x.astype(np.float32))
    assert arrays_of(problem)[1].dtype == np.float64
