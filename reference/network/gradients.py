"""The tree of gradients, and the places that name its leaves: "layers[0].weight", "layers[0].bias", "input", "loss".

Every place is made by `place_of` and read by `layer_of` and `kind_of`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from ..arithmetic.array import Array

_PLACE = re.compile(r"layers\[(\d+)\](?:\.(weight|bias))?")


def place_of(layer: int, kind: str = "") -> str:
    """The place of a layer, or of its "weight" or "bias".

    >>> place_of(2, "weight"), place_of(2)
    ('layers[2].weight', 'layers[2]')
    """
    return f"layers[{layer}].{kind}" if kind else f"layers[{layer}]"


def layer_of(place: str) -> int | None:
    """The number of the layer that a place is in; None for the input, the loss and what is no place.

    >>> layer_of("layers[2].weight"), layer_of("layers[2]"), layer_of("input")
    (2, 2, None)
    """
    found = _PLACE.fullmatch(place)
    return int(found[1]) if found else None


def kind_of(place: str) -> str:
    """The kind of a place: "weight", "bias", or the place itself.

    >>> kind_of("layers[2].bias"), kind_of("loss")
    ('bias', 'loss')
    """
    found = _PLACE.fullmatch(place)
    return (found[2] or place) if found else place


def is_parameter(place: str) -> bool:
    """Whether a place is that of a weight or a bias."""
    return kind_of(place) in ("weight", "bias")


@dataclass(frozen=True, eq=False, slots=True)
class LayerGradients:
    """∂L/∂W (O, I) and ∂L/∂b (O,); None where the layer has no bias, or where it was not asked for."""

    weight: Array | None
    bias: Array | None


@dataclass(frozen=True, eq=False, slots=True)
class Gradients:
    """The loss and its gradients.

    Attributes:
        layers: the gradients of each layer's parameters.
        input: ∂L/∂x, (N, I), or None where it was not asked for.
        loss: L, or None from `backward`, which does not know it.
        named: the gradients of a network of operations, by the names of its parameters and inputs.

    >>> g = Gradients((LayerGradients(np.array([[2.0]]), None),), np.array([[3.0]]), loss=np.float64(5.0))
    >>> g["layers[0].weight"], g["loss"]
    (array([[2.]]), array(5.))
    """

    layers: tuple[LayerGradients, ...]
    input: Array | None
    loss: Array | None = None
    named: Mapping[str, Array] = field(default_factory=dict)

    def leaves(self) -> dict[str, Array]:
        """Every leaf by its place, the loss last; those that are None are left out. Numbers are arrays of shape ()."""
        named: dict[str, Array | None] = {}
        for index, layer in enumerate(self.layers):
            named[place_of(index, "weight")] = layer.weight
            named[place_of(index, "bias")] = layer.bias
        named |= {**self.named, "input": self.input}
        named["loss"] = np.asarray(self.loss) if isinstance(self.loss, np.generic | float) else self.loss
        return {place: leaf for place, leaf in named.items() if leaf is not None}

    def derivatives(self) -> dict[str, Array]:
        """Every leaf by its place but the loss."""
        return {place: leaf for place, leaf in self.leaves().items() if place != "loss"}

    def __getitem__(self, place: str) -> Array:
        """The leaf at a place.

        Raises:
            KeyError: there is none; the message lists those that exist.
        """
        leaves = self.leaves()
        if place not in leaves:
            raise KeyError(f"{place!r} is no place of these gradients; there are {', '.join(leaves)}")
        return leaves[place]

    @classmethod
    def from_leaves(cls, leaves: Mapping[str, Any]) -> Gradients:
        """The tree with these leaves by place, as `leaves` names them; a bias, the input or the loss may be missing.

        What is no place of an MLP's first layers is a leaf of a network of operations, by its name.

        >>> Gradients.from_leaves({"layers[0].weight": np.array([[2.0]]), "input": np.array([[3.0]])}).layers[0].bias
        """
        depth = next(index for index in count() if place_of(index, "weight") not in leaves)
        layers = tuple(
            LayerGradients(leaves[place_of(index, "weight")], leaves.get(place_of(index, "bias")))
            for index in range(depth)
        )
        own = {place_of(index, kind) for index in range(depth) for kind in ("weight", "bias")} | {"input", "loss"}
        named = {name: leaf for name, leaf in leaves.items() if name not in own}
        return cls(layers, leaves.get("input"), leaves.get("loss"), named)

    def map(self, f: Callable[..., Any], *others: Gradients) -> Gradients:
        """The tree with f applied to every leaf (with the others' leaves); None where a leaf is None."""

        def apply(*leaves: Array | None) -> Any:
            return None if any(leaf is None for leaf in leaves) else f(*leaves)

        return Gradients(
            layers=tuple(
                LayerGradients(apply(*(p.weight for p in pieces)), apply(*(p.bias for p in pieces)))
                for pieces in zip(self.layers, *(o.layers for o in others), strict=True)
            ),
            input=apply(self.input, *(o.input for o in others)),
            loss=apply(self.loss, *(o.loss for o in others)),
            named={name: apply(leaf, *(o.named[name] for o in others)) for name, leaf in self.named.items()},
        )
