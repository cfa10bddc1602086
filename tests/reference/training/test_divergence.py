"""Where the loss is not finite, the first thing that is not is named."""

import numpy as np

import reference as ref
from reference import optimizers as opt
from reference.training.training import batch_order
from tests.reference.training.helpers import one_weight


def test_a_pre_activation_that_overflows_is_named():
    mlp = ref.MLP(tuple(ref.Layer(np.array([[w]]), None, "identity") for w in (1.0, 1e200, 1e200, 1.0)))
    got = ref.train(ref.Problem(mlp, np.ones((1, 1)), np.ones((1, 1)), "mse"), opt.sgd(), max_steps=5)
    assert (got.steps, got.reached) == (0, False)
    assert got.stopped == "loss inf at step 1: first not finite is the pre-activation of layers[2], [0, 0] = inf"


def test_a_loss_that_overflows_alone_is_named():
    got = ref.train(one_weight(1e200), opt.sgd(), max_steps=5)
    assert got.stopped == (
        "loss inf at step 1: every output of the network is finite, half_squared_error of them is not"
    )


def test_an_output_that_overflows_is_named():
    mlp = ref.MLP((ref.Layer(np.array([[1e200]]), None, "square"), ref.Layer(np.array([[1.0]]), None, "identity")))
    got = ref.train(ref.Problem(mlp, np.ones((1, 1)), np.ones((1, 1)), "mse"), opt.sgd(), max_steps=5)
    assert got.stopped == "loss inf at step 1: first not finite is the output of layers[0], [0, 0] = inf"


def test_a_gradient_that_overflows_is_named_with_its_step():
    """The loss of step 1 is 2¹²⁰; the first layer's gradient is 2⁶¹·2⁶⁰·2⁷⁰, beyond float32."""
    weights = (np.array([[2.0**power]], np.float32) for power in (-70, 60))
    mlp = ref.MLP(tuple(ref.Layer(weight, None, "identity") for weight in weights))
    x = np.array([[2.0**70]], np.float32)
    got = ref.train(ref.Problem(mlp, x, np.zeros((1, 1), np.float32), "mse"), opt.sgd(lr=1e-30), max_steps=5)
    assert got.steps == 1
    assert got.stopped == (
        "loss inf at step 2: first not finite is the gradient of layers[0].weight[0, 0] = inf at step 1"
    )


def test_an_update_that_overflows_is_named_with_its_step():
    got = ref.train(one_weight(3.0, np.float32), opt.sgd(lr=3e38), max_steps=9)
    assert got.steps == 1
    assert got.stopped == "loss inf at step 2: first not finite is layers[0].weight[0, 0] = -inf, after step 1"


def test_a_loss_that_overflows_after_the_last_step_is_noticed():
    got = ref.train(one_weight(3.0, np.float32), opt.sgd(lr=3e38), max_steps=1)
    assert got.stopped == "loss inf after 1 steps: first not finite is layers[0].weight[0, 0] = -inf, after step 1"


def test_a_batch_without_a_target_that_counts_is_named():
    mlp = ref.initialize([1, 2], ["identity"], seed=0)
    target = np.array([0, 1, -100, -100])
    problem = ref.Problem(mlp, np.ones((4, 1)), target, "cross_entropy")
    seed = next(s for s in range(100) if set(batch_order(4, s, 0)[:2]) == {2, 3})
    got = ref.train(problem, opt.sgd(), max_steps=5, batch_size=2, seed=seed)
    assert got.stopped == "loss nan at step 1: no target of the batch counts, so cross_entropy has no mean"


def test_class_weights_of_zero_leave_no_mean_either():
    loss = ref.losses.nll(weight=np.array([1.0, 0.0]))
    mlp = ref.initialize([1, 2], ["log_softmax"], seed=0)
    problem = ref.Problem(mlp, np.ones((2, 1)), np.array([0, 1]), loss).replace(target=np.array([1, 1]))
    got = ref.train(problem, opt.sgd(), max_steps=5)
    assert got.stopped == "loss nan at step 1: no target of the batch counts, so nll has no mean"
