"""A small network step by step in both forms: what `explain` shows, as lines of text.

The matrix form comes from `reference.forward` and `reference.backward`; the other from the scalar chain rule, one
product of factors a path (`by_node`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

import reference as ref

from .by_node import Path, along, chains, input_name, matrix_gradients, nodes, output_name, scalar_gradients
from .small_network import WIDTHS

SYMBOLS = MappingProxyType({
    "negative_slope": "slope", "alpha": "α", "beta": "β", "delta": "δ", "lambd": "λ", "eps": "ε", "margin": "m",
    "weight": "w",
})  # fmt: skip
"""How formulas write parameters."""

PICTURE = """\
  x[0] ───── h[0,0]
       ╲   ╱        ╲
         ╳            y[0] ── E
       ╱   ╲        ╱
  x[1] ───── h[0,1]"""
NOTATION = """\
All counted from 0, the layer first:
  x[j]       feature j of the example
  W[l,i,j]   layer l, unit i, input j
  b[l,i]     bias of that unit
  z[l,i]     its pre-activation
  h[l,i]     its output a(z[l,i])
  y[k]       output k of the network"""


class Step(NamedTuple):
    """One step, in both forms: the lines of each."""

    matrix: Sequence[str]
    node_by_node: Sequence[str]


class Part(NamedTuple):
    """What stands under one heading."""

    heading: str
    said: str
    steps: Sequence[Step] = ()


def units_apart(a: float, b: float) -> int:
    """How many units in the last place of the larger one two numbers lie apart, rounded up.

    >>> units_apart(1.0, 1.0), units_apart(1.0, 1.0 + 2**-52), units_apart(1.0, 2.0) == 2**51
    (0, 1, True)
    """
    return 0 if a == b else int(np.ceil(abs(a - b) / np.spacing(max(abs(a), abs(b)))))


def parts(problem: ref.Problem) -> list[Part]:
    """The network, forward pass, what is stored, loss and backward pass of a problem of one example."""
    trace, named = ref.forward(problem.mlp, problem.x), nodes(problem)
    g = ref.backward(problem.mlp, trace, ref.loss_gradient(problem, trace.output))
    return [
        _network(problem, named),
        _forward(problem, trace, named),
        _stored(trace),
        _loss(problem, trace),
        _backward(problem, trace, g, named),
        _agreement(scalar_gradients(problem.mlp, named), matrix_gradients(g)),
    ]


def _network(problem: ref.Problem, named: Mapping[str, float]) -> Part:
    layers = problem.mlp.layers
    row, widths = layers[0].activation, [problem.x.shape[1], *(layer.weight.shape[0] for layer in layers)]
    said = [NOTATION, "", f"a(z) = {row.formula}", f"a′(z) = {row.slope_formula}"]
    said += [f"  with {text}" for text in _parameters(row)]
    if row.all_breaks:
        said += [f"  a′({kink.at:g}) is taken as {kink.derivative:.6g}" for kink in row.kinks]
    if tuple(widths) == WIDTHS:
        said = [PICTURE, "", *said]
    steps = [Step(["x, one example a row", *_matrix(problem.x)], _values([f"x[{j}]" for j in range(widths[0])], named))]
    for l, layer in enumerate(layers):
        weights, biases = _parameter_names(problem.mlp, l)
        steps.append(Step([f"W[{l}], one unit a row", *_matrix(layer.weight)], _values(weights, named)))
        steps.append(Step([f"b[{l}]", *_matrix(layer.bias)], _values(biases, named)))
    steps.append(Step(["t, the target", *_matrix(problem.target)], []))
    return Part(f"The {'-'.join(map(str, widths))} network, a = {row.name}", "\n".join(said), steps)


def _parameter_names(mlp: ref.MLP, layer: int) -> tuple[list[str], list[str]]:
    """The names of a layer's weights, row by row, and of its biases."""
    fan_out, fan_in = mlp.layers[layer].weight.shape
    weights = [f"W[{layer},{i},{j}]" for i in range(fan_out) for j in range(fan_in)]
    return weights, [f"b[{layer},{i}]" for i in range(fan_out)]


def _parameters(row: Any) -> list[str]:
    """The parameters of a row with their values, as its formula writes them."""
    found = {SYMBOLS.get(name, name): value for name, value in row.parameters.items()}
    if row.name == "rrelu":
        found["slope"] = (found["lower"] + found["upper"]) / 2
    if row.name == "selu":
        scale, left = row.derivative(np.array([1.0, 0.0])).tolist()
        found = {"λ": scale, "α": left / scale}
    return [
        f"{name} = {value:.6g}" if isinstance(value, float) else f"{name} = {value}" for name, value in found.items()
    ]


def _forward(problem: ref.Problem, trace: ref.Trace, named: Mapping[str, float]) -> Part:
    mlp, steps = problem.mlp, []
    for l, (layer, z) in enumerate(zip(mlp.layers, trace.preactivations, strict=True)):
        below, out = _input(l), "y" if l == len(mlp.layers) - 1 else f"h[{l}]"
        sums, values = [], []
        for i in range(layer.weight.shape[0]):
            terms = [f"W[{l},{i},{j}]·{input_name(l, j)}" for j in range(layer.weight.shape[1])]
            sums += [f"z[{l},{i}]", f"  = {' + '.join([*terms, f'b[{l},{i}]'])}", f"  = {named[f'z[{l},{i}]']:.6g}"]
            name = output_name(mlp, l, i)
            values.append(f"{name} = a(z[{l},{i}]) = {named[name]:.6g}")
        made = trace.output if out == "y" else trace.inputs[l + 1]
        steps.append(Step([f"z[{l}] = {below} W[{l}]ᵀ + b[{l}]", *_matrix(z)], sums))
        steps.append(Step([f"{out} = a(z[{l}])", *_matrix(made)], values))
    return Part("Forward pass", "Multiply by the weights, add the bias, activate.", steps)


