"""Networks by their choice of activations: one layer if all are linear, and a rule for linear ones among others.

And the chapter's network as one of operations.

Shapes: I a layer's fan-in, O its fan-out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .. import activations as table
from .. import operations
from ..activations.row import Activation
from ..arithmetic.array import Array
from .graph import Network, Step
from .initialization import check_widths
from .mlp import MLP, Layer


def collapse(mlp: MLP) -> Layer:
    """The single layer that a network of linear activations is: W = W_L ⋯ W_1, b = Σ_l W_L ⋯ W_{l+1} b_l.

    Returns:
        A layer with weight (O of the last, I of the first), bias (O of the last,) or None where no layer has one, and
        the identity.

    Raises:
        ValueError: a layer's activation is not the identity; the message names the layer.

    >>> import numpy as np
    >>> doubled = Layer(np.array([[2.0]]), np.array([1.0]), "identity")
    >>> collapse(MLP((doubled, doubled))).weight, collapse(MLP((doubled, doubled))).bias
    (array([[4.]]), array([3.]))
    """
    weight: Array | None = None
    bias: Array | None = None
    for index, layer in enumerate(mlp.layers):
        if layer.activation.name != "identity":
            raise ValueError(
                f"layers[{index}]: {layer.activation.name} is not linear, so the network does not collapse"
            )
        carried = None if bias is None else (bias[None] @ layer.weight.T)[0]
        bias = layer.bias if carried is None else carried if layer.bias is None else carried + layer.bias
        weight = layer.weight if weight is None else layer.weight @ weight
    assert weight is not None, "an MLP has a layer"
    return Layer(weight, bias, table.ACTIVATIONS["identity"])


def linear_bottleneck(
    widths: Sequence[int], activation: str | Activation = "relu6", *, last: str | Activation = "identity"
) -> tuple[Activation, ...]:
    """Activations by widths: the identity where a layer narrows, a non-linear one where it does not.

    MobileNetV2's rule (Sandler, Howard, Zhu, Zhmoginov & Chen 2018, §3.2 and table 1): a non-linearity destroys
    information in few dimensions and preserves it in many, so the layer into a bottleneck has none. A layer that
    keeps the width gets the activation, as their depthwise convolution does. The last layer gets `last` whatever its
    width: the identity, for an output that is not bounded.

    Where widths only shrink, every activation is the identity and the network is one layer (`collapse`): the rule is
    for networks that also grow.

    Args:
        widths: the number of features before the first layer and behind each layer: one more than layers.
        activation: a row or its name, for the layers that do not narrow.
        last: a row or its name, for the last layer.

    Returns:
        One row per layer, as `initialize` takes them.

    Raises:
        ValueError: too few widths, a width below 1, or no row has that name.
        TypeError: an activation is neither a name nor a row.

    >>> [row.name for row in linear_bottleneck([16, 96, 96, 24, 144, 10])]
    ['relu6', 'relu6', 'identity', 'relu6', 'identity']
    """
    check_widths(widths)
    wide, narrow = table.get(activation), table.ACTIVATIONS["identity"]
    inner = [narrow if width < fan_in else wide for fan_in, width in pairwise(widths[:-1])]
    return (*inner, table.get(last))


def as_network(mlp: MLP) -> Network:
    """The same network as one of operations, with the same leaves: "layers[0].weight", "layers[0].bias", "input".

    >>> from reference.network.initialization import initialize
    >>> as_network(initialize([2, 3, 1], ["tanh", "identity"], seed=0)).steps[1].name
    'layers[0]'
    """
    steps, h = [], "input"
    for index, layer in enumerate(mlp.layers):
        place = f"layers[{index}]"
        steps.append(
            Step(f"{place}.z", "linear", h, f"{place}.weight", None if layer.bias is None else f"{place}.bias")
        )
        steps.append(Step(place, operations.of_activation(layer.activation), f"{place}.z"))
        h = place
    return Network(mlp.named_parameters(), steps, inputs=("input",), output=h)
