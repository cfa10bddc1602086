"""The right passes of a network, and what a wrong pullback in one of its steps changes.

The backward pass is linear in the gradients that it carries. A step that hands down Δ more than it should changes the
leaves by what the steps before it make of Δ, and all else is as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import reference as ref
from reference.network import graph
from reference.network.dependence import depending


@dataclass(frozen=True)
class NetworkPass:
    """Forward and backward pass of a problem of a network.

    Attributes:
        problem: the problem.
        trace: every value.
        d: the gradient of every value between the leaves and the output.
        leaves: the gradients by name, the loss included.
    """

    problem: ref.Problem
    trace: graph.NetworkTrace
    d: Mapping[str, Any]
    leaves: Mapping[str, Any]

    @classmethod
    def of(cls, problem: ref.Problem) -> NetworkPass | None:
        """The passes; None if the last activation and the loss are taken as one, so that a step is not there."""
        if problem.as_one() is not problem:
            return None
        network = problem.graph
        trace = graph.forward(network, problem.x)
        d_output = {network.output: ref.loss_gradient(problem, trace.output)}
        d = graph.cotangents(network, trace, d_output, problem.leaves())
        leaves = graph.of_leaves(trace, d, problem.leaves()).leaves()
        return cls(problem, trace, d, {**leaves, "loss": ref.loss_value(problem, trace.output)})

    def leaves_of(self, other: ref.Problem) -> dict[str, Any] | None:
        """The gradients of the problem with other pullbacks in some steps; None if it is another problem otherwise."""
        if other.loss is not self.problem.loss or other.x is not self.problem.x:
            return None
        steps, others = self.problem.graph.steps, other.graph.steps
        if len(steps) != len(others) or other.graph.parameters is not self.problem.graph.parameters:
            return None
        wrong = {k for k, (a, b) in enumerate(zip(steps, others, strict=True)) if a is not b}
        if any(steps[k].operation.value is not others[k].operation.value for k in wrong):
            return None
        change = self._change(others, wrong)
        return {name: leaf + change[name] if name in change else leaf for name, leaf in self.leaves.items()}

    def _change(self, steps: tuple[ref.Step, ...], wrong: set[int]) -> dict[str, Any]:
        """What the wrong pullbacks change in the gradients of all values."""
        wanted = depending(self.problem.graph.steps, self.problem.leaves())
        change: dict[str, Any] = {}

        def add(name: str | None, more: Any) -> None:
            if name is not None and name in wanted and more is not None:
                change[name] = change[name] + more if name in change else more

        for k in reversed(range(len(steps))):
            step = steps[k]
            reached = any(name in change for name in step.outputs)
            if k in wrong and any(name in self.d for name in step.outputs):
                d = {**self.d, **{n: self.d[n] + change[n] for n in step.outputs if n in self.d and n in change}}
                now = graph.pulled_back(step, self.trace.values, d)
                before = graph.pulled_back(self.problem.graph.steps[k], self.trace.values, self.d)
                for name, a, b in zip(step.inputs, now, before, strict=True):
                    add(name, _less(a, b))
            elif reached:
                for name, more in zip(step.inputs, graph.pulled_back(step, self.trace.values, change), strict=True):
                    add(name, more)
        return change


def _less(a: Any, b: Any) -> Any:
    """a − b, where None stands for 0."""
    if b is None:
        return a
    return -b if a is None else a - b
