"""The multi-layer perceptron: forward pass, backward pass, and the problem they solve together.

Shapes: N examples, I a layer's fan-in, O its fan-out. Rows are examples, columns features.

    forward                              backward (d_ marks a gradient of the loss)
    z = x Wᵀ + b      (N, O)             d_z = d_h ∘ a′(z)     (N, O)
    h = a(z)          (N, O)             d_W = d_zᵀ x          (O, I)
                                         d_b = Σ_n d_z         (O,)
                                         d_x = d_z W           (N, I)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from . import activations, losses
from .arithmetic import NUMPY, Array
from .rows import Activation, Loss
from .validation import check_array, check_output, check_target

T = TypeVar("T")
REDUCTIONS = ("mean", "sum", "none")


@dataclass(frozen=True, eq=False)
class Layer:
    """One fully connected layer: h = a(x Wᵀ + b).

    Attributes:
        weight: (O, I).
        bias: (O,) or None.
        activation: a row of `ACTIVATIONS`; its name may be given instead.

    Raises:
        TypeError: weight or bias is not a floating array, or bias is of another type than weight.
        ValueError: a shape does not fit, or no activation has that name.
    """

    weight: Array
    bias: Array | None
    activation: Activation

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", activations.get(self.activation))
        object.__setattr__(self, "weight", check_array("weight", self.weight, ndim=2))
        if self.bias is None:
            return
        bias = check_array("bias", self.bias, ndim=1)
        object.__setattr__(self, "bias", bias)
        if bias.shape != (self.weight.shape[0],):
            raise ValueError(
                f"bias: expected shape ({self.weight.shape[0]},) to match weight {self.weight.shape}, got {bias.shape}"
            )
        if isinstance(bias, NUMPY) and bias.dtype != self.weight.dtype:
            raise TypeError(f"bias: expected {self.weight.dtype} like weight, got {bias.dtype}")

    @property
    def fan_in(self) -> int:
        """The number of input features, I."""
        return int(self.weight.shape[1])

    @property
    def width(self) -> int:
        """The number of output features: O, or O/2 behind a GLU."""
        return int(self.weight.shape[0]) // self.activation.shrink


@dataclass(frozen=True, eq=False)
class MLP:
    """A multi-layer perceptron.

    Raises:
        ValueError: no layers, or a layer's fan-in is not the width of the layer before.
        TypeError: an element is not a `Layer`, or the layers' number types differ.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            raise ValueError("layers: an MLP needs at least one layer, got none")
        for index, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layers[{index}]: expected a Layer, got {type(layer).__name__}")
            if layer.weight.shape[0] % layer.activation.shrink:
                raise ValueError(
                    f"layers[{index}]: {layer.activation.name} halves its input, but the fan-out is {layer.weight.shape[0]}"
                )
            if index and layer.fan_in != self.layers[index - 1].width:
                raise ValueError(
                    f"layers[{index}].weight: expected fan-in {self.layers[index - 1].width}, "
                    f"the width of layer {index - 1}, got shape {layer.weight.shape}"
                )
            if index and layer.weight.dtype != self.layers[0].weight.dtype:
                raise TypeError(
                    f"layers[{index}].weight: expected {self.layers[0].weight.dtype} like layer 0, got {layer.weight.dtype}"
                )

    @property
    def dtype(self) -> Any:
        """The number type of every array of the network."""
        return self.layers[0].weight.dtype

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum(
            int(np.prod(layer.weight.shape)) + (0 if layer.bias is None else layer.weight.shape[0])
            for layer in self.layers
        )


@dataclass(frozen=True, eq=False, slots=True)
class Trace:
    """What the forward pass stores for the backward pass, and nothing else.

    Attributes:
        inputs: each layer's input, (N, I).
        preactivations: each layer's z, (N, O).
        output: the last layer's output, (N, K).
    """

    inputs: tuple[Array, ...]
    preactivations: tuple[Array, ...]
    output: Array


