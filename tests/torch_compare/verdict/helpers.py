"""The network that verdicts are tried on."""

import numpy as np

import reference as ref


def tanh_problem(dtype=np.float64, seed=0):
    """8-16-16-4 with a batch of 8: BASELINES' network."""
    rng = np.random.default_rng(seed)
    mlp = ref.initialize([8, 16, 16, 4], ["tanh", "tanh", "identity"], seed=seed, dtype=dtype)
    return ref.Problem(mlp, rng.normal(size=(8, 8)).astype(dtype), rng.normal(size=(8, 4)).astype(dtype), "mse")


def with_rounded_products(problem, rounded):
    """A backward pass in the problem's type whose matrix products round their operands first, by the function given."""
    h, inputs, slopes = problem.x, [], []
    for layer in problem.mlp.layers:
        inputs.append(h)
        z = rounded(h) @ rounded(layer.weight).T + layer.bias
        slopes.append(layer.activation.derivative(z))
        h = layer.activation.value(z)
    d_h = ref.loss_gradient(problem, h)
    found = {"loss": ref.loss_value(problem, h)}
    for l in reversed(range(len(problem.mlp.layers))):
        d_z = d_h * slopes[l]
        found |= {f"layers[{l}].weight": rounded(d_z).T @ rounded(inputs[l]), f"layers[{l}].bias": d_z.sum(axis=0)}
        d_h = rounded(d_z) @ rounded(problem.mlp.layers[l].weight)
    return found | {"input": d_h}
