"""Losses as operations: within a network, the same gradients as at its end."""

import numpy as np
import pytest

import reference as ref
from tests.helpers.comparing import assert_same


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    "name", [name for name in ref.LOSSES if name != "bce"]
)  # the last sigmoid and bce are one there
def test_a_loss_within_a_network_has_the_gradients_of_one_at_its_end(name, reduction):
    rng = np.random.default_rng(3)
    loss, weight, x = ref.losses.get(name), np.abs(rng.normal(size=(3, 4))), np.abs(rng.normal(size=(2, 5, 4)))
    target = {
        "classes": rng.integers(0, 3, (2, 5)),
        "indices": rng.integers(0, 3, (2, 5)),
        "signs": rng.choice([-1.0, 1.0], (2, 5, 3)),
        "labels": np.tile([2, 0, -1], (2, 5, 1)),
    }.get(loss.target, rng.random((2, 5, 3)))
    body = ref.Step("h", "linear", "x", "w")
    at_the_end = ref.Problem(ref.Network({"w": weight}, [body], output="h"), x, target, loss, reduction)
    within = ref.Network(
        {"w": weight},
        [body, ref.Step("y", ref.operations.of_loss(loss, reduction), "h", "expected")],
        constants={"expected": target},
    )
    found, expected = ref.gradients(ref.Problem(within, x, np.array(1.0), "inner_product")), ref.gradients(at_the_end)
    for place in ("w", "x", "loss"):
        assert_same(np.asarray(found[place]), np.asarray(expected[place]))


def test_without_a_reduction_every_example_has_its_own_loss_and_gradient():
    rng = np.random.default_rng(4)
    row, y, t = ref.operations.of_loss("cross_entropy", "none"), rng.normal(size=(2, 3, 4)), rng.integers(0, 4, (2, 3))
    loss, d_loss = row.value(y, t), rng.normal(size=(2, 3))
    assert loss.shape == (2, 3)
    d_y = row.pullback((y, t), loss, d_loss)[0]
    one_by_one = ref.operations.of_loss("cross_entropy", "sum")
    for n in np.ndindex(2, 3):
        alone = one_by_one.pullback((y[n][None], t[n][None]), loss[n], d_loss[n])[0]
        assert_same(d_y[n], alone[0])


def test_another_reduction_is_refused():
    with pytest.raises(ValueError, match="reduction: expected one of mean, sum, none, got 'batchmean'"):
        ref.operations.of_loss("mse", "batchmean")