@dataclass(frozen=True, eq=False, slots=True)
class LayerGradients:
    """∂L/∂W (O, I) and ∂L/∂b (O,), or None where the layer has no bias."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True, eq=False, slots=True)
class Gradients:
    """The loss and its gradients.

    Attributes:
        layers: the gradients of each layer's parameters.
        input: ∂L/∂x, (N, I).
        loss: L, or None from `backward`, which does not know it.
    """

    layers: tuple[LayerGradients, ...]
    input: Array
    loss: Array | None = None

    def leaves(self) -> dict[str, Array]:
        """Every gradient by its place: "layers[0].weight", …, "input"; those that are None are left out."""
        named = {}
        for index, layer in enumerate(self.layers):
            named[f"layers[{index}].weight"] = layer.weight
            named[f"layers[{index}].bias"] = layer.bias
        named["input"] = self.input
        return {place: leaf for place, leaf in named.items() if leaf is not None}

    def map(self, f: Callable[..., Any], *others: Gradients) -> Gradients:
        """The tree with f applied to every leaf (with the others' leaves); None where a leaf is None."""

        def apply(*leaves: Any) -> Any:
            return None if any(leaf is None for leaf in leaves) else f(*leaves)

        return Gradients(
            layers=tuple(
                LayerGradients(apply(*(p.weight for p in pieces)), apply(*(p.bias for p in pieces)))
                for pieces in zip(self.layers, *(o.layers for o in others), strict=True)
            ),
            input=apply(self.input, *(o.input for o in others)),
            loss=apply(self.loss, *(o.loss for o in others)),
        )


def forward(mlp: MLP, x: Array) -> Trace:
    """Run the network on x (N, I) and store what the backward pass needs: one product per layer.

    >>> trace = forward(MLP((Layer(np.array([[2.0, -1.0]]), np.array([0.5]), "relu"),)), np.array([[1.0, 3.0]]))
    >>> trace.preactivations[0], trace.output
    (array([[-0.5]]), array([[0.]]))
    """
    inputs, preactivations = [], []
    h = x
    for layer in mlp.layers:
        inputs.append(h)
        z = h @ layer.weight.T
        if layer.bias is not None:
            z = z + layer.bias
        preactivations.append(z)
        h = layer.activation.value(z)
    return Trace(tuple(inputs), tuple(preactivations), h)


def backward(mlp: MLP, trace: Trace, d_output: Array) -> Gradients:
    """The gradients of ⟨d_output, output⟩: two products per layer, none of them of the forward pass.

    Args:
        mlp: the network that made the trace.
        trace: what `forward` stored.
        d_output: the gradient of the loss with respect to the output, (N, K).

    >>> mlp = MLP((Layer(np.array([[2.0, -1.0]]), np.array([0.5]), "identity"),))
    >>> g = backward(mlp, forward(mlp, np.array([[1.0, 3.0]])), np.array([[10.0]]))
    >>> g.layers[0].weight, g.layers[0].bias, g.input
    (array([[10., 30.]]), array([10.]), array([[ 20., -10.]]))
    """
    found: list[LayerGradients] = []
    d_h = d_output
    for layer, x, z in zip(reversed(mlp.layers), reversed(trace.inputs), reversed(trace.preactivations), strict=True):
        d_z = layer.activation.pullback(z, d_h)
        d_bias = None if layer.bias is None else d_z.sum(axis=0)
        found.append(LayerGradients(weight=d_z.T @ x, bias=d_bias))
        d_h = d_z @ layer.weight
    return Gradients(layers=tuple(reversed(found)), input=d_h)


@dataclass(frozen=True, eq=False)
class Problem:
    """A network, a batch, a target and a loss: everything that determines a gradient, checked once.

    Attributes:
        mlp: the network.
        x: the batch, (N, I), of the network's number type.
        target: what the loss compares the output with; see the loss's row for its kind and shape.
        loss: a row of `LOSSES`; its name may be given instead.
        reduction: "mean" (over what the loss's row states), "sum", or "none" (for reading the loss of each
            example with `loss_value`; it has no single gradient).

    Raises:
        TypeError: an array holds no floating numbers, or of another type than the network's.
        ValueError: a shape, a target, the reduction or the output's range does not fit.

    >>> mlp = MLP((Layer(np.ones((1, 2)), None, "identity"),))
    >>> Problem(mlp, np.zeros((3, 4)), np.zeros((3, 1)), loss="mse")
    Traceback (most recent call last):
    ...
    ValueError: x: expected shape (N, 2) for layers[0].weight (1, 2), got (3, 4)
    """

    mlp: MLP
    x: Array
    target: Array
    loss: Loss
    reduction: str = "mean"

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss", losses.get(self.loss))
        if not isinstance(self.mlp, MLP):
            raise TypeError(f"mlp: expected an MLP, got {type(self.mlp).__name__}")
        if self.reduction not in REDUCTIONS:
            raise ValueError(f"reduction: expected one of {', '.join(REDUCTIONS)}, got {self.reduction!r}")
        x = check_array("x", self.x, ndim=2)
        if x.shape[1] != self.mlp.layers[0].fan_in:
            raise ValueError(
                f"x: expected shape (N, {self.mlp.layers[0].fan_in}) for layers[0].weight "
                f"{self.mlp.layers[0].weight.shape}, got {x.shape}"
            )
        if x.dtype != self.mlp.dtype:
            raise TypeError(f"x: expected {self.mlp.dtype} like the network, got {x.dtype}")
        object.__setattr__(self, "x", x)
        shape = (x.shape[0], self.mlp.layers[-1].width)
        object.__setattr__(self, "target", check_target(self.loss, self.target, shape, x.dtype, self.reduction))
        check_output(self.loss, lambda: forward(self.mlp, x).output)

    @property
    def dtype(self) -> Any:
        """The number type of the problem's arrays."""
        return self.mlp.dtype

    def map(self, f: Callable[[Array], Array]) -> Problem:
        """The same problem with f applied to weights, biases and x: in another arithmetic, say.

        Nothing is checked again, and the target stays as it is: an exact array of floats.
        """
        layers = tuple(
            unchecked(
                Layer,
                weight=f(layer.weight),
                bias=None if layer.bias is None else f(layer.bias),
                activation=layer.activation,
            )
            for layer in self.mlp.layers
        )
        return self.replace(mlp=unchecked(MLP, layers=layers), x=f(self.x))

    def replace(self, **changes: Any) -> Problem:
        """The same problem with some fields changed, unchecked."""
        fields = {"mlp": self.mlp, "x": self.x, "target": self.target, "loss": self.loss, "reduction": self.reduction}
        return unchecked(Problem, **(fields | changes))


def unchecked(kind: type[T], **fields: Any) -> T:
    """A frozen record made without its checks, from parts that have passed them already."""
    record = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(record, name, value)
    return record


def loss_value(problem: Problem, output: Array | None = None) -> Array:
    """The loss of the problem: a scalar, or with reduction "none" one number per example or element.

    >>> mlp = MLP((Layer(np.array([[1.0]]), None, "identity"),))
    >>> x, t = np.array([[1.0], [2.0]]), np.array([[0.0], [0.0]])
    >>> loss_value(Problem(mlp, x, t, loss="half_squared_error", reduction="none"))
    array([0.5, 2. ])
    """
    y = forward(problem.mlp, problem.x).output if output is None else output
    unreduced = problem.loss.value(y, problem.target)
    if problem.reduction == "none":
        return unreduced
    total = unreduced.sum()
    return total / problem.loss.divisor(y, problem.target) if problem.reduction == "mean" else total


def loss_gradient(problem: Problem, output: Array) -> Array:
    """∂L/∂output, (N, K)."""
    d_output = problem.loss.gradient(output, problem.target)
    return d_output / problem.loss.divisor(output, problem.target) if problem.reduction == "mean" else d_output


def gradients(problem: Problem) -> Gradients:
    """The loss and all its gradients: one forward and one backward pass.

    Rumelhart, Hinton & Williams 1986, eq. 4–9, in matrix form.

    Raises:
        ValueError: reduction is "none": a loss of many numbers has no single gradient.

    >>> mlp = MLP((Layer(np.array([[1.0, 2.0]]), np.array([0.5]), "identity"),))
    >>> g = gradients(Problem(mlp, np.array([[3.0, 4.0]]), np.array([[10.0]]), loss="half_squared_error"))
    >>> g.loss, g.layers[0].weight, g.layers[0].bias, g.input
    (np.float64(1.125), array([[4.5, 6. ]]), array([1.5]), array([[1.5, 3. ]]))
    """
    if problem.reduction == "none":
        raise ValueError('reduction "none" leaves a loss of many numbers, which has no single gradient: use "sum" or "mean"')
    trace = forward(problem.mlp, problem.x)
    found = backward(problem.mlp, trace, loss_gradient(problem, trace.output))
    return Gradients(found.layers, found.input, loss_value(problem, trace.output))


def collapse(mlp: MLP) -> Layer:
    """The single layer that a network of linear activations is: W = W_L ⋯ W_1, b = Σ_l W_L ⋯ W_{l+1} b_l.

    Raises:
        ValueError: a layer's activation is not the identity; the message names the layer.

    >>> mlp = initialize([3, 5, 2], activations=["identity", "identity"], seed=0)
    >>> collapse(mlp).weight.shape
    (2, 3)
    """
    weight, bias = None, None
    for index, layer in enumerate(mlp.layers):
        if layer.activation.name != "identity":
            raise ValueError(f"layers[{index}]: {layer.activation.name} is not linear, so the network does not collapse")
        carried = None if bias is None else layer.weight @ bias
        bias = layer.bias if carried is None else carried if layer.bias is None else carried + layer.bias
        weight = layer.weight if weight is None else layer.weight @ weight
    return Layer(weight, bias, activations.ACTIVATIONS["identity"])


SCHEMES: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    "glorot_normal": lambda rng, o, i: rng.normal(0, np.sqrt(2 / (i + o)), (o, i)),
    "glorot_uniform": lambda rng, o, i: rng.uniform(-1, 1, (o, i)) * np.sqrt(6 / (i + o)),
    "he_normal": lambda rng, o, i: rng.normal(0, np.sqrt(2 / i), (o, i)),
    "he_uniform": lambda rng, o, i: rng.uniform(-1, 1, (o, i)) * np.sqrt(6 / i),
    "lecun_normal": lambda rng, o, i: rng.normal(0, np.sqrt(1 / i), (o, i)),
    "lecun_uniform": lambda rng, o, i: rng.uniform(-1, 1, (o, i)) * np.sqrt(3 / i),
    "zeros": lambda rng, o, i: np.zeros((o, i)),
}
"""Ways to draw a weight (O, I): Glorot & Bengio 2010, eq. 12 and 16; He et al. 2015, eq. 10; LeCun et al.
1998, eq. 16."""


