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
from .example_weights import in_micro_batches
from .finished import factor_at, lines_zeroed_at
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
    activation: str | ref.Activation = "tanh"
    loss: str | ref.Loss = "half_squared_error"

    def gradients(self, problem: ref.Problem) -> Leaves:
        """The wrong gradients by place, the loss included."""
        return leaves_with(self.mistakes(problem), problem)


def planted_problem(activation: str | ref.Activation, loss: str | ref.Loss, seed: int = 0) -> ref.Problem:
    """The 8-16-16-16 network that mistakes are planted in: square where a missing transpose must fit."""
    mlp = ref.initialize([8, 16, 16, 16], [activation, activation, "identity"], seed=seed)
    rng = np.random.default_rng(seed + 1)
    layers = tuple(ref.Layer(layer.weight, 0.1 * rng.normal(size=16), layer.activation) for layer in mlp.layers)
    kind = ref.losses.get(loss).target
    target = rng.integers(0, 16, 8) if kind == "classes" else rng.normal(size=(8, 16))
    target = (target > 0).astype(float) if kind == "probabilities" else target
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


def _in_micro_batches(averaged: bool) -> Chosen:
    """Of 3, 3 and 2 examples."""
    return lambda problem: (in_micro_batches(problem, 3, averaged),)


def _without_rows(problem: ref.Problem) -> tuple[Mistake, ...]:
    return (lines_zeroed_at("input", range(5, 8), 8),)


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
    PlantedMistake("one bias gradient for all outputs", _in_middle(bias_mistakes, "one bias gradient for all")),
    PlantedMistake("z·φ(z) left out", _in_middle(slope_mistakes, "derivative term missing"), activation="gelu"),
    PlantedMistake("0.3989 for 1/√(2π)", _in_middle(slope_mistakes, "constant cut short", "0.3989 "), "gelu"),
    PlantedMistake(
        "3 of the cubic term left out", _in_middle(slope_mistakes, "factor in the derivative missing"), "gelu_tanh"
    ),
    PlantedMistake("z·σ(1 − σ) left out", _in_middle(slope_mistakes, "derivative term missing"), activation="silu"),
    PlantedMistake("d − h² for d(1 − h²)", _in_middle(slope_mistakes, "gradient in one term only")),
    PlantedMistake("softmax without its dot product", _in_middle(slope_mistakes, "derivative term missing"), "softmax"),
    PlantedMistake(
        "softmax's formula for log_softmax", _in_middle(slope_mistakes, "softmax's formula for its kin"), "log_softmax"
    ),
    PlantedMistake(
        "log_softmax with + softmax", _in_middle(slope_mistakes, "sign of a derivative term"), activation="log_softmax"
    ),
    PlantedMistake(
        "softmax times the gradient above again",
        _in_middle(slope_mistakes, "upstream gradient applied twice"),
        "softmax",
    ),
    PlantedMistake("times the pre-activation besides", _in_middle(slope_mistakes, "pre-activation multiplied in")),
    PlantedMistake(
        "saturated part not masked", _in_middle(slope_mistakes, "saturated part not masked"), activation="hardtanh"
    ),
    PlantedMistake(
        "threshold of softplus ignored",
        _in_middle(slope_mistakes, "activation parameter ignored"),
        activation=ref.activations.softplus(threshold=0.0),
    ),
    PlantedMistake("mean of micro-batches' means", _in_micro_batches(averaged=True)),
    PlantedMistake("micro-batches' means added up", _in_micro_batches(averaged=False)),
    PlantedMistake("last rows of the input's gradient left at 0", _without_rows),
    PlantedMistake(
        "pos_weight on the negatives",
        _known(loss_mistakes, "pos_weight on the negatives"),
        loss=ref.losses.bce_with_logits(pos_weight=np.array(3.0)),
    ),
    PlantedMistake("variance + ε for max(variance, ε)", _known(loss_mistakes, "eps added"), loss="gaussian_nll"),
    PlantedMistake(
        "class weight multiplied in twice",
        _known(loss_mistakes, "class weight applied twice"),
        loss=ref.losses.cross_entropy(weight=np.linspace(0.5, 2.0, 16)),
    ),
)
"""Every one of them; `verify` plants them all before it trusts its own verdicts."""
