"""What a training cannot be given is named."""

import numpy as np
import pytest

import reference as ref
from reference import optimizers as opt
from tests.reference.training.helpers import one_weight, small_problem


def trained(start=None, optimizer=None, **arguments):
    return ref.train(start or small_problem(), optimizer or opt.adam(), **({"max_steps": 3} | arguments))


@pytest.mark.parametrize(("arguments", "kind", "message"), [
    ({"start": 3}, TypeError, "start: expected a Problem or an MLP, got int"),
    ({"start": small_problem().mlp}, TypeError, r"start: an MLP needs data=\(x, target\) and loss="),
    ({"loss": "mse"}, TypeError, "start: a Problem has its own"),
    ({"data": (1, 2)}, TypeError, "start: a Problem has its own"),
    ({"reduction": "sum"}, TypeError, "start: a Problem has its own"),
    ({"start": small_problem().replace(reduction="none")}, ValueError, 'reduction: "none"'),
    ({"optimizer": "adam"}, TypeError, "optimizer: expected one of reference.optimizers, got str"),
    ({"optimizer": opt.adam}, TypeError, "optimizer: expected one of reference.optimizers, got function"),
    ({"until": "low"}, TypeError, "until: expected a loss or None, got 'low'"),
    ({"until": float("nan")}, ValueError, "until: no loss is at most NaN"),
    ({"max_steps": -1}, ValueError, "max_steps: expected at least 0, got -1"),
    ({"max_steps": 2.0}, TypeError, r"max_steps: expected an integer, got 2\.0"),
    ({"max_steps": True}, TypeError, "max_steps: expected an integer, got True"),
    ({"batch_size": 0}, ValueError, "batch_size: expected at least 1 and at most 20, the number of examples, got 0"),
    ({"batch_size": 21}, ValueError, "batch_size: expected at least 1 and at most 20"),
    ({"seed": -1}, ValueError, "seed: expected at least 0, got -1"),
    ({"seed": None}, TypeError, "seed: expected an integer"),
    ({"resume": 3}, TypeError, r"resume: expected a Training or \(state, steps\), got int"),
    ({"resume": (opt.adam().init(small_problem().mlp), -1)}, ValueError, "resume: expected the number of updates"),
    ({"resume": (opt.sgd().init(small_problem().mlp), 1)}, ValueError, "resume: state of adam: expected step, exp_avg"),
    ({"resume": (opt.adam().init([np.ones(2)]), 1)}, ValueError, "resume: state of adam, exp_avg: expected 4 entries"),
    ({"resume": (opt.adam().init(ref.initialize([3, 5, 2], ["tanh", "identity"], seed=0)), 1)}, ValueError,
     r"resume: state of adam, exp_avg\[0\]: expected float64 of shape \(4, 3\), got float64 of shape \(5, 3\)"),
    ({"resume": (opt.adam().init(small_problem(dtype=np.float32).mlp), 1)}, ValueError,
     r"exp_avg\[0\]: expected float64 of shape \(4, 3\), got float32 of shape \(4, 3\)"),
    ({"resume": ref.train(one_weight(), opt.adam(), max_steps=1)}, ValueError,
     "resume: a training of another kind: layers: expected 2, got 1; loss: expected cross_entropy.*, got half_squared"),
])  # fmt: skip
def test_bad_input_is_named(arguments, kind, message):
    with pytest.raises(kind, match=message):
        trained(**arguments)


def test_data_that_are_not_finite_are_named():
    problem = small_problem()
    x = problem.x.copy()
    x[4, 1] = np.nan
    with pytest.raises(ValueError, match=r"x\[4, 1\]: expected a finite number, got nan"):
        trained(problem.replace(x=x))
