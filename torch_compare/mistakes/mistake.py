"""The mistakes that people make in backpropagation: each a way to compute gradients that is right but for one thing.

A mistake changes the problem (another activation, another batch), a step of the backward pass, or the finished leaves.
It is written in the operations of the calculus, so it runs in noisy arithmetic too: that gives the rounding scale of
the wrong gradients, by which a diagnosis is as sharp as a verdict.

N examples, I a layer's fan-in, O its fan-out, K the network's outputs; l is a layer's index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref

from .network_pass import NetworkPass
from .rules import RIGHT, Rules, backward_with

Leaves = dict[str, Any]


def _same_problem(problem: ref.Problem) -> ref.Problem:
    return problem


def _same_rules(rules: Rules) -> Rules:
    return rules


def _same_leaves(problem: ref.Problem, leaves: Leaves) -> Leaves:
    return leaves


@dataclass(frozen=True)
class Mistake:
    """One mistake at one place.

    Attributes:
        name: its kind, the same for every place.
        where: its place: "loss", "layers[2]", "layers[2].weight", "every gradient".
        what: a clause that says what is done there, the same for every place.
        problem: problem ↦ the problem that was differentiated in its stead.
        rules: rules ↦ rules with the mistake in them.
        leaves: (problem, leaves) ↦ the leaves as they were handed over.
        vague: whether it makes so many gradients, or has so free a constant, that it is named only if no other fits.
        particular: whether it is one of the few that are peculiar to the problem's own activations or loss, so that
            fewer numbers than usual tell it from chance.
        form: what its constant is: "factor", "decay", …; "" if it has none.
        constant: a factor, a rate, a slope.
        uncertainty: of the constant, relative to the leaf that it makes, if it was fitted to what was given.
        also: other kinds that are the same on this problem.
    """

    name: str
    where: str
    what: str
    problem: Callable[[ref.Problem], ref.Problem] = _same_problem
    rules: Callable[[Rules], Rules] = _same_rules
    leaves: Callable[[ref.Problem, Leaves], Leaves] = _same_leaves
    vague: bool = False
    particular: bool = False
    form: str = ""
    constant: float = 1.0
    uncertainty: float = 0.0
    also: tuple[str, ...] = ()

    @property
    def habit(self) -> tuple[str, str]:
        """Kind and clause, the same at every place: who makes the mistake in every layer makes one mistake."""
        return self.name, self.what

    @property
    def key(self) -> tuple[str, str, str]:
        """The habit at its place."""
        return self.name, self.what, self.where


def leaves_with(
    mistakes: tuple[Mistake, ...],
    problem: ref.Problem,
    trace: ref.Trace | NetworkPass | None = None,
    right: Rules = RIGHT,
) -> Leaves:
    """The gradients by place, the loss included, that somebody who makes these mistakes computes.

    Args:
        mistakes: what is done wrong.
        problem: the problem.
        trace: of its forward pass, if it is at hand, of a network both passes; taken where no mistake changes what is
            differentiated.
        right: the right rules, as `remembered` has them of that trace.

    >>> import numpy as np
    >>> mlp = ref.initialize([2, 1], ["identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.ones((1, 2)), np.zeros((1, 1)), "mse")
    >>> bool(np.all(leaves_with((), problem)["input"] == ref.gradients(problem).input))
    True
    """
    differentiated = problem
    for mistake in mistakes:
        differentiated = mistake.problem(differentiated)
    rules = right if differentiated is problem else RIGHT
    for mistake in mistakes:
        rules = mistake.rules(rules)
    if isinstance(problem.network, ref.Network):
        made = trace.leaves_of(differentiated) if isinstance(trace, NetworkPass) else None
        leaves: Leaves = ref.gradients(differentiated).leaves() if made is None else made
    else:
        same = isinstance(trace, ref.Trace) and differentiated is problem
        leaves = backward_with(rules, differentiated, trace if same else None).leaves()  # type: ignore[arg-type]
    for mistake in mistakes:
        leaves = mistake.leaves(problem, leaves)
    return leaves


def told_from(value: float, other: float, uncertainty: float = 0.0) -> str:
    """A number in no more digits than are known, but in as many as tell it from another.

    Args:
        value: the number.
        other: that it must not read as.
        uncertainty: relative, of the number.

    >>> told_from(1 / 3, 1.0), told_from(0.0100000002, 0.01), told_from(1 / 3, 1.0, 2.0**-9)
    ('0.333333', '0.0100000002', '0.3333')
    """
    known = 6 if uncertainty < 1e-6 else int(np.clip(1 + np.ceil(-np.log10(uncertainty)), 2, 6))
    short, theirs = (f"{float(f'{number:.{known}g}'):g}" for number in (value, other))
    if short != theirs or other in (value, 0.0):
        return short
    return f"{value:.{min(17, 3 + int(np.ceil(-np.log10(abs(value / other - 1)))))}g}"


def habits(mistakes: Iterable[Mistake]) -> int:
    """How many mistakes there are; one that is made in many places is one."""
    return len({m.habit for m in mistakes})
