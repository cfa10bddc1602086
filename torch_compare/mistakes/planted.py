"""The mistakes that `verify` plants: each must be caught before the verdicts on correct gradients count for anything.

They are taken from the other modules of this room if those know them, and made here if no diagnosis looks for them.
Each sits in a problem on which nothing gives it away but its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import reference as ref

from .backward import bias_mistakes, downward_mistakes, slope_mistakes, weight_mistakes
from .data import activation_mistakes, batch_mistakes
from .finished import factor_at
from .loss import loss_mistakes
from .mistake import Leaves, Mistake, leaves_with
from .rules import RIGHT, Rules, at_step

MIDDLE = 1
"""Mistakes of a single layer sit in this one of the three: it has layers above and below it."""
Chosen = Callable[[ref.Problem], tuple[Mistake, ...]]
OfLayer = Callable[[ref.Problem, int], Iterable[Mistake]]
"""(problem, layer) ↦ the mistakes that can be made there."""


@dataclass(frozen=True)
class PlantedMistake:
    """One mistake, and the problem that it is planted in.

    Attributes:
        name: what is wrong, in a few words.
        mistakes: problem ↦ the mistake; in every layer, if more than one is needed for that.
        activation: what the layers of the problem compute.
        loss: the loss of the problem.
    """

    name: str
    mistakes: Chosen
    activation: str = "tanh"
    loss: str = "half_squared_error"

    def gradients(self, problem: ref.Problem) -> Leaves:
        """The wrong gradients by place, the loss included."""
        return leaves_with(self.mistakes(problem), problem)


def planted_problem(activation: str, loss: str, seed: int = 0) -> ref.Problem:
    """The 8-16-16-16 network that mistakes are planted in: square where a missing transpose must fit."""
    mlp = ref.initialize([8, 16, 16, 16], [activation, activation, "identity"], seed=seed)
    rng = np.random.default_rng(seed + 1)
    layers = tuple(ref.Layer(layer.weight, 0.1 * rng.normal(size=16), layer.activation) for layer in mlp.layers)
    target = rng.integers(0, 16, 8) if loss == "cross_entropy" else rng.normal(size=(8, 16))
    return ref.Problem(ref.MLP(layers), rng.normal(size=(8, 8)), target, loss)


# ── those that the other modules know ────────────────────────────────────────────────────────────────


def _known(found: Callable[[ref.Problem], Iterable[Mistake]], name: str, clue: str = "") -> Chosen:
    """The first mistake of that name whose text has the clue."""
    return lambda problem: (next(m for m in found(problem) if m.name == name and clue in m.what),)


def _in_layer(layer: int, found: OfLayer, name: str, clue: str = "") -> Chosen:
    return _known(lambda problem: found(problem, layer), name, clue)


def _in_middle(found: OfLayer, name: str, clue: str = "") -> Chosen:
    return _in_layer(MIDDLE, found, name, clue)


def _everywhere(found: OfLayer, name: str, clue: str = "") -> Chosen:
    def mistakes(problem: ref.Problem) -> tuple[Mistake, ...]:
        layers = range(len(problem.mlp.layers))
        return tuple(m for l in layers for m in _in_layer(l, found, name, clue)(problem))

    return mistakes


def _times(factor: float) -> Chosen:
    like = Mistake("constant factor", "", "a factor too many", form="factor", constant=factor)
    return lambda problem: (factor_at(problem.gradient_shapes(), "every gradient", like),)


# ── those that are made here ─────────────────────────────────────────────────────────────────────────


def _made(what: str, **changes: Any) -> Chosen:
    mistake = Mistake("planted", "here", what, **changes)
    return lambda problem: (mistake,)


def _off_by(error: float) -> Chosen:
    """A derivative of the middle layer that is off by so much, relative to itself."""

    def slope(problem: ref.Problem, trace: ref.Trace, l: int, d_h: Any) -> Any:
        return RIGHT.slope(problem, trace, l, d_h) * (1 + error)

    return _made("one derivative is inaccurate", rules=at_step("slope", slope, MIDDLE))


def _by_elements(rules: Rules) -> Rules:
    return replace(rules, d_output=lambda p, y: rules.d_output(p, y) / y.shape[1])


def _updated_weight(problem: ref.Problem, trace: ref.Trace, l: int, d_z: Any) -> Any:
    """Backward through a weight that the optimiser has already changed."""
    weight = problem.mlp.layers[l].weight
    return d_z @ (weight - 0.01 * np.sign(weight))


def _in_float32(problem: ref.Problem, leaves: Leaves) -> Leaves:
    single = problem.in_dtype(np.float32)
    return {place: np.asarray(leaf).astype(float) for place, leaf in ref.gradients(single).leaves().items()}


PLANTED: tuple[PlantedMistake, ...] = (
    PlantedMistake("weight gradient transposed", _in_middle(weight_mistakes, "weight gradient transposed")),
    PlantedMistake("weight not transposed on the way back", _in_middle(downward_mistakes, "weight not transposed")),
    PlantedMistake(
        "derivative at the output, not the pre-activation", _in_middle(slope_mistakes, "derivative at the output")
    ),
    PlantedMistake("derivative left out", _in_middle(slope_mistakes, "activation derivative missing")),
    PlantedMistake(
        "derivative of the layer below (stale)",
        _in_middle(slope_mistakes, "derivative of the wrong layer", "the layer below"),
    ),
    PlantedMistake(
        "input of the layer above (stale)", _in_middle(weight_mistakes, "input of the wrong layer", "the layer above")
    ),
    PlantedMistake(
        "sum where the loss takes the mean",
        _made("a sum where the loss takes the mean", problem=lambda p: p.replace(reduction="sum")),
    ),
    PlantedMistake(
        "mean over elements, not examples", _made("a mean over all elements, not the examples", rules=_by_elements)
    ),
    PlantedMistake(
        "bias gradient not summed (last example)",
        _everywhere(bias_mistakes, "bias gradient not summed", "the last example"),
    ),
    PlantedMistake("bias gradient averaged", _everywhere(bias_mistakes, "bias gradient averaged")),
    PlantedMistake("sign", _times(-1.0)),
    PlantedMistake("factor 2", _times(2.0)),
    PlantedMistake("factor 1/2", _times(0.5)),
    PlantedMistake("layers below detached", _in_middle(downward_mistakes, "layers below detached")),
    PlantedMistake(
        "weight already updated",
        _made("a weight is updated already", rules=at_step("downward", _updated_weight, MIDDLE)),
    ),
    PlantedMistake("another batch", _known(batch_mistakes, "stale batch", "the inputs are shifted by 1")),
    PlantedMistake("computed in float32", _made("all is computed in float32", leaves=_in_float32)),
    PlantedMistake("relative error 1e-6 in one derivative", _off_by(1e-6)),
    PlantedMistake("relative error 1e-12 in one derivative", _off_by(1e-12)),
    PlantedMistake(
        "ReLU mask from the wrong side", _in_middle(slope_mistakes, "mask from the wrong side"), activation="relu"
    ),
    PlantedMistake(
        "ReLU mask left out", _in_middle(slope_mistakes, "activation derivative missing"), activation="relu"
    ),
    PlantedMistake("tanh formula for GELU", _known(activation_mistakes, "tanh formula for GELU"), activation="gelu"),
    PlantedMistake(
        "leaky slope taken as 0", _known(activation_mistakes, "leaky slope", "relu stands"), activation="leaky_relu"
    ),
    PlantedMistake(
        "softmax Jacobian taken as diagonal",
        _in_middle(slope_mistakes, "softmax Jacobian diagonal"),
        activation="softmax",
    ),
    PlantedMistake("softmax applied twice", _known(loss_mistakes, "softmax applied twice"), loss="cross_entropy"),
    PlantedMistake("target not subtracted", _known(loss_mistakes, "target not subtracted")),
)
"""Every one of them; `verify` plants them all before it trusts its own verdicts."""
