"""Networks whose gradients are made wrong in a known way."""

import numpy as np

import reference as ref


def network(widths, activations, examples=9, loss="mse", seed=0):
    """A random problem with biases; its targets are classes for the cross entropy."""
    rng = np.random.default_rng(seed)
    mlp = ref.initialize(widths, activations, seed=seed)
    layers = tuple(ref.Layer(l.weight, rng.normal(size=len(l.weight)), l.activation) for l in mlp.layers)
    classes, values = rng.integers(0, widths[-1], examples), rng.normal(size=(examples, widths[-1]))
    target = classes if loss == "cross_entropy" else values
    return ref.Problem(ref.MLP(layers), rng.normal(size=(examples, widths[0])), target, loss)


def leaves_of(problem, *without):
    """The right gradients by place, the loss and others left out where asked."""
    return {place: leaf for place, leaf in ref.gradients(problem).leaves().items() if place not in without}