def _stored(trace: ref.Trace) -> Part:
    steps = [
        Step([f"layer {l}, its input: {_input(l)}", *_matrix(x)], [f"its pre-activation: z[{l}]", *_matrix(z)])
        for l, (x, z) in enumerate(zip(trace.inputs, trace.preactivations, strict=True))
    ]
    return Part("What is stored", "For the backward pass, and the output y; nothing of this is computed again.", steps)


def _loss(problem: ref.Problem, trace: ref.Trace) -> Part:
    row, value = problem.loss, float(np.asarray(ref.loss_value(problem, trace.output)))
    divisor = float(np.asarray(row.divisor(trace.output, problem.target)))
    said = [f"{row.name}: {row.formula}"] + [f"  with {text}" for text in _parameters(row)]
    if divisor != 1:
        said.append(f"E is the sum, divided by {divisor:g}: the mean.")
    if row.name == "half_squared_error":
        half = [f"E = ½(t[0] − y[0])² = {value:.6g}"] if trace.output.size == 1 else []
        return Part("Loss", "", [Step(["E = ½‖t − y‖²", *_matrix(value)], half)])
    return Part("Loss", "\n".join(said), [Step(["E", *_matrix(value)], [])])


def _backward(problem: ref.Problem, trace: ref.Trace, g: ref.Gradients, named: Mapping[str, float]) -> Part:
    """The steps of `reference.backward`, each shown with its matrices."""
    layers, steps, paths = problem.mlp.layers, [], chains(problem.mlp)
    d: Any = ref.loss_gradient(problem, trace.output)
    squares = problem.loss.name == "half_squared_error"
    first = []
    for k, value in enumerate(d[0].tolist()):
        first += [f"∂E/∂y[{k}] = d_y[{k}]", *([f"  = y[{k}] − t[{k}]"] if squares else []), f"  = {value:.6g}"]
    steps.append(Step(["d_y = y − t" if squares else "d_y = ∂E/∂y", *_matrix(d)], first))
    for l in reversed(range(len(layers))):
        layer, z, out = layers[l], trace.preactivations[l], "y" if l == len(layers) - 1 else f"h[{l}]"
        d = layer.activation.pullback(z, d)
        slopes = [f"a′(z[{l},{i}])" for i in range(layer.weight.shape[0])]
        weights, biases = _parameter_names(problem.mlp, l)
        steps.append(Step([f"d_z[{l}] = d_{out} ∘ a′(z[{l}])", *_matrix(d)], _values(slopes, named)))
        steps.append(_chained(f"d_W[{l}] = d_z[{l}]ᵀ {_input(l)}", g.layers[l].weight, weights, paths, named))
        steps.append(_chained(f"d_b[{l}] = Σ over rows of d_z[{l}]", g.layers[l].bias, biases, paths, named))
        d = d @ layer.weight
        if l:
            steps.append(Step([f"d_h[{l - 1}] = d_z[{l}] W[{l}]", *_matrix(d)], []))
    steps.append(_chained("d_x = d_z[0] W[0]", g.input, [f"x[{j}]" for j in range(problem.x.shape[1])], paths, named))
    return Part("Backward pass", "d_v stands for ∂E/∂v.", steps)


def _chained(
    formula: str, values: Any, names: Sequence[str], paths: Mapping[str, list[Path]], named: Mapping[str, float]
) -> Step:
    """A gradient's matrix equation beside the chain rule of each of its elements."""
    lines = []
    for name in names:
        lines.append(f"∂E/∂{name}")
        for write in (str, lambda factor: _number(named[factor])):
            products = ["·".join(map(write, path)) for path in paths[name]]
            lines += [f"  {'+' if k else '='} {text}" for k, text in enumerate(products)]
        lines.append(f"  = {along(paths[name], named):.6g}")
    return Step([formula, *_matrix(values)], lines)


def _agreement(scalar: dict[str, float], matrix: dict[str, float]) -> Part:
    apart = {name: units_apart(scalar[name], matrix[name]) for name in scalar}
    worst = max(apart, key=lambda name: apart[name])
    if apart[worst] == 0:
        said = f"The two agree in every digit of all {len(apart)} parameters and inputs."
    else:
        units = f"{apart[worst]} unit{'s' * (apart[worst] > 1)} in the last place"
        said = f"The two differ by at most {units}, at ∂E/∂{worst}."
    reuse = "Every chain of a layer begins alike: the matrix form computes that once, d_z."
    return Part("Matrix form and node by node", f"{said}\n{reuse}\nNumPy computed all of this, without torch.")


def _input(layer: int) -> str:
    return "x" if layer == 0 else f"h[{layer - 1}]"


def _values(names: Sequence[str], named: Mapping[str, float]) -> list[str]:
    return [f"{name} = {named[name]:.6g}" for name in names]


def _number(value: float) -> str:
    return f"({value:.4g})" if value < 0 else f"{value:.4g}"


def _matrix(values: Any) -> list[str]:
    rows = [[f"{v:.6g}" for v in row] for row in np.atleast_2d(values).tolist()]
    width = max(len(cell) for row in rows for cell in row)
    return ["  [ " + "  ".join(cell.rjust(width) for cell in row) + " ]" for row in rows]
