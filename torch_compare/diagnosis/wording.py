"""A diagnosis in words: what was done, where, and how closely it gives the numbers at hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import reference as ref
from reference.network.gradients import place_of

from ..mistakes.mistake import Mistake, told_from


def sentence(mistakes: Sequence[Mistake], problem: ref.Problem, scales: float | None = None) -> str:
    """The mistakes, one clause for each, each with all its places.

    Args:
        mistakes: one or a few; those of one habit become one clause.
        problem: that they were made on.
        scales: how far what was given is from what they make; None leaves it out.
    """
    by_habit: dict[tuple[str, str], list[Mistake]] = {}
    for mistake in mistakes:
        by_habit.setdefault(mistake.habit, []).append(mistake)
    clauses: dict[str, list[Mistake]] = {}
    factors: dict[str, list[Mistake]] = {}
    for same in by_habit.values():
        where = places([m.where for m in same], problem)
        (factors if same[0].form == "factor" and same[0].constant != 0 else clauses).setdefault(where, []).append(
            same[0]
        )
    close = "" if scales is None else f" to {amount(scales)}"
    texts = [f"{where}: {' and '.join(m.what for m in found)}" for where, found in clauses.items()]
    for where, found in factors.items():
        value = 1.0
        for mistake in found:
            value *= mistake.constant
        besides = "besides, " if texts else ""
        fit = "" if texts else f"{close} everywhere"
        uncertainty = max(m.uncertainty for m in found)
        reasons = "; and ".join(m.what for m in found)
        texts.append(f"{besides}{where}: yours = oracle × {number(value, uncertainty)}{fit}; {reasons}")
    text = "; ".join(texts)
    if clauses and close:
        text += f"; with that, the oracle's formulas give your numbers{close}"
    return text


def amount(scales: float) -> str:
    """A distance in rounding scales, in words."""
    return "within 1 rounding scale" if scales <= 1 else f"{max(scales, 1.1):.2g} rounding scales"


def number(value: float, uncertainty: float = 0.0) -> str:
    """A factor with as many digits as tell it from 1, and no more than are known where it was fitted."""
    return told_from(value, 1.0, uncertainty)


def places(where: Sequence[str], problem: ref.Problem) -> str:
    """Several places as one phrase.

    >>> import numpy as np
    >>> mlp = ref.initialize([2, 2, 2], ["tanh", "identity"], seed=0)
    >>> problem = ref.Problem(mlp, np.ones((1, 2)), np.ones((1, 2)), "mse")
    >>> places(["layers[0].bias", "layers[1].bias"], problem), places(["layers[1]", "layers[0]"], problem)
    ('every bias', 'every layer')
    """
    unique = list(dict.fromkeys(where))
    if len(unique) == 1:
        return listed(unique)
    if isinstance(problem.network, ref.Network):
        named, leaves = problem.network.named_parameters(), problem.leaves()
        groups = (
            (set(named), "every parameter"),
            (set(leaves), "every gradient"),
            ({place for place, values in named.items() if values.ndim > 1}, "every parameter of two axes or more"),
            (set(leaves) - set(named), "every input"),
        )
        return next((title for full, title in groups if set(unique) == full), listed(unique))
    layers = problem.mlp.layers
    weights = {place_of(l, "weight") for l in range(len(layers))}
    biases = {place_of(l, "bias") for l, layer in enumerate(layers) if layer.bias is not None}
    active = {place_of(l) for l, layer in enumerate(layers) if layer.activation.name != "identity"}
    titles = (
        (weights | biases | {"input"}, "every gradient"),
        (weights | biases, "every weight and bias"),
        (weights, "every weight"),
        (biases, "every bias"),
        ({place_of(l) for l in range(len(layers))}, "every layer"),
        ({place_of(l) for l in range(1, len(layers))}, "every layer but the first"),
        (active, "every layer with an activation"),
    )
    for full, title in titles:
        if set(unique) == full:
            return title
    return listed(sorted(unique))


def listed(names: Sequence[str], limit: int = 6) -> str:
    """A list in words, cut after so many."""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


@dataclass(frozen=True)
class Implied:
    """The derivative of an activation that gradients imply, beside the right one.

    Attributes:
        layer: whose activation it is, as "layers[0]".
        activation: its name.
        place: the gradient that implies it.
        points: (z, the implied a′(z), the right one), by z.
    """

    layer: str
    activation: str
    place: str
    points: tuple[tuple[float, float, float], ...]

    def __str__(self) -> str:
        values = [f"{implied:.6g} at z = {z:.4g}, where it is {right:.6g}" for z, implied, right in self.points]
        return (
            f"if what comes down to {self.layer} is right, {self.place} implies for {self.activation}′(z): "
            f"{listed(values)}"
        )


class Diagnosis(str):
    """One sentence on what gradients are, with the facts behind it: it prints, compares and is searched as its text.

    Attributes:
        names: the kinds of the mistakes that make the gradients, three at most; none if nothing fits, or none was made.
        scales: the largest distance from what the mistakes make, in rounding scales.
        runner_up: another explanation that fits within rounding too; "" if there is none.
        others: the kinds of every other explanation that fits within rounding as well and is as simple.
        sought: whether a mistake was looked for.
        stopped: which part of the search came to the end of its work; "" if none did.
        implied: the derivative that gradients which no known mistake makes imply; None if they tell none.

    >>> found = Diagnosis("the sign is wrong", ("sign",), 0.5)
    >>> found, found.names, "sign" in found
    ('the sign is wrong', ('sign',), True)
    """

    names: tuple[str, ...]
    scales: float
    runner_up: str
    others: tuple[tuple[str, ...], ...]
    sought: bool
    stopped: str
    implied: Implied | None

    def __new__(
        cls,
        text: str,
        names: tuple[str, ...] = (),
        scales: float = float("inf"),
        runner_up: str = "",
        others: tuple[tuple[str, ...], ...] = (),
        *,
        sought: bool = True,
        stopped: str = "",
        implied: Implied | None = None,
    ) -> Self:
        """The sentence, and what is known behind it."""
        made = super().__new__(cls, text)
        made.names, made.scales, made.runner_up, made.others = names, scales, runner_up, others
        made.sought, made.stopped, made.implied = sought, stopped, implied
        return made

    def steps(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the names of a network's steps that the sentence says something of.

        >>> Diagnosis("mul#2 and a.mul: the sign is wrong").steps(["mul", "mul#2", "a.mul", "sign"])
        ('mul#2', 'a.mul')
        """
        where, _, _ = self.partition(": ")
        said = {*re.split(r", | and ", where), *re.findall(r"(?:the step|from) (\S+) \(", self)}
        return tuple(name for name in names if name in said)

    @classmethod
    def of(cls, said: str) -> Diagnosis:
        """A sentence that no mistake was looked for behind, or the diagnosis that it is."""
        return said if isinstance(said, Diagnosis) else cls(said, sought=False)
