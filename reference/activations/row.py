"""A row of the table of activations, which checks itself when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..arithmetic.array import Array, Term
from ..functions.elementwise import share_parts, together
from ..functions.recipe import Recorded, frozen

Elementwise = Callable[[Array], Array]
Size = Callable[[Array], Term]

PROBES = (-2.3125, -0.40625, 0.28125, 1.71875)
"""Where a row is checked when it is made: on either side of 0, on no kink of the table."""
AGREE = 2.0**-32
"""A row's own check compares formulas, not roundings: a wrong formula is off by far more than 2e-10, a
right one by a few thousand roundings of 1e-16 at the most."""


@dataclass(frozen=True)
class Kink:
    """A point where the derivative jumps.

    Attributes:
        at: the pre-activation z.
        derivative: the value chosen there (torch's).
        left: the slope from below.
        right: the slope from above.
        jump: the height by which the function itself jumps there.
    """

    at: float
    derivative: float
    left: float
    right: float
    jump: float = 0.0

    @property
    def slopes(self) -> dict[str, float]:
        """The slope from the "left", from the "right", and the "mean" of both.

        >>> Kink(0.0, 0.0, 0.0, 1.0).slopes
        {'left': 0.0, 'right': 1.0, 'mean': 0.5}
        """
        return {"left": self.left, "right": self.right, "mean": (self.left + self.right) / 2}


@dataclass(frozen=True)
class Logarithms:
    """log y and log(1 − y) of an output y = a(z) between 0 and 1, with the digits that y loses beside 0 and 1.

    A loss that takes the logarithms of probabilities is differentiated through them where the row states them.

    Attributes:
        values: z ↦ (log y, log(1 − y)).
        vjp: (z, a, b) ↦ d_z, where a and b are the gradients with respect to log y and log(1 − y).
        share: z ↦ what part of the error of b·∂log(1 − y)/∂z at the y nearest to 1 each z gets, at most 1.
        row: the value, derivative and vjp that these are another form of; the row sets it.
    """

    values: Callable[[Array], tuple[Array, Array]] = field(repr=False)
    vjp: Callable[[Array, Array, Array], Array] = field(repr=False)
    share: Elementwise = field(repr=False)
    row: tuple[Any, ...] = field(default=(), repr=False)


def _none(z: Array) -> Term:
    return 0.0


def _unit(z: Array) -> Term:
    return 1.0


@dataclass(frozen=True, eq=False)
class Activation(Recorded):
    """One row of the table of activations.

    Elementwise rows map z (…, K) to an array of the same shape and state `derivative` and
    `second_derivative`; row-wise ones act along the last axis of z (N, K) and state `vjp` and `jvp`.

    Attributes:
        name: torch.nn.functional's name.
        formula: the function in plain mathematics.
        source: where the function was first defined or is best described.
        value: a(z).
        derivative: a′(z).
        second_derivative: a″(z).
        vjp: (z, d_y) ↦ d_z = Jᵀ d_y, for a row-wise activation.
        jvp: (z, dz) ↦ J dz, for a row-wise activation.
        kinks: where a′ jumps, with the value taken there.
        breaks: further points where the formula changes though a′ does not jump.
        homogeneous: a(cz) = c·a(z) for every c > 0.
        shrink: the output is narrower than z by this factor (2 for GLU).
        parameters: the numbers that the row was made with, read-only.
        logarithms: log y and log(1 − y), of a row whose outputs are probabilities that round to 0 or 1.
        shift: what the customary formula adds to z before it compares, as the 3 of min(max(z + 3, 0), 6): a sum that
            rounds to a kink's place plus the shift is taken for one at the kink.
        textbook_value: size of the largest intermediate term of the customary formula of a(z), for the
            textbook rounding scale; 0 where it is the result itself.
        textbook_derivative: the same for a′(z), or for a row-wise vjp in units of the largest |d_y|.
        one_rounding: whether correct kernels compute a(z) and d_y·a′(z) in float32 and round once in formats that are
            coarser, as torch's do. Where it is False they round in between: torch takes the derivative from the
            stored output (sigmoid, tanh, softmax, log_softmax), or composes it of several operations (softsign,
            tanhshrink, softmin, glu); or nothing in between is rounded at all (piecewise linear rows, square).
        slope_formula: its derivative in plain mathematics, where it acts element by element.

    Raises:
        ValueError: `derivative`, `second_derivative` or the kinks contradict `value` at a probe point.
    """

    name: str
    formula: str
    source: str
    value: Elementwise = field(repr=False)
    derivative: Elementwise | None = field(default=None, repr=False)
    second_derivative: Elementwise | None = field(default=None, repr=False)
    vjp: Callable[[Array, Array], Array] | None = field(default=None, repr=False)
    jvp: Callable[[Array, Array], Array] | None = field(default=None, repr=False)
    kinks: tuple[Kink, ...] = ()
    breaks: tuple[float, ...] = ()
    homogeneous: bool = False
    shrink: int = 1
    parameters: Mapping[str, float] = field(default_factory=dict)
    logarithms: Logarithms | None = field(default=None, repr=False)
    shift: float = 0.0
    textbook_value: Size = field(default=_none, repr=False)
    textbook_derivative: Size = field(default=_unit, repr=False)
    one_rounding: bool = False
    slope_formula: str = field(default="", repr=False)

    @property
    def rowwise(self) -> bool:
        """Whether an output depends on the whole row of z."""
        return self.vjp is not None

    @property
    def all_breaks(self) -> tuple[float, ...]:
        """Every point where the formula changes, in order."""
        return tuple(sorted({k.at for k in self.kinks} | set(self.breaks)))

    @property
    def shares_parts(self) -> bool:
        """Whether `with_slope` costs less than value and derivative one after the other."""
        return share_parts(self.value, self.derivative)

    def with_slope(self, z: Array) -> tuple[Array, Array]:
        """a(z) and a′(z), of an elementwise row whose formulas share their parts."""
        return together(self.value, self.derivative, z)  # type: ignore[arg-type]

    def pullback(self, z: Array, d_y: Array) -> Array:
        """d_z = Jᵀ d_y, whichever kind the row is."""
        return d_y * self.derivative(z) if self.vjp is None else self.vjp(z, d_y)  # type: ignore[misc]

    def pushforward(self, z: Array, dz: Array) -> Array:
        """J dz, whichever kind the row is."""
        return dz * self.derivative(z) if self.jvp is None else self.jvp(z, dz)  # type: ignore[misc]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", frozen(self.parameters))
        elementwise = self.derivative is not None and self.second_derivative is not None
        if elementwise == (self.vjp is not None and self.jvp is not None):
            raise ValueError(
                f"activation {self.name!r}: state derivative and second_derivative, or vjp and jvp, not both or neither"
            )
        with np.errstate(all="ignore"):
            if elementwise:
                self._check_elementwise()
            else:
                self._check_rowwise()
            if self.logarithms is not None:
                self._check_logarithms(self.logarithms)
                row = (self.value, self.derivative, self.vjp)
                object.__setattr__(self, "logarithms", replace(self.logarithms, row=row))

    def _check_elementwise(self) -> None:
        assert self.derivative is not None
        assert self.second_derivative is not None
        z = np.array([p for p in PROBES if p not in self.all_breaks])
        for what, f, d_f in (
            ("derivative", self.value, self.derivative),
            ("second_derivative", self.derivative, self.second_derivative),
        ):
            expected = np.imag(f(z + 1e-100j)) * 1e100
            self._require(what, z, np.asarray(d_f(z)), expected)
        for kink in self.kinks:
            at = np.array([kink.at])
            chosen = np.asarray(self.derivative(at))
            self._require("derivative at the kink", at, chosen, np.array([kink.derivative]))
            sides = np.array([np.nextafter(kink.at, -np.inf), np.nextafter(kink.at, np.inf)])
            self._require("slopes beside the kink", sides, self.derivative(sides), np.array([kink.left, kink.right]))

    def _check_rowwise(self) -> None:
        assert self.vjp is not None
        assert self.jvp is not None
        z = np.array([PROBES])
        dz = np.array([[0.75, -1.25, 0.5, 1.5]])
        expected = np.imag(self.value(z + 1e-100j * dz)) * 1e100
        pushed = self.jvp(z, dz)
        self._require("jvp", z, pushed, expected)
        d_y = np.array([[1.25, -0.5, 0.875, -1.0]])[:, : pushed.shape[1]]
        self._require("vjp", z, np.sum(self.vjp(z, d_y) * dz, axis=1), np.sum(d_y * expected, axis=1))

    def _check_logarithms(self, logarithms: Logarithms) -> None:
        z, dz = np.array([PROBES]), np.array([[0.75, -1.25, 0.5, 1.5]])
        y = self.value(z + 1e-100j * dz)
        plain = np.log(y), np.log1p(-y)
        for got, expected in zip(logarithms.values(z), plain, strict=True):
            self._require("logarithm", z, got, expected.real)
        a, b = np.array([[1.25, -0.5, 0.875, -1.0]]), np.array([[-0.375, 1.0, 0.25, -1.5]])
        expected = np.sum(a * plain[0].imag + b * plain[1].imag) * 1e100
        self._require("logarithms' vjp", z, np.sum(logarithms.vjp(z, a, b) * dz), expected)

    def _require(self, what: str, z: Array, got: Array, expected: Array) -> None:
        if not np.all(np.abs(got - expected) <= AGREE * np.maximum(1, np.abs(expected))):
            raise ValueError(f"activation {self.name!r}: {what} at z = {z} is {got}, its value says {expected}")


def name_and_parameters(name: str, parameters: Mapping[str, Any]) -> str:
    """A row's name with its parameters, as one would write the call that makes it.

    >>> name_and_parameters("elu", {"alpha": 1.0})
    'elu(alpha=1.0)'
    """
    return f"{name}({', '.join(f'{k}={v!r}' for k, v in parameters.items())})" if parameters else name