def initialize(
    widths: Sequence[int],
    activations: Sequence[str | Activation],
    seed: int,
    *,
    dtype: Any = np.float64,
    bias: bool | Sequence[bool] = True,
    scheme: str = "glorot_normal",
) -> MLP:
    """A network with random weights and zero biases.

    Args:
        widths: the number of features before the first layer and behind each layer: one more than layers.
        activations: one row or name per layer.
        seed: of the generator; the same seed makes the same network.
        dtype: float64, float32, or another floating type.
        bias: whether the layers have one, for all or for each.
        scheme: a name in `SCHEMES`.

    Raises:
        ValueError: too few widths, a width below 1, a wrong number of activations, an unknown scheme.
        TypeError: the type is not a floating one.

    >>> initialize([2, 2, 1], activations=["tanh", "identity"], seed=0).layers[0].weight.shape
    (2, 2)
    """
    widths = [int(w) for w in widths]
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths: expected at least two numbers of at least 1, got {widths}")
    if isinstance(activations, str) or len(activations) != len(widths) - 1:
        raise ValueError(f"activations: expected one per layer ({len(widths) - 1}), got {activations!r}")
    if scheme not in SCHEMES:
        raise ValueError(f"scheme: expected one of {', '.join(SCHEMES)}, got {scheme!r}")
    number = np.dtype(dtype)
    if number.kind != "f":
        raise TypeError(f"dtype: expected a floating type, got {number}")
    biased = [bias] * (len(widths) - 1) if isinstance(bias, bool) else list(bias)
    if len(biased) != len(widths) - 1:
        raise ValueError(f"bias: expected one flag per layer ({len(widths) - 1}), got {bias!r}")
    rng = np.random.default_rng(seed)
    layers = []
    for fan_in, width, row, has_bias in zip(widths, widths[1:], map(_row, activations), biased, strict=False):
        fan_out = width * row.shrink
        weight = SCHEMES[scheme](rng, fan_out, fan_in).astype(number)
        layers.append(Layer(weight, np.zeros(fan_out, number) if has_bias else None, row))
    return MLP(tuple(layers))


def _row(row: str | Activation) -> Activation:
    return activations.get(row)
