"""The tree of gradients: its leaves, and the places that name them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..arithmetic.dispatch import Array


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
        input: ∂L/∂x, (N, I), or None where it was not asked for.
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


def is_parameter(place: str) -> bool:
    """Whether a place is the gradient of a weight or a bias."""
    return place.startswith("layers")
