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
