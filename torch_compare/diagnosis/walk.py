"""The backward pass that a search goes down: the problem it is of, and the gradients that were given on the way.

N examples, I a layer's fan-in, O its fan-out; l is a layer's index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import reference as ref
from reference.network.gradients import is_parameter, kind_of, layer_of, place_of

from ..mistakes.mistake import Mistake
from ..mistakes.rules import RIGHT, Rules
from .candidate import ELEMENT, Effort, Way
from .evidence import BY_NORM, Evidence, norm


@dataclass(frozen=True)
class Walk:
    """A walk from the output down to the input of one problem, right or mistaken.

    Attributes:
        evidence: what was given.
        first: mistakes that change the problem or the gradient of the loss.
        problem: with these mistakes in it.
        trace: of its forward pass.
        d_output: the gradient that the walk begins with (N, K).
        given: the gradients to be explained, by place: not the loss, nor that of an input which a mistake leaves out.
        lowest: the lowest layer that a gradient was given of; −1 if that of the input was.
        effort: what it may cost, together with other walks.
        rules: of the backward pass, with these mistakes in them.
    """

    evidence: Evidence
    first: tuple[Mistake, ...]
    problem: ref.Problem
    trace: ref.Trace
    d_output: Any
    given: Mapping[str, Any]
    lowest: float
    effort: Effort
    rules: Rules = RIGHT

    @classmethod
    def after(cls, first: tuple[Mistake, ...], evidence: Evidence, effort: Effort) -> Walk:
        """The walk on which these mistakes were made before it begins."""
        problem, rules = evidence.problem, RIGHT
        for mistake in first:
            problem, rules = mistake.problem(problem), mistake.rules(rules)
        trace = _trace(problem, evidence, effort)
        without_input = any(m.leaves(problem, {"input": problem.x}).keys() != {"input"} for m in first)
        left_out = ("loss", "input") if without_input else ("loss",)
        given = {place: leaf for place, leaf in evidence.given.items() if place not in left_out}
        d_output = rules.d_output(problem, trace.output)
        return cls(evidence, first, problem, trace, d_output, given, _lowest(given), effort, rules)

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.problem.mlp.layers)

    def slope(self, l: int, d_h: Any) -> Any:
        """d_z (N, O) of a layer from the gradient of its output, without a mistake."""
        return self.rules.slope(self.problem, self.trace, l, d_h)

    def down(self, l: int, way: Way, d_z: Any) -> Way:
        """The way one layer further, whose weight d_z goes through without a mistake."""
        self.effort.spent += d_z.shape[0] * self.problem.mlp.layers[l].weight.size
        return replace(way, d_h=self.rules.downward(self.problem, self.trace, l, d_z), d_z=d_z)

    def leaf(self, l: int, place: str, d_z: Any) -> Any:
        """The gradient at a place of a layer, or that of the input, that d_z makes without a mistake."""
        if place == "input":
            return d_z
        return d_z.T @ self.trace.inputs[l] if kind_of(place) == "weight" else d_z.sum(axis=0)

    def floor(self, l: int, place: str, d_z: Any) -> float:
        """The norm of the rounding errors that a sum of these d_z has, though it may cancel: u‖d_z‖, u‖d_z‖‖x‖/√N."""
        inputs = norm(self.trace.inputs[l]) / np.sqrt(len(d_z)) if kind_of(place) == "weight" else 1.0
        return self.evidence.unit * norm(d_z) * inputs

    def away(self, l: int, d_z: Any) -> float:
        """How far the gradients that this d_z makes for the layer are from those given; ∞ if none was given."""
        places = [place for place in (place_of(l, "bias"), place_of(l, "weight")) if place in self.given]
        away = 0.0 if places else float("inf")
        for place in places:
            if away <= BY_NORM:
                size = np.size(self.given[place])
                self.effort.spent += ELEMENT * size + len(d_z) * size * (kind_of(place) == "weight")
                made = self.leaf(l, place, d_z)
                away = max(away, self.evidence.away(place, made, self.floor(l, place, d_z)))
        return away


def _trace(problem: ref.Problem, evidence: Evidence, effort: Effort) -> ref.Trace:
    """The forward pass of a mistaken problem: only from where it is another than that of the right one."""
    right, base = evidence.trace, evidence.problem
    inputs: list[Any] = []
    preactivations: list[Any] = []
    h, shared = problem.x, problem.x is base.x
    for l, (layer, theirs) in enumerate(zip(problem.mlp.layers, base.mlp.layers, strict=True)):
        inputs.append(h)
        shared = shared and layer.weight is theirs.weight and layer.bias is theirs.bias
        z = right.preactivations[l] if shared else h @ layer.weight.T
        if not shared:
            z = z if layer.bias is None else z + layer.bias
            effort.spent += h.shape[0] * layer.weight.size
        preactivations.append(z)
        shared = shared and layer.activation is theirs.activation
        h = output_of(right, l) if shared else layer.activation.value(z)
        effort.spent += 0 if shared else ELEMENT * z.size
    return ref.Trace(tuple(inputs), tuple(preactivations), h)


def output_of(trace: ref.Trace, l: int) -> Any:
    """h, the output of layer l."""
    return trace.inputs[l + 1] if l + 1 < len(trace.inputs) else trace.output


def _lowest(given: Mapping[str, Any]) -> float:
    if "input" in given:
        return -1
    return min((layer_of(place) or 0 for place in given if is_parameter(place)), default=np.inf)
