"""The chapter's 2-2-1 network step by step: matrices on the left, the same numbers node by node on the right.

Two inputs x1, x2; two hidden units h1, h2; one output y; E = ½(t − a(z3))², the activation a applied at
the output too. The left-hand numbers come from `reference.forward` and `reference.backward`; the
right-hand ones from the scalar chain rule, one product of factors a path, in Python floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

import reference as ref

X = ((1.0, 0.5),)
WEIGHTS = (((0.75, -0.5), (-1.0, 0.125)), ((0.5, 0.375),))
BIASES = ((0.25, 0.375), (0.5,))
TARGET = ((0.25,),)
"""Multiples of 1/8, so that nothing but the activation rounds in the first layer; on no kink of the table."""

_HIDDEN_1, _HIDDEN_2 = ("y − t", "a′(z3)", "w5", "a′(z1)"), ("y − t", "a′(z3)", "w6", "a′(z2)")

CHAINS: dict[str, tuple[tuple[str, ...], ...]] = {
    "w5": (("y − t", "a′(z3)", "h1"),),
    "w6": (("y − t", "a′(z3)", "h2"),),
    "b3": (("y − t", "a′(z3)"),),
    "w1": ((*_HIDDEN_1, "x1"),),
    "w2": ((*_HIDDEN_1, "x2"),),
    "w3": ((*_HIDDEN_2, "x1"),),
    "w4": ((*_HIDDEN_2, "x2"),),
    "b1": (_HIDDEN_1,),
    "b2": (_HIDDEN_2,),
    "x1": ((*_HIDDEN_1, "w1"), (*_HIDDEN_2, "w3")),
    "x2": ((*_HIDDEN_1, "w2"), (*_HIDDEN_2, "w4")),
}
"""The chain rule by node: the paths from E down to each variable, each path the product of its factors."""

PICTURE = """\
  x1 ──w1── h1
     ╲w3  ╱   ╲w5
       ╳        y ── E = ½(t − y)²
     ╱w2  ╲   ╱w6
  x2 ──w4── h2          biases: b1 at h1, b2 at h2, b3 at y"""


def example(activation: str = "tanh") -> ref.Problem:
    """The 2-2-1 problem with this activation in both layers.

    Raises:
        ValueError: no row has that name, or the row does not act element by element.

    >>> example("tanh").mlp.layers[0].weight
    array([[ 0.75 , -0.5  ],
           [-1.   ,  0.125]])
    """
    row = ref.activations.get(activation)
    if row.rowwise:
        names = ", ".join(name for name, other in ref.ACTIVATIONS.items() if not other.rowwise)
        raise ValueError(
            f"explain: {row.name} acts along a whole row, and the example's nodes each have a derivative of their own; "
            f"choose one of {names}"
        )
    layers = (ref.Layer(np.array(w), np.array(b), row) for w, b in zip(WEIGHTS, BIASES, strict=True))
    return ref.Problem(ref.MLP(tuple(layers)), np.array(X), np.array(TARGET), loss=ref.LOSSES["half_squared_error"])


def nodes(problem: ref.Problem) -> dict[str, float]:
    """Every number of a 2-2-1 problem by its name in the chapter, computed node by node.

    >>> nodes(example("identity"))["z1"]
    0.75
    """
    first, second = problem.mlp.layers
    names: dict[str, Any] = dict(zip(("w1", "w2", "w3", "w4"), _flat(first.weight), strict=True))
    names |= zip(("w5", "w6"), _flat(second.weight), strict=True)
    names |= zip(("b1", "b2", "b3"), [*_flat(first.bias), *_flat(second.bias)], strict=True)
    names |= zip(("x1", "x2"), _flat(problem.x), strict=True)
    n: dict[str, float] = names | {"t": float(np.asarray(problem.target)[0, 0])}
    n["z1"] = n["w1"] * n["x1"] + n["w2"] * n["x2"] + n["b1"]
    n["z2"] = n["w3"] * n["x1"] + n["w4"] * n["x2"] + n["b2"]
    n["h1"], n["h2"] = _apply(first.activation.value, n["z1"]), _apply(first.activation.value, n["z2"])
    n["z3"] = n["w5"] * n["h1"] + n["w6"] * n["h2"] + n["b3"]
    n["y"] = _apply(second.activation.value, n["z3"])
    n["E"] = (n["t"] - n["y"]) * (n["t"] - n["y"]) / 2
    n["y − t"] = n["y"] - n["t"]
    for name, row in (("z1", first.activation), ("z2", first.activation), ("z3", second.activation)):
        n[f"a′({name})"] = _apply(row.derivative, n[name])
    return n


def _flat(values: Any) -> list[float]:
    return [float(v) for v in values.ravel()]


def _apply(f: Any, z: float) -> float:
    return float(f(np.array([z]))[0])


def scalar_gradients(problem: ref.Problem) -> dict[str, float]:
    """∂E/∂v for every parameter and input v of a 2-2-1 problem: products along the paths of `CHAINS`.

    >>> scalar_gradients(example("identity"))["b3"]
    0.4140625
    """
    n = nodes(problem)
    return {name: sum(prod(n[f] for f in path) for path in paths) for name, paths in CHAINS.items()}


def matrix_gradients(gradients: ref.Gradients) -> dict[str, float]:
    """The elements of a 2-2-1 network's gradient tree by their names in the chapter.

    >>> matrix_gradients(ref.gradients(example("identity")))["b3"]
    0.4140625
    """
    first, second = gradients.layers
    named = (
        (("w1", "w2", "w3", "w4"), first.weight), (("b1", "b2"), first.bias),
        (("w5", "w6"), second.weight), (("b3",), second.bias), (("x1", "x2"), gradients.input),
    )  # fmt: skip
    return {name: value for names, leaf in named for name, value in zip(names, _flat(leaf), strict=True)}


def units_apart(a: float, b: float) -> int:
    """How many units in the last place of the larger one two numbers lie apart, rounded up.

    >>> units_apart(1.0, 1.0), units_apart(1.0, 1.0 + 2**-52), units_apart(1.0, 2.0) == 2**51
    (0, 1, True)
    """
    return 0 if a == b else int(np.ceil(abs(a - b) / np.spacing(max(abs(a), abs(b)))))


def explain(activation: str = "tanh", console: Console | None = None) -> None:
    """Print the 2-2-1 example: the network, forward pass, what is stored, loss and backward pass.

    Args:
        activation: the name of an elementwise row of `reference.ACTIVATIONS`.
        console: where to print; the terminal if not given.

    Raises:
        ValueError: no row has that name, or the row does not act element by element.

    >>> import io
    >>> console = Console(file=io.StringIO(), width=80)
    >>> explain("tanh", console)
    >>> "d_W[0] = d_z[0]ᵀ x" in console.file.getvalue()
    True
    """
    problem = example(activation)
    page = _Page(console or Console(), nodes(problem))
    trace = ref.forward(problem.mlp, problem.x)
    d_y = ref.loss_gradient(problem, trace.output)
    g = ref.backward(problem.mlp, trace, d_y)
    _network(page, problem)
    _forward(page, trace)
    _stored(page, trace)
    page.heading("Loss")
    page.beside("E = ½‖t − y‖²", ref.loss_value(problem, trace.output), ["E"], "½(t − y)²")
    _backward(page, problem, trace, d_y, g)
    _agreement(page, scalar_gradients(problem), matrix_gradients(g))


class _Page:
    """Two columns on a console: the matrix form, and the same node by node."""

    def __init__(self, console: Console, named: Mapping[str, float]) -> None:
        self.console = console
        self.named = named

    def heading(self, text: str) -> None:
        self.console.print(Rule(Text(text, style="bold"), align="left", style="dim"))

    def line(self, text: str) -> None:
        self.console.print(Text(text))

    def columns(self, left: Sequence[str], right: Sequence[str]) -> None:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=30, overflow="fold")
        table.add_column(overflow="fold")
        table.add_row(Text("\n".join(left), style="cyan"), Text("\n".join(right)))
        self.console.print(table)
        self.console.print()

    def beside(self, formula: str, values: Any, names: Sequence[str], scalar: str = "") -> None:
        """A matrix equation beside the named numbers of which it is made."""
        right = [f"{n} = {scalar + ' = ' if scalar else ''}{self.named[n]:.6g}" for n in names]
        self.columns([formula, *_matrix(values)], right)

    def chain(self, formula: str, values: Any, names: Sequence[str]) -> None:
        """A gradient's matrix equation beside the chain rule of each of its elements."""
        right = []
        for name in names:
            paths = CHAINS[name]
            factors = ["·".join(f"({f})" if " " in f else f for f in path) for path in paths]
            numbers = ["·".join(_number(self.named[f]) for f in path) for path in paths]
            total = sum(prod(self.named[f] for f in path) for path in paths)
            right += _sum(f"∂E/∂{name} = ", factors) + _sum("       = ", numbers) + [f"       = {total:.6g}"]
        self.columns([formula, *_matrix(values)], right)


