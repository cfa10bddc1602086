"""A multi-layer perceptron as a textbook or a first attempt has it, with mistakes that can be switched on.

It shares no formula with `reference` nor with `torch_compare`: it reads a problem's arrays and the names of its rows,
and computes by itself, layer by layer. N examples, I a layer's fan-in, O its fan-out, K outputs; l is a layer's index.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erf

import reference as ref
from reference.network.gradients import place_of

from .naive_losses import loss_and_gradient, softmax

Array = Any
Leaves = dict[str, Array]
"""Gradients by place, and the loss."""

NARROW = {"float16": 11, "bfloat16": 8}
"""Bits of the formats that every result is rounded to, while products and sums accumulate in float32."""


@dataclass(frozen=True)
class NaiveMistake:
    """One mistake of the naive network, switched on.

    Attributes:
        name: which one; the code below says what it does.
        place: "first", "middle", "last" or "every" layer.
        size: its size, if it has one.
    """

    name: str
    place: str = "every"
    size: float = 0.0


class Naive:
    """One forward and one backward pass.

    Args:
        problem: what to differentiate.
        mistakes: the mistakes to make.
        dtype: the precision to compute in; the problem's own if not given.
        order: shuffles the order of every sum; None leaves it to NumPy.
    """

    def __init__(
        self,
        problem: ref.Problem,
        mistakes: tuple[NaiveMistake, ...] = (),
        dtype: str | None = None,
        order: np.random.Generator | None = None,
    ) -> None:
        self.narrow = NARROW.get(dtype or "")
        kind = np.dtype("float32" if self.narrow else dtype or problem.dtype)
        self.problem, self.mistakes, self.kind, self.order = problem, mistakes, kind, order
        self.depth = len(problem.mlp.layers)
        self.weights = [self._rounded(np.asarray(layer.weight).astype(kind)) for layer in problem.mlp.layers]
        self.biases = [
            None if layer.bias is None else self._rounded(np.asarray(layer.bias).astype(kind))
            for layer in problem.mlp.layers
        ]
        self.rows = [layer.activation for layer in problem.mlp.layers]
        self.x = self._rounded(np.asarray(problem.x).astype(kind))
        target = np.asarray(problem.target)
        self.target = target.astype(kind) if target.dtype.kind == "f" else target

    # ── arithmetic ───────────────────────────────────────────────────────────────────────────────────

    def _rounded(self, values: Array) -> Array:
        if self.narrow is None:
            return values
        mantissa, exponent = np.frexp(values)
        return np.ldexp(np.rint(np.ldexp(mantissa, self.narrow)), exponent - self.narrow).astype(self.kind)

    def _dot(self, a: Array, b: Array) -> Array:
        if self.order is None:
            return self._rounded(a @ b)
        total = np.zeros((a.shape[0], b.shape[1]), dtype=self.kind)
        for i in self.order.permutation(a.shape[1]):
            total = total + a[:, i : i + 1] * b[i]
        return self._rounded(total)

    def _total(self, rows: Array) -> Array:
        """Σ over the first axis."""
        if self.order is None:
            return self._rounded(rows.sum(axis=0))
        total = np.zeros(rows.shape[1:], dtype=self.kind)
        for n in self.order.permutation(rows.shape[0]):
            total = total + rows[n]
        return self._rounded(total)

    def _sum_of_losses(self, each: Array) -> Array:
        return each.sum()

    def _on(self, name: str, l: int | None = None) -> NaiveMistake | None:
        """The mistake of that name, if it is switched on (in layer l)."""
        index = {"first": 0, "middle": self.depth // 2, "last": self.depth - 1}
        for mistake in self.mistakes:
            if mistake.name == name and (l is None or mistake.place == "every" or index[mistake.place] == l):
                return mistake
        return None

    # ── activations ──────────────────────────────────────────────────────────────────────────────────

    def _slope_of_leaky(self, l: int) -> float:
        if self.rows[l].name == "relu":
            return 0.0
        return float(self.rows[l].parameters["negative_slope"])

    def _activate(self, l: int, z: Array) -> Array:
        name = self.rows[l].name
        if name == "identity":
            return z
        if name == "tanh":
            return np.tanh(z)
        if name == "sigmoid":
            return 1 / (1 + np.exp(-z))
        if name in ("relu", "leaky_relu"):
            wrong = self._on("leaky slope in both passes", l)
            return np.where(z > 0, z, z * (wrong.size if wrong else self._slope_of_leaky(l)))
        if name == "gelu":
            if self._on("tanh GELU in both passes", l):
                return z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
            return z / 2 * (1 + erf(z / math.sqrt(2)))
        if name == "softmax":
            return softmax(z)
        raise ValueError(f"layers[{l}]: the naive network has no activation {name}")

    def _derivative(self, l: int, z: Array) -> Array:
        name = self.rows[l].name
        if name == "identity":
            return np.ones_like(z)
        if name == "tanh":
            return 1 - np.tanh(z) ** 2
        if name == "sigmoid":
            y = 1 / (1 + np.exp(-z))
            return y * (1 - y)
        if name in ("relu", "leaky_relu"):
            if self._on("mask from the wrong side", l):
                return np.where(z < 0, 1, self._slope_of_leaky(l)).astype(self.kind)
            wrong = self._on("leaky slope in both passes", l) or self._on("leaky slope", l)
            return np.where(z > 0, 1, wrong.size if wrong else self._slope_of_leaky(l)).astype(self.kind)
        if self._on("tanh GELU in both passes", l) or self._on("tanh GELU", l):
            c = math.sqrt(2 / math.pi)
            t = np.tanh(c * (z + 0.044715 * z**3))
            return (1 + t) / 2 + z / 2 * (1 - t**2) * c * (1 + 3 * 0.044715 * z**2)
        density = 0.0 if self._on("density missing", l) else 1 / math.sqrt(2 * math.pi)
        density = 0.3989 if self._on("0.3989", l) else density
        return (1 + erf(z / math.sqrt(2))) / 2 + z * np.exp(-(z**2) / 2) * density

    def _through_activation(self, l: int, z: list[Array], h: list[Array], d_h: Array) -> Array:
        if self._on("derivative missing", l):
            return d_h
        if self.rows[l].name == "softmax":
            y = h[l + 1]
            if self._on("softmax Jacobian diagonal", l):
                return d_h * y * (1 - y)
            if self._on("softmax without its dot product", l):
                return d_h * y
            if self._on("log_softmax formula for softmax", l):
                return d_h - y * d_h.sum(axis=1, keepdims=True)
            d_z = np.zeros_like(d_h)
            for n in range(len(y)):
                d_z[n] = (np.diag(y[n]) - np.outer(y[n], y[n])) @ d_h[n]
            return d_z
        if self._on("gradient in one term", l):
            return d_h - h[l + 1] ** 2
        at = z[l]
        if self._on("derivative at the output", l):
            at = h[l + 1]
        if self._on("derivative of the layer above", l):
            at = z[l + 1]
        if self._on("derivative of the layer below", l):
            at = z[l - 1]
        if at.shape != d_h.shape:
            raise ValueError(f"layers[{l}]: the pre-activation of another layer has another shape")
        slope = self._derivative(l, at)
        if self._on("derivative twice", l):
            slope = slope * slope
        if self._on("gradient twice", l):
            slope = slope * d_h
        if self._on("times the pre-activation", l):
            slope = slope * z[l]
        error = self._on("relative error", l)
        if error:
            slope = slope * (1 + error.size)
        return d_h * slope

    # ── the passes ───────────────────────────────────────────────────────────────────────────────────

    def run(self) -> Leaves:
        """The gradients by place, and the loss.

        Raises:
            ValueError: the network has an activation or a loss that is not written down here, or a mistake asks for an
                array of another layer that has another shape.
        """
        h = [self.x]
        if self._on("stale inputs"):
            h = [self._rounded(np.roll(self.x, 1, axis=0))]
        z = []
        for l in range(self.depth):
            a = self._dot(h[l], self.weights[l].T)
            bias = self.biases[l]
            z.append(a if bias is None else self._rounded(a + bias))
            h.append(self._rounded(self._activate(l, z[l])))
        loss, d_h = loss_and_gradient(self.problem, self.target, h[-1], self._on, self._sum_of_losses)
        d_h = self._rounded(np.asarray(d_h, dtype=self.kind))
        leaves = {}
        for l in reversed(range(self.depth)):
            d_z = self._rounded(self._through_activation(l, z, h, d_h))
            leaves[place_of(l, "weight")] = self._weight_gradient(l, h, d_z)
            if self.biases[l] is not None:
                leaves[place_of(l, "bias")] = self._bias_gradient(l, d_z)
            d_h = self._downward(l, h, d_z)
        leaves["input"] = d_h
        return leaves | {"loss": np.asarray(loss)}

    def _weight_gradient(self, l: int, h: list[Array], d_z: Array) -> Array:
        inputs = h[l]
        if self._on("input of the layer above", l):
            inputs = h[l + 1]
            if inputs.shape != h[l].shape:
                raise ValueError(f"layers[{l}]: the input of another layer has another shape")
        if self._on("weight gradient transposed", l):
            return self._dot(inputs.T, d_z).reshape(self.weights[l].shape)
        return self._dot(d_z.T, inputs)

    def _bias_gradient(self, l: int, d_z: Array) -> Array:
        if self._on("bias not summed, first example", l):
            return d_z[0]
        if self._on("bias not summed, last example", l):
            return d_z[-1]
        total = self._total(d_z)
        if self._on("one bias gradient for all", l):
            return np.full_like(total, total.sum())
        return self._rounded(total / self.kind.type(len(d_z))) if self._on("bias averaged", l) else total

    def _downward(self, l: int, h: list[Array], d_z: Array) -> Array:
        if self._on("detached", l):
            return np.zeros((len(d_z), self.weights[l].shape[1]), dtype=self.kind)
        weight = self.weights[l]
        if self._on("weight not transposed", l):
            return self._dot(d_z, weight.reshape(weight.shape[::-1]).T)
        step = self._dot(d_z.T, h[l])
        for name, direction in (
            ("updated by gradient", step),
            ("updated by sign", np.sign(step)),
            ("updated by Adam", step / (np.abs(step) + 1e-8)),
        ):
            mistake = self._on(name, l)
            if mistake:
                weight = self._rounded((weight - mistake.size * direction).astype(self.kind))
        return self._dot(d_z, weight)


def naive_gradients(problem: ref.Problem, *mistakes: NaiveMistake, dtype: str | None = None) -> Leaves:
    """The gradients with these mistakes, in the problem's precision or in another.

    Args:
        problem: what to differentiate.
        mistakes: those to make; none gives right gradients.
        dtype: "float64", "float32", "float16" or "bfloat16"; the problem's own if not given.

    Raises:
        ValueError: as of `Naive.run`.

    >>> mlp = ref.MLP((ref.Layer(np.array([[2.0]]), None, "identity"),))
    >>> problem = ref.Problem(mlp, np.array([[3.0]]), np.array([[5.0]]), "half_squared_error")
    >>> naive_gradients(problem)["layers[0].weight"].item()
    3.0
    >>> naive_gradients(problem, NaiveMistake("target not subtracted"))["layers[0].weight"].item()
    18.0
    """
    return Naive(problem, mistakes, dtype).run()
