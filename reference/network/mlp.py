"""The multi-layer perceptron: forward pass and backward pass.

Shapes: N examples, I a layer's fan-in, O its fan-out. Rows are examples, columns features.

    forward                              backward (d_ marks a gradient of the loss)
    z = x Wᵀ + b      (N, O)             d_z = d_h ∘ a′(z)     (N, O)
    h = a(z)          (N, O)             d_W = d_zᵀ x          (O, I)
                                         d_b = Σ_n d_z         (O,)
                                         d_x = d_z W           (N, I)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import activations
from ..activations.row import Activation
from ..arithmetic.array import Array, DType, empty_like, is_numpy, kept
from ..arithmetic.dispatch import added_to, keeps
from ..arithmetic.names import meant
from .gradients import Gradients, LayerGradients, place_of
from .shown import shown
from .unchecked import restore, unchecked
from .validation import check_array


@dataclass(frozen=True, eq=False, init=False)
class Layer:
    """One fully connected layer: h = a(x Wᵀ + b).

    Attributes:
        weight: (O, I), a read-only copy of what was given.
        bias: (O,), the same, or None.
        activation: a row of `ACTIVATIONS`; its name may be given instead.

    Raises:
        TypeError: weight or bias is not a floating array or a masked one, or bias is of another type than weight.
        ValueError: a shape does not fit, or no activation has that name.
    """

    weight: Array
    bias: Array | None
    activation: Activation
    __repr__ = shown

    def __init__(self, weight: Array, bias: Array | None, activation: Activation | str) -> None:
        weight = check_array("weight", weight, ndim=2)
        if bias is not None:
            bias = check_array("bias", bias, ndim=1)
            if bias.shape != (weight.shape[0],):
                raise ValueError(
                    f"bias: expected shape ({weight.shape[0]},) to match weight {weight.shape}, got {bias.shape}"
                )
            if is_numpy(bias) and bias.dtype != weight.dtype:
                raise TypeError(f"bias: expected {weight.dtype} like weight, got {bias.dtype}")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)
        object.__setattr__(self, "activation", activations.get(activation))

    def __copy__(self) -> Layer:
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore(self, state)

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
        TypeError: no sequence of layers, an element is not a `Layer`, or the layers' number types differ.
    """

    layers: tuple[Layer, ...]
    __repr__ = shown

    def __post_init__(self) -> None:
        if not isinstance(self.layers, Iterable):
            raise TypeError(f"layers: expected a sequence of Layers, got {type(self.layers).__name__}")
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            raise ValueError("layers: an MLP needs at least one layer, got none")
        for index, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layers[{index}]: expected a Layer, got {type(layer).__name__}")
            if layer.weight.shape[0] % layer.activation.shrink:
                raise ValueError(
                    f"layers[{index}]: {layer.activation.name} halves its input, "
                    f"but the fan-out is {layer.weight.shape[0]}"
                )
            if index and layer.fan_in != self.layers[index - 1].width:
                raise ValueError(
                    f"layers[{index}].weight: expected fan-in {self.layers[index - 1].width}, "
                    f"the width of layer {index - 1}, got shape {layer.weight.shape}"
                )
            if index and layer.weight.dtype != self.layers[0].weight.dtype:
                raise TypeError(
                    f"layers[{index}].weight: expected {self.layers[0].weight.dtype} like layer 0, "
                    f"got {layer.weight.dtype}"
                )

    @property
    def dtype(self) -> DType:
        """The number type of every array of the network."""
        return self.layers[0].weight.dtype

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum(int(np.prod(values.shape)) for values in self.named_parameters().values())

    def named_parameters(self) -> dict[str, Array]:
        """Every weight and bias by its place, layer by layer, the weight first."""
        named: dict[str, Array] = {}
        for index, layer in enumerate(self.layers):
            named[place_of(index, "weight")] = layer.weight
            if layer.bias is not None:
                named[place_of(index, "bias")] = layer.bias
        return named


def kept_network(mlp: MLP) -> MLP:
    """The network with read-only arrays: itself, or, where an optimiser made arrays that can be written to, copies."""
    if not any(is_numpy(values) and values.flags.writeable for values in mlp.named_parameters().values()):
        return mlp
    layers = tuple(
        unchecked(Layer, weight=kept(layer.weight), bias=kept(layer.bias), activation=layer.activation)
        for layer in mlp.layers
    )
    return unchecked(MLP, layers=layers)


