"""A row of the table of losses, which checks itself when it is made: its gradient against the complex step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..activations.row import AGREE
from ..arithmetic.array import Array, Term
from ..functions.recipe import Recorded, frozen


def _no_switches(y: Array, t: Array) -> tuple[Array, ...]:
    return ()


def _everything(y: Array) -> Array:
    return np.ones(y.shape, dtype=bool)


def _no_term(y: Array, t: Array) -> Term:
    return 0.0


MOVES = 8
"""How often the numbers of a probe are moved off a kink: one that they do not leave then goes with them."""


@dataclass(frozen=True)
class OfLogarithms:
    """A loss of probabilities y as a function of p = log y and q = log(1 − y), which keep what y loses beside 0 and 1.

    Attributes:
        value: (p, q, t) ↦ the unreduced loss.
        gradient: (p, q, t) ↦ (d_p, d_q).
        switches: (p, q) ↦ as of the loss.
        furthest: the most that the loss of one element may be off, were 1 − y unknown.
        row: the value and gradient that these are another form of; the row sets it.
    """

    value: Callable[[Array, Array, Array], Array] = field(repr=False)
    gradient: Callable[[Array, Array, Array], tuple[Array, Array]] = field(repr=False)
    switches: Callable[[Array, Array], tuple[Array, ...]] = field(repr=False)
    furthest: float
    row: tuple[Any, ...] = field(default=(), repr=False)


@dataclass(frozen=True, eq=False)
class Loss(Recorded):
    """One row of the table of losses. y (N, K) is the network's output, t the target.

    Attributes:
        name: torch.nn.functional's name.
        formula: one example's (or one element's) loss in plain mathematics.
        source: where the loss is defined.
        value: (y, t) ↦ the unreduced loss, as torch's reduction="none" returns it: (N,) or (N, K).
        gradient: (y, t) ↦ d_y (N, K), the gradient of the sum of the unreduced losses.
        divisor: (y, t) ↦ what reduction="mean" divides the sum by.
        target: the kind of target: "real" (N, K), "probabilities" (N, K) in [0, 1], "nonnegative" (N, K),
            "classes" (N,) integers or (N, K) probabilities, "indices" (N,) integers, "signs" (N, K) of −1
            and 1, "labels" (N, K) integers: label indices, then −1.
        integers: whether integers are taken for the same real numbers in a target of real numbers, as torch takes them.
        domain: y ↦ where the output may enter the loss (torch raises or returns NaN elsewhere).
        domain_text: the same in words, for error messages.
        ignore_index: the class index that does not count, if there is one.
        switches: (y, t) ↦ real arrays; the formula changes where one of them passes 0.
        parameters: the numbers that the row was made with, read-only.
        outputs: the number of outputs K that the parameters (class weights) are made for; None for any.
        logarithms: the same loss of log y and log(1 − y), if it is one of probabilities.
        textbook_value: (y, t) ↦ size of the largest intermediate term of the customary formula of `value`.
        textbook_gradient: the same for `gradient`.
        other_gradient: (y, t) ↦ what customary programs get instead on some machines, all of them alike; None: nothing.
    """

    name: str
    formula: str
    source: str
    target: str
    value: Callable[[Array, Array], Array] = field(repr=False)
    gradient: Callable[[Array, Array], Array] = field(repr=False)
    divisor: Callable[[Array, Array], Term] = field(repr=False)
    integers: bool = True
    domain: Callable[[Array], Array] = field(default=_everything, repr=False)
    domain_text: str = "any real number"
    ignore_index: int | None = None
    switches: Callable[[Array, Array], tuple[Array, ...]] = field(default=_no_switches, repr=False)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: int | None = None
    logarithms: OfLogarithms | None = field(default=None, repr=False)
    textbook_value: Callable[[Array, Array], Term] = field(default=_no_term, repr=False)
    textbook_gradient: Callable[[Array, Array], Term] = field(default=_no_term, repr=False)
    other_gradient: Callable[[Array, Array], Array] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", frozen(self.parameters))
        if self.logarithms is not None:
            object.__setattr__(self, "logarithms", replace(self.logarithms, row=(self.value, self.gradient)))
        y, t, dy = self.probe()
        with np.errstate(all="ignore"):
            expected = float(np.sum(np.imag(self.value(y + 1e-100j * dy, t))) * 1e100)
            got = float(np.sum(self.gradient(y, t) * dy))
        if not abs(got - expected) <= AGREE * max(1.0, abs(expected)):
            raise ValueError(f"loss {self.name!r}: its gradient along {dy} is {got}, its value says {expected}")

    def probe(self) -> tuple[Array, Array, Array]:
        """An output (2, K), a target and a direction that the row checks itself with, off every kink of its parameters.

        >>> from . import multi_margin
        >>> y, t, _ = multi_margin(margin=0.0625).probe()
        >>> y - y[:, [t[0]]] + 0.0625 != 0
        array([[ True,  True,  True],
               [ True,  True,  True]])
        """
        y, t, direction = probe(self.target, self.outputs or 3)
        apart = 1 - 2.0**-8 * (1 + np.arange(y.size).reshape(y.shape)) / y.size  # so that equal ones do not stay equal
        for _ in range(MOVES):
            if all(np.all(switch) for switch in self.switches(y, t)):
                break
            y = y * apart
        return y, t, direction


def probe(target: str, k: int) -> tuple[Array, Array, Array]:
    """An output (2, k) inside every loss's domain, a target of the kind, and a direction to differentiate along."""

    def wide(rows: list[list[float]]) -> Array:
        return np.resize(np.array(rows).T, (k, 2)).T.copy()

    y = wide([[0.28125, 0.40625, 0.34375], [0.71875, 0.15625, 0.21875]])
    direction = wide([[0.75, -1.25, 0.5], [1.5, 0.625, -0.875]])
    labels = np.full((2, k), -1)
    labels[:, 0] = (k - 1, 0)
    targets: dict[str, Array] = {
        "real": wide([[0.5, -1.25, 2.0], [0.875, 0.0625, -3.0]]),
        "probabilities": wide([[0.25, 0.5, 0.25], [0.125, 0.0, 0.875]]),
        "nonnegative": wide([[0.0, 1.0, 3.0], [2.0, 1.0, 0.0]]),
        "classes": np.array([k - 1, 0]),
        "indices": np.array([k - 1, 0]),
        "signs": wide([[-1.0, 1.0, 1.0], [1.0, -1.0, -1.0]]),
        "labels": labels,
    }
    if target not in targets:
        raise ValueError(f"target kind {target!r} is none of {', '.join(targets)}")
    return y, targets[target], direction
