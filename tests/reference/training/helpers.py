"""What the tests of training share: an optimiser of every kind, and a problem that trains in no time."""

import numpy as np

import reference as ref
from reference import optimizers as opt

OPTIMIZERS = {name: maker() for name, maker in opt.OPTIMIZERS.items() if name != "muon"} | {
    "muon": opt.muon(lr=0.02, others=opt.adamw()),
    "momentum": opt.sgd(lr=0.01, momentum=0.9),
    "amsgrad": opt.adam(amsgrad=True),
    "centred rmsprop": opt.rmsprop(centered=True, momentum=0.5),
    "lbfgs with a line search": opt.lbfgs(line_search_fn="strong_wolfe", max_iter=3),
}
"""One of every kind of state."""


def small_problem(seed=0, dtype=np.float64, examples=20):
    """A 3-4-2 network of two classes."""
    rng = np.random.default_rng(seed)
    mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=seed, dtype=dtype)
    x = rng.normal(size=(examples, 3)).astype(dtype)
    return ref.Problem(mlp, x, (x[:, 0] > 0).astype(int), "cross_entropy")


def one_weight(weight=0.0, dtype=np.float64):
    """½(w − 1)² of one weight: gradient descent multiplies the distance from 1 by 1 − η."""
    mlp = ref.MLP((ref.Layer(np.array([[weight]], dtype), None, "identity"),))
    return ref.Problem(mlp, np.ones((1, 1), dtype), np.ones((1, 1), dtype), "half_squared_error")


def exploding(widths=(1, 1, 1), dtype=np.float64):
    mlp = ref.initialize(widths, ["identity"] * (len(widths) - 1), seed=0, dtype=dtype, bias=False)
    return ref.Problem(mlp, np.ones((1, 1), dtype), np.ones((1, 1), dtype), "mse")
