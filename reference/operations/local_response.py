"""Local response normalisation: every number divided by a power of the squares of its neighbours among the channels.

N examples, C channels, size of a window of them; R rows, one for each place of an example. Derived in the README of
this room, "Local response normalisation".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from ..arithmetic.array import Array, NumPyArray
from ..arithmetic.constants import Constant
from ..arithmetic.dispatch import constant, largest, magnitude, parameter
from ..functions.parameters import check_finite, check_number
from ..functions.powers import power
from ..functions.recipe import recorded
from .arguments import expect, whole
from .probe import probe
from .row import Operation, Pullback
from .standardized import root_of
from .windows import Windows, gathered, scattered


@dataclass(frozen=True, slots=True)
class _Norm:
    """What a row was made with: y = x·s^(−β), s = k + α/size·Σx² over the channel's window.

    Attributes:
        windows: of channels.
        beta: β.
        root_k: √k.
        root_alpha: √(α/size).
    """

    windows: Windows
    beta: float
    root_k: Constant
    root_alpha: Constant


@dataclass(frozen=True, eq=False, slots=True)
class _Window:
    """The windows of rows x (R, C), in units of r = max(√k, √(α/size)·max|x|), so that no square leaves its range.

    Attributes:
        norm: what the row was made with.
        places: the channels of each window, (size, C).
        own: q = √(α/size)·x/r of the channel itself, (R, C); no element above 1 in magnitude.
        others: the same of the others in its window, 0 in its own place, (R, size, C).
        r: real, (R, C).
        rest: k/r² and the squares of the others, (R, C).
    """

    norm: _Norm
    places: NumPyArray
    own: Array
    others: Array
    r: Array
    rest: Array

    @property
    def t(self) -> Array:
        """s/r², (R, C): between 1 and 1 + size."""
        return self.rest + self.own * self.own

    def divided(self, x: Array) -> Array:
        """x·s^(−β) = (x/r)·r^(1 − 2β)·t^(−β): x/r first, for r^(−2β) alone may leave the range."""
        return x / self.r * power(self.r, -2 * self.norm.beta, less=-1) * power(self.t, -self.norm.beta)

    def of_own(self) -> Array:
        """∂y/∂x·s^β of the channel itself, 1 − 2β·q²/t, without the difference, of which k/s is left for β = ½."""
        beta = parameter(self.norm.beta, self.rest)
        return (self.rest + (1 - 2 * beta) * (self.own * self.own)) / self.t

    def of_others(self) -> Array:
        """The same of the others in its window, (R, size, C)."""
        shared = -2 * parameter(self.norm.beta, self.rest) * (self.own / self.t)
        return self.others * np.expand_dims(shared, 1)


def _rows(x: Array) -> Array:
    """(N, C, …) to (R, C)."""
    return x.transpose(0, *range(2, x.ndim), 1).reshape(x.size // x.shape[1], x.shape[1])


def _of_rows(rows: Array, like: Array) -> Array:
    """The inverse."""
    examples, channels, *places = like.shape
    return rows.reshape(examples, *places, channels).transpose(0, like.ndim - 1, *range(1, like.ndim - 1))


def _window(n: _Norm, x: Array) -> _Window:
    channels = x.shape[1]
    places = n.windows.places((channels,), (channels,))
    scaled = gathered(x * constant(n.root_alpha, x), places)
    root = constant(n.root_k, x)
    r = np.maximum(largest(magnitude(scaled), 1)[1], root)
    q, shift = scaled / r, (root / r)[:, 0]
    middle = n.windows.before[0]
    others = q * (np.arange(len(places)) != middle)[:, None]
    return _Window(n, places, q[:, middle], others, r[:, 0], shift * shift + (others * others).sum(axis=1))


# ── the passes, of rows (R, C) ───────────────────────────────────────────────────────────────────────

_Pass: TypeAlias = "Callable[[_Window, Array], Array]"


def _pullback(w: _Window, d: Array) -> Array:
    """d_x = g·(1 − 2β·q²/t) − Σ over the other windows that x is in of 2β·q·q_own/t·g, g = d·s^(−β)."""
    g = w.divided(d)
    return g * w.of_own() + scattered(w.of_others() * np.expand_dims(g, 1), w.places, g.shape[1])


def _pushforward(w: _Window, dx: Array) -> Array:
    moved = dx * w.of_own() + (w.of_others() * gathered(dx, w.places)).sum(axis=1)
    return w.divided(moved)


def _from_the_same_window(w: _Window, d: Array) -> Array:
    """The window of the forward pass once more, where its mirror image belongs."""
    g = w.divided(d)
    shared = gathered(w.own / w.t * g / w.r, w.places).sum(axis=1)
    return g - 2 * parameter(w.norm.beta, d) * (w.own * w.r) * shared


def _mistakes(even: bool) -> dict[str, _Pass]:
    found: dict[str, _Pass] = {
        "the squares taken as constant": lambda w, d: w.divided(d),
        "the other channels left out": lambda w, d: w.divided(d) * w.of_own(),
        "the 2 of the squares left out": lambda w, d: (w.divided(d) + _pullback(w, d)) / 2,
    }
    if even:
        found["the window not mirrored"] = _from_the_same_window
    return found


@recorded
def local_response_norm(size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Operation:
    """y = x·(k + α/size·Σx²)^(−β), the sum over the channels from size//2 before to (size − 1)//2 after: (N, C, …).

    Args:
        size: the number of channels of a window.
        alpha: α, not negative.
        beta: β.
        k: not negative; with 0 a window of zeros is 0/0.

    >>> local_response_norm(2, alpha=2.0, beta=1.0, k=0.0).value(np.array([[[3e200], [4e200]]])).ravel() * 1e200
    array([0.33333333, 0.16      ])
    """
    count = whole("local_response_norm", "size", size, 1)
    check_finite("local_response_norm", beta=beta)
    check_number("local_response_norm", "alpha", alpha, least=0)
    check_number("local_response_norm", "k", k, least=0)
    windows = Windows((count,), (1,), (1,), (count // 2,), ((count - 1) // 2,))
    n = _Norm(windows, float(beta), root_of(float(k)), root_of(Fraction(alpha) / count))

    def value(x: Array) -> Array:
        expect("local_response_norm", x.ndim >= 3, "x", "shape (N, C, …) of 3 dimensions at least", f"shape {x.shape}")
        rows = _rows(x)
        return _of_rows(_window(n, rows).divided(rows), x)

    def along(f: _Pass, x: Array, d: Array) -> Array:
        return _of_rows(f(_window(n, _rows(x)), _rows(d)), x)

    def back(f: _Pass) -> Pullback:
        return lambda inputs, y, d_y: (along(f, inputs[0], d_y),)

    return Operation(
        "local_response_norm",
        "x·(k + α/size·Σx²)^(−β), the sum over neighbouring channels",
        "Krizhevsky, Sutskever & Hinton 2012, ImageNet classification with deep convolutional neural networks, §3.3",
        ("x",),
        value,
        back(_pullback),
        lambda inputs, y, changes: along(_pushforward, inputs[0], changes[0]),
        probes=((probe(2, count + 1, 2),), (probe(1, 3, 1, 2),)),
        parameters={"size": count, "alpha": alpha, "beta": beta, "k": k},
        mistakes={name: back(wrong) for name, wrong in _mistakes(count % 2 == 0).items()} if alpha and beta else {},
        textbook_pullback=lambda inputs, y, d_y: (along(lambda w, d: magnitude(w.divided(d)), inputs[0], d_y),),
    )


MAKERS: tuple[Callable[..., Operation], ...] = (local_response_norm,)