@dataclass(frozen=True, eq=False, slots=True)
class Trace:
    """The numbers that the forward pass stores for the backward pass, and nothing else.

    Attributes:
        inputs: each layer's input, (N, I).
        preactivations: each layer's z, (N, O); its shape alone where the slope stands for it.
        output: the last layer's output, (N, K).
        slopes: each layer's a′(z), (N, O), where it was computed together with a(z); else None; () if nothing was kept.
    """

    inputs: tuple[Array, ...]
    preactivations: tuple[Array, ...]
    output: Array
    slopes: tuple[Array | None, ...] = ()


def forward(mlp: MLP, x: Array, *, keep: bool = False) -> Trace:
    """Run the network on x (N, I) and store what the backward pass needs: one product per layer.

    Args:
        mlp: the network.
        x: the batch.
        keep: whether to store a′(z) instead of z, where a(z) and a′(z) have parts in common; not in noise, see
            `dispatch.keeps`.

    >>> trace = forward(MLP((Layer(np.array([[2.0, -1.0]]), np.array([0.5]), "relu"),)), np.array([[1.0, 3.0]]))
    >>> trace.preactivations[0], trace.output
    (array([[-0.5]]), array([[0.]]))
    """
    inputs, preactivations, slopes = [], [], list[Array | None]()
    h = x
    for layer in mlp.layers:
        inputs.append(h)
        z = h @ layer.weight.T
        if layer.bias is not None:
            z = added_to(z, layer.bias)
        slope = None
        if keep and layer.activation.shares_parts and keeps(z):
            h, slope = layer.activation.with_slope(z)
            z = empty_like(z)
        else:
            h = layer.activation.value(z)
        preactivations.append(z)
        slopes.append(slope)
    return Trace(tuple(inputs), tuple(preactivations), h, tuple(slopes) if keep else ())


def backward(mlp: MLP, trace: Trace, d_output: Array, wanted: Collection[str] | None = None) -> Gradients:
    """The gradients of ⟨d_output, output⟩: two products per layer, none of them of the forward pass.

    Args:
        mlp: the network that made the trace.
        trace: what `forward` stored.
        d_output: the gradient of the loss with respect to the output, (N, K).
        wanted: the places whose gradients are asked for, "input" among them; None for all. The others are None.

    Raises:
        ValueError: a place that is wanted is none of the network's.

    >>> mlp = MLP((Layer(np.array([[2.0, -1.0]]), np.array([0.5]), "identity"),))
    >>> g = backward(mlp, forward(mlp, np.array([[1.0, 3.0]])), np.array([[10.0]]))
    >>> g.layers[0].weight, g.layers[0].bias, g.input
    (array([[10., 30.]]), array([10.]), array([[ 20., -10.]]))
    """
    found: list[LayerGradients] = []
    d_h: Array | None = d_output
    slopes = trace.slopes or (None,) * len(mlp.layers)
    asked = _asked(mlp, wanted)
    kept = zip(trace.inputs, trace.preactivations, slopes, asked, strict=True)
    for layer, (x, z, slope, (to_weight, to_bias, to_x)) in zip(
        reversed(mlp.layers), reversed(list(kept)), strict=True
    ):
        if d_h is None:  # nothing from here on is asked for
            found.append(LayerGradients(None, None))
            continue
        d_z = layer.activation.pullback(z, d_h) if slope is None else d_h * slope
        d_bias = d_z.sum(axis=0) if to_bias and layer.bias is not None else None
        d_weight = d_z.T @ x if to_weight else None
        found.append(LayerGradients(d_weight, d_bias))
        d_h = d_z @ layer.weight if to_x else None
    return Gradients(layers=tuple(reversed(found)), input=d_h)


def _asked(mlp: MLP, wanted: Collection[str] | None) -> list[tuple[bool, bool, bool]]:
    """For each layer: whether the gradients of its weight and of its bias are wanted, and any from its input on."""
    if wanted is None:
        return [(True, True, True)] * len(mlp.layers)
    known = (*mlp.named_parameters(), "input", "loss")
    if unknown := sorted(set(wanted) - set(known)):
        raise ValueError(
            f"wanted: the network has no place {unknown[0]!r}{meant(unknown[0], known)}; it has {', '.join(known)}"
        )
    asked, below = [], "input" in wanted
    for index in range(len(mlp.layers)):
        to_weight, to_bias = (place_of(index, kind) in wanted for kind in ("weight", "bias"))
        asked.append((to_weight, to_bias, below))
        below = below or to_weight or to_bias
    return asked
