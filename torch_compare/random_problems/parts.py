"""The parts that random networks are drawn from: each makes a new value of one that is there, (B, T, D) mostly.

Shapes: B batch, T sequence, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.random import Generator

import reference as ref

from .drawn import row_of

SMOOTH = ("tanh", "gelu", "silu", "sigmoid", "softplus", "mish", "relu", "leaky_relu", "elu", "hardtanh", "softsign")


class Network:
    """A network that grows: every value is computed as it is added.

    Attributes:
        rng: where everything random comes from.
        values: every value by name.
        inputs: those that the problem hands in.
    """

    def __init__(self, rng: Generator, number: np.dtype[Any], features: Iterable[str]) -> None:
        self.rng, self.number, self.features = rng, number, frozenset(features)
        self.values: dict[str, Any] = {}
        self.inputs: dict[str, Any] = {}
        self._parameters: list[str] = []
        self._constants: list[str] = []
        self._steps: list[ref.Step] = []

    # ── values ───────────────────────────────────────────────────────────────────────────────────────

    def input(self, name: str, shape: tuple[int, ...]) -> str:
        """A new input of random numbers."""
        self.inputs[name] = self.values[name] = self._numbers(shape, 1.0)
        return name

    def data(self, values: Any) -> str:
        """A new constant: a mask, indices, a table."""
        name = f"c{len(self._constants)}"
        values = np.asarray(values)
        self.values[name] = values.astype(self.number) if values.dtype.kind == "f" else values
        self._constants.append(name)
        return name

    def parameter(self, *shape: int, scale: float | None = None, around: float = 0.0) -> str:
        """A parameter of this shape: a new one, or sometimes one that is there already, which is then shared."""
        same = [name for name in self._parameters if self.values[name].shape == shape]
        if same and self.rng.random() < 0.25:
            return str(self.rng.choice(same))
        name = f"w{len(self._parameters)}"
        scale = (shape[-1] if shape else 1) ** -0.5 if scale is None else scale
        self.values[name] = (around + self._numbers(shape, scale)).astype(self.number)
        self._parameters.append(name)
        return name

    def _numbers(self, shape: tuple[int, ...], scale: float) -> Any:
        if "integers" in self.features:
            return self.rng.integers(-2, 3, shape).astype(self.number)
        values = self.rng.normal(size=shape) * scale
        if "scales" in self.features and self.rng.random() < 0.5:
            values = values * 10.0 ** self.rng.uniform(-4, 2)
        if "zeros" in self.features:
            values = np.where(self.rng.random(shape) < 0.3, 0.0, values)
        return np.asarray(values).astype(self.number)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value."""
        return tuple(self.values[name].shape)

    def step(self, row: str | ref.Operation, *inputs: str | None) -> str:
        """The output of an operation with one output."""
        return self.steps(row, inputs, 1)[0]

    def steps(self, row: str | ref.Operation, inputs: Iterable[str | None], outputs: int) -> tuple[str, ...]:
        """The outputs of an operation."""
        made = tuple(f"h{len(self._steps)}" + ("" if outputs == 1 else f".{k}") for k in range(outputs))
        step = ref.Step(made[0] if outputs == 1 else made, row, *inputs)
        found = step.operation.value(*(None if name is None else self.values[name] for name in step.inputs))
        self.values |= dict(zip(made, (found,) if outputs == 1 else found, strict=True))
        self._steps.append(step)
        return made

    def earlier(self, fits: Callable[[tuple[int, ...]], bool]) -> str | None:
        """A random earlier value of floating numbers, of a shape that fits; None if there is none."""
        made = [*self.inputs, *(name for step in self._steps for name in step.outputs)]
        found = [name for name in made if fits(self.shape(name))]
        return str(self.rng.choice(found)) if found else None

    # ── what is taken, and what is taken back ────────────────────────────────────────────────────────

    def mark(self) -> tuple[int, int, int]:
        """Where the network stands."""
        return len(self._steps), len(self._parameters), len(self._constants)

    def back_to(self, mark: tuple[int, int, int]) -> None:
        """Take back what was added since."""
        steps, parameters, constants = mark
        del self._steps[steps:], self._parameters[parameters:], self._constants[constants:]

    def used(self) -> set[str]:
        """The names that some step takes."""
        return {name for step in self._steps for name in step.inputs if name is not None}

    def network(self, output: str) -> ref.Network:
        """The network of everything that the output depends on."""
        needed, steps = {output}, []
        for step in reversed(self._steps):
            if needed & set(step.outputs):
                needed |= {name for name in step.inputs if name is not None}
                steps.append(step)
        return ref.Network(
            {name: self.values[name] for name in self._parameters if name in needed},
            steps[::-1],
            tuple(self.inputs),
            output,
            {name: self.values[name] for name in self._constants if name in needed},
        )