def _sum(start: str, terms: Sequence[str]) -> list[str]:
    """One line a term: an indented plus joins those after the first."""
    return [(start if i == 0 else " " * (len(start) - 2) + "+ ") + term for i, term in enumerate(terms)]


def _number(value: float) -> str:
    return f"({value:.4g})" if value < 0 else f"{value:.4g}"


def _matrix(values: Any) -> list[str]:
    rows = [[f"{v:.6g}" for v in row] for row in np.atleast_2d(values).tolist()]
    width = max(len(cell) for row in rows for cell in row)
    return ["  [ " + "  ".join(cell.rjust(width) for cell in row) + " ]" for row in rows]


def _network(page: _Page, problem: ref.Problem) -> None:
    row = problem.mlp.layers[0].activation
    page.heading(f"The 2-2-1 network, a = {row.name}")
    page.line(f"{PICTURE}\n  a(z) = {row.formula}\n")
    page.beside("x, one example a row", problem.x, ["x1", "x2"])
    page.beside("W[0], one unit a row", problem.mlp.layers[0].weight, ["w1", "w2", "w3", "w4"])
    page.beside("b[0]", problem.mlp.layers[0].bias, ["b1", "b2"])
    page.beside("W[1]", problem.mlp.layers[1].weight, ["w5", "w6"])
    page.beside("b[1]", problem.mlp.layers[1].bias, ["b3"])
    page.beside("t", problem.target, ["t"])


