"""A training goes on from an earlier one of its own kind only, and everything that differs is named."""

import pickle

import numpy as np
import pytest

import reference as ref
from reference import optimizers as opt
from reference.training.training import Training
from tests.reference.training.helpers import OPTIMIZERS, small_problem


def own_tanh(z):
    return np.tanh(z)


def problem(activation="tanh", bias=True, dtype=np.float64, loss="cross_entropy", reduction="mean", seed=0, width=4):
    start = small_problem(seed=seed, dtype=dtype)
    mlp = ref.initialize([3, width, 2], [activation, "identity"], seed=0, dtype=dtype, bias=bias)
    return ref.Problem(mlp, start.x, start.target, loss, reduction)


def train(start=None, optimizer=None, batch_size=6, seed=0, resume=None):
    optimizer = optimizer or opt.adam(lr=0.01)
    return ref.train(start or problem(), optimizer, max_steps=5, batch_size=batch_size, seed=seed, resume=resume)


LEAKY = "leaky_relu(negative_slope=0.2)"
WEIGHTED = ref.losses.cross_entropy(weight=np.array([0.25, 0.75]))
DIFFERENCES = [
    ({"start": problem("relu")}, r"layers\[0\]\.activation: expected tanh, got relu"),
    (
        {"start": problem(width=5)},
        r"layers\[0\]\.weight: expected float64 of shape \(4, 3\), got float64 of shape \(5,",
    ),
    ({"start": problem(bias=False)}, r"layers\[0\]\.bias: expected float64 of shape \(4,\), got none"),
    ({"start": problem(dtype=np.float32)}, r"layers\[0\]\.weight: expected float64 of .*, got float32"),
    (
        {"start": problem(loss=WEIGHTED)},
        r"loss: expected cross_entropy\(weight=None.*, got cross_entropy\(weight=array",
    ),
    ({"start": problem(reduction="sum")}, "reduction: expected mean, got sum"),
    ({"start": problem(seed=1)}, "x: expected float64 of shape .* got float64 of shape .*; target: expected int64"),
    ({"optimizer": opt.adam(lr=0.02)}, r"optimizer: expected adam\(lr=0\.01, .*, got adam\(lr=0\.02"),
    ({"optimizer": opt.adamw(lr=0.01)}, r"optimizer: expected adam\(.*, got adamw\("),
    ({"batch_size": None}, "batch_size: expected 6, got None"),
    ({"batch_size": 5}, "batch_size: expected 6, got 5"),
    ({"seed": 1}, "seed: expected 0, got 1"),
]


@pytest.mark.parametrize(("arguments", "message"), DIFFERENCES)
def test_a_training_of_another_kind_is_refused(arguments, message):
    other = train(**arguments)
    with pytest.raises(ValueError, match=f"resume: a training of another kind: .*{message}"):
        train(resume=other)


def test_parameters_of_an_activation_are_compared():
    here, there = (problem(ref.activations.leaky_relu(slope)) for slope in (0.2, 0.3))
    with pytest.raises(ValueError, match=r"activation: expected leaky_relu\(negative_slope=0\.2\), got .*=0\.3"):
        train(here, resume=train(there))
    assert train(here, resume=train(problem(ref.activations.leaky_relu(0.2)))).steps == 5


def test_all_that_differs_is_named():
    with pytest.raises(ValueError, match=r"activation: expected .*; optimizer: expected .*; batch_size: expected 6"):
        train(resume=train(problem("relu"), opt.sgd(), batch_size=3))


def test_a_row_of_the_same_name_with_other_functions():
    row = ref.ACTIVATIONS["tanh"]
    other = ref.Activation("tanh", row.formula, row.source, own_tanh, row.derivative, row.second_derivative)
    with pytest.raises(ValueError, match="activation: expected tanh, got tanh with other functions"):
        train(resume=train(problem(other)))


def test_the_seed_of_batches_that_are_not_shuffled_does_not_count():
    assert train(batch_size=None, seed=1, resume=train(batch_size=None, seed=0)).steps == 5


def test_a_state_and_a_number_of_steps_go_on_with_whatever_is_given():
    part = train()
    start = problem("relu").replace(network=part.mlp)
    rest = ref.train(start, opt.adam(lr=0.001), max_steps=7, batch_size=3, resume=(part.state, part.steps))
    assert rest.steps == 7


@pytest.mark.parametrize("step", [-1, 1.5, None, True])
def test_a_state_of_no_number_of_steps(step):
    state = train().state | {"step": step}
    with pytest.raises(
        ValueError, match=r"resume: state of adam\['step'\]: expected the number of steps made, 0 or more"
    ):
        train(resume=(state, 5))


def test_a_masked_state_is_refused():
    state = train().state
    state |= {"exp_avg": (np.ma.masked_less(state["exp_avg"][0], 0.0), *state["exp_avg"][1:])}
    with pytest.raises(TypeError, match=r"resume: state of adam, exp_avg\[0\]: a masked array"):
        train(resume=(state, 5))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_training_is_pickled_and_goes_on_as_before(name):
    problem = small_problem()
    part = ref.train(problem, OPTIMIZERS[name], max_steps=3, batch_size=6)
    again = pickle.loads(pickle.dumps(part))
    assert isinstance(again, Training)
    assert again.course == part.course
    whole, rest = (
        ref.train(problem, OPTIMIZERS[name], max_steps=6, batch_size=6, resume=each) for each in (part, again)
    )
    assert rest.losses.tobytes() == whole.losses.tobytes()
    assert rest.evaluated == whole.evaluated