Part = Callable[[Network, str], "str | None"]


def joined(net: Network, h: str, other: str) -> str:
    """h times the mean of another value: so the output depends on it, whatever its shape."""
    flat = net.step(ref.operations.reshape((-1, 1)), other)
    ones = net.data(np.ones((1, int(np.prod(net.shape(other))))) / np.prod(net.shape(other)))
    return net.step("mul", h, net.step("matmul", ones, flat))


def linear(net: Network, h: str, width: int | None = None) -> str:
    """A linear layer, with a bias or without."""
    i = net.shape(h)[-1]
    o = width or (1 if "width_1" in net.features else int(net.rng.integers(1, 7)))
    bias = net.parameter(o, scale=0.3) if net.rng.random() < 0.6 else None
    return net.step("linear", h, net.parameter(o, i), bias)


def activation(net: Network, h: str) -> str:
    """An activation, or softmax along some axis."""
    if net.rng.random() < 0.2:
        return net.step(ref.operations.of_activation("softmax", int(net.rng.integers(len(net.shape(h))))), h)
    return net.step(str(net.rng.choice(SMOOTH)), h)


def residual(net: Network, h: str) -> str | None:
    """h and an earlier value that is broadcast to its shape, added or multiplied: fan-out, and a branch."""

    def fits(shape: tuple[int, ...]) -> bool:
        size = net.shape(h)
        return len(shape) <= len(size) and all(a in (1, b) for a, b in zip(shape[::-1], size[::-1], strict=False))

    other = net.earlier(fits)
    return None if other is None else net.step("add" if net.rng.random() < 0.7 else "mul", h, other)


def scaled(net: Network, h: str) -> str:
    """A parameter that is broadcast: along the width, along the sequence, or a single number."""
    size = net.shape(h)
    shape = [(size[-1],), (*size[-2:-1], 1), (1,), (*(1,) * (len(size) - 1), size[-1])][int(net.rng.integers(4))]
    return net.step("mul" if net.rng.random() < 0.5 else "add", h, net.parameter(*shape, scale=0.5, around=0.7))


def block(net: Network, h: str) -> str:
    """h + linear(activation(linear(h))): a transformer's second half."""
    d = net.shape(h)[-1]
    inner = net.step(str(net.rng.choice(SMOOTH)), linear(net, h, 2 * d))
    return net.step("add", linear(net, inner, d), h)


def attention(net: Network, h: str) -> str | None:
    """h + attention of one head, written out in products, with an additive mask sometimes."""
    if len(net.shape(h)) != 3:
        return None
    b, t, d = net.shape(h)
    q, v = linear(net, h, d), linear(net, h, d)
    transposed = net.step(ref.operations.reshape((b, d, t)), linear(net, h, d))
    scores = net.step("mul", net.step("matmul", q, transposed), net.data(np.array(d**-0.5)))
    if net.rng.random() < 0.5:
        scores = net.step("add", scores, net.data(np.where(np.tri(t) > 0, 0.0, -np.inf)))
    p = net.step(ref.operations.of_activation("softmax"), scores)
    return net.step("add", net.step("matmul", p, v), h)