def _forward(page: _Page, trace: ref.Trace) -> None:
    page.heading("Forward pass: multiply by the weights, add the bias, activate")
    n = page.named
    sums = ["z1 = w1·x1 + w2·x2 + b1", f"   = {n['z1']:.6g}", "z2 = w3·x1 + w4·x2 + b2", f"   = {n['z2']:.6g}"]
    page.columns(["z[0] = x W[0]ᵀ + b[0]", *_matrix(trace.preactivations[0])], sums)
    page.columns(
        ["h[0] = a(z[0])", *_matrix(trace.inputs[1])],
        [f"h1 = a(z1) = {n['h1']:.6g}", f"h2 = a(z2) = {n['h2']:.6g}"],
    )
    page.columns(
        ["z[1] = h[0] W[1]ᵀ + b[1]", *_matrix(trace.preactivations[1])],
        ["z3 = w5·h1 + w6·h2 + b3", f"   = {n['z3']:.6g}"],
    )
    page.beside("y = a(z[1])", trace.output, ["y"], "a(z3)")


def _stored(page: _Page, trace: ref.Trace) -> None:
    page.heading("What the forward pass stores for the backward pass")
    for index, (x, z) in enumerate(zip(trace.inputs, trace.preactivations, strict=True)):
        inputs = "x" if index == 0 else f"h[{index - 1}]"
        page.columns(
            [f"layer {index}, its input: {inputs}", *_matrix(x)], [f"its pre-activation: z[{index}]", *_matrix(z)]
        )
    page.line("and the output y. Nothing of this is computed again.\n")


def _backward(page: _Page, problem: ref.Problem, trace: ref.Trace, d_y: Any, g: ref.Gradients) -> None:
    """The steps of `reference.backward`, each shown with its matrices."""
    page.heading("Backward pass: d_v stands for ∂E/∂v")
    n = page.named
    (row_0, row_1), (z_0, z_1) = (layer.activation for layer in problem.mlp.layers), trace.preactivations
    d_z1 = row_1.pullback(z_1, d_y)
    d_h0 = d_z1 @ problem.mlp.layers[1].weight
    d_z0 = row_0.pullback(z_0, d_h0)
    page.columns(["d_y = y − t", *_matrix(d_y)], [f"∂E/∂y = −(t − y) = y − t = {n['y − t']:.6g}"])
    page.columns(["d_z[1] = d_y ∘ a′(z[1])", *_matrix(d_z1)], [f"a′(z3) = {n['a′(z3)']:.6g}"])
    page.chain("d_W[1] = d_z[1]ᵀ h[0]", g.layers[1].weight, ["w5", "w6"])
    page.chain("d_b[1] = Σ over rows of d_z[1]", g.layers[1].bias, ["b3"])
    page.columns(
        ["d_h[0] = d_z[1] W[1]", *_matrix(d_h0)],
        ["∂E/∂h1 = (y − t)·a′(z3)·w5", "∂E/∂h2 = (y − t)·a′(z3)·w6"],
    )
    page.columns(
        ["d_z[0] = d_h[0] ∘ a′(z[0])", *_matrix(d_z0)],
        [f"a′(z1) = {n['a′(z1)']:.6g}", f"a′(z2) = {n['a′(z2)']:.6g}"],
    )
    page.chain("d_W[0] = d_z[0]ᵀ x", g.layers[0].weight, ["w1", "w2", "w3", "w4"])
    page.chain("d_b[0] = Σ over rows of d_z[0]", g.layers[0].bias, ["b1", "b2"])
    page.chain("d_x = d_z[0] W[0]", g.input, ["x1", "x2"])


def _agreement(page: _Page, scalar: Mapping[str, float], matrix: Mapping[str, float]) -> None:
    page.heading("Matrix form and node by node")
    apart = {name: units_apart(scalar[name], matrix[name]) for name in scalar}
    worst = max(apart, key=lambda name: apart[name])
    if apart[worst] == 0:
        page.line("The two agree in every digit, all nine parameters and both inputs.")
    else:
        units = f"{apart[worst]} unit{'s' * (apart[worst] > 1)} in the last place"
        page.line(f"The two differ by at most {units}, at ∂E/∂{worst}.")
    page.line("Every chain begins (y − t)·a′(z3): the matrix form computes it once, d_z[1].")
    page.line("NumPy computed all of this; torch is not needed for any of it.")
