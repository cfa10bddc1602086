"""A small network node by node: every number by its name, and the chain rule as products along paths.

One notation, counted from 0, a layer first: z[l] are the pre-activations of layer l, z[l,i] that of its unit i;
W[l,i,j] is the weight of that unit for its input j, b[l,i] its bias; h[l] = a(z[l]); x[j] and y[k] are features of
the one example and outputs. All numbers are Python floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

import reference as ref

Path = tuple[str, ...]
"""The factors of a product, by name."""


def input_name(layer: int, unit: int) -> str:
    """The name of an input of a layer.

    >>> input_name(0, 1), input_name(1, 0)
    ('x[1]', 'h[0,0]')
    """
    return f"x[{unit}]" if layer == 0 else f"h[{layer - 1},{unit}]"


def output_name(mlp: ref.MLP, layer: int, unit: int) -> str:
    """The name of an output of a layer: y of the last one."""
    return f"y[{unit}]" if layer == len(mlp.layers) - 1 else f"h[{layer},{unit}]"


def nodes(problem: ref.Problem) -> dict[str, float]:
    """Every number of a problem of one example by its name, computed node by node.

    >>> mlp = ref.MLP((ref.Layer(np.array([[2.0, 0.5]]), np.array([1.0]), "tanh"),))
    >>> found = nodes(ref.Problem(mlp, np.array([[3.0, 4.0]]), np.array([[0.0]]), "mse"))
    >>> found["z[0,0]"], bool(found["y[0]"] == np.tanh(9.0))
    (9.0, True)
    """
    mlp = problem.mlp
    found = {f"x[{j}]": float(value) for j, value in enumerate(problem.x[0])}
    for l, layer in enumerate(mlp.layers):
        for i, weights in enumerate(np.asarray(layer.weight).tolist()):
            found |= {f"W[{l},{i},{j}]": weight for j, weight in enumerate(weights)}
            z = sum(weight * found[input_name(l, j)] for j, weight in enumerate(weights))
            if layer.bias is not None:
                found[f"b[{l},{i}]"] = float(np.asarray(layer.bias)[i])
                z += found[f"b[{l},{i}]"]
            found[f"z[{l},{i}]"] = z
            found[output_name(mlp, l, i)] = _apply(layer.activation.value, z)
            found[f"a′(z[{l},{i}])"] = _apply(layer.activation.derivative, z)
    y = np.array([[found[output_name(mlp, len(mlp.layers) - 1, k)] for k in range(mlp.layers[-1].weight.shape[0])]])
    d_y = np.asarray(ref.loss_gradient(problem, y))
    return found | {f"d_y[{k}]": float(d) for k, d in enumerate(d_y[0])}


def _apply(f: Any, z: float) -> float:
    return float(f(np.array([z]))[0])


def paths_to(mlp: ref.MLP, layer: int, unit: int) -> list[Path]:
    """The factors of ∂E/∂z[layer,unit]: one path from E for every way down to that unit."""
    slope = f"a′(z[{layer},{unit}])"
    if layer == len(mlp.layers) - 1:
        return [(f"d_y[{unit}]", slope)]
    return [
        (*path, f"W[{layer + 1},{above},{unit}]", slope)
        for above in range(mlp.layers[layer + 1].weight.shape[0])
        for path in paths_to(mlp, layer + 1, above)
    ]


def chains(mlp: ref.MLP) -> dict[str, list[Path]]:
    """The chain rule by node: the paths from E down to each parameter and input, each the product of its factors.

    >>> one = ref.MLP((ref.Layer(np.array([[2.0]]), np.array([1.0]), "tanh"),))
    >>> chains(one)["W[0,0,0]"]
    [('d_y[0]', 'a′(z[0,0])', 'x[0]')]
    """
    found: dict[str, list[Path]] = {}
    for l, layer in enumerate(mlp.layers):
        fan_out, fan_in = layer.weight.shape
        for i in range(fan_out):
            paths = paths_to(mlp, l, i)
            found |= {f"W[{l},{i},{j}]": [(*path, input_name(l, j)) for path in paths] for j in range(fan_in)}
            if layer.bias is not None:
                found[f"b[{l},{i}]"] = paths
    first = mlp.layers[0].weight
    return found | {
        f"x[{j}]": [(*path, f"W[0,{i},{j}]") for i in range(first.shape[0]) for path in paths_to(mlp, 0, i)]
        for j in range(first.shape[1])
    }


def along(paths: list[Path], named: Mapping[str, float]) -> float:
    """The sum over the paths of the products of their factors."""
    return sum(prod(named[factor] for factor in path) for path in paths)


def scalar_gradients(mlp: ref.MLP, named: Mapping[str, float]) -> dict[str, float]:
    """∂E/∂v for every parameter and input v, along the paths of `chains`, from the numbers of `nodes`."""
    return {name: along(paths, named) for name, paths in chains(mlp).items()}


def matrix_gradients(gradients: ref.Gradients) -> dict[str, float]:
    """The elements of a gradient tree of one example by the same names."""
    found: dict[str, float] = {}
    for l, layer in enumerate(gradients.layers):
        found |= {f"W[{l},{i},{j}]": float(d) for (i, j), d in np.ndenumerate(np.asarray(layer.weight))}
        if layer.bias is not None:
            found |= {f"b[{l},{i}]": float(d) for i, d in enumerate(np.asarray(layer.bias))}
    return found | {f"x[{j}]": float(d) for j, d in enumerate(np.asarray(gradients.input)[0])}