def gate(net: Network, h: str) -> str:
    """silu(x V) ∘ x W."""
    width = int(net.rng.integers(1, 7))
    return net.step("mul", net.step("silu", linear(net, h, width)), linear(net, h, width))


def reshaped(net: Network, h: str) -> str:
    """The same numbers with two axes as one, or one as two."""
    size = net.shape(h)
    if len(size) == 3 and net.rng.random() < 0.5:
        return net.step(ref.operations.reshape((size[0] * size[1], size[2])), h)
    return net.step(ref.operations.reshape((*size[:-1], 1, size[-1])[-4:]), h) if len(size) < 4 else h


def concatenated(net: Network, h: str) -> str | None:
    """h beside an earlier value, along the last axis."""
    other = net.earlier(lambda shape: shape[:-1] == net.shape(h)[:-1] and bool(shape))
    return None if other is None else net.step(ref.operations.cat(-1), h, other)


def _with(*rows: str) -> bool:
    return all(name in ref.operations.MAKERS for name in rows)


def layer_norm(net: Network, h: str) -> str | None:
    """layer_norm or rms_norm over the last axis, with a weight; not of one number, whose layer norm is always 0.

    Two of these, one behind the other, leave torch a product of two rounding errors where every derivative is 0, which
    no rounding scale foresees.
    """
    d = net.shape(h)[-1]
    if d == 1:
        return None
    if net.rng.random() < 0.5:
        return net.step(row_of("rms_norm", eps=1e-6), h, net.parameter(d, scale=0.3, around=1.0))
    bias = net.parameter(d, scale=0.3) if net.rng.random() < 0.6 else None
    return net.step(row_of("layer_norm"), h, net.parameter(d, scale=0.3, around=1.0), bias)


def scaled_attention(net: Network, h: str) -> str | None:
    """h + scaled_dot_product_attention, causal sometimes."""
    if len(net.shape(h)) != 3:
        return None
    d = net.shape(h)[-1]
    row = row_of("scaled_dot_product_attention", is_causal=bool(net.rng.integers(2)))
    return net.step("add", net.step(row, linear(net, h, d), linear(net, h, d), linear(net, h, d)), h)


def reduced(net: Network, h: str) -> str | None:
    """The mean, the largest or the logarithm of the sum of exponentials along an axis, which is kept."""
    size = net.shape(h)
    axis = int(net.rng.integers(len(size)))
    return net.step(row_of(str(net.rng.choice(["mean", "amax", "logsumexp", "sum"])), dim=axis, keepdim=True), h)


def embedded(net: Network, h: str) -> str | None:
    """h and the rows of a table, some of them taken more than once."""
    size, count = net.shape(h), int(net.rng.integers(1, 5))
    index = net.data(net.rng.integers(0, count, size[:-1]))
    return net.step("add", h, net.step("embedding", index, net.parameter(count, size[-1], scale=1.0)))


def transposed(net: Network, h: str) -> str | None:
    """Two axes exchanged."""
    size = net.shape(h)
    if len(size) < 2:
        return None
    a, b = (int(axis) for axis in net.rng.permutation(len(size))[:2])
    return net.step(row_of("transpose", a, b), h)


PARTS: tuple[Part, ...] = (
    linear, linear, activation, activation, residual, residual, scaled, block, attention, gate, reshaped, concatenated,
    *((layer_norm, layer_norm) if _with("layer_norm", "rms_norm") else ()),
    *((scaled_attention,) if _with("scaled_dot_product_attention") else ()),
    *((reduced,) if _with("mean", "amax", "logsumexp", "sum") else ()),
    *((embedded,) if _with("embedding") else ()),
    *((transposed,) if _with("transpose") else ()),
)  # fmt: skip
"""Those that are frequent stand there twice."""
